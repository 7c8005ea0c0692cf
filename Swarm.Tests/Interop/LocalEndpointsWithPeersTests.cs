using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Peers;
using Swarm.Client;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Interop;

/// <summary>The operator's side (ASP §9, §11) where the other party is a peer: inbox, outbox, mutes, wakes, and what helps an agent's program.</summary>
[Collection(InteropCollection.Name)]
[Shown(By.EndToEnd)]
public sealed partial class LocalEndpointsWithPeersTests(InteropFixture node)
{
    [Fact]
    [Conforms("ASP-17", "ASP-29", "ASP-65", "ASP-66", "ASP-67", "ASP-68", "ASP-69")]
    public async Task Our_inbox_answers_word_for_word_as_the_inbox_of_a_reference_server()
    {
        // Ours and theirs get the same bytes from one peer, and are asked the same.
        var (_, bob, swarm, zoe) = await MeetAsync();
        var twin = await ReferencePeer.StartAsync(bob.Name, node.Authority, new() { RateLimit = 1000 });
        await using var disposed = twin;
        using var ours = node.Client(bob.Token);
        using var theirs = new HttpClient(new SocketsHttpHandler { SslOptions = new() { CertificateChainPolicy = node.Authority.Policy() } }) { BaseAddress = twin.Origin };
        var ids = new List<string>();
        foreach (var message in Mixed(zoe, swarm, bob.Name))
        {
            ids.Add(message.Id);
            foreach (var door in new[] { bob.Endpoint, twin.Endpoint })
            {
                using var content = new StringContent(message.ToJson(), Encoding.UTF8, "application/json");
                using var answer = await zoe.Http.PostAsync(new Uri(door + "/message"), content);
                Assert.Equal($$"""{"status":"queued","message_id":"{{message.Id}}"}""", await answer.Content.ReadAsStringAsync());
            }
        }

        var unknown = Guid.NewGuid();
        foreach (var (method, path, body) in new (string, string, string?)[]
            {
                ("GET", "/api/inbox", null), ("GET", "/api/inbox?limit=2", null), ("GET", "/api/inbox?limit=0", null), ("GET", "/api/inbox?limit=101", null),
                ("GET", "/api/inbox?limit=x&status=y", null), ("GET", "/api/inbox?status=deleted", null), ("GET", "/api/inbox?status=", null),
                ("GET", $"/api/inbox?sender_id={zoe.AgentId}&swarm_id={swarm}", null), ("GET", "/api/inbox?sender_id=nobody", null), ("GET", "/api/inbox?sender_id=&swarm_id=", null),
                ("GET", "/api/inbox/count", null), ("GET", $"/api/inbox/count?swarm_id={swarm}", null), ("GET", $"/api/inbox/count?swarm_id={unknown}", null),
                ("GET", $"/api/inbox/{ids[0]}", null), ("GET", $"/api/inbox/{unknown}", null), ("POST", $"/api/inbox/{ids[1]}/read", null), ("POST", $"/api/inbox/{ids[1]}/read", null),
                ("GET", "/api/inbox?status=read", null), ("POST", $"/api/inbox/{ids[1]}/archive", null), ("POST", $"/api/inbox/{ids[1]}/archive", null),
                ("POST", $"/api/inbox/{ids[1]}/read", null), ("POST", $"/api/inbox/{ids[2]}/archive", null), ("POST", $"/api/inbox/{ids[3]}/delete", null),
                ("POST", $"/api/inbox/{ids[3]}/delete", null), ("POST", $"/api/inbox/{ids[3]}/archive", null), ("GET", $"/api/inbox/{ids[3]}", null),
                ("POST", $"/api/inbox/{unknown}/read", null), ("POST", $"/api/inbox/{unknown}/delete", null), ("GET", "/api/inbox?status=archived", null),
                ("GET", "/api/inbox?status=all", null),
                ("POST", "/api/inbox/batch", $$"""{"message_ids":["{{ids[4]}}","{{ids[4]}}","{{ids[0]}}","{{unknown}}"],"action":"read"}"""),
                ("POST", "/api/inbox/batch", $$"""{"message_ids":["{{ids[4]}}","{{ids[1]}}","{{ids[0]}}"],"action":"archive"}"""),
                ("POST", "/api/inbox/batch", $$"""{"message_ids":["{{ids[4]}}","{{ids[3]}}"],"action":"delete"}"""),
                ("POST", "/api/inbox/batch", """{"message_ids":[],"action":"purge"}"""), ("POST", "/api/inbox/batch", """{"message_ids":["a",1],"action":"read"}"""),
                ("POST", "/api/inbox/batch", "{}"), ("POST", "/api/inbox/batch", "[]"), ("POST", "/api/inbox/batch", "{"), ("POST", "/api/inbox/batch", ""),
                ("GET", "/api/inbox/count", null), ("DELETE", "/api/inbox", null), ("GET", "/api/inbox/batch/x", null), ("GET", "/api/nothing", null),
                ("GET", "/api/outbox", null), ("GET", "/api/outbox/count", null), ("GET", $"/api/outbox/count?swarm_id={swarm}", null), ("GET", "/api/outbox?limit=0", null),
                ("POST", "/api/outbox", "{}"),
            })
        {
            var (mine, other) = (await AskAsync(ours, method, path, body), await AskAsync(theirs, method, path, body));
            Assert.Equal(other, mine);
        }
    }

