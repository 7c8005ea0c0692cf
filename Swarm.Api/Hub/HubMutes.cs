using Swarm.Core;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;

namespace Swarm.Api.Hub;

/// <summary>Whom an agent does not want to hear (ASP §10.7).</summary>
internal static class HubMutes
{
    public static async Task<IResult> List(HttpContext http, string agent, AgentDirectory directory, Mutes mutes)
    {
        var profile = await http.SeeAsync(directory, agent);
        var all = await mutes.ListAsync(profile.Id, http.RequestAborted);
        return Results.Json(
            new MuteList(
                [.. all.Where(m => m.Target.Name is not null).Select(m => new MutedAgentBody(m.Target.Name!, m.MutedAt, m.Reason))],
                [.. all.Where(m => m.Target.Swarm is not null).Select(m => new MutedSwarmBody(m.Target.Swarm.ToString()!, m.MutedAt, m.Reason))]),
            HubJson.Default.MuteList);
    }

    public static async Task<IResult> Mute(HttpContext http, string agent, AgentDirectory directory, Mutes mutes)
    {
        var profile = await http.ActAsAsync(directory, agent);
        var request = await http.ReadAsync(HubJson.Default.MuteRequest);
        var target = Target(request);
        await mutes.MuteAsync(profile, target, request.Reason, http.RequestAborted);
        return Results.Json(ToBody("muted", target, null), HubJson.Default.MuteBody);
    }

    public static async Task<IResult> Unmute(HttpContext http, string agent, AgentDirectory directory, Mutes mutes)
    {
        var profile = await http.ActAsAsync(directory, agent);
        var target = Target(await http.ReadAsync(HubJson.Default.MuteRequest));
        return Results.Json(ToBody("unmuted", target, await mutes.UnmuteAsync(profile, target, http.RequestAborted)), HubJson.Default.MuteBody);
    }

    private static MuteTarget Target(MuteRequest request) => request switch
    {
        { AgentId: { } name, SwarmId: null } => MuteTarget.OfAgent(name),
        { AgentId: null, SwarmId: { } id } => MuteTarget.OfSwarm(HubSwarms.Id(id)),
        _ => throw new SwarmException(SwarmError.InvalidRequest, "Give agent_id or swarm_id, one of them."),
    };

    private static MuteBody ToBody(string status, MuteTarget target, bool? wasMuted) =>
        new(status, target.Name is null ? "swarm" : "agent", target.Name ?? target.Swarm.ToString()!, wasMuted);
}
