using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Presence;
using Swarm.Core.Swarms;

namespace Swarm.Api.Hub;

/// <summary>Swarms, members and invites.</summary>
internal static class HubSwarms
{
    /// <summary>The longest reason of a kick, in characters.</summary>
    public const int ReasonLengthMax = 1_000;

    public static async Task<IResult> Create(HttpContext http, AgentDirectory directory, SwarmLifecycle swarms)
    {
        var request = await http.ReadAsync(HubJson.Default.SwarmRequest);
        var master = await http.ActAsAsync(directory, request.Agent);
        if (request.SwarmId is not null)
        {
            http.RequireAdmin();
        }

        var roster = await swarms.CreateAsync(
            master,
            HubRequests.Required(request.Name, "name"),
            new(request.AllowMemberInvite ?? false, request.RequireApproval ?? false),
            request.SwarmId is { } id ? Id(id) : null,
            http.RequestAborted);
        return Results.Json(ToBody(roster, master.Id, members: false), HubJson.Default.SwarmBody, statusCode: 201);
    }

    public static async Task<IResult> List(HttpContext http, AgentDirectory directory, SwarmDirectory swarms)
    {
        AgentProfile? agent = null;
        if ((string?)http.Request.Query["agent"] is { Length: > 0 } name)
        {
            agent = await http.SeeAsync(directory, name);
        }
        else
        {
            http.RequireOperator();
        }

        var limit = http.PageLimit();
        var found = await swarms.ListAsync(agent?.Id, http.Number("cursor", 0, long.MaxValue, 0), limit, http.RequestAborted);
        return Results.Json(
            new SwarmList(
                [.. found.Select(s => new SwarmBody(
                    s.Id.ToString(), s.Name, s.Master, new(s.Settings.AllowMemberInvite, s.Settings.RequireApproval), s.MemberCount,
                    s.JoinedAt ?? s.CreatedAt))],
                found.Count == limit ? found[^1].SwarmNo.ToString() : null),
            HubJson.Default.SwarmList);
    }

    public static async Task<IResult> Get(HttpContext http, string id, Rosters rosters) =>
        Results.Json(ToBody(await SeeAsync(http, id, rosters), HubGate.PrincipalOf(http).Agent, members: true), HubJson.Default.SwarmBody);

    public static async Task<IResult> Members(HttpContext http, string id, Rosters rosters, LastSeen seen)
    {
        var roster = await SeeAsync(http, id, rosters);
        var known = await seen.FindAsync(roster.Members.Select(m => m.Agent), http.RequestAborted);
        return Results.Json(
            new MemberList(
                [.. roster.Members.Zip(ToMembers(roster), (member, body) =>
                    known.TryGetValue(member.Agent, out var at) ? body with { LastSeen = at, Online = seen.IsOnline(at) } : body)]),
            HubJson.Default.MemberList);
    }

    public static async Task<IResult> Invite(HttpContext http, string id, AgentDirectory directory, SwarmLifecycle swarms)
    {
        var request = await http.ReadAsync(HubJson.Default.InviteRequest);
        var agent = await http.ActAsAsync(directory, request.Agent);
        if (request.ExpiresInHours is { } hours && !(Math.Abs(hours) <= SwarmLifecycle.InviteLifetimeMax.TotalHours))
        {
            throw new SwarmException(SwarmError.InvalidRequest, "expires_in_hours is at most ten years.");
        }

        var invite = await swarms.InviteAsync(
            agent, Id(id), request.ExpiresInHours is { } h and not 0 ? TimeSpan.FromHours(h) : null, request.MaxUses, http.RequestAborted);
        return Results.Json(
            new InviteBody(invite.Url, invite.TokenHash, invite.ExpiresAt, invite.MaxUses), HubJson.Default.InviteBody, statusCode: 201);
    }

    public static async Task<IResult> RevokeInvite(HttpContext http, string id, string hash, AgentDirectory directory, SwarmLifecycle swarms)
    {
        var agent = await http.ActAsAsync(directory, http.Request.Query["agent"]);
        if (hash.Length != 64 || !hash.All(char.IsAsciiHexDigit))
        {
            throw new SwarmException(SwarmError.InvalidRequest, "The hash is the SHA-256 of the token, 64 hex digits.");
        }

        await swarms.RevokeInviteAsync(agent, Id(id), Convert.FromHexString(hash), http.RequestAborted);
        return Results.NoContent();
    }