    [Fact]
    [Conforms("ASP-65", "ASP-66", "ASP-71", "ASP-105")]
    public async Task The_reference_command_line_reads_the_messages_that_our_node_got_for_it()
    {
        // The operator keeps the reference's command line, and lets our node be the server: without credentials it means the default agent.
        var home = await node.AgentAsync("home", isDefault: true);
        var swarm = await home.CreateSwarmAsync();
        var (zoe, cli) = (await node.PeerAsync("zoe"), await node.PeerAsync("operator"));
        await zoe.Client.JoinAsync(await home.InviteAsync(swarm));
        await zoe.Client.SendAsync(swarm, "hello home", home.Name);
        var texts = await cli.Client.ReadMessagesAsync(node.Url, swarm);
        Assert.Equal(2, texts.Length);
        Assert.Contains("\ncontent: hello home\n", texts[0], StringComparison.Ordinal);
        Assert.StartsWith("""{"type": "system", "action": "member_joined", """, texts[1], StringComparison.Ordinal);
        Assert.Empty(await cli.Client.ReadMessagesAsync(node.Url, swarm));
        Assert.All(await home.InboxAsync(), m => Assert.NotEqual(JsonValueKind.Null, m.GetProperty("read_at").ValueKind));

        // Other agents of the node are not opened by it.
        using var anybody = node.Client();
        Assert.Equal(401, (await anybody.SendAsync(HttpMethod.Get, $"/hub/v1/agents/{home.Name}/inbox")).Code);
    }

    [Fact]
    [Conforms("ASP-49", "ASP-70", "ASP-72")]
    public async Task The_outbox_tells_what_became_of_messages_to_peers_and_lists_go_beyond_a_hundred()
    {
        var (_, bob, swarm, zoe) = await MeetAsync();
        using var own = node.Client(bob.Token);
        zoe.Trouble = request => request.Path != "/swarm/message" ? null : PeerMessage.Read(request.Json).Content switch { "bad" => 400, "later" => 503, _ => null };
        foreach (var content in new[] { "good", "bad", "later" })
        {
            (await bob.SendAsync(swarm, content, zoe.AgentId)).Ok();
        }

        await node.EventuallyAsync("the first two are settled", async () => (await bob.OutboxAsync()).SequenceEqual(["later sent", "bad failed", "good delivered"]));
        var failed = (await own.GetHubAsync("/api/outbox")).Ok()["messages"][1];
        Assert.Equal((zoe.AgentId, "message", "HTTP 400"), (Text(failed, "recipient_id"), Text(failed, "message_type"), Text(failed, "error")));
        Assert.Equal("""{"sent":1,"delivered":1,"failed":1,"total":3}""", (await own.GetHubAsync($"/api/outbox/count?swarm_id={swarm}")).Text);
        zoe.Trouble = _ => null;
        await zoe.HearsAsync(node, "later");
        await node.EventuallyAsync("the third arrived", async () => (await bob.OutboxAsync())[0] == "later delivered");

        var sent = new List<string>();
        for (var i = 0; i < 105; i++)
        {
            sent.Insert(0, await zoe.Client.SendAsync(swarm, $"{i}", bob.Name));
        }

        var first = (await own.GetHubAsync($"/api/inbox?limit=100&sender_id={zoe.AgentId}&status=all")).Ok();
        var second = (await own.GetHubAsync($"/api/inbox?limit=100&sender_id={zoe.AgentId}&status=all&cursor={first["next_cursor"].GetString()}")).Ok();
        Assert.Equal((100, 5), (first["count"].GetInt32(), second["count"].GetInt32()));
        Assert.Equal(sent, first["messages"].EnumerateArray().Concat(second["messages"].EnumerateArray()).Select(m => Text(m, "message_id")));
        Assert.False(second.Json.TryGetProperty("next_cursor", out _));
    }

