using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using Swarm.Core.Capabilities.Grants;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Signals;
using Swarm.Core.Storage;

namespace Swarm.Core.Swarms;

/// <summary>
/// Roster snapshots, cached. A stale one can never let a message through, because the commit is fenced by the version; a refusal
/// that rests on a stale one is prevented by asking again with <see cref="GetFreshAsync"/>.
/// </summary>
public sealed class Rosters
{
    /// <summary>The most swarms that are kept, absent ones included; above it the cache starts again.</summary>
    public const int SwarmsMax = 20_000;

    /// <summary>A snapshot of this age counts as fresh: it bounds how often strangers can make us ask the database.</summary>
    public static readonly TimeSpan FreshFor = TimeSpan.FromMilliseconds(100);

    private readonly IDbContextFactory<SwarmDb> _databases;
    private readonly PublicKeys _keys;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<SwarmId, Entry> _entries = new();
    private readonly ConcurrentDictionary<long, SwarmId> _ids = new();
    private readonly ConcurrentDictionary<SwarmId, Lazy<Task<Entry>>> _loads = new();
    private int _changes;

    public Rosters(IDbContextFactory<SwarmDb> databases, PublicKeys keys, ControlEvents control, TimeProvider time)
    {
        _databases = databases;
        _keys = keys;
        _time = time;
        control.Changed += OnChanged;
        control.Missed += () =>
        {
            Interlocked.Increment(ref _changes);
            _entries.Clear();
        };
    }

    /// <summary>The swarm's roster, possibly from the cache; null when the node holds no such swarm.</summary>
    public ValueTask<Roster?> GetAsync(SwarmId id, CancellationToken cancellation) =>
        _entries.TryGetValue(id, out var entry) && (entry.Roster is not null || IsFresh(entry))
            ? new(entry.Roster)
            : LoadAsync(id, cancellation);

    /// <summary>The roster that the cache holds; null when it must be asked for.</summary>
    public Roster? Find(SwarmId id) => _entries.TryGetValue(id, out var entry) ? entry.Roster : null;

    /// <summary>The roster as it was at most <see cref="FreshFor"/> ago; ask this before refusing.</summary>
    public ValueTask<Roster?> GetFreshAsync(SwarmId id, CancellationToken cancellation) =>
        _entries.TryGetValue(id, out var entry) && IsFresh(entry) ? new(entry.Roster) : LoadAsync(id, cancellation);

    /// <summary>Forgets a snapshot that the commit found to be stale.</summary>
    public void Forget(SwarmId id) => _entries.TryRemove(id, out _);

    private bool IsFresh(Entry entry) => _time.GetElapsedTime(entry.LoadedAt) < FreshFor;

    private async ValueTask<Roster?> LoadAsync(SwarmId id, CancellationToken cancellation)
    {
        var load = _loads.GetOrAdd(id, key => new(() => ReadAsync(key)));
        try
        {
            return (await load.Value.WaitAsync(cancellation)).Roster;
        }
        finally
        {
            _loads.TryRemove(new(id, load));
        }
    }

    private async Task<Entry> ReadAsync(SwarmId id)
    {
        var loadedAt = _time.GetTimestamp();
        var changes = Volatile.Read(ref _changes);
        await using var db = await _databases.CreateDbContextAsync();
        var roster = await ReadAsync(db, id, loadedAt, CancellationToken.None);
        if (_entries.Count >= SwarmsMax)
        {
            _entries.Clear();
            _ids.Clear();
        }

        var entry = new Entry(roster, loadedAt);
        if (roster is not null)
        {
            _ids[roster.SwarmNo] = id;
        }

        _entries[id] = entry;
        if (changes != Volatile.Read(ref _changes))
        {
            // Something changed while we read, perhaps this: answer with it, do not keep it.
            _entries.TryRemove(id, out _);
        }

        return entry;
    }

    /// <summary>Reads a roster within the caller's own transaction, past the cache.</summary>
    public Task<Roster?> ReadAsync(SwarmDb db, SwarmId id, CancellationToken cancellation) =>
        ReadAsync(db, id, _time.GetTimestamp(), cancellation);

    private async Task<Roster?> ReadAsync(SwarmDb db, SwarmId id, long loadedAt, CancellationToken cancellation)
    {
        // Swarm first: members read after its version can only be newer than it, and the fence then refuses.
        var row = await db.Swarms.AsNoTracking().FirstOrDefaultAsync(s => s.SwarmId == id.Value, cancellation);
        if (row is null)
        {
            return null;
        }

        var members = await (
            from m in db.Members.AsNoTracking()
            join a in db.Agents.AsNoTracking() on m.AgentNo equals a.AgentNo
            where m.SwarmNo == row.SwarmNo
            orderby m.MemberNo
            select new { m.AgentNo, a.Kind, m.Name, m.Endpoint, m.PublicKey, m.JoinedAt, m.KeyConfirmedAt, m.TakesOver }).ToListAsync(cancellation);
        var swarmId = row.SwarmId;
        var mutes = await (
            from u in db.Mutes.AsNoTracking()
            join m in db.Members on u.AgentNo equals m.AgentNo
            where m.SwarmNo == row.SwarmNo && (u.Name != null || u.SwarmId == swarmId)
            select u).ToListAsync(cancellation);
        var grants = row is { Demands: not SwarmActions.None, A1Swarm: { } a1Swarm } ? await ReadGrantsAsync(db, row.SwarmNo, a1Swarm, cancellation) : null;
        return new(
            row,
            [.. members.Select(m => new Member(new(m.AgentNo), m.Kind, m.Name, m.Endpoint, _keys.Get(m.PublicKey), m.PublicKey, m.JoinedAt)
            {
                KeyConfirmedAt = m.KeyConfirmedAt, TakesOver = m.TakesOver,
                Grant = grants?.TryGetValue(m.AgentNo, out var grant) == true ? grant : null,
            })],
            RosterMutes.Of(mutes),
            loadedAt);
    }

    private static async Task<IReadOnlyDictionary<long, MemberGrant>> ReadGrantsAsync(
        SwarmDb db, long swarmNo, byte[] a1Swarm, CancellationToken cancellation)
    {
        await db.Database.OpenConnectionAsync(cancellation);
        try
        {
            return await GrantTable.ReadAsync((NpgsqlConnection)db.Database.GetDbConnection(), swarmNo, a1Swarm, cancellation);
        }
        finally
        {
            await db.Database.CloseConnectionAsync();
        }
    }

    private void OnChanged(ControlEvent change)
    {
        if (change.Kind == ControlKind.Swarm)
        {
            Interlocked.Increment(ref _changes);
            if (_ids.TryGetValue(change.No, out var id))
            {
                _entries.TryRemove(id, out _);
            }
        }
    }

    private sealed record Entry(Roster? Roster, long LoadedAt);
}