    public static async Task<IResult> Join(
        HttpContext http, AgentDirectory directory, SwarmAdmission admission, AgentSwarmPeer peer, Rosters rosters, TimeProvider time)
    {
        var request = await http.ReadAsync(HubJson.Default.JoinRequest);
        var agent = await http.ActAsAsync(directory, request.Agent);
        var invite = InviteLink.Parse(HubRequests.Required(request.InviteToken, "invite_token").Trim(), time.GetUtcNow());
        JoinOutcome outcome;
        try
        {
            outcome = await admission.AdmitLocalAsync(agent, invite, http.RequestAborted);
        }
        catch (SwarmException e) when (e.Error == SwarmError.RemoteMaster)
        {
            outcome = await peer.JoinAsync(agent, invite, http.RequestAborted);
        }

        var master = (await rosters.GetAsync(outcome.SwarmId, http.RequestAborted))?.Master?.Name ?? invite.Claims.Master;
        return Results.Json(
            new JoinBody(outcome.Pending ? "pending" : "joined", outcome.SwarmId.ToString(), outcome.SwarmName, master, outcome.Roster.Count),
            HubJson.Default.JoinBody);
    }

    public static async Task<IResult> Leave(HttpContext http, string id, AgentDirectory directory, SwarmLifecycle swarms)
    {
        var request = await http.ReadAsync(HubJson.Default.LeaveRequest);
        var roster = await swarms.LeaveAsync(await http.ActAsAsync(directory, request.Agent), Id(id), http.RequestAborted);
        return Results.Json(new LeaveBody("left", roster.Id.ToString(), roster.Name), HubJson.Default.LeaveBody);
    }

    public static async Task<IResult> Kick(HttpContext http, string id, AgentDirectory directory, SwarmLifecycle swarms)
    {
        var request = await http.ReadAsync(HubJson.Default.KickRequest);
        var agent = await http.ActAsAsync(directory, request.Agent);
        var target = HubRequests.Required(request.Target, "target");
        if (!AgentName.IsValid(target) || request.Reason?.Length > ReasonLengthMax)
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"target is an agent id; a reason has at most {ReasonLengthMax} characters.");
        }

        await swarms.KickAsync(agent, Id(id), target, request.Reason, http.RequestAborted);
        return Results.Json(new KickBody("kicked", Id(id).ToString(), target), HubJson.Default.KickBody);
    }

    public static SwarmId Id(string text) =>
        AspUuid.TryParse(text, out var id) ? new(id) : throw new SwarmException(SwarmError.InvalidRequest, "A swarm id is a UUID with hyphens.");

    /// <summary>Operators see every swarm, agents those they belong to; to others there is none.</summary>
    internal static async Task<Roster> SeeAsync(HttpContext http, string id, Rosters rosters)
    {
        var principal = HubGate.PrincipalOf(http);
        return await rosters.GetFreshAsync(Id(id), http.RequestAborted) is { } roster
            && (principal.IsOperator || (principal.Agent is { } agent && roster.Find(agent) is not null))
                ? roster
                : throw new SwarmException(SwarmError.UnknownSwarm);
    }

    private static SwarmBody ToBody(Roster roster, AgentId? viewer, bool members) => new(
        roster.Id.ToString(), roster.Name, roster.Master?.Name ?? "", new(roster.AllowMemberInvite, roster.RequireApproval), roster.Members.Count,
        viewer is { } agent && roster.Find(agent) is { } member ? member.JoinedAt : roster.CreatedAt,
        members ? ToMembers(roster) : null);

    private static MemberBody[] ToMembers(Roster roster) =>
        [.. roster.Members.Select(m => (Entry: m.ToEntry(), m.KeyConfirmedAt)).Select(m =>
            new MemberBody(m.Entry.Name, m.Entry.Endpoint, m.Entry.PublicKey, m.Entry.JoinedAt) { KeyConfirmedAt = m.KeyConfirmedAt })];
}