    [Fact]
    [Conforms("ASP-73", "ASP-74")]
    public async Task A_muted_peer_is_answered_as_before_and_neither_heard_nor_woken_for()
    {
        var (alice, bob, swarm, zoe) = await MeetAsync();
        var hook = await node.PeerAsync("hook");
        await WakeAtAsync(bob, hook);
        Assert.Equal("muted", (await node.CliAsync("mute", "--as", bob.Name, "-a", zoe.AgentId, "-r", "too loud")).GetProperty("status").GetString());
        await zoe.Client.SendAsync(swarm, "into the void", bob.Name);
        await zoe.Client.SendAsync(swarm, "to everybody");
        Assert.True((await node.CliAsync("unmute", "--as", bob.Name, "-a", zoe.AgentId)).GetProperty("was_muted").GetBoolean());
        (await node.Hub.PostHubAsync($"/hub/v1/agents/{bob.Name}/mute", new { swarm_id = swarm })).Ok();
        await zoe.Client.SendAsync(swarm, "also unheard", bob.Name);
        (await node.Hub.PostHubAsync($"/hub/v1/agents/{bob.Name}/unmute", new { swarm_id = swarm })).Ok();
        var heard = await zoe.Client.SendAsync(swarm, "heard again", bob.Name);
        await node.EventuallyAsync("bob is woken", () => !hook.Invocations.IsEmpty);
        Assert.Equal(heard, Assert.Single(hook.Invocations)["message_id"]!.GetValue<string>());
        Assert.Equal(["heard again"], await bob.ContentsAsync());

        // Theirs: a message of ours to a peer that mutes our agent is stored, and wakes nobody (D-02).
        var sleeper = await node.PeerAsync("sleeper", new() { WakeEndpoint = new Uri(hook.Origin, "/api/wake").ToString() });
        await sleeper.Client.JoinAsync(await alice.InviteAsync(swarm));
        sleeper.Store.MutedAgents.Add(bob.Name);
        (await bob.SendAsync(swarm, "shh", sleeper.AgentId)).Ok();
        await sleeper.HearsAsync(node, "shh");
        await node.EventuallyAsync("it has decided", () => !sleeper.Wakes.IsEmpty);
        Assert.Equal(("skip", -1), Assert.Single(sleeper.Wakes));
    }

