using System.Collections.Concurrent;
using System.Threading.Channels;
using Npgsql;
using Swarm.Core.Identity;

namespace Swarm.Core.Swarms;

/// <summary>A swarm whose roster here seems to be behind.</summary>
/// <param name="Teller">The member by whose message this was noticed, who may know more; empty for a stranger.</param>
public readonly record struct Suspicion(SwarmId Swarm, string Teller);

/// <summary>
/// Notices that events of a swarm with a remote master were missed (ASP §10.6, W-13): somebody whom the roster does not know writes, or a member acts as
/// the master. Anybody can make it look so, so each swarm is asked about once in <see cref="Pause"/>, by one replica.
/// </summary>
public sealed class Resyncs(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>Between two times that the node asks by itself.</summary>
    public static readonly TimeSpan Pause = TimeSpan.FromMinutes(10);

    /// <summary>The most swarms that wait to be asked about; what is over is noticed again later.</summary>
    public const int WaitingMax = 1_000;

    /// <summary>The most swarms of which it is remembered when they were noticed; above it that starts again.</summary>
    public const int NoticedMax = 20_000;

    private readonly Channel<Suspicion> _waiting = Channel.CreateBounded<Suspicion>(
        new BoundedChannelOptions(WaitingMax) { FullMode = BoundedChannelFullMode.DropWrite });

    private readonly ConcurrentDictionary<long, long> _noticedAt = new();

    /// <summary>Waits for the next swarm to ask about.</summary>
    public ValueTask<Suspicion> NextAsync(CancellationToken cancellation) => _waiting.Reader.ReadAsync(cancellation);

    /// <summary>Whether the swarm is to be asked about now: true for one replica in <see cref="Pause"/>.</summary>
    public async Task<bool> ClaimAsync(SwarmId swarm, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            "update swarms set asked_at = $2 where swarm_id = $1 and dissolved_at is null and (asked_at is null or asked_at <= $3) returning true");
        command.Parameters.Add(new() { Value = swarm.Value });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        command.Parameters.Add(new() { Value = (time.GetUtcNow() - Pause).UtcDateTime });
        return await command.ExecuteScalarAsync(cancellation) is true;
    }

    /// <summary>Never waits, and costs a look into memory while a flood lasts.</summary>
    internal void Notice(Roster roster, string teller)
    {
        if (roster.Master is { Kind: not AgentKind.Remote })
        {
            return;
        }

        var now = time.GetTimestamp();
        if (_noticedAt.TryGetValue(roster.SwarmNo, out var before) && time.GetElapsedTime(before, now) < Pause)
        {
            return;
        }

        if (_noticedAt.Count >= NoticedMax)
        {
            _noticedAt.Clear();
        }

        _noticedAt[roster.SwarmNo] = now;
        _waiting.Writer.TryWrite(new(roster.Id, teller));
    }
}
