using Microsoft.Extensions.Options;
using Swarm.Api.Hub;
using Swarm.Api.Protocols.AgentSwarm.Wire;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Api.Protocols.AgentSwarm;

/// <summary>
/// The operator's side of the Agent Swarm Protocol (ASP §9): inbox and outbox. An agent's token chooses that agent, an operator's
/// the node's default agent; without a token they answer 401, unless the named switch opens them (ADR 0010).
/// </summary>
internal static class LocalEndpoints
{
    private delegate Task Handler(HttpContext http, AgentProfile agent);

    public static void Map(WebApplication app)
    {
        var api = app.MapGroup("/api");
        api.MapGet("/inbox", See(ListInboxAsync));
        api.MapGet("/inbox/count", See(CountInboxAsync));
        api.MapPost("/inbox/batch", Act(BatchAsync));
        api.MapGet("/inbox/{id}", See(GetAsync));
        api.MapPost("/inbox/{id}/read", Act((http, agent) => ChangeAsync(http, agent, MailAction.Read)));
        api.MapPost("/inbox/{id}/archive", Act((http, agent) => ChangeAsync(http, agent, MailAction.Archive)));
        api.MapPost("/inbox/{id}/delete", Act((http, agent) => ChangeAsync(http, agent, MailAction.Delete)));
        api.MapGet("/outbox", See(ListOutboxAsync));
        api.MapGet("/outbox/count", See(CountOutboxAsync));

        api.MapPost("/wake", AgentSwarmEndpoints.Limited(AgentSwarmEndpoints.Guarded(WakeEndpoint.PostAsync)));

        foreach (var path in new[] { "/inbox", "/inbox/count", "/inbox/{id}", "/outbox", "/outbox/count" })
        {
            api.Map(path, AgentSwarmEndpoints.Limited(AgentSwarmEndpoints.MethodNotAllowed("GET")));
        }

        foreach (var path in new[] { "/inbox/batch", "/inbox/{id}/read", "/inbox/{id}/archive", "/inbox/{id}/delete", "/wake" })
        {
            api.Map(path, AgentSwarmEndpoints.Limited(AgentSwarmEndpoints.MethodNotAllowed("POST")));
        }

        api.Map("/{**rest}", AgentSwarmEndpoints.Limited(AgentSwarmEndpoints.NotFound));
    }