    [Fact]
    [Conforms("ASP-75", "ASP-76", "ASP-77", "ASP-78", "ASP-80")]
    public async Task A_peers_message_wakes_our_agent_at_the_wake_endpoint_of_a_reference_server()
    {
        var (_, bob, swarm, zoe) = await MeetAsync();
        var session = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        var hook = await node.PeerAsync("hook", new() { WakeSecret = "open-sesame", SessionFile = session });
        await WakeAtAsync(bob, hook, "open-sesame", new { wake_conditions = new[] { "any_message", "high_priority", "keyword_match" }, watched_keywords = new[] { "fire" } });
        foreach (var (content, priority, level) in new[] { ("hello", null, "normal"), ("now", "high", "urgent"), ("there is a FIRE", null, "urgent") })
        {
            hook.Invocations.Clear();
            var id = await zoe.Client.SendAsync(swarm, content, bob.Name, more: m => m with { Priority = priority });
            await node.EventuallyAsync($"it is woken for '{content}'", () => !hook.Invocations.IsEmpty);
            Assert.Equal(
                $$"""{"message_id":"{{id}}","swarm_id":"{{swarm}}","sender_id":"{{zoe.AgentId}}","notification_level":"{{level}}"}""",
                Json.Compact(Assert.Single(hook.Invocations)));
            await WokenAsync(bob, "woken");
        }

        // An active session is left alone, and that is no failure.
        await File.WriteAllTextAsync(
            session, $$"""{"session_id":"s","state":"active","started_at":"2026-01-01T00:00:00Z","last_active":"{{hook.Now:O}}"}""");
        var before = hook.Requests.Count;
        hook.Invocations.Clear();
        await zoe.Client.SendAsync(swarm, "are you awake?", bob.Name);
        await node.EventuallyAsync("it was asked", () => hook.Requests.Count > before);
        await WokenAsync(bob, "already_active");
        Assert.Empty(hook.Invocations);

        // A wrong secret harms nobody.
        await WakeAtAsync(bob, hook, "wrong");
        await zoe.Client.SendAsync(swarm, "one more", bob.Name);
        await bob.HearsAsync("one more");
        await node.EventuallyAsync("it was refused", async () => (await LastWakeAsync(bob)) is { } last && last.Contains("403", StringComparison.Ordinal));
        Assert.DoesNotContain("sesame", node.Node.Log, StringComparison.Ordinal);
        File.Delete(session);
    }

    [Fact]
    [Conforms("ASP-75", "ASP-78", "ASP-79", "ASP-80", "ASP-81", "ASP-82", "ASP-105")]
    public async Task The_trigger_of_a_reference_server_wakes_the_agent_behind_our_wake_endpoint()
    {
        // A peer's server whose operator lets our node wake the agent: it posts without a secret, within the request.
        var home = await node.AgentAsync("home", isDefault: true);
        var sleeper = await node.PeerAsync("sleeper", new() { WakeEndpoint = new Uri(node.Url, "/api/wake").ToString() });
        var bob = await node.AgentAsync("bob");
        var swarm = await bob.CreateSwarmAsync();
        await sleeper.Client.JoinAsync(await bob.InviteAsync(swarm));

        // Two talks that the agent has had: a stale one is forgotten when it is woken.
        await ExecuteAsync(
            $"insert into conversations (agent_no, swarm_id, peer, session_id, last_active) select agent_no, '{swarm}', p.name, 's', now() - p.age "
            + $"from agents, (values ('{bob.Name}', interval '1 minute'), ('old', interval '31 minutes')) p (name, age) where agents.name = '{home.Name}'");
        (await bob.SendAsync(swarm, "wake up", sleeper.AgentId)).Ok();
        await sleeper.HearsAsync(node, "wake up");
        await node.EventuallyAsync("the line and enter are typed", () => File.Exists(node.TmuxCalls) && File.ReadAllLines(node.TmuxCalls).Length == 2);
        Assert.Equal([$"send-keys|-t|home:0|-l|--|[swarm] New message from {bob.Name}|", "send-keys|-t|home:0|C-m|"], await File.ReadAllLinesAsync(node.TmuxCalls));
        Assert.Equal(("wake", 202), sleeper.Wakes.Last());
        Assert.Equal([bob.Name], await TalksAsync(home));

        // The agent is at work: nothing is typed.
        await File.WriteAllTextAsync(
            node.SessionFile, $$"""{"session_id":"s","state":"active","started_at":"2026-01-01T00:00:00Z","last_active":"{{sleeper.Now:O}}"}""");
        (await bob.SendAsync(swarm, "and again", sleeper.AgentId)).Ok();
        await sleeper.HearsAsync(node, "and again");
        await node.EventuallyAsync("our node has answered", () => sleeper.Wakes.Count == 2);
        Assert.Equal(("wake", 200), sleeper.Wakes.Last());
        Assert.Equal(2, (await File.ReadAllLinesAsync(node.TmuxCalls)).Length);
        File.Delete(node.SessionFile);
    }

