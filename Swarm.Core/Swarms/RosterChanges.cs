using Microsoft.EntityFrameworkCore;
using Swarm.Core.Audit;
using Swarm.Core.Identity;

namespace Swarm.Core.Swarms;

/// <summary>What is done to rosters within a decision that holds the swarm's lock.</summary>
internal static class RosterChanges
{
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
    public static async Task CrownAsync(DecisionScope scope, Roster roster, Member successor, CancellationToken cancellation)
    {
        await ForgetWaitingAsync(scope, roster.SwarmNo, cancellation);
        await scope.Db.Swarms.Where(s => s.SwarmNo == roster.SwarmNo)
            .ExecuteUpdateAsync(s => s.SetProperty(x => x.MasterNo, successor.Agent.Value), cancellation);
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
