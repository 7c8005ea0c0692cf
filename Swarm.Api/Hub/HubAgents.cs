using Microsoft.EntityFrameworkCore;
using Swarm.Core;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Presence;
using Swarm.Core.Storage;

namespace Swarm.Api.Hub;

/// <summary>Agents, their tokens, and enrolment.</summary>
internal static class HubAgents
{
    /// <summary>The longest life of an enrolment token, in hours.</summary>
    public const int EnrolmentHoursMax = 24 * 30;

    /// <summary>The longest label of a token, in characters.</summary>
    public const int LabelLengthMax = 256;

    public static async Task<IResult> Create(HttpContext http, Agents agents, IDbContextFactory<SwarmDb> databases)
    {
        http.RequireAdmin();
        var request = await http.ReadAsync(HubJson.Default.AgentRequest);
        var kind = request.Kind ?? "hosted";
        if (kind is not ("hosted" or "external") || (kind == "external") != (request.PublicKey is not null)
            || (kind == "external" && request.PrivateKey is not null))
        {
            throw new SwarmException(
                SwarmError.InvalidRequest, "kind is hosted (with an optional private_key to import) or external (with its public_key).");
        }

        var (agent, token) = await agents.CreateAsync(
            new(HubRequests.Required(request.Name, "name"))
            {
                Endpoint = request.Endpoint,
                Seed = request.PrivateKey is { } seed ? HubRequests.Base64(seed, "private_key") : null,
                PublicKey = request.PublicKey is { } key ? HubRequests.Base64(key, "public_key") : null,
                DisplayName = request.DisplayName,
                Description = request.Description,
                IsDefault = request.Default ?? false,
            },
            http.RequestAborted);
        return await CreatedAsync(http, databases, agent, token);
    }

    public static async Task<IResult> Enrol(HttpContext http, Agents agents, IDbContextFactory<SwarmDb> databases)
    {
        var request = await http.ReadAsync(HubJson.Default.EnrolRequest);
        var (agent, token) = await agents.EnrolAsync(
            HubRequests.Required(request.EnrolmentToken, "enrolment_token"),
            new(HubRequests.Required(request.Name, "name"))
            {
                PublicKey = HubRequests.Base64(HubRequests.Required(request.PublicKey, "public_key"), "public_key"),
                Endpoint = request.Endpoint,
            },
            HubRequests.Base64(HubRequests.Required(request.Proof, "proof"), "proof"),
            http.RequestAborted);
        return await CreatedAsync(http, databases, agent, token);
    }

    public static async Task<IResult> List(HttpContext http, IDbContextFactory<SwarmDb> databases, LastSeen seen)
    {
        http.RequireOperator();
        var limit = http.PageLimit();
        var after = http.Number("cursor", 0, long.MaxValue, 0);
        await using var db = await databases.CreateDbContextAsync(http.RequestAborted);
        var rows = await db.Agents.AsNoTracking()
            .Where(a => a.AgentNo > after && a.Name != null).OrderBy(a => a.AgentNo).Take(limit).ToListAsync(http.RequestAborted);
        var known = await seen.FindAsync(rows.Select(r => new AgentId(r.AgentNo)), http.RequestAborted);
        return Results.Json(
            new AgentList([.. rows.Select(r => WithPresence(ToBody(r), new(r.AgentNo), known, seen))], rows.Count == limit ? rows[^1].AgentNo.ToString() : null), HubJson.Default.AgentList);
    }

    public static async Task<IResult> Get(
        HttpContext http, string agent, AgentDirectory directory, IDbContextFactory<SwarmDb> databases, LastSeen seen)
    {
        var profile = await http.SeeAsync(directory, agent);
        var known = await seen.FindAsync([profile.Id], http.RequestAborted);
        return Results.Json(WithPresence(await BodyAsync(http, databases, profile.Id), profile.Id, known, seen), HubJson.Default.AgentBody);
    }

    public static async Task<IResult> Revoke(HttpContext http, string agent, AgentDirectory directory, Agents agents)
    {
        http.RequireAdmin();
        await agents.RevokeAsync(await http.ActAsAsync(directory, agent), http.RequestAborted);
        return Results.NoContent();
    }

