using Npgsql;
using Swarm.Core.Identity;
using Swarm.Core.Swarms;

namespace Swarm.Core.Delivery.Wake;

/// <summary>One session id for each swarm and peer that an agent talks with (ASP §11.4), as long as the talk is fresh.</summary>
public sealed class Conversations(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>The longest session id, in bytes of UTF-8.</summary>
    public const int SessionIdBytesMax = 1_024;

    /// <summary>The session to go on with; null when there is none, or it was silent for longer than <paramref name="timeout"/>: then it is forgotten.</summary>
    public async Task<string?> FindAsync(AgentId agent, SwarmId swarm, string peer, TimeSpan timeout, CancellationToken cancellation)
    {
        var oldest = (time.GetUtcNow() - timeout).UtcDateTime;
        await using var command = database.CreateCommand(
            """
            with gone as (delete from conversations where agent_no = $1 and last_active < $4)
            select session_id from conversations where agent_no = $1 and swarm_id = $2 and peer = $3 and last_active >= $4
            """);
        command.Parameters.Add(new() { Value = agent.Value });
        command.Parameters.Add(new() { Value = swarm.Value });
        command.Parameters.Add(new() { Value = peer });
        command.Parameters.Add(new() { Value = oldest });
        return await command.ExecuteScalarAsync(cancellation) as string;
    }

    /// <summary>Forgets the agent's sessions that were silent for longer than <paramref name="timeout"/>; says how many.</summary>
    public async Task<int> PurgeAsync(AgentId agent, TimeSpan timeout, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("delete from conversations where agent_no = $1 and last_active < $2");
        command.Parameters.Add(new() { Value = agent.Value });
        command.Parameters.Add(new() { Value = (time.GetUtcNow() - timeout).UtcDateTime });
        return await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>Notes the session in which the agent talks with the peer now.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: the session id is empty, too long, or holds U+0000.</exception>
    public async Task SaveAsync(AgentId agent, SwarmId swarm, string peer, string sessionId, CancellationToken cancellation)
    {
        if (sessionId.Length == 0 || sessionId.Contains('\0') || System.Text.Encoding.UTF8.GetByteCount(sessionId) > SessionIdBytesMax)
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"A session id has 1 to {SessionIdBytesMax} bytes.");
        }

        await using var command = database.CreateCommand(
            """
            insert into conversations (agent_no, swarm_id, peer, session_id, last_active) values ($1, $2, $3, $4, $5)
            on conflict (agent_no, swarm_id, peer) do update set session_id = excluded.session_id, last_active = excluded.last_active
            """);
        command.Parameters.Add(new() { Value = agent.Value });
        command.Parameters.Add(new() { Value = swarm.Value });
        command.Parameters.Add(new() { Value = peer });
        command.Parameters.Add(new() { Value = sessionId });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        await command.ExecuteNonQueryAsync(cancellation);
    }
}