    [Fact]
    [Conforms("ASP-83")]
    public async Task The_helpers_of_an_agents_program_answer_a_peer()
    {
        var (alice, bob, swarm, zoe) = await MeetAsync();
        using var client = new SwarmClient(new() { Url = node.Url, Token = bob.Token, CaFile = Path.Combine(node.Node.DataFolder, "ca.pem") });
        string[] ids = [await zoe.Client.SendAsync(swarm, "one", bob.Name), await zoe.Client.SendAsync(swarm, "two"), await zoe.Client.SendAsync(swarm, "three", bob.Name)];
        var inbox = (await client.ListInboxAsync(bob.Name, new() { Limit = 100 })).Messages.Where(m => m.Sender == zoe.AgentId && m.Type == "message").ToList();
        var context = await client.LoadContextAsync(bob.Name, inbox[2]);
        Assert.Equal(("three", alice.Name, false), (context.Message.Content, context.Swarm.Master, context.SenderIsMuted));
        Assert.Equal(["one", "two"], context.Recent.Where(m => m.Type == "message").Select(m => m.Content));
        await new Responder(client, bob.Name, inbox[0]).ReplyDirectAsync("to you", new() { ThreadId = ids[0], Priority = "high" });
        await new Responder(client, bob.Name, inbox[1]).ReplyToAllAsync("to all");
        await new Responder(client, bob.Name, inbox[2]).AcknowledgeAsync();
        var (direct, all, done) = (await zoe.HearsAsync(node, "to you"), await zoe.HearsAsync(node, "to all"), await zoe.HearsAsync(node, "acknowledged"));
        Assert.Equal((zoe.AgentId, "message", "high", ids[0], ids[0]), (direct.Recipient, direct.Type, direct.Priority, direct.InReplyTo, direct.ThreadId));
        Assert.Equal(("broadcast", ids[1]), (all.Recipient, all.InReplyTo));
        Assert.Equal((zoe.AgentId, "notification", ids[2]), (done.Recipient, done.Type, done.InReplyTo));
        Assert.True(direct.IsSignedBy(bob.PublicKey) && all.IsSignedBy(bob.PublicKey) && done.IsSignedBy(bob.PublicKey));
        Assert.Equal(0, (await client.ListInboxAsync(bob.Name, new() { Limit = 100, State = "unread" })).Messages.Count(m => m.Type == "message"));

        // It leaves a swarm of theirs, which the master is told.
        var theirs = zoe.Client.CreateSwarm("far away").Id;
        (await bob.JoinAsync(zoe.Client.Invite(theirs))).Ok();
        await zoe.Client.SendAsync(theirs, "stay?", bob.Name);
        await new Responder(client, bob.Name, (await client.ListInboxAsync(bob.Name, new() { Limit = 100 })).Messages.Single(m => m.Content == "stay?")).LeaveAsync();
        await zoe.KnowsAsync(node, theirs, zoe.AgentId);
    }

    /// <summary>Our agent bob, and the peer zoe, in a swarm of our agent alice's, who gets the notices.</summary>
    private async Task<(OurAgent Alice, OurAgent Bob, string Swarm, ReferencePeer Zoe)> MeetAsync()
    {
        var (alice, bob) = (await node.AgentAsync("alice"), await node.AgentAsync("bob"));
        var swarm = await alice.CreateSwarmAsync();
        (await bob.JoinAsync(await alice.InviteAsync(swarm))).Ok();
        var zoe = await node.PeerAsync("zoe");
        await zoe.Client.JoinAsync(await alice.InviteAsync(swarm));
        return (alice, bob, swarm, zoe);
    }

