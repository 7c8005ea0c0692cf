using System.Text.Json.Nodes;
using Swarm.Core;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Gateway;
using Swarm.Core.Capabilities.Grants;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Capabilities.Members;
using Swarm.Core.Identity;
using Swarm.Core.Swarms;

namespace Swarm.Api.Hub;

/// <param name="Agent">The master that decides; null when an operator does.</param>
/// <param name="Demands">Of <c>send</c>, <c>invite</c>, <c>wake</c>; an empty list ends the demands and all grants.</param>
/// <param name="Capabilities">More that can be granted, for the members' own use.</param>
/// <param name="TtlSeconds">How long anything can be granted.</param>
/// <param name="A1SwarmId">An A1 swarm that exists and whose owner grants, instead of one of the node's own.</param>
public sealed record DemandsRequest(
    string? Agent, IReadOnlyList<string>? Demands, IReadOnlyList<string>? Capabilities, long? TtlSeconds, string? A1SwarmId);

/// <param name="Agent">As for demands.</param>
/// <param name="AgentId">The member.</param>
public sealed record GrantRequest(string? Agent, string? AgentId, string? Role, IReadOnlyList<string>? Capabilities, long? TtlSeconds);

/// <param name="Fingerprint">Of the certificate; null for a role without capabilities.</param>
/// <param name="LastSeen">The member's last heartbeat at the A1 door.</param>
public sealed record GrantBody(
    string AgentId, string AgentDid, string Role, IReadOnlyList<string> Capabilities, DateTimeOffset IssuedAt, DateTimeOffset ExpiresAt,
    string? Fingerprint, DateTimeOffset? LastSeen);

/// <param name="Chain">With which the member proves what it may do, at A1's door or anywhere else; null for a role without capabilities.</param>
public sealed record NewGrantBody(
    string AgentId, string AgentDid, string Role, IReadOnlyList<string> Capabilities, DateTimeOffset IssuedAt, DateTimeOffset ExpiresAt,
    string? Fingerprint, JsonNode? Chain);

public sealed record GrantList(
    string SwarmId, IReadOnlyList<string> Demands, string? A1SwarmId, IReadOnlyList<string> Capabilities, IReadOnlyList<GrantBody> Grants);

/// <summary>What a swarm demands of its members, and what they are granted (ADR 26). The master decides, or an operator.</summary>
internal static class HubGrants
{
    public static async Task<IResult> List(HttpContext http, string id, SwarmGrants grants, Rosters rosters)
    {
        var roster = await HubSwarms.SeeAsync(http, id, rosters);
        return ToResult(await grants.ReadAsync(roster.Id, http.RequestAborted));
    }

    public static async Task<IResult> Demand(HttpContext http, string id, AgentDirectory directory, SwarmGrants grants)
    {
        var request = await http.ReadAsync(HubJson.Default.DemandsRequest);
        var (actor, by) = await WhoAsync(http, directory, request.Agent);
        Bytes32? a1Swarm = request.A1SwarmId is not { } text ? null
            : Bytes32.TryParse(text, out var parsed) ? parsed
            : throw new SwarmException(SwarmError.InvalidRequest, "a1_swarm_id is 64 hex digits.");
        var wanted = new WantedDemands(
            SwarmActionNames.Parse(request.Demands ?? throw new SwarmException(SwarmError.InvalidRequest, "demands is needed: a list, empty to end them.")),
            request.Capabilities, Ttl(request.TtlSeconds), a1Swarm);
        await grants.DemandAsync(actor, by, HubSwarms.Id(id), wanted, http.RequestAborted);
        return ToResult(await grants.ReadAsync(HubSwarms.Id(id), http.RequestAborted));
    }

    public static async Task<IResult> Grant(HttpContext http, string id, AgentDirectory directory, SwarmGrants grants)
    {
        var request = await http.ReadAsync(HubJson.Default.GrantRequest);
        var (actor, by) = await WhoAsync(http, directory, request.Agent);
        var (member, grant, all, chain) = await grants.GrantAsync(
            actor, by, HubSwarms.Id(id), Name(HubRequests.Required(request.AgentId, "agent_id")), HubRequests.Required(request.Role, "role"),
            request.Capabilities, Ttl(request.TtlSeconds) ?? SwarmGrants.TtlSecondsDefault, http.RequestAborted);
        var body = ToBody(member, grant, all);
        return Results.Json(
            new NewGrantBody(
                body.AgentId, body.AgentDid, body.Role, body.Capabilities, body.IssuedAt, body.ExpiresAt, body.Fingerprint,
                chain is null ? null : ToJson(chain)),
            HubJson.Default.NewGrantBody, statusCode: 201);
    }

    public static async Task<IResult> Revoke(HttpContext http, string id, string name, AgentDirectory directory, SwarmGrants grants)
    {
        var (actor, by) = await WhoAsync(http, directory, http.Request.Query["agent"]);
        await grants.RevokeAsync(actor, by, HubSwarms.Id(id), Name(name), http.RequestAborted);
        return Results.NoContent();
    }

    /// <summary>Who decides: an operator by itself, or an agent that must be the master.</summary>
    private static async Task<(string Actor, AgentProfile? By)> WhoAsync(HttpContext http, AgentDirectory directory, string? agent)
    {
        var principal = HubGate.PrincipalOf(http);
        if (principal.IsAdmin && string.IsNullOrEmpty(agent))
        {
            return ($"operator token {principal.TokenId}", null);
        }

        var profile = await http.ActAsAsync(directory, agent);
        return (profile.Name, profile);
    }

    private static string Name(string name) => AgentName.IsValid(name) ? name : throw new SwarmException(SwarmError.InvalidRequest, "That is no agent id.");

    private static ulong? Ttl(long? seconds) => seconds switch
    {
        null => null,
        > 0 => (ulong)seconds,
        _ => throw new SwarmException(SwarmError.InvalidRequest, "ttl_seconds is at least 1."),
    };

    private static IResult ToResult(SwarmGrantsState state) => Results.Json(
        new GrantList(
            state.Roster.Id.ToString(), SwarmActionNames.Of(state.Roster.Demands), state.A1Swarm?.ToString(), state.Capabilities,
            [.. state.Grants.Select(g => ToBody(g.Member, g.Grant, state.Capabilities))]),
        HubJson.Default.GrantList);

    /// <summary>An orchestrator lists nothing, and may all that the swarm has.</summary>
    private static GrantBody ToBody(Member member, CapabilityMember grant, IReadOnlyList<string> all) => new(
        member.Name, grant.Did, grant.Role.Name, grant.Role.Kind == SwarmRoleKind.Orchestrator ? all : grant.Role.Capabilities, Time(grant.IssuedAt), Time(grant.ExpiresAt),
        grant.Fingerprint?.ToString(), grant.LastSeen is { } seen ? Time(seen) : null);

    private static DateTimeOffset Time(ulong seconds) => UnixTime.ToTime(UnixTime.ToStored(seconds));

    private static JsonNode ToJson(SignedChain chain)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        using (var json = new System.Text.Json.Utf8JsonWriter(buffer))
        {
            ChainJson.Write(json, chain);
        }

        return JsonNode.Parse(buffer.WrittenSpan)!;
    }
}
