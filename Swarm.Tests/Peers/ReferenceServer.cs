using System.Globalization;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Peers;

/// <summary>The reference server: agent-to-agent endpoints (ASP §8), local ones (§9), the receiver's part of the lifecycle (§10) and wakes (§11).</summary>
internal sealed class ReferenceServer(ReferencePeer peer) : IAsyncDisposable
{
    private static readonly TimeSpan FetchTime = TimeSpan.FromSeconds(5);

    private readonly Dictionary<string, List<DateTimeOffset>> _calls = [];
    private WebApplication? _app;
    private JsonObject? _session;

    private PeerStore Store => peer.Store;

    private PeerOptions Options => peer.Options;

    public async Task<Uri> StartAsync(X509Certificate2 certificate)
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(
            kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.UseHttps(certificate)));
        _app = builder.Build();
        _app.Run(AnswerAsync);
        await _app.StartAsync();
        var bound = new Uri(_app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
        return new UriBuilder("https", "localhost", bound.Port).Uri;
    }

    public async ValueTask DisposeAsync()
    {
        if (_app is not null)
        {
            await _app.DisposeAsync();
        }
    }

    private sealed record Reply(int Status, JsonNode? Body, string? Allow = null);

    private async Task AnswerAsync(HttpContext http)
    {
        using var body = new MemoryStream();
        await http.Request.Body.CopyToAsync(body);
        var request = new PeerRequest(
            http.Request.Method, http.Request.Path, http.Request.Protocol,
            http.Request.Headers.ToDictionary(h => h.Key, h => h.Value.ToString(), StringComparer.OrdinalIgnoreCase), body.ToArray());
        peer.Requests.Enqueue(request);
        if (peer.Trouble(request) is { } trouble)
        {
            http.Response.StatusCode = trouble;
            return;
        }

        if (Count(http) is { } resetsAt)
        {
            http.Response.Headers.RetryAfter = resetsAt.ToString(CultureInfo.InvariantCulture);
            await WriteAsync(http, Of(new(429, "RATE_LIMITED", "Rate limit exceeded", new JsonObject { ["retry_after"] = resetsAt })));
            return;
        }

        try
        {
            await WriteAsync(http, await RouteAsync(http, request));
        }
        catch (Exception e) when (e is FormatException or EncoderFallbackException or InvalidOperationException or KeyNotFoundException)
        {
            http.Response.StatusCode = 500;
            http.Response.Headers.Remove("X-RateLimit-Limit");
            http.Response.Headers.Remove("X-RateLimit-Remaining");
            http.Response.ContentType = "text/plain; charset=utf-8";
            await http.Response.WriteAsync("Internal Server Error");
        }
    }

    /// <summary>A sliding window for each address, over all paths (§7.3); the epoch second of the reset when it is full.</summary>
    private long? Count(HttpContext http)
    {
        var address = http.Connection.RemoteIpAddress!.ToString();
        lock (_calls)
        {
            if (!_calls.TryGetValue(address, out var calls))
            {
                _calls[address] = calls = [];
            }

            var now = peer.Now;
            calls.RemoveAll(at => at <= now - Options.RateWindow);
            if (calls.Count >= Options.RateLimit)
            {
                return (calls[0] + Options.RateWindow).ToUnixTimeSeconds() + 1;
            }

            calls.Add(now);
            http.Response.Headers["X-RateLimit-Limit"] = Options.RateLimit.ToString(CultureInfo.InvariantCulture);
            http.Response.Headers["X-RateLimit-Remaining"] = (Options.RateLimit - calls.Count).ToString(CultureInfo.InvariantCulture);
            return null;
        }
    }

    private async Task<Reply> RouteAsync(HttpContext http, PeerRequest request)
    {
        var path = request.Path.Split('/', StringSplitOptions.RemoveEmptyEntries);
        var query = http.Request.Query.ToDictionary(q => q.Key, q => q.Value.ToString());
        var contentType = http.Request.ContentType;
        (string Method, Func<Task<Reply>> Handle)? route = path switch
        {
            ["swarm", "message"] => ("POST", () => MessageAsync(request.Body, contentType)),
            ["swarm", "join"] => ("POST", () => JoinAsync(request.Body, contentType)),
            ["swarm", "health"] => ("GET", () => Task.FromResult(Health())),
            ["swarm", "info"] => ("GET", () => Task.FromResult(Info())),
            ["api", "inbox"] => ("GET", () => Task.FromResult(ListInbox(query))),
            ["api", "inbox", "count"] => ("GET", () => Task.FromResult(CountInbox(query))),
            ["api", "inbox", "batch"] => ("POST", () => Task.FromResult(Batch(request.Body, contentType))),
            ["api", "inbox", var id] => ("GET", () => Task.FromResult(Get(id))),
            ["api", "inbox", var id, "read" or "archive" or "delete"] => ("POST", () => Task.FromResult(Change(id, path[3]))),
            ["api", "outbox"] => ("GET", () => Task.FromResult(ListOutbox(query))),
            ["api", "outbox", "count"] => ("GET", () => Task.FromResult(CountOutbox(query))),
            ["api", "wake"] => ("POST", () => Task.FromResult(Wake(request, contentType))),
            _ => null,
        };
        if (route is not { } found)
        {
            return new(404, new JsonObject { ["detail"] = "Not Found" });
        }

        if (request.Path.EndsWith('/'))
        {
            http.Response.Headers.Location = new Uri(peer.Origin, request.Path.TrimEnd('/')).ToString();
            return new(307, null);
        }

        return request.Method == found.Method
            ? await found.Handle()
            : new(405, new JsonObject { ["detail"] = "Method Not Allowed" }, found.Method);
    }

    // ---- Agent to agent

    private async Task<Reply> MessageAsync(byte[] body, string? contentType)
    {
        var shape = new Shape();
        if (shape.Read(body, contentType) is { } json)
        {
            shape.Message(json);
            if (shape.IsSound)
            {
                return await AcceptAsync(json);
            }
        }

        return new(422, shape.Body);
    }

    private async Task<Reply> AcceptAsync(JsonObject json)
    {
        var message = PeerMessage.Read(json);
        lock (Store.Lock)
        {
            // The first copy stays, whoever sent it (§7.4).
            if (!Store.Inbox.Exists(m => m.MessageId == message.Id))
            {
                Store.Inbox.Add(new()
                {
                    MessageId = message.Id, SwarmId = message.SwarmId, Sender = message.Sender, Recipient = message.Recipient, Type = message.Type,
                    Content = PeerToon.OfMessage(json), ReceivedAt = peer.Now,
                });
            }
        }

        var isTaken = message.Type == "system" && await DispatchAsync(message);
        await TriggerWakeAsync(message);
        await peer.Reaction(message);
        return new(200, new JsonObject { ["status"] = isTaken ? "accepted" : "queued", ["message_id"] = message.Id });
    }

    /// <summary>Believes whoever wrote it (§10.5).</summary>
    /// <returns>True for an offer of mastership that it takes.</returns>
    private async Task<bool> DispatchAsync(PeerMessage message)
    {
        JsonObject? content;
        try
        {
            content = JsonNode.Parse(message.Content) as JsonObject;
        }
        catch (JsonException)
        {
            return false;
        }

        if (content.Text("action") is not { } action)
        {
            return false;
        }

        var agent = content.Text("agent_id");
        switch (action)
        {
            case "member_joined" when agent is { Length: > 0 }:
                await AddAnnouncedAsync(message, content!, agent);
                return false;
            case "member_left" or "member_kicked" when agent is { Length: > 0 }:
                lock (Store.Lock)
                {
                    Store.Swarms.GetValueOrDefault(message.SwarmId)?.Members.RemoveAll(m => m.AgentId == agent);
                }

                return false;
            default:
                return Options.FollowsEvents && Follow(message, content!, action);
        }
    }

    private async Task AddAnnouncedAsync(PeerMessage message, JsonObject content, string agent)
    {
        var endpoint = content.Text("endpoint") ?? message.SenderEndpoint;
        if (!endpoint.StartsWith("https://", StringComparison.Ordinal) || await FetchKeyAsync(endpoint, agent) is not { } key)
        {
            return;
        }

        lock (Store.Lock)
        {
            if (Store.Swarms.GetValueOrDefault(message.SwarmId) is { } swarm)
            {
                if (swarm.Find(agent) is null)
                {
                    swarm.Members.Add(new(agent, endpoint, key, content.Text("joined_at") ?? message.Timestamp));
                }

                Store.KeyCache[agent] = key;
            }
        }
    }

    private async Task<string?> FetchKeyAsync(string endpoint, string agent)
    {
        using var limit = new CancellationTokenSource(FetchTime);
        using var request = new HttpRequestMessage(HttpMethod.Get, endpoint.TrimEnd('/') + "/info")
        {
            Version = peer.Http.DefaultRequestVersion, VersionPolicy = peer.Http.DefaultVersionPolicy,
        };
        request.Headers.Add("X-Agent-ID", peer.AgentId);
        request.Headers.Add("X-Swarm-Protocol", PeerMessage.Version);
        try
        {
            using var answer = await peer.Http.SendAsync(request, limit.Token);
            return answer.StatusCode == HttpStatusCode.OK && JsonNode.Parse(await answer.Content.ReadAsStringAsync(limit.Token)) is JsonObject info
                && info.Text("agent_id") == agent && info.Text("public_key") is { Length: > 0 } key
                    ? key
                    : null;
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or JsonException)
        {
            return null;
        }
    }

    /// <summary>The rules of §10.6 and the hardened ones of §10.5, for an end that is new as well: by the sender's right and signature.</summary>
    private bool Follow(PeerMessage message, JsonObject content, string action)
    {
        lock (Store.Lock)
        {
            if (Store.Swarms.GetValueOrDefault(message.SwarmId) is not { } swarm || swarm.Find(message.Sender) is not { } sender
                || !message.IsSignedBy(sender.PublicKey))
            {
                return false;
            }

            var isMaster = swarm.Master == message.Sender;
            switch (action)
            {
                case "master_transfer":
                    return isMaster && message.Recipient == peer.AgentId && (content.Text("new_master") ?? peer.AgentId) == peer.AgentId;
                case "master_changed" when isMaster && content.Text("old_master") == message.Sender && swarm.Find(content.Text("new_master") ?? "") is { } next:
                    swarm.Master = next.AgentId;
                    break;
                case "kicked" when isMaster && message.Recipient == peer.AgentId && (content.Text("agent_id") ?? peer.AgentId) == peer.AgentId:
                case "swarm_dissolved" when isMaster:
                    Store.Swarms.Remove(swarm.Id);
                    break;
                case "key_rotated" when content.Text("agent_id") == message.Sender && content.Text("public_key") is { } key:
                    swarm.Members[swarm.Members.IndexOf(sender)] = sender with { PublicKey = key };
                    break;
            }

            return false;
        }
    }

    private async Task<Reply> JoinAsync(byte[] body, string? contentType)
    {
        var shape = new Shape();
        if (shape.Read(body, contentType) is not { } json)
        {
            return new(422, shape.Body);
        }

        shape.Join(json);
        if (!shape.IsSound)
        {
            return new(422, shape.Body);
        }

        var jwt = json.Text("invite_token")!;
        if (PeerInvite.SwarmOf(jwt, out var refusal) is not { } id)
        {
            return Of(refusal!);
        }

        var joiner = new PeerMember(json["sender"].Text("agent_id")!, json["sender"].Text("endpoint")!, json["sender"].Text("public_key")!, "");
        PeerSwarm swarm;
        lock (Store.Lock)
        {
            if (Store.Swarms.GetValueOrDefault(id) is not { } held || held.Find(held.Master) is not { } master)
            {
                return Of(new(404, "SWARM_NOT_FOUND", $"Swarm '{id}' not found"));
            }

            if (PeerInvite.Check(jwt, master.PublicKey, peer.Now) is { } wrong)
            {
                return Of(wrong);
            }

            if (held.Find(joiner.AgentId) is not null)
            {
                return Accepted(held);
            }

            if (held.RequireApproval)
            {
                return new(202, new JsonObject { ["status"] = "pending", ["swarm_id"] = held.Id, ["message"] = "Join request requires approval" });
            }

            joiner = joiner with { JoinedAt = PeerMessage.Stamp(peer.Now) };
            (swarm = held).Members.Add(joiner);
            Store.Inbox.Add(new()
            {
                MessageId = Guid.NewGuid().ToString(), SwarmId = id, Sender = joiner.AgentId, Type = "system", ReceivedAt = peer.Now,
                Content = Json.Spaced(new JsonObject
                {
                    ["type"] = "system", ["action"] = "member_joined", ["swarm_id"] = id, ["agent_id"] = joiner.AgentId, ["initiated_by"] = null,
                    ["reason"] = null, ["endpoint"] = joiner.Endpoint, ["joined_at"] = joiner.JoinedAt,
                }),
            });
        }

        if (Options.AnnouncesJoins)
        {
            await AnnounceAsync(swarm, joiner);
        }

        lock (Store.Lock)
        {
            return Accepted(swarm);
        }
    }

    /// <summary>One after the other, one try each, within the join (§10.2); no <c>X-</c> headers.</summary>
    private async Task AnnounceAsync(PeerSwarm swarm, PeerMember joiner)
    {
        var message = peer.Write(swarm.Id, PeerMessage.Broadcast, "system", Json.Spaced(new JsonObject
        {
            ["type"] = "system", ["action"] = "member_joined", ["swarm_id"] = swarm.Id, ["agent_id"] = joiner.AgentId, ["endpoint"] = joiner.Endpoint,
            ["joined_at"] = joiner.JoinedAt,
        }));
        PeerMember[] others;
        lock (Store.Lock)
        {
            others = [.. swarm.Members.Where(m => m.AgentId != joiner.AgentId && m.AgentId != peer.AgentId)];
        }

        foreach (var member in others)
        {
            using var limit = new CancellationTokenSource(FetchTime);
            try
            {
                using var content = new StringContent(message.ToJson(), Encoding.UTF8, new System.Net.Http.Headers.MediaTypeHeaderValue("application/json"));
                using var answer = await peer.Http.PostAsync(new Uri(member.Endpoint.TrimEnd('/') + "/message"), content, limit.Token);
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
            {
                // Logged only.
            }
        }
    }

    private static Reply Accepted(PeerSwarm swarm) => new(200, new JsonObject
    {
        ["status"] = "accepted",
        ["swarm_id"] = swarm.Id,
        ["swarm_name"] = swarm.Name,
        ["members"] = new JsonArray([.. swarm.Members.Select(m => new JsonObject
        {
            ["agent_id"] = m.AgentId, ["endpoint"] = m.Endpoint, ["public_key"] = m.PublicKey,
        })]),
    });

    private Reply Health() => new(200, new JsonObject
    {
        ["status"] = "healthy", ["agent_id"] = peer.AgentId, ["protocol_version"] = PeerMessage.Version, ["timestamp"] = PeerMessage.Stamp(peer.Now), ["message"] = null,
    });

    private Reply Info() => new(200, new JsonObject
    {
        ["agent_id"] = peer.AgentId, ["endpoint"] = peer.Endpoint, ["public_key"] = peer.PublicKey, ["protocol_version"] = PeerMessage.Version,
        ["capabilities"] = new JsonArray("message", "system", "notification"), ["metadata"] = null,
    });

    // ---- The operator's side

    private Reply ListInbox(Dictionary<string, string> query)
    {
        var shape = new Shape();
        var limit = Limit(shape, query);
        if (!shape.IsSound)
        {
            return new(422, shape.Body);
        }

        var status = query.GetValueOrDefault("status", "unread");
        if (status is not ("unread" or "read" or "archived" or "all"))
        {
            return new(400, new JsonObject { ["error"] = $"Invalid status '{status}'. Valid: all, archived, read, unread" });
        }

        lock (Store.Lock)
        {
            return List(Store.Inbox.Where(m => (status == "all" ? m.Status != "deleted" : m.Status == status) && Fits(query, "swarm_id", m.SwarmId)
                && Fits(query, "sender_id", m.Sender)).Reverse().OrderByDescending(m => m.ReceivedAt).Take(limit).Select(Item));
        }
    }

    private Reply CountInbox(Dictionary<string, string> query)
    {
        lock (Store.Lock)
        {
            var rows = Store.Inbox.Where(m => Fits(query, "swarm_id", m.SwarmId)).ToList();
            int Of(string status) => rows.Count(m => m.Status == status);
            return new(200, new JsonObject
            {
                ["unread"] = Of("unread"), ["read"] = Of("read"), ["archived"] = Of("archived"), ["deleted"] = Of("deleted"), ["total"] = rows.Count,
            });
        }
    }

    private Reply Get(string id)
    {
        lock (Store.Lock)
        {
            if (Store.Inbox.Find(m => m.MessageId == id) is not { } mail)
            {
                return NotFound(id);
            }

            Apply(mail, "read");
            return new(200, Item(mail));
        }
    }

    private Reply Change(string id, string action)
    {
        lock (Store.Lock)
        {
            if (Store.Inbox.Find(m => m.MessageId == id) is not { } mail)
            {
                return NotFound(id);
            }

            var before = mail.Status;
            return !Apply(mail, action) && action == "archive"
                ? new(400, new JsonObject { ["error"] = $"Cannot archive from '{before}'" })
                : new(200, new JsonObject { ["status"] = action switch { "read" => "read", "archive" => "archived", _ => "deleted" }, ["message_id"] = id });
        }
    }

    private Reply Batch(byte[] body, string? contentType)
    {
        var shape = new Shape();
        if (shape.Read(body, contentType) is { } json)
        {
            shape.Batch(json);
            if (shape.IsSound)
            {
                string[] ids = [.. json["message_ids"]!.AsArray().Select(id => id!.GetValue<string>())];
                var action = json.Text("action")!;
                lock (Store.Lock)
                {
                    return new(200, new JsonObject
                    {
                        ["action"] = action, ["updated"] = Store.Inbox.Count(m => ids.Contains(m.MessageId) && Apply(m, action)), ["total"] = ids.Length,
                    });
                }
            }
        }

        return new(422, shape.Body);
    }

    private Reply ListOutbox(Dictionary<string, string> query)
    {
        var shape = new Shape();
        var limit = Limit(shape, query);
        if (!shape.IsSound)
        {
            return new(422, shape.Body);
        }

        lock (Store.Lock)
        {
            return List(Store.Outbox.Where(m => Fits(query, "swarm_id", m.SwarmId)).Reverse().OrderByDescending(m => m.SentAt).Take(limit).Select(m => new JsonObject
            {
                ["message_id"] = m.MessageId, ["swarm_id"] = m.SwarmId, ["recipient_id"] = m.Recipient, ["message_type"] = m.Type, ["status"] = "sent",
                ["sent_at"] = PeerStore.TimeText(m.SentAt), ["error"] = null, ["content_preview"] = m.Content,
            }));
        }
    }

    private Reply CountOutbox(Dictionary<string, string> query)
    {
        if (!query.TryGetValue("swarm_id", out var swarm))
        {
            var shape = new Shape();
            shape.Fail("missing", "Field required", null, "query", "swarm_id");
            return new(422, shape.Body);
        }

        lock (Store.Lock)
        {
            var sent = Store.Outbox.Count(m => m.SwarmId == swarm);
            return new(200, new JsonObject { ["sent"] = sent, ["delivered"] = 0, ["failed"] = 0, ["total"] = sent });
        }
    }

    /// <summary>unread → read → archived; any → deleted (§9.1).</summary>
    private bool Apply(PeerMail mail, string action)
    {
        switch (action)
        {
            case "read" when mail.Status == "unread":
                (mail.Status, mail.ReadAt) = ("read", peer.Now);
                return true;
            case "archive" when mail.Status is "unread" or "read":
                mail.Status = "archived";
                return true;
            case "delete":
                var isChange = mail.Status != "deleted";
                mail.Status = "deleted";
                return isChange;
            default:
                return false;
        }
    }

    private static JsonObject Item(PeerMail mail) => new()
    {
        ["message_id"] = mail.MessageId, ["swarm_id"] = mail.SwarmId, ["sender_id"] = mail.Sender, ["recipient_id"] = mail.Recipient,
        ["message_type"] = mail.Type, ["status"] = mail.Status, ["received_at"] = PeerStore.TimeText(mail.ReceivedAt),
        ["read_at"] = mail.ReadAt is { } at ? PeerStore.TimeText(at) : null, ["content_preview"] = mail.Content,
    };

    private static Reply List(IEnumerable<JsonObject> items)
    {
        var list = new JsonArray([.. items]);
        return new(200, new JsonObject { ["count"] = list.Count, ["messages"] = list });
    }

    private static bool Fits(Dictionary<string, string> query, string name, string value) =>
        query.GetValueOrDefault(name, "") is var wanted && (wanted.Length == 0 || wanted == value);

    private static int Limit(Shape shape, Dictionary<string, string> query)
    {
        var text = query.GetValueOrDefault("limit", "20");
        if (!System.Numerics.BigInteger.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var limit))
        {
            shape.Fail("int_parsing", "Input should be a valid integer, unable to parse string as an integer", text, "query", "limit");
        }
        else if (limit < 1)
        {
            shape.Fail("greater_than_equal", "Input should be greater than or equal to 1", text, "query", "limit");
        }
        else if (limit > 100)
        {
            shape.Fail("less_than_equal", "Input should be less than or equal to 100", text, "query", "limit");
        }

        return limit >= 1 && limit <= 100 ? (int)limit : 0;
    }

    private static Reply NotFound(string id) => new(404, new JsonObject { ["error"] = $"Message {id} not found" });

    // ---- Wake

    /// <summary>Within the request, without a secret; failures are logged only (§11.1). The preferences are always the default ones.</summary>
    private async Task TriggerWakeAsync(PeerMessage message)
    {
        if (Options.WakeEndpoint is not { } endpoint)
        {
            return;
        }

        lock (Store.Lock)
        {
            if (Store.MutedAgents.Contains(message.Sender) || Store.MutedSwarms.Contains(message.SwarmId))
            {
                peer.Wakes.Enqueue(("skip", -1));
                return;
            }
        }

        using var limit = new CancellationTokenSource(FetchTime);
        try
        {
            var body = Json.Compact(new JsonObject
            {
                ["message_id"] = message.Id, ["swarm_id"] = message.SwarmId, ["sender_id"] = message.Sender, ["notification_level"] = "normal",
            });
            using var content = new StringContent(body, Encoding.UTF8, new System.Net.Http.Headers.MediaTypeHeaderValue("application/json"));
            using var answer = await peer.Http.PostAsync(new Uri(endpoint), content, limit.Token);
            peer.Wakes.Enqueue(("wake", (int)answer.StatusCode));
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            peer.Wakes.Enqueue(("wake", 0));
        }
    }

    private Reply Wake(PeerRequest request, string? contentType)
    {
        var shape = new Shape();
        if (shape.Read(request.Body, contentType) is not { } json)
        {
            return new(422, shape.Body);
        }

        shape.Wake(json);
        if (!shape.IsSound)
        {
            return new(422, shape.Body);
        }

        if (Options.WakeSecret.Length > 0 && request.Headers.GetValueOrDefault("X-Wake-Secret") != Options.WakeSecret)
        {
            return new(403, new JsonObject { ["status"] = "error", ["detail"] = "Invalid or missing wake secret" });
        }

        if (IsActive())
        {
            return new(200, new JsonObject { ["status"] = "already_active", ["detail"] = null });
        }

        peer.Invocations.Enqueue(json);
        return new(202, new JsonObject { ["status"] = "invoked", ["detail"] = null });
    }

    /// <summary>Looked for until it is there once, then kept for the server's lifetime (§11.4).</summary>
    private bool IsActive()
    {
        if (_session is null && Options.SessionFile is { } file && File.Exists(file))
        {
            _session = JsonNode.Parse(File.ReadAllText(file))!.AsObject();
        }

        return _session.Text("state") == "active"
            && DateTimeOffset.Parse(_session.Text("last_active")!, CultureInfo.InvariantCulture) >= peer.Now - TimeSpan.FromMinutes(30);
    }

    private static Reply Of(Refusal refusal) => new(refusal.Status, new JsonObject
    {
        ["error"] = new JsonObject { ["code"] = refusal.Code, ["message"] = refusal.Message, ["details"] = refusal.Details },
    });

    private static async Task WriteAsync(HttpContext http, Reply reply)
    {
        http.Response.StatusCode = reply.Status;
        if (reply.Allow is not null)
        {
            http.Response.Headers.Allow = reply.Allow;
        }

        if (reply.Body is not null)
        {
            var bytes = Encoding.UTF8.GetBytes(Json.Compact(reply.Body));
            http.Response.ContentType = "application/json";
            http.Response.ContentLength = bytes.Length;
            await http.Response.Body.WriteAsync(bytes);
        }
    }
}