    private static async Task ListInboxAsync(HttpContext http, AgentProfile agent)
    {
        var query = new LocalQuery(http.Request);
        var limit = query.Limit();
        var cursor = query.Cursor();
        if (query.Failures.Count > 0)
        {
            await AgentSwarmErrors.WriteShapeAsync(http.Response, query.Failures);
            return;
        }

        var word = query.Text("status") ?? "unread";
        MailStatus[] statuses = word switch
        {
            "unread" => [MailStatus.Unread],
            "read" => [MailStatus.Read],
            "archived" => [MailStatus.Archived],
            "all" => [MailStatus.Unread, MailStatus.Read, MailStatus.Archived],
            _ => [],
        };
        if (statuses.Length == 0)
        {
            await LocalJson.WriteErrorAsync(
                http.Response, StatusCodes.Status400BadRequest, $"Invalid status '{LocalJson.Shorten(word)}'. Valid: all, archived, read, unread");
            return;
        }

        var page = query.Swarm(out var swarm) && query.Sender(out var sender)
            ? await http.RequestServices.GetRequiredService<Mailbox>().ListAsync(
                agent.Id, new(statuses) { Swarm = swarm, Sender = sender, Before = cursor, Limit = limit }, http.RequestAborted)
            : new MailPage([], null);
        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, page, LocalJson.WriteInbox);
    }

    private static async Task CountInboxAsync(HttpContext http, AgentProfile agent)
    {
        var counts = new LocalQuery(http.Request).Swarm(out var swarm)
            ? await http.RequestServices.GetRequiredService<Mailbox>().CountAsync(agent.Id, swarm, http.RequestAborted)
            : new MailCounts(0, 0, 0, 0, 0);
        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, counts, LocalJson.WriteCounts);
    }

    private static async Task GetAsync(HttpContext http, AgentProfile agent)
    {
        var mailbox = http.RequestServices.GetRequiredService<Mailbox>();
        if (await FindAsync(http, agent, mailbox) is not { } item)
        {
            return;
        }

        // A look by somebody who may only look changes nothing.
        if (item.Status == MailStatus.Unread && MayAct(http, agent)
            && (await mailbox.ApplyAsync(agent.Id, MailAction.Read, [item.MessageId], http.RequestAborted)).Count > 0)
        {
            item = await mailbox.FindAsync(agent.Id, item.MessageId, http.RequestAborted) ?? item;
        }

        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, item, LocalJson.WriteItem);
    }

    private static async Task ChangeAsync(HttpContext http, AgentProfile agent, MailAction action)
    {
        var mailbox = http.RequestServices.GetRequiredService<Mailbox>();
        if (await FindAsync(http, agent, mailbox) is not { } item)
        {
            return;
        }

        var changed = await mailbox.ApplyAsync(agent.Id, action, [item.MessageId], http.RequestAborted);
        if (changed.Count == 0 && action == MailAction.Archive)
        {
            var status = (await mailbox.FindAsync(agent.Id, item.MessageId, http.RequestAborted) ?? item).Status;
            await LocalJson.WriteErrorAsync(http.Response, StatusCodes.Status400BadRequest, $"Cannot archive from '{LocalJson.WordOf(status)}'");
            return;
        }

        var word = action switch { MailAction.Read => "read", MailAction.Archive => "archived", _ => "deleted" };
        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, (word, item.MessageId), static (json, done) =>
        {
            json.WriteStartObject();
            json.WriteString("status"u8, done.word);
            json.WriteString("message_id"u8, done.MessageId.ToString());
            json.WriteEndObject();
        });
    }

    private static async Task BatchAsync(HttpContext http, AgentProfile agent)
    {
        using var body = await RequestBody.ReadAsync(http.Request, AgentSwarmLimits.LocalBodyBytesMax, http.RequestAborted);
        if (body.IsTooLarge)
        {
            await AgentSwarmEndpoints.RefuseBodyAsync(http.Response);
            return;
        }

        if (!BatchShape.TryRead(body.Bytes, RequestBody.IsJson(http.Request), out var batch, out var failures))
        {
            await AgentSwarmErrors.WriteShapeAsync(http.Response, failures);
            return;
        }

        var ids = batch.Ids.Where(id => AspUuid.TryParse(id, out _)).Select(Parse).ToHashSet();
        var changed = ids.Count == 0
            ? 0
            : (await http.RequestServices.GetRequiredService<Mailbox>().ApplyAsync(agent.Id, batch.Action, ids, http.RequestAborted)).Count;
        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, (batch, changed), static (json, done) =>
        {
            json.WriteStartObject();
            json.WriteString("action"u8, done.batch.Word);
            json.WriteNumber("updated"u8, done.changed);
            json.WriteNumber("total"u8, done.batch.Ids.Count);
            json.WriteEndObject();
        });
    }

    private static async Task ListOutboxAsync(HttpContext http, AgentProfile agent)
    {
        var query = new LocalQuery(http.Request);
        var limit = query.Limit();
        var cursor = query.Cursor();
        if (query.Failures.Count > 0)
        {
            await AgentSwarmErrors.WriteShapeAsync(http.Response, query.Failures);
            return;
        }

        var page = query.Swarm(out var swarm)
            ? await http.RequestServices.GetRequiredService<Outbox>().ListSentAsync(agent.Id, swarm, cursor, limit, http.RequestAborted)
            : new SentPage([], null);
        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, page, LocalJson.WriteOutbox);
    }

    private static async Task CountOutboxAsync(HttpContext http, AgentProfile agent)
    {
        var query = new LocalQuery(http.Request);
        if (!query.Has("swarm_id"))
        {
            await AgentSwarmErrors.WriteShapeAsync(http.Response, [new("missing", ["swarm_id"], "Field required") { Part = "query" }]);
            return;
        }

        var counts = query.Swarm(out var swarm) && swarm is { } id
            ? await http.RequestServices.GetRequiredService<Outbox>().CountSentAsync(agent.Id, id, http.RequestAborted)
            : new SentCounts(0, 0, 0, 0);
        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, counts, LocalJson.WriteCounts);
    }

    /// <summary>The item that the path names; null after answering 404.</summary>
    private static async Task<MailItem?> FindAsync(HttpContext http, AgentProfile agent, Mailbox mailbox)
    {
        var id = (string)http.GetRouteValue("id")!;
        if (AspUuid.TryParse(id, out _) && await mailbox.FindAsync(agent.Id, Parse(id), http.RequestAborted) is { } item)
        {
            return item;
        }

        await LocalJson.WriteErrorAsync(http.Response, StatusCodes.Status404NotFound, $"Message {LocalJson.Shorten(id)} not found");
        return null;
    }

    private static MessageId Parse(string id) => AspUuid.TryParse(id, out var uuid) ? new(uuid) : default;

    private static RequestDelegate See(Handler handle) => Authorized(handle, static (principal, agent) => principal.MaySee(agent));

    private static RequestDelegate Act(Handler handle) => Authorized(handle, static (principal, agent) => principal.MayActAs(agent));

    private static RequestDelegate Authorized(Handler handle, Func<Principal, AgentId, bool> may) =>
        AgentSwarmEndpoints.Limited(AgentSwarmEndpoints.Shielded(http => AuthorizedAsync(http, handle, may)));

    /// <summary>Who asks is settled before anything is looked up.</summary>
    private static async Task AuthorizedAsync(HttpContext http, Handler handle, Func<Principal, AgentId, bool> may)
    {
        var gate = http.RequestServices.GetRequiredService<HubGate>();
        var isOpen = http.RequestServices.GetRequiredService<IOptions<AgentSwarmOptions>>().Value.IsLocalApiOpen;
        if (!gate.IsOurs(http.Request))
        {
            await LocalJson.WriteErrorAsync(http.Response, StatusCodes.Status403Forbidden, "Not answered under this host name or to this origin");
            return;
        }

        var principal = await gate.WhoAsync(http);
        if (principal is null && !isOpen)
        {
            http.Response.Headers.WWWAuthenticate = "Bearer";
            await LocalJson.WriteErrorAsync(http.Response, StatusCodes.Status401Unauthorized, "A token is needed: Authorization: Bearer …");
            return;
        }

        var directory = http.RequestServices.GetRequiredService<AgentDirectory>();
        var agent = principal?.Agent is { } own
            ? await directory.FindAsync(own, http.RequestAborted)
            : await directory.FindDefaultAsync(http.RequestAborted);
        if (agent is null)
        {
            await AgentSwarmEndpoints.NotFound(http);
        }
        else if (principal is not null && !may(principal, agent.Id))
        {
            await LocalJson.WriteErrorAsync(http.Response, StatusCodes.Status403Forbidden, "This token does not allow that");
        }
        else
        {
            http.Items[typeof(Principal)] = principal;
            await handle(http, agent);
        }
    }

    /// <summary>An open door has no principal, and lets everybody act.</summary>
    private static bool MayAct(HttpContext http, AgentProfile agent) =>
        http.Items[typeof(Principal)] is not Principal principal || principal.MayActAs(agent.Id);
}