    /// <summary>Messages with everything that shows in a stored text.</summary>
    private static IEnumerable<PeerMessage> Mixed(ReferencePeer zoe, string swarm, string to)
    {
        yield return zoe.Write(swarm, to, "message", "plain");
        yield return (zoe.Write(swarm, "broadcast", "notification", "a: \"b\", [c] {d}\n\t\\e\u0001 é 😀") with { Priority = "high", InReplyTo = "x", ThreadId = " y", ExpiresAt = "2030-01-01T00:00:00.000Z" }).Signed(zoe.Seed);
        yield return (zoe.Write(swarm, to, "system", "-12") with
        {
            Metadata = new() { ["n"] = 1, ["f"] = 1.5, ["e"] = 1e21, ["nil"] = null, ["yes"] = true, ["num"] = "007", ["list"] = new System.Text.Json.Nodes.JsonArray(1, "two", null), ["o"] = new System.Text.Json.Nodes.JsonObject() },
        }).Signed(zoe.Seed);
        yield return (zoe.Write(swarm, to, "message", "with things") with
        {
            Attachments = [new System.Text.Json.Nodes.JsonObject { ["type"] = "url", ["mime_type"] = "text/plain", ["content"] = "https://example.com/" }],
            References =
            [
                new System.Text.Json.Nodes.JsonObject { ["type"] = "github_issue", ["repo"] = "o/r", ["number"] = 1 },
                new System.Text.Json.Nodes.JsonObject { ["type"] = "url", ["url"] = "https://example.com/" },
            ],
        }).Signed(zoe.Seed);
        yield return zoe.Write(swarm, to, "message", "");
    }

    /// <summary>Status and body, without what only the answering server knows: when it received and read, and the words of a 422.</summary>
    private static async Task<string> AskAsync(HttpClient http, string method, string path, string? body)
    {
        using var request = new HttpRequestMessage(new(method), path) { Version = http.DefaultRequestVersion, VersionPolicy = http.DefaultVersionPolicy };
        if (body is not null)
        {
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        }

        using var answer = await http.SendAsync(request);
        var text = Time().Replace(await answer.Content.ReadAsStringAsync(), "<time>");
        if (answer.StatusCode == HttpStatusCode.UnprocessableEntity)
        {
            text = string.Join(' ', JsonElement.Parse(text).GetProperty("detail").EnumerateArray().Select(f => $"{f.GetProperty("loc")}:{f.GetProperty("type")}"));
        }
        else
        {
            // One writes an emoji as it is, the other as two escapes.
            text = Cursor().Replace(Json.Compact(System.Text.Json.Nodes.JsonNode.Parse(text)), "");
        }

        return $"{method} {path} {body}: {(int)answer.StatusCode} {string.Join(',', answer.Content.Headers.Allow)} {answer.Content.Headers.ContentType} {text}";
    }

    private async Task WakeAtAsync(OurAgent agent, ReferencePeer hook, string? secret = null, object? preferences = null) =>
        (await node.Hub.PostHubAsync(
            $"/hub/v1/agents/{agent.Name}/wake", new { action = "protocol", url = new Uri(hook.Origin, "/api/wake").ToString(), secret, preferences })).Ok();

    private Task WokenAsync(OurAgent agent, string result) =>
        node.EventuallyAsync($"the wake is {result}", async () => await LastWakeAsync(agent) == result
            && await ScalarAsync($"select count(*) from wakes w join agents a using (agent_no) where a.name = '{agent.Name}' and w.leased_until is not null") == 0);

    private async Task<string?> LastWakeAsync(OurAgent agent) => (await node.Hub.GetHubAsync($"/hub/v1/agents/{agent.Name}/wake")).Ok()["last_result"].GetString();

    private async Task<string[]> TalksAsync(OurAgent agent)
    {
        await using var command = node.Database.CreateCommand($"select array_agg(peer) from conversations join agents using (agent_no) where name = '{agent.Name}'");
        return (string[])(await command.ExecuteScalarAsync())!;
    }

    private async Task<long> ScalarAsync(string sql)
    {
        await using var command = node.Database.CreateCommand(sql);
        return (long)(await command.ExecuteScalarAsync())!;
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var command = node.Database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    private static string? Text(JsonElement json, string name) => json.GetProperty(name).GetString();

    [GeneratedRegex(@"(?<=""(received_at|read_at)"":"")[^""]+")]
    private static partial Regex Time();

    /// <summary>What only a hardened server has: how to go on (ASP §9.1).</summary>
    [GeneratedRegex(@",""next_cursor"":""\d+""(?=}\z)")]
    private static partial Regex Cursor();
}
