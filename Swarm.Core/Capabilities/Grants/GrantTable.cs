using System.Text.Json;
using Npgsql;
using Swarm.Core.Audit;
using Swarm.Core.Capabilities.Gateway;
using Swarm.Core.Capabilities.Members;

namespace Swarm.Core.Capabilities.Grants;

/// <summary>
/// What the members of an A1 swarm may do in the swarm of ours that it belongs to. What is read here is part of a roster, and every change of it raises
/// that swarm's version in its own transaction, so the fence of design §3 promise 7 holds for it.
/// </summary>
internal static class GrantTable
{
    /// <summary>By agent; without those whose passport or certificate is revoked, and for the keys that members have now.</summary>
    public static async Task<IReadOnlyDictionary<long, MemberGrant>> ReadAsync(
        NpgsqlConnection connection, long swarmNo, byte[] a1Swarm, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            """
            select w.agent_no, m.role, m.expires_at
            from a1_swarms s join a1_passports p using (passport_no) join a1_members m using (swarm_id)
            join members w on w.swarm_no = $2 and w.public_key = m.agent
            where s.swarm_id = $1 and p.revoked_at is null and not exists (select 1 from a1_revocations r where r.fingerprint = m.fingerprint)
            """,
            connection);
        command.Parameters.Add(new() { Value = a1Swarm });
        command.Parameters.Add(new() { Value = swarmNo });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var grants = new Dictionary<long, MemberGrant>();
        while (await reader.ReadAsync(cancellation))
        {
            grants[reader.GetInt64(0)] = new(ActionsOf(ReadRole(reader.GetFieldValue<byte[]>(1))), UnixTime.ToTime(reader.GetInt64(2)));
        }

        return grants;
    }

    /// <summary>An orchestrator has the whole scope, which holds all that the swarm can demand.</summary>
    public static SwarmActions ActionsOf(SwarmRole role) => SwarmActionNames.Among(
        role.Kind == SwarmRoleKind.Orchestrator ? SwarmActionNames.Capabilities : role.Capabilities);

    /// <summary>
    /// Locks the swarm of ours that an A1 swarm belongs to, if there is one. Whoever locks both takes the A1 swarm's row first, and what hangs on it last.
    /// </summary>
    /// <returns>Its number; null when there is none.</returns>
    public static async Task<long?> LockSwarmOfAsync(DecisionScope scope, byte[] a1Swarm, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand("select swarm_no from swarms where a1_swarm = $1", scope.Connection);
        command.Parameters.Add(new() { Value = a1Swarm });
        if (await command.ExecuteScalarAsync(cancellation) is not long swarmNo)
        {
            return null;
        }

        await scope.LockSwarmAsync(swarmNo, cancellation);
        return swarmNo;
    }

    /// <summary>Ends what the members with these keys have open: its streams within a second, on every replica, and its leases at once.</summary>
    public static async Task EndWorkAsync(DecisionScope scope, long swarmNo, byte[][] keys, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            "select agent_no, end_work(agent_no) from members where swarm_no = $1 and public_key = any ($2)", scope.Connection);
        command.Parameters.Add(new() { Value = swarmNo });
        command.Parameters.Add(new() { Value = keys });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            scope.AgentChanged(reader.GetInt64(0));
        }
    }

    /// <summary>The same for all members of an A1 swarm.</summary>
    public static async Task EndWorkAsync(DecisionScope scope, long swarmNo, Bytes32 a1Swarm, CancellationToken cancellation)
    {
        var keys = new List<byte[]>();
        await using (var command = new NpgsqlCommand("select agent from a1_members where swarm_id = $1", scope.Connection))
        {
            command.Parameters.Add(new() { Value = a1Swarm.ToArray() });
            await using var reader = await command.ExecuteReaderAsync(cancellation);
            while (await reader.ReadAsync(cancellation))
            {
                keys.Add(reader.GetFieldValue<byte[]>(0));
            }
        }

        await EndWorkAsync(scope, swarmNo, [.. keys], cancellation);
    }

    /// <summary>The same for whoever was given one of these certificates as its membership.</summary>
    public static async Task EndWorkAsync(DecisionScope scope, byte[][] fingerprints, CancellationToken cancellation)
    {
        var concerned = new List<(long SwarmNo, byte[] Key)>();
        await using (var command = new NpgsqlCommand(
            """
            select w.swarm_no, m.agent from a1_certificates c join a1_swarms s using (passport_no) join swarms w on w.a1_swarm = s.swarm_id
            join a1_members m on m.swarm_id = s.swarm_id and m.agent = c.agent and m.fingerprint = c.fingerprint
            where c.fingerprint = any ($1) order by w.swarm_no
            """,
            scope.Connection))
        {
            command.Parameters.Add(new() { Value = fingerprints });
            await using var reader = await command.ExecuteReaderAsync(cancellation);
            while (await reader.ReadAsync(cancellation))
            {
                concerned.Add((reader.GetInt64(0), reader.GetFieldValue<byte[]>(1)));
            }
        }

        foreach (var swarm in concerned.GroupBy(c => c.SwarmNo))
        {
            await scope.LockSwarmAsync(swarm.Key, cancellation);
            await EndWorkAsync(scope, swarm.Key, [.. swarm.Select(s => s.Key)], cancellation);
        }
    }

    public static SwarmRole ReadRole(byte[] json)
    {
        var reader = new Utf8JsonReader(json);
        reader.Read();
        return SwarmRole.Read(ref reader);
    }
}
