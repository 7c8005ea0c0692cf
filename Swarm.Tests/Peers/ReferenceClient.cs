using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Peers;

/// <summary>The reference client library (ASP §10, §14) and what its command line does with it.</summary>
internal sealed class ReferenceClient(ReferencePeer peer)
{
    private const int TriesMax = 3;

    private PeerStore Store => peer.Store;

    public PeerSwarm CreateSwarm(string name, bool requireApproval = false)
    {
        var swarm = new PeerSwarm { Id = Guid.NewGuid().ToString(), Name = name, Master = peer.AgentId, RequireApproval = requireApproval };
        swarm.Members.Add(new(peer.AgentId, peer.Endpoint, peer.PublicKey, PeerMessage.Stamp(peer.Now)));
        lock (Store.Lock)
        {
            Store.Swarms.Add(swarm.Id, swarm);
        }

        return swarm;
    }

    /// <summary>The URL of an invite, which carries the master's id and endpoint also when a member makes it.</summary>
    public string Invite(string swarm, TimeSpan? lifetime = null, int? maxUses = null)
    {
        lock (Store.Lock)
        {
            var held = Get(swarm);
            if (held.Master != peer.AgentId && !held.AllowMemberInvite)
            {
                throw new PeerException(PeerError.NotMaster, "Only the swarm master can generate invites");
            }

            return PeerInvite.Create(swarm, held.Master, held.Find(held.Master)!.Endpoint, peer.Now, peer.Seed, peer.Now + lifetime, maxUses).Url;
        }
    }

    /// <summary>Joins by an invite, and keeps what the answer says; a swarm that is known already only gains members.</summary>
    public async Task<PeerSwarm> JoinAsync(string url)
    {
        var invite = PeerInvite.Parse(url, peer.Now);
        var body = Json.Compact(new JsonObject
        {
            ["type"] = "system", ["action"] = "join_request", ["invite_token"] = invite.Jwt,
            ["sender"] = new JsonObject { ["agent_id"] = peer.AgentId, ["endpoint"] = peer.Endpoint, ["public_key"] = peer.PublicKey },
        });
        var (status, answer) = await PostAsync(invite.Endpoint.TrimEnd('/') + "/join", body, TriesMax);
        switch (status)
        {
            case 200:
                break;
            case 202:
                throw new PeerException(PeerError.Pending, answer.Text("message") ?? "pending", status);
            case 400:
                throw new PeerException(PeerError.Token, MessageOf(answer), status);
            default:
                throw new PeerException(PeerError.Transport, MessageOf(answer), status);
        }

        // What it rejects after the master has recorded it (§8.2).
        var name = answer.Text("swarm_name");
        if (name is not { Length: > 0 and <= 256 } || answer?["members"] is not JsonArray members || members.Any(m =>
                m.Text("agent_id") is not { Length: > 0 } || m.Text("endpoint")?.StartsWith("https://", StringComparison.Ordinal) != true
                || m.Text("public_key") is not { Length: > 0 }))
        {
            throw new PeerException(PeerError.Transport, "Invalid join response", status);
        }

        lock (Store.Lock)
        {
            if (!Store.Swarms.TryGetValue(invite.SwarmId, out var swarm))
            {
                Store.Swarms.Add(invite.SwarmId, swarm = new() { Id = invite.SwarmId, Name = name, Master = invite.Master });
            }

            foreach (var member in members.Where(m => swarm.Find(m.Text("agent_id")!) is null))
            {
                swarm.Members.Add(new(member.Text("agent_id")!, member.Text("endpoint")!, member.Text("public_key")!, PeerMessage.Stamp(peer.Now)));
            }

            return swarm;
        }
    }

    /// <summary>Sends to one member or to all; returns the id.</summary>
    public async Task<string> SendAsync(
        string swarm, string content, string recipient = PeerMessage.Broadcast, string type = "message", Func<PeerMessage, PeerMessage>? more = null)
    {
        if (content.Length == 0)
        {
            throw new ArgumentException("A message has content.", nameof(content));
        }

        var message = peer.Write(swarm, recipient, type, content);
        message = more?.Invoke(message).Signed(peer.Seed) ?? message;
        await SendAsync(message, TriesMax);
        lock (Store.Lock)
        {
            Store.Outbox.Add(new(message.Id, swarm, recipient, type, content, peer.Now));
        }

        return message.Id;
    }

