using Microsoft.EntityFrameworkCore;
using Npgsql;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Storage;

namespace Swarm.Core.Swarms;

/// <summary>What is done to rosters within a decision that holds the swarm's lock.</summary>
internal static class RosterChanges
{
    /// <summary>The most changes of the master that are kept of a swarm, and that are read of a peer's answer.</summary>
    public const int MasterChangesMax = 16;

    /// <summary>Puts an agent on the roster, last.</summary>
    public static async Task AddAsync(
        DecisionScope scope, long swarmNo, long agentNo, string name, string endpoint, byte[] publicKey, DateTimeOffset joinedAt, CancellationToken cancellation)
    {
        scope.Db.Members.Add(new()
        {
            SwarmNo = swarmNo, AgentNo = agentNo, Name = name, Endpoint = endpoint, PublicKey = publicKey, JoinedAt = joinedAt,
        });
        await scope.Db.SaveChangesAsync(cancellation);
    }

    /// <summary>Takes a member off the roster. What is still on its way to it, its notice above all, goes where it was as this member.</summary>
    public static async Task RemoveAsync(DecisionScope scope, long swarmNo, Member member, CancellationToken cancellation)
    {
        await scope.Db.Members.Where(m => m.SwarmNo == swarmNo && m.AgentNo == member.Agent.Value).ExecuteDeleteAsync(cancellation);
        if (member.Kind == AgentKind.Remote)
        {
            await scope.Db.Agents.Where(a => a.AgentNo == member.Agent.Value)
                .ExecuteUpdateAsync(s => s.SetProperty(a => a.Endpoint, member.Endpoint), cancellation);
        }
        else if (member.Grant is not null)
        {
            // The row's end took the grant along; what was open on its strength ends too.
            scope.AgentChanged(member.Agent.Value);
        }
    }

    /// <summary>Ends the swarm: nobody is a member any more, and what waited to become one is forgotten.</summary>
    public static async Task DissolveAsync(DecisionScope scope, Roster roster, DateTimeOffset now, CancellationToken cancellation)
    {
        foreach (var member in roster.Members.Where(m => m.Kind == AgentKind.Remote))
        {
            await scope.Db.Agents.Where(a => a.AgentNo == member.Agent.Value)
                .ExecuteUpdateAsync(s => s.SetProperty(a => a.Endpoint, member.Endpoint), cancellation);
        }

        await scope.Db.Members.Where(m => m.SwarmNo == roster.SwarmNo).ExecuteDeleteAsync(cancellation);
        await ForgetWaitingAsync(scope, roster.SwarmNo, cancellation);
        await scope.Db.Swarms.Where(s => s.SwarmNo == roster.SwarmNo).ExecuteUpdateAsync(s => s.SetProperty(x => x.DissolvedAt, now), cancellation);
    }

    /// <summary>Makes another member the master. Who waits for the old one's approval asks the new one.</summary>
    /// <param name="wire">The message in which the old master said so, kept for members that miss it.</param>
    public static async Task CrownAsync(
        DecisionScope scope, Roster roster, Member successor, DateTimeOffset signedAt, ReadOnlyMemory<byte> wire, CancellationToken cancellation)
    {
        await ForgetWaitingAsync(scope, roster.SwarmNo, cancellation);
        await scope.Db.Swarms.Where(s => s.SwarmNo == roster.SwarmNo)
            .ExecuteUpdateAsync(s => s.SetProperty(x => x.MasterNo, successor.Agent.Value), cancellation);
        await scope.Db.Members.Where(m => m.SwarmNo == roster.SwarmNo && m.AgentNo == successor.Agent.Value)
            .ExecuteUpdateAsync(s => s.SetProperty(m => m.TakesOver, false), cancellation);
        await using var batch = new NpgsqlBatch(scope.Connection);
        batch.Add(
            "insert into master_changes (swarm_no, at, wire) select $1, $2, $3 where octet_length($3) <= 131072 on conflict do nothing",
            roster.SwarmNo, signedAt.UtcDateTime, wire);
        batch.Add(
            "delete from master_changes where swarm_no = $1 and at < (select at from master_changes where swarm_no = $1 order by at desc offset $2 limit 1)",
            roster.SwarmNo, MasterChangesMax - 1);
        await batch.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>
    /// Gives a member another key. One that this node knows as another agent's is not taken over: its messages would count as this one's.
    /// </summary>
    public static async Task RekeyAsync(DecisionScope scope, long swarmNo, Member member, byte[] key, DateTimeOffset now, CancellationToken cancellation)
    {
        var no = member.Agent.Value;
        if (await scope.Db.Agents.AnyAsync(a => a.AgentNo != no && a.PublicKey == key, cancellation)
            || await scope.Db.Members.AnyAsync(m => m.SwarmNo == swarmNo && m.AgentNo != no && m.PublicKey == key, cancellation))
        {
            return;
        }

        await scope.Db.Agents.Where(a => a.AgentNo == no).ExecuteUpdateAsync(s => s.SetProperty(a => a.PublicKey, key), cancellation);
        await scope.Db.Members.Where(m => m.SwarmNo == swarmNo && m.AgentNo == no)
            .ExecuteUpdateAsync(s => s.SetProperty(m => m.PublicKey, key).SetProperty(m => m.KeyConfirmedAt, now), cancellation);
    }

    /// <summary>
    /// The remote agent of that key, made when it is new: a peer is known by its key, and the same key is the same agent in every swarm. Null
    /// when the key is that of an agent of this node: only its own join can make it a member.
    /// </summary>
    public static async Task<long?> FindOrAddRemoteAsync(
        DecisionScope scope, string endpoint, byte[] publicKey, DateTimeOffset now, CancellationToken cancellation)
    {
        if (await scope.Db.Agents.AnyAsync(a => a.Kind != AgentKind.Remote && a.PublicKey == publicKey && a.RevokedAt == null, cancellation))
        {
            return null;
        }

        return await FindOrAddForeignAsync(scope, endpoint, publicKey, now, cancellation);
    }

    /// <summary>The same for who asks at a door: it is another agent than ours even if it names the key of one of ours, which proves nothing (ADR 0004).</summary>
    public static async Task<long> FindOrAddForeignAsync(
        DecisionScope scope, string endpoint, byte[] publicKey, DateTimeOffset now, CancellationToken cancellation)
    {
        if (await scope.Db.Agents.Where(a => a.Kind == AgentKind.Remote && a.PublicKey == publicKey)
                .Select(a => (long?)a.AgentNo).FirstOrDefaultAsync(cancellation) is { } known)
        {
            return known;
        }

        var row = new AgentRow { Kind = AgentKind.Remote, Endpoint = endpoint, PublicKey = publicKey, CreatedAt = now };
        scope.Db.Agents.Add(row);
        await scope.Db.SaveChangesAsync(cancellation);
        await scope.Db.Database.ExecuteSqlAsync($"insert into mailboxes (recipient_no) values ({row.AgentNo})", cancellation);
        return row.AgentNo;
    }

    private static async Task ForgetWaitingAsync(DecisionScope scope, long swarmNo, CancellationToken cancellation)
    {
        await scope.Db.JoinRequests.Where(r => r.SwarmNo == swarmNo).ExecuteDeleteAsync(cancellation);
    }
}