    public static async Task<IResult> CreateToken(HttpContext http, string agent, AgentDirectory directory, Tokens tokens, Decisions decisions)
    {
        var profile = await http.ActAsAsync(directory, agent);
        var label = (await http.ReadAsync(HubJson.Default.TokenRequest)).Label;
        if (label?.Length > LabelLengthMax || label?.Contains('\0') == true)
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"A label has at most {LabelLengthMax} characters and no U+0000.");
        }

        var token = await decisions.RunAsync(
            $"token made for agent {profile.Name}",
            scope => tokens.IssueAsync(scope, TokenScope.Agent, profile.Id, label, null, http.RequestAborted),
            http.RequestAborted);
        return Results.Json(
            new TokenBody(token.TokenId, token.Label, token.Text, token.CreatedAt), HubJson.Default.TokenBody, statusCode: 201);
    }

    public static async Task<IResult> ListTokens(HttpContext http, string agent, AgentDirectory directory, IDbContextFactory<SwarmDb> databases)
    {
        var profile = await http.SeeAsync(directory, agent);
        await using var db = await databases.CreateDbContextAsync(http.RequestAborted);
        var rows = await db.Tokens.AsNoTracking().Where(t => t.AgentNo == profile.Id.Value).OrderBy(t => t.TokenId).ToListAsync(http.RequestAborted);
        return Results.Json(
            new TokenList([.. rows.Select(t => new TokenInfo(t.TokenId, t.Label, t.CreatedAt, t.LastUsedAt, t.RevokedAt))]), HubJson.Default.TokenList);
    }

    public static async Task<IResult> RevokeToken(
        HttpContext http, string agent, long id, AgentDirectory directory, Decisions decisions, TimeProvider time)
    {
        var profile = await http.ActAsAsync(directory, agent);
        await decisions.RunAsync(
            $"token {id} of agent {profile.Name} revoked",
            async scope =>
            {
                scope.TokenChanged(id);
                return await scope.Db.Tokens.Where(t => t.TokenId == id && t.AgentNo == profile.Id.Value)
                    .ExecuteUpdateAsync(s => s.SetProperty(t => t.RevokedAt, t => t.RevokedAt ?? time.GetUtcNow()), http.RequestAborted) == 1
                        ? true
                        : throw new SwarmException(SwarmError.InvalidRequest, "The agent has no token of that id.");
            },
            http.RequestAborted);
        return Results.NoContent();
    }

    public static async Task<IResult> CreateEnrolment(HttpContext http, Tokens tokens, Decisions decisions)
    {
        http.RequireAdmin();
        var hours = (await http.ReadAsync(HubJson.Default.EnrolmentRequest)).ExpiresInHours ?? 24;
        if (hours is < 1 or > EnrolmentHoursMax)
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"expires_in_hours is from 1 to {EnrolmentHoursMax}.");
        }

        var token = await decisions.RunAsync(
            "enrolment token made",
            scope => tokens.IssueAsync(scope, TokenScope.Enrolment, null, "enrolment", TimeSpan.FromHours(hours), http.RequestAborted),
            http.RequestAborted);
        return Results.Json(new EnrolmentBody(token.Text, token.ExpiresAt!.Value), HubJson.Default.EnrolmentBody, statusCode: 201);
    }

    private static async Task<IResult> CreatedAsync(
        HttpContext http, IDbContextFactory<SwarmDb> databases, AgentProfile agent, IssuedToken token) =>
        Results.Json(await BodyAsync(http, databases, agent.Id) with { Token = token.Text }, HubJson.Default.AgentBody, statusCode: 201);

    private static async Task<AgentBody> BodyAsync(HttpContext http, IDbContextFactory<SwarmDb> databases, AgentId id)
    {
        await using var db = await databases.CreateDbContextAsync(http.RequestAborted);
        return ToBody(await db.Agents.AsNoTracking().SingleAsync(a => a.AgentNo == id.Value, http.RequestAborted));
    }

    private static AgentBody WithPresence(AgentBody body, AgentId id, IReadOnlyDictionary<AgentId, DateTimeOffset> known, LastSeen seen) =>
        known.TryGetValue(id, out var at) ? body with { LastSeen = at, Online = body.RevokedAt is null && seen.IsOnline(at) } : body;

    private static AgentBody ToBody(AgentRow row) => new(
        row.Name!, row.Kind == AgentKind.Hosted ? "hosted" : "external", row.Endpoint, Convert.ToBase64String(row.PublicKey), row.DisplayName,
        row.Description, row.IsDefault, row.CreatedAt, row.RevokedAt);
}