    /// <summary>The same bytes to each that they are meant for: a broadcast is a success when one member took it, or when there is nobody else.</summary>
    public async Task SendAsync(PeerMessage message, int tries)
    {
        PeerMember[] targets;
        lock (Store.Lock)
        {
            var held = Get(message.SwarmId);
            targets = message.Recipient == PeerMessage.Broadcast
                ? [.. held.Members.Where(m => m.AgentId != peer.AgentId)]
                : [held.Find(message.Recipient) ?? throw new PeerException(PeerError.Transport, $"Recipient '{message.Recipient}' not found in swarm")];
        }

        PeerException? failure = null;
        var taken = 0;
        foreach (var target in targets)
        {
            try
            {
                await DeliverAsync(target, message, tries);
                taken++;
            }
            catch (PeerException e) when (message.Recipient == PeerMessage.Broadcast)
            {
                failure = e;
            }
        }

        if (taken == 0 && failure is not null)
        {
            throw failure;
        }
    }

    /// <summary>Tells every other member, one try each, then forgets the swarm (§10.3).</summary>
    public async Task LeaveAsync(string swarm)
    {
        PeerMember[] others;
        lock (Store.Lock)
        {
            var held = Get(swarm);
            if (held.Master == peer.AgentId)
            {
                throw new PeerException(PeerError.NotMember, "Master cannot leave swarm");
            }

            others = [.. held.Members.Where(m => m.AgentId != peer.AgentId)];
        }

        var notice = peer.Write(swarm, PeerMessage.Broadcast, "system", $$"""{"action":"member_left","agent_id":"{{peer.AgentId}}"}""");
        foreach (var member in others)
        {
            try
            {
                await DeliverAsync(member, notice, tries: 1);
            }
            catch (PeerException)
            {
                // Ignored.
            }
        }

        lock (Store.Lock)
        {
            Store.Swarms.Remove(swarm);
        }
    }

