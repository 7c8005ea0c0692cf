using System.Collections.Concurrent;
using Microsoft.EntityFrameworkCore;
using NSec.Cryptography;
using Swarm.Core.Signals;
using Swarm.Core.Storage;

namespace Swarm.Core.Identity;

/// <summary>What is public about an agent of this node.</summary>
/// <param name="Endpoint">Its Agent Swarm Protocol base URL, including the <c>/swarm</c> path (ASP §1).</param>
public sealed record AgentProfile(
    AgentId Id, string Name, AgentKind Kind, string Endpoint, PublicKey PublicKey, string? DisplayName, string? Description, bool IsDefault);

/// <summary>Finds agents whose inbox is on this node. Answers from a cache that control events keep current.</summary>
public sealed class AgentDirectory
{
    /// <summary>The most names that are kept, absent ones included; above it the cache starts again.</summary>
    public const int NamesMax = 20_000;

    /// <summary>How long an absence is believed: it bounds how often strangers can make us ask the database.</summary>
    public static readonly TimeSpan AbsentFor = TimeSpan.FromMilliseconds(100);

    private const string Default = "";

    private readonly IDbContextFactory<SwarmDb> _databases;
    private readonly PublicKeys _keys;
    private readonly TimeProvider _time;
    private readonly ConcurrentDictionary<string, (AgentProfile? Agent, long ReadAt)> _byName = new();
    private int _changes;

    public AgentDirectory(IDbContextFactory<SwarmDb> databases, PublicKeys keys, ControlEvents control, TimeProvider time)
    {
        _databases = databases;
        _keys = keys;
        _time = time;
        control.Missed += Forget;
        control.Changed += change =>
        {
            if (change.Kind == ControlKind.Agent)
            {
                Forget(change.No);
            }
        };
    }

    /// <summary>The hosted or external agent of that name, not revoked; null when there is none.</summary>
    public ValueTask<AgentProfile?> FindAsync(string name, CancellationToken cancellation) =>
        AgentName.IsValidForLocal(name) ? LookUpAsync(name, cancellation) : new((AgentProfile?)null);

    /// <summary>The node's default agent, served at <c>/swarm/…</c>; null when none was named.</summary>
    public ValueTask<AgentProfile?> FindDefaultAsync(CancellationToken cancellation) => LookUpAsync(Default, cancellation);

    /// <summary>The same by number; null for a remote or revoked agent.</summary>
    public async ValueTask<AgentProfile?> FindAsync(AgentId id, CancellationToken cancellation)
    {
        await using var db = await _databases.CreateDbContextAsync(cancellation);
        var name = await db.Agents.Where(a => a.AgentNo == id.Value && a.RevokedAt == null).Select(a => a.Name).FirstOrDefaultAsync(cancellation);
        return name is null ? null : await FindAsync(name, cancellation);
    }

    private void Forget()
    {
        Interlocked.Increment(ref _changes);
        _byName.Clear();
    }

    /// <summary>That agent under every name, and whatever was absent: it may be new. The default agent may have become another.</summary>
    private void Forget(long agentNo)
    {
        Interlocked.Increment(ref _changes);
        foreach (var (name, known) in _byName)
        {
            if (known.Agent is null || known.Agent.Id.Value == agentNo || name == Default)
            {
                _byName.TryRemove(name, out _);
            }
        }
    }

    private ValueTask<AgentProfile?> LookUpAsync(string name, CancellationToken cancellation) =>
        _byName.TryGetValue(name, out var known) && (known.Agent is not null || _time.GetElapsedTime(known.ReadAt) < AbsentFor)
            ? new(known.Agent)
            : ReadAsync(name, cancellation);

    private async ValueTask<AgentProfile?> ReadAsync(string name, CancellationToken cancellation)
    {
        var readAt = _time.GetTimestamp();
        var changes = Volatile.Read(ref _changes);
        await using var db = await _databases.CreateDbContextAsync(cancellation);
        var agents = db.Agents.AsNoTracking().Where(a => a.RevokedAt == null && a.Name != null);
        var row = name == Default
            ? await agents.FirstOrDefaultAsync(a => a.IsDefault, cancellation)
            : await agents.FirstOrDefaultAsync(a => a.Name == name, cancellation);
        if (_byName.Count >= NamesMax)
        {
            _byName.Clear();
        }

        var agent = row is null ? null : ToProfile(row);
        _byName[name] = (agent, readAt);
        if (changes != Volatile.Read(ref _changes))
        {
            // Something changed while we read, perhaps this: answer with it, do not keep it.
            _byName.TryRemove(name, out _);
        }

        return agent;
    }

    private AgentProfile ToProfile(AgentRow row) => new(
        new(row.AgentNo), row.Name!, row.Kind, row.Endpoint, _keys.Get(row.PublicKey), row.DisplayName, row.Description, row.IsDefault);
}
