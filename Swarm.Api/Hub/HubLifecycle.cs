using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core;
using Swarm.Core.Identity;
using Swarm.Core.Swarms;

namespace Swarm.Api.Hub;

/// <param name="Agent">Who asks or decides.</param>
public sealed record DecideRequest(string? Agent);

public sealed record TransferRequest(string? Agent, string? Target);

/// <param name="Accept">False takes the agreement back; null is true.</param>
public sealed record AgreeRequest(string? Agent, bool? Accept);

public sealed record AgreeBody(string Status, string SwarmId, string AgentId);

public sealed record DissolveRequest(string? Agent, string? Reason);

public sealed record PendingBody(string AgentId, string Endpoint, string PublicKey, DateTimeOffset RequestedAt, DateTimeOffset ExpiresAt);

/// <param name="NextCursor">Null when there are no more.</param>
public sealed record PendingList(string SwarmId, IReadOnlyList<PendingBody> Pending, string? NextCursor);

public sealed record DecidedBody(string Status, string SwarmId, string AgentId);

public sealed record TransferBody(string Status, string SwarmId, string OldMaster, string NewMaster);

public sealed record DissolveBody(string Status, string SwarmId, string Name);

public sealed record EndpointRequest(string? Endpoint);

/// <summary>Where an agent is reached, and by which key it is known.</summary>
public sealed record AgentKeyBody(string Name, string Endpoint, string PublicKey);

/// <summary>What masters decide about their swarms (who may join, who is master, when it ends), and what swarms must learn of an agent.</summary>
internal static class HubLifecycle
{
    /// <summary>The reason that receivers see when the master names none (ASP §10.6).</summary>
    public const string MasterLeft = "master_left";

    public static async Task<IResult> Requests(HttpContext http, string id, AgentDirectory directory, SwarmAdmission admission)
    {
        var agent = await http.ActAsAsync(directory, http.Request.Query["agent"]);
        var limit = http.PageLimit();
        var after = (string?)http.Request.Query["cursor"] ?? "";
        if (after.Length > 0 && !AgentName.IsValid(after))
        {
            throw new SwarmException(SwarmError.InvalidRequest, "cursor is the agent id that a page ended with.");
        }

        var swarm = HubSwarms.Id(id);
        var found = await admission.ListRequestsAsync(agent, swarm, after, limit, http.RequestAborted);
        return Results.Json(
            new PendingList(
                swarm.ToString(), [.. found.Select(r => new PendingBody(r.Name, r.Endpoint, r.PublicKey, r.RequestedAt, r.ExpiresAt))],
                found.Count == limit ? found[^1].Name : null),
            HubJson.Default.PendingList);
    }

    public static async Task<IResult> Approve(HttpContext http, string id, string name, AgentDirectory directory, SwarmAdmission admission)
    {
        var master = await ReadAsync(http, name, directory);
        await admission.ApproveAsync(master, HubSwarms.Id(id), name, http.RequestAborted);
        return Results.Json(new DecidedBody("approved", HubSwarms.Id(id).ToString(), name), HubJson.Default.DecidedBody);
    }

    public static async Task<IResult> Reject(HttpContext http, string id, string name, AgentDirectory directory, SwarmAdmission admission)
    {
        var master = await ReadAsync(http, name, directory);
        await admission.RejectAsync(master, HubSwarms.Id(id), name, http.RequestAborted);
        return Results.Json(new DecidedBody("rejected", HubSwarms.Id(id).ToString(), name), HubJson.Default.DecidedBody);
    }

    public static async Task<IResult> Transfer(HttpContext http, string id, AgentDirectory directory, SwarmLifecycle swarms, AgentSwarmPeer peer)
    {
        var request = await http.ReadAsync(HubJson.Default.TransferRequest);
        var agent = await http.ActAsAsync(directory, request.Agent);
        var target = HubRequests.Required(request.Target, "target");
        if (!AgentName.IsValid(target))
        {
            throw new SwarmException(SwarmError.InvalidRequest, "target is an agent id.");
        }

        var roster = await swarms.TransferAsync(agent, HubSwarms.Id(id), target, peer.OfferAsync, http.RequestAborted);
        return Results.Json(new TransferBody("transferred", roster.Id.ToString(), agent.Name, target), HubJson.Default.TransferBody);
    }

    public static async Task<IResult> Agree(HttpContext http, string id, AgentDirectory directory, SwarmLifecycle swarms)
    {
        var request = await http.ReadAsync(HubJson.Default.AgreeRequest);
        var agent = await http.ActAsAsync(directory, request.Agent);
        var accepts = request.Accept ?? true;
        await swarms.AgreeAsync(agent, HubSwarms.Id(id), accepts, http.RequestAborted);
        return Results.Json(new AgreeBody(accepts ? "agreed" : "declined", HubSwarms.Id(id).ToString(), agent.Name), HubJson.Default.AgreeBody);
    }

    public static async Task<IResult> Sync(HttpContext http, string id, AgentDirectory directory, AgentSwarmPeer peer)
    {
        var request = await http.ReadAsync(HubJson.Default.DecideRequest);
        var agent = await http.ActAsAsync(directory, request.Agent);
        var roster = await peer.SyncAsync(agent, HubSwarms.Id(id), "", isThorough: true, http.RequestAborted);
        return Results.Json(
            new JoinBody("synced", roster.Id.ToString(), roster.Name, roster.Master?.Name ?? "", roster.Members.Count), HubJson.Default.JoinBody);
    }

    public static async Task<IResult> Dissolve(HttpContext http, string id, AgentDirectory directory, SwarmLifecycle swarms)
    {
        var request = await http.ReadAsync(HubJson.Default.DissolveRequest);
        var agent = await http.ActAsAsync(directory, request.Agent);
        if (request.Reason?.Length > HubSwarms.ReasonLengthMax)
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"A reason has at most {HubSwarms.ReasonLengthMax} characters.");
        }

        var roster = await swarms.DissolveAsync(agent, HubSwarms.Id(id), request.Reason ?? MasterLeft, http.RequestAborted);
        return Results.Json(new DissolveBody("dissolved", roster.Id.ToString(), roster.Name), HubJson.Default.DissolveBody);
    }

    public static async Task<IResult> RotateKey(HttpContext http, string agent, AgentDirectory directory, AgentChanges changes)
    {
        var profile = await http.ActAsAsync(directory, agent);
        return ToResult(await changes.RotateKeyAsync(profile, http.RequestAborted));
    }

    public static async Task<IResult> Move(HttpContext http, string agent, AgentDirectory directory, AgentChanges changes)
    {
        http.RequireAdmin();
        var request = await http.ReadAsync(HubJson.Default.EndpointRequest);
        var profile = await http.ActAsAsync(directory, agent);
        return ToResult(await changes.MoveAsync(profile, HubRequests.Required(request.Endpoint, "endpoint"), http.RequestAborted));
    }

    private static IResult ToResult(AgentProfile agent) => Results.Json(
        new AgentKeyBody(agent.Name, agent.Endpoint, Core.Messaging.AgentSwarm.PublicKeyText.Format(agent.PublicKey)), HubJson.Default.AgentKeyBody);

    private static async Task<AgentProfile> ReadAsync(HttpContext http, string name, AgentDirectory directory)
    {
        var request = await http.ReadAsync(HubJson.Default.DecideRequest);
        var master = await http.ActAsAsync(directory, request.Agent);
        return AgentName.IsValid(name) ? master : throw new SwarmException(SwarmError.InvalidRequest, "The path names an agent id.");
    }
}