    /// <summary>Tells the target, then the others, then drops its row (§10.4). The reason is pasted in as it is.</summary>
    /// <exception cref="PeerException">The target is not reached, or limits: nothing is told and nothing dropped.</exception>
    public async Task KickAsync(string swarm, string agent, string? reason = null)
    {
        PeerMember target;
        PeerMember[] others;
        lock (Store.Lock)
        {
            var held = Get(swarm);
            if (held.Master != peer.AgentId)
            {
                throw new PeerException(PeerError.NotMaster, "Only the swarm master can kick members");
            }

            target = held.Find(agent) ?? throw new PeerException(PeerError.NotMember, $"'{agent}' is not a member");
            others = [.. held.Members.Where(m => m.AgentId != agent && m.AgentId != peer.AgentId)];
        }

        var now = peer.Now;
        var tail = $"\"agent_id\":\"{agent}\"{(reason is null ? "" : $",\"reason\":\"{reason}\"")}}}";
        await DeliverAsync(target, peer.Write(swarm, agent, "system", $"{{\"action\":\"kicked\",{tail}", now), TriesMax, statusMatters: false);
        var notice = peer.Write(swarm, PeerMessage.Broadcast, "system", $"{{\"action\":\"member_kicked\",{tail}", now);
        foreach (var member in others)
        {
            try
            {
                await DeliverAsync(member, notice, tries: 1);
            }
            catch (PeerException)
            {
                // Ignored.
            }
        }

        lock (Store.Lock)
        {
            Store.Swarms.GetValueOrDefault(swarm)?.Members.RemoveAll(m => m.AgentId == agent);
        }
    }

    /// <summary>
    /// A documented operation that the reference lacks (§10.6): the master offers its place; when the answer says <c>accepted</c>, it tells everybody.
    /// </summary>
    public async Task<bool> TransferAsync(string swarm, string agent)
    {
        PeerMember successor;
        lock (Store.Lock)
        {
            successor = Get(swarm).Find(agent) ?? throw new PeerException(PeerError.NotMember, $"'{agent}' is not a member");
        }

        var offer = peer.Write(swarm, agent, "system", $$"""{"action":"master_transfer","swarm_id":"{{swarm}}","new_master":"{{agent}}"}""");
        var (status, answer) = await PostAsync(successor.Endpoint.TrimEnd('/') + "/message", offer.ToJson(), TriesMax);
        if (status != 200 || answer.Text("status") != "accepted")
        {
            return false;
        }

        await SendAsync(
            peer.Write(swarm, PeerMessage.Broadcast, "system", $$"""{"action":"master_changed","old_master":"{{peer.AgentId}}","new_master":"{{agent}}"}"""), TriesMax);
        lock (Store.Lock)
        {
            Get(swarm).Master = agent;
        }

        return true;
    }

    /// <summary>
    /// The command <c>messages</c>: lists what is unread at the origin of an agent's own endpoint, without credentials and over HTTP/1.1, and marks
    /// it as read in one batch (§9, §15).
    /// </summary>
    /// <returns>The stored texts.</returns>
    public async Task<string[]> ReadMessagesAsync(Uri origin, string swarm, int limit = 10)
    {
        var list = await CallAsync(HttpMethod.Get, new(origin, $"/api/inbox?swarm_id={swarm}&status=unread&limit={limit}"));
        var items = list["messages"]!.AsArray();
        if (items.Count > 0)
        {
            var marked = await CallAsync(HttpMethod.Post, new(origin, "/api/inbox/batch"), new JsonObject
            {
                ["message_ids"] = new JsonArray([.. items.Select(m => m!["message_id"]!.DeepClone())]), ["action"] = "read",
            });
            if (marked["updated"]!.GetValue<int>() != items.Count)
            {
                throw new PeerException(PeerError.Transport, $"Marked {marked["updated"]} of {items.Count}");
            }
        }

        return [.. items.Select(m => m.Text("content_preview")!)];
    }

    private async Task<JsonObject> CallAsync(HttpMethod method, Uri url, JsonObject? body = null)
    {
        using var request = new HttpRequestMessage(method, url) { Version = HttpVersion.Version11, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        if (body is not null)
        {
            request.Content = new StringContent(Json.Compact(body), Encoding.UTF8, new System.Net.Http.Headers.MediaTypeHeaderValue("application/json"));
        }

        using var answer = await peer.Http.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        return answer.StatusCode == HttpStatusCode.OK
            ? JsonNode.Parse(text)!.AsObject()
            : throw new PeerException(PeerError.Transport, text, (int)answer.StatusCode);
    }

    private async Task DeliverAsync(PeerMember target, PeerMessage message, int tries, bool statusMatters = true)
    {
        var (status, answer) = await PostAsync(target.Endpoint.TrimEnd('/') + "/message", message.ToJson(), tries);
        if (statusMatters && status is not (200 or 202))
        {
            throw new PeerException(PeerError.Transport, MessageOf(answer), status);
        }
    }

    /// <summary>Posts with the retries of §14: connection failures and 408, 500, 502, 503, 504; a 429 is raised at once.</summary>
    private async Task<(int Status, JsonNode? Body)> PostAsync(string url, string body, int tries)
    {
        for (var i = 0; ; i++)
        {
            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, url)
                {
                    Version = peer.Http.DefaultRequestVersion, VersionPolicy = peer.Http.DefaultVersionPolicy,
                    Content = new StringContent(body, Encoding.UTF8, new System.Net.Http.Headers.MediaTypeHeaderValue("application/json")),
                };
                request.Headers.Add("X-Agent-ID", peer.AgentId);
                request.Headers.Add("X-Swarm-Protocol", PeerMessage.Version);
                using var answer = await peer.Http.SendAsync(request);
                peer.Answered.Enqueue(answer.Version);
                var status = (int)answer.StatusCode;
                if (status == 429)
                {
                    // An HTTP date here would be a bare value error.
                    var wait = answer.Headers.TryGetValues("Retry-After", out var values) ? long.Parse(values.Single(), System.Globalization.CultureInfo.InvariantCulture) : 0;
                    throw new PeerException(PeerError.RateLimit, $"Rate limited: {wait}", status);
                }

                if (status is not (408 or 500 or 502 or 503 or 504) || i + 1 >= tries)
                {
                    return (status, Parse(await answer.Content.ReadAsStringAsync()));
                }
            }
            catch (Exception e) when (e is HttpRequestException or TaskCanceledException)
            {
                if (i + 1 >= tries)
                {
                    throw new PeerException(PeerError.Transport, e.Message);
                }
            }

            await Task.Delay(peer.Options.RetryPause * Math.Pow(2, i) * (0.75 + (Random.Shared.NextDouble() / 2)));
        }
    }

    private PeerSwarm Get(string swarm) =>
        Store.Swarms.GetValueOrDefault(swarm) ?? throw new PeerException(PeerError.NotMember, $"Not a member of swarm '{swarm}'");

    private static JsonNode? Parse(string text)
    {
        try
        {
            return JsonNode.Parse(text);
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The reference calls <c>.get("message")</c> on <c>error</c>, and crashes where that is no object (§7.2).</summary>
    private static string MessageOf(JsonNode? answer) =>
        answer is JsonObject json && json["error"] is { } error ? error.AsObject().Text("message") ?? "" : "";
}
