using System.Collections.Concurrent;
using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Identity;

namespace Swarm.Core.Presence;

/// <summary>
/// When an agent last had a stream open, leased or sent. Noting costs a look-up in memory; each agent is written at most once in
/// <see cref="WriteInterval"/>, in batches, by <see cref="PresenceWriter"/>. May be lost at any time; nothing depends on it.
/// </summary>
public sealed class LastSeen(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>At most one write an agent and replica in this time.</summary>
    public static readonly TimeSpan WriteInterval = TimeSpan.FromSeconds(30);

    /// <summary>Seen within this time is online: two writes may be missed, not three.</summary>
    public static readonly TimeSpan OnlineFor = TimeSpan.FromSeconds(75);

    /// <summary>Agents that are remembered between writes; above it the memory starts again.</summary>
    public const int AgentsMax = 100_000;

    /// <summary>The most agents of one write.</summary>
    public const int BatchMax = 1_000;

    /// <summary>The most agents of one <see cref="FindAsync"/>: the members of a swarm.</summary>
    public const int FindMax = 10_000;

    private readonly ConcurrentDictionary<AgentId, DateTimeOffset> _noted = new();
    private readonly ConcurrentDictionary<AgentId, DateTimeOffset> _pending = new();

    /// <summary>Notes that the agent is here now.</summary>
    public void Note(AgentId agent)
    {
        var now = time.GetUtcNow();
        if (agent == default || (_noted.TryGetValue(agent, out var last) && now - last < WriteInterval && now >= last))
        {
            return;
        }

        if (_noted.Count >= AgentsMax)
        {
            _noted.Clear();
        }

        _noted[agent] = now;
        if (_pending.Count < AgentsMax)
        {
            _pending[agent] = now;
        }
    }

    /// <summary>Writes what is waiting, at most <see cref="BatchMax"/>, and says how many; call again while it returns that many.</summary>
    public async Task<int> FlushAsync(CancellationToken cancellation)
    {
        // Sorted, so that two replicas lock rows in the same order.
        var batch = _pending.Take(BatchMax).OrderBy(p => p.Key).ToArray();
        if (batch.Length == 0)
        {
            return 0;
        }

        await using var command = database.CreateCommand(
            """
            insert into presence as p (agent_no, seen_at) select * from unnest($1, $2)
            on conflict (agent_no) do update set seen_at = excluded.seen_at where excluded.seen_at > p.seen_at
            """);
        command.Parameters.Add(new() { Value = Array.ConvertAll(batch, p => p.Key.Value) });
        command.Parameters.Add(new()
        {
            Value = Array.ConvertAll(batch, p => p.Value.UtcDateTime), NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.TimestampTz,
        });
        await command.ExecuteNonQueryAsync(cancellation);
        foreach (var written in batch)
        {
            _pending.TryRemove(written); // Unless it was noted again meanwhile.
        }

        return batch.Length;
    }

    /// <summary>When each was last seen, by any replica; who never was is not in it. At most <see cref="FindMax"/> agents.</summary>
    public async Task<IReadOnlyDictionary<AgentId, DateTimeOffset>> FindAsync(IEnumerable<AgentId> agents, CancellationToken cancellation)
    {
        var asked = agents.Take(FindMax).Distinct().ToArray();
        var seen = new Dictionary<AgentId, DateTimeOffset>();
        await using var command = database.CreateCommand("select agent_no, seen_at from presence where agent_no = any ($1)");
        command.Parameters.Add(new() { Value = Array.ConvertAll(asked, agent => agent.Value) });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            seen[new(reader.GetInt64(0))] = reader.GetFieldValue<DateTimeOffset>(1);
        }

        foreach (var agent in asked)
        {
            if (_noted.TryGetValue(agent, out var here) && (!seen.TryGetValue(agent, out var written) || here > written))
            {
                seen[agent] = here;
            }
        }

        return seen;
    }

    /// <summary>Whether who was seen then is online now.</summary>
    public bool IsOnline(DateTimeOffset seenAt) => time.GetUtcNow() - seenAt <= OnlineFor;
}
