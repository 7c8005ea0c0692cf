using Microsoft.EntityFrameworkCore;
using Swarm.Core.Identity;
using Swarm.Core.Storage;

namespace Swarm.Core.Swarms;

/// <summary>A swarm in a list.</summary>
public sealed record SwarmSummary(
    long SwarmNo, SwarmId Id, string Name, string Master, SwarmSettings Settings, int MemberCount, DateTimeOffset CreatedAt, DateTimeOffset? JoinedAt);

/// <summary>Lists the swarms of the node or of one agent.</summary>
public sealed class SwarmDirectory(IDbContextFactory<SwarmDb> databases)
{
    /// <summary>An agent that shares a swarm with <paramref name="agent"/>, by its name there; null when none does.</summary>
    public async Task<(AgentId Id, AgentKind Kind, string Endpoint)?> FindPeerAsync(AgentId agent, string name, CancellationToken cancellation)
    {
        await using var db = await databases.CreateDbContextAsync(cancellation);
        var found = await (
            from mine in db.Members.AsNoTracking()
            join other in db.Members.AsNoTracking() on mine.SwarmNo equals other.SwarmNo
            join row in db.Agents.AsNoTracking() on other.AgentNo equals row.AgentNo
            where mine.AgentNo == agent.Value && other.Name == name
            orderby other.SwarmNo
            select new { other.AgentNo, row.Kind, other.Endpoint }).FirstOrDefaultAsync(cancellation);
        return found is null ? null : (new(found.AgentNo), found.Kind, found.Endpoint);
    }

    /// <summary>Swarms in the order in which they were made, after the number <paramref name="after"/>.</summary>
    /// <param name="agent">Only those it is a member of; null for all.</param>
    public async Task<IReadOnlyList<SwarmSummary>> ListAsync(AgentId? agent, long after, int limit, CancellationToken cancellation)
    {
        await using var db = await databases.CreateDbContextAsync(cancellation);
        var no = agent?.Value;
        var rows = await (
            from s in db.Swarms.AsNoTracking()
            where s.SwarmNo > after && s.DissolvedAt == null && (no == null || db.Members.Any(m => m.SwarmNo == s.SwarmNo && m.AgentNo == no))
            orderby s.SwarmNo
            select new
            {
                Swarm = s,
                Master = db.Members.Where(m => m.SwarmNo == s.SwarmNo && m.AgentNo == s.MasterNo).Select(m => m.Name).FirstOrDefault(),
                Count = db.Members.Count(m => m.SwarmNo == s.SwarmNo),
                Joined = db.Members.Where(m => m.SwarmNo == s.SwarmNo && m.AgentNo == no).Select(m => (DateTimeOffset?)m.JoinedAt).FirstOrDefault(),
            }).Take(limit).ToListAsync(cancellation);
        return
        [
            .. rows.Select(r => new SwarmSummary(
                r.Swarm.SwarmNo, new(r.Swarm.SwarmId), r.Swarm.Name, r.Master ?? "", new(r.Swarm.AllowMemberInvite, r.Swarm.RequireApproval),
                r.Count, r.Swarm.CreatedAt, r.Joined)),
        ];
    }
}
