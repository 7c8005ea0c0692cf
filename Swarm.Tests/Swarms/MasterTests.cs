using System.Net;
using System.Text;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Swarms;

/// <summary>A swarm whose master is here and whose members are also elsewhere: who joins, waits, is kicked, becomes master, is told (ASP §8.2, §10).</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class MasterTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private PeerServer _peer = null!;
    private PeerServer _other = null!;
    private NodeHost _node = null!;
    private Scene _scene = null!;

    public async Task InitializeAsync()
    {
        _peer = await PeerServer.StartAsync();
        _other = await PeerServer.StartAsync(_peer);
        _node = await NodeHost.StartAsync(postgres, settings: new Dictionary<string, string>
        {
            ["Egress:AllowLoopback"] = "true", ["Egress:TrustedRoots"] = _peer.Ca,
        });
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "carol"], ["eve"]);
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _node.DisposeAsync();
        await _other.DisposeAsync();
        await _peer.DisposeAsync();
    }

    [Fact]
    [Conforms("ASP-50", "ASP-51")]
    [Refuses("W-32")]
    public async Task Who_joins_from_elsewhere_is_noted_for_the_master_and_told_to_the_other_remote_members()
    {
        await _peer.JoinAsync(_node, _scene, "bob");
        await _other.JoinAsync(_node, _scene, "dave");
        await _other.JoinAsync(_node, _scene, "dave");
        var joinedAt = AspTimestamp.Format((await MembersAsync()).Single(m => m.GetProperty("agent_id").GetString() == "dave").GetProperty("joined_at").GetDateTimeOffset());

        // The master's own inbox, by both of its views; of nobody else's.
        using var alice = _node.ClientOf(_scene.TokenOf("alice"));
        var inbox = (await alice.GetHubAsync("/api/inbox")).Ok();
        Assert.Equal(2, inbox["count"].GetInt32());
        var note = inbox["messages"][0];
        Assert.Equal(
            ("dave", JsonValueKind.Null, "system", "unread"),
            (note.GetProperty("sender_id").GetString(), note.GetProperty("recipient_id").ValueKind, note.GetProperty("message_type").GetString(),
                note.GetProperty("status").GetString()));
        Assert.Equal(
            $$"""{"type": "system", "action": "member_joined", "swarm_id": "{{_scene.Swarm}}", "agent_id": "dave", "initiated_by": null, "reason": null, "endpoint": "{{_other.Endpoint}}", "joined_at": "{{joinedAt}}"}""",
            note.GetProperty("content_preview").GetString());
        var seen = (await _node.Hub.GetHubAsync("/hub/v1/agents/alice/inbox")).Ok()["messages"];
        Assert.Equal(2, seen.GetArrayLength());
        Assert.False(seen[1].GetProperty("verified").GetBoolean());
        Assert.Equal(0, (await _node.Hub.GetHubAsync("/hub/v1/agents/carol/inbox/counts")).Ok()["total"].GetInt64());

        // The broadcast, byte for byte, once, signed by the master.
        await using var worker = await WorkerHost.StartAsync(_node, _peer.Ca);
        await Eventually.TrueAsync("bob is told", () => _peer.Messages.Any(), Limit);
        var told = Assert.Single(_peer.Messages);
        Assert.Equal(
            $$"""{"type": "system", "action": "member_joined", "swarm_id": "{{_scene.Swarm}}", "agent_id": "dave", "endpoint": "{{_other.Endpoint}}", "joined_at": "{{joinedAt}}"}""",
            told.Content);
        Assert.Equal(("alice", "broadcast", "system"), (told.Sender, told.Json.GetProperty("recipient").GetString(), told.Json.GetProperty("type").GetString()));
        Assert.True(MessageSignature.Verify(await KeyOfAsync("alice"), MessageParser.Parse(told.Body)));

        // Agents of this node are announced as well.
        (await _node.Hub.PostHubAsync("/hub/v1/agents", new { name = "frank" })).Ok();
        await _scene.JoinAsync(_node.Hub, "frank");
        foreach (var peer in new[] { _peer, _other })
        {
            await Eventually.TrueAsync("frank is told", () => peer.Messages.Any(m => m.Content.Contains("\"frank\"", StringComparison.Ordinal)), Limit);
        }

        Assert.Single(_other.Messages);
    }

    [Fact]
    [Conforms("ASP-50")]
    public async Task The_note_of_a_join_wakes_nobody()
    {
        (await _node.Hub.PostHubAsync("/hub/v1/agents/alice/wake", new { action = "webhook", url = $"{_other.Origin}/hook" })).Ok();
        await _peer.JoinAsync(_node, _scene, "bob");
        var (orders, _) = await _node.Get<Swarm.Core.Delivery.Wake.WakeQueue>().TakeAsync(10, CancellationToken.None);
        Assert.Empty(orders);
    }

    [Fact]
    [Conforms("ASP-34", "ASP-33")]
    [Refuses("W-16")]
    public async Task A_join_that_waits_is_stored_once_listed_and_approved()
    {
        var swarm = await CreateCarefulAsync();
        var jwt = await JwtAsync(swarm, maxUses: 1);
        using var thief = Key.Create(SignatureAlgorithm.Ed25519);
        Assert.Equal(HttpStatusCode.Accepted, (await AskAsync("bob", _peer.Endpoint, _peer.PublicKey, jwt)).Status);
        var again = await AskAsync("bob", "https://thief.example.com/swarm", PublicKeyText.Format(thief.PublicKey), jwt);
        Assert.Equal((HttpStatusCode.Accepted, "pending", swarm), (again.Status, again["status"].GetString(), again["swarm_id"].GetGuid()));
        Assert.Equal(HttpStatusCode.UnprocessableEntity, (await AskAsync("dave", _peer.Endpoint, "no key", jwt)).Status);
        Assert.Equal(HttpStatusCode.UnprocessableEntity, (await AskAsync("broadcast", _peer.Endpoint, _other.PublicKey, jwt)).Status);

        var pending = Assert.Single((await PendingAsync(swarm)).EnumerateArray());
        Assert.Equal(
            ("bob", _peer.Endpoint, _peer.PublicKey),
            (pending.GetProperty("agent_id").GetString(), pending.GetProperty("endpoint").GetString(), pending.GetProperty("public_key").GetString()));
        Assert.Equal(TimeSpan.FromDays(30), pending.GetProperty("expires_at").GetDateTimeOffset() - pending.GetProperty("requested_at").GetDateTimeOffset());
        Assert.Equal(1, await _node.ScalarAsync<long>("select count(*) from join_requests"));
        Assert.Equal(0, await _node.ScalarAsync<int>("select max(uses) from invites where swarm_no = (select max(swarm_no) from swarms)"));

        // Only the master decides.
        var path = $"/hub/v1/swarms/{swarm}/requests";
        (await _node.Hub.GetHubAsync($"{path}?agent=carol")).Refused(HttpStatusCode.NotFound, "unknown-swarm");
        (await _node.Hub.PostHubAsync($"{path}/bob/approve", new { agent = "carol" })).Refused(HttpStatusCode.NotFound, "unknown-swarm");
        (await _node.Hub.PostHubAsync($"{path}/nobody/approve", new { agent = "alice" })).Refused(HttpStatusCode.NotFound, "unknown-request");
        using (var carol = _node.ClientOf(_scene.TokenOf("carol")))
        {
            (await carol.PostHubAsync($"{path}/bob/approve", new { agent = "alice" })).Refused(HttpStatusCode.Forbidden, "forbidden");
        }

        var approved = (await _node.Hub.PostHubAsync($"{path}/bob/approve", new { agent = "alice" })).Ok();
        Assert.Equal(
            ("approved", swarm, "bob"), (approved["status"].GetString(), approved["swarm_id"].GetGuid(), approved["agent_id"].GetString()));
        (await _node.Hub.PostHubAsync($"{path}/bob/approve", new { agent = "alice" })).Refused(HttpStatusCode.NotFound, "unknown-request");
        Assert.Empty((await PendingAsync(swarm)).EnumerateArray());
        Assert.Contains((await _node.Hub.GetHubAsync("/hub/v1/agents/alice/inbox")).Ok()["messages"].EnumerateArray(), m => m.GetProperty("sender").GetString() == "bob");

        // The repeat gets the roster; the invite is used up by the approval.
        var joined = await AskAsync("bob", _peer.Endpoint, _peer.PublicKey, jwt);
        Assert.Equal(HttpStatusCode.OK, joined.Status);
        Assert.Equal(["alice", "bob"], joined["members"].EnumerateArray().Select(m => m.GetProperty("agent_id").GetString()));
        Assert.Equal(_peer.PublicKey, joined["members"][1].GetProperty("public_key").GetString());
        var spent = await AskAsync("dave", _other.Endpoint, _other.PublicKey, jwt);
        Assert.Equal((HttpStatusCode.Forbidden, "max_uses_exceeded"), (spent.Status, spent["error"].GetProperty("details").GetProperty("reason").GetString()));
    }

    [Fact]
    [Conforms("ASP-34")]
    [Refuses("W-16")]
    public async Task Who_was_rejected_is_told_so_and_may_be_approved_later()
    {
        var swarm = await CreateCarefulAsync();
        var jwt = await JwtAsync(swarm);
        await AskAsync("bob", _peer.Endpoint, _peer.PublicKey, jwt);
        var rejected = (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/requests/bob/reject", new { agent = "alice" })).Ok();
        Assert.Equal("rejected", rejected["status"].GetString());
        Assert.Empty((await PendingAsync(swarm)).EnumerateArray());
        var again = await AskAsync("bob", _peer.Endpoint, _peer.PublicKey, jwt);
        Assert.Equal((HttpStatusCode.Forbidden, "NOT_AUTHORIZED"), (again.Status, again["error"].GetProperty("code").GetString()));
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/requests/bob/approve", new { agent = "alice" })).Ok();
        Assert.Equal(HttpStatusCode.OK, (await AskAsync("bob", _peer.Endpoint, _peer.PublicKey, jwt)).Status);
    }

    [Fact]
    [Conforms("ASP-34")]
    public async Task Agents_of_this_node_wait_and_are_approved_like_others()
    {
        var swarm = await CreateCarefulAsync();
        var invite = (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/invites", new { agent = "alice" })).Ok()["invite_token"].GetString();
        Assert.Equal("pending", (await _node.Hub.PostHubAsync("/hub/v1/join", new { agent = "carol", invite_token = invite })).Ok()["status"].GetString());
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/requests/carol/approve", new { agent = "alice" })).Ok();
        Assert.Equal("joined", (await _node.Hub.PostHubAsync("/hub/v1/join", new { agent = "carol", invite_token = invite })).Ok()["status"].GetString());
        (await _node.Hub.PostHubAsync("/hub/v1/messages", new { from = "carol", swarm_id = swarm, to = "alice", content = "in" })).Ok();
    }

    [Fact]
    [Conforms("ASP-34")]
    public async Task A_thousand_wait_and_not_one_more_and_requests_expire()
    {
        var swarm = await CreateCarefulAsync();
        var jwt = await JwtAsync(swarm);
        await AskAsync("bob", _peer.Endpoint, _peer.PublicKey, jwt);
        await _node.ExecuteAsync(
            """
            insert into join_requests (swarm_no, name, endpoint, public_key, token_hash, requested_at, expires_at)
            select swarm_no, 'a' || n, endpoint, sha256(n::text::bytea), token_hash, requested_at, expires_at from join_requests, generate_series(1, 998) n
            """);
        Assert.Equal(HttpStatusCode.Accepted, (await AskAsync("dave", _other.Endpoint, _other.PublicKey, jwt)).Status);
        using var third = Key.Create(SignatureAlgorithm.Ed25519);
        Assert.Equal(HttpStatusCode.Forbidden, (await AskAsync("erin", _other.Endpoint, PublicKeyText.Format(third.PublicKey), jwt)).Status);
        Assert.Equal(HttpStatusCode.Accepted, (await AskAsync("bob", _peer.Endpoint, _peer.PublicKey, jwt)).Status);
        Assert.Equal(1000, await _node.ScalarAsync<long>("select count(*) from join_requests"));

        // All of them, page by page.
        var names = new List<string>();
        for (var cursor = ""; cursor is not null;)
        {
            var page = (await _node.Hub.GetHubAsync($"/hub/v1/swarms/{swarm}/requests?agent=alice&limit=100&cursor={cursor}")).Ok();
            names.AddRange(page["pending"].EnumerateArray().Select(p => p.GetProperty("agent_id").GetString()!));
            cursor = page.Json.TryGetProperty("next_cursor", out var next) ? next.GetString() : null;
        }

        Assert.Equal(1000, names.Distinct().Count());

        await _node.ExecuteAsync("update join_requests set expires_at = now() where name <> 'dave'");
        Assert.Equal("dave", Assert.Single((await PendingAsync(swarm)).EnumerateArray()).GetProperty("agent_id").GetString());
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/requests/bob/approve", new { agent = "alice" })).Refused(HttpStatusCode.NotFound, "unknown-request");
        Assert.Equal(HttpStatusCode.Accepted, (await AskAsync("erin", _other.Endpoint, PublicKeyText.Format(third.PublicKey), jwt)).Status);
        Assert.Equal(2, await _node.ScalarAsync<long>("select count(*) from join_requests"));
    }

    [Fact]
    [Conforms("ASP-56", "ASP-55")]
    [Refuses("W-13")]
    public async Task Who_cannot_be_reached_is_kicked_and_the_others_are_told()
    {
        await _peer.JoinAsync(_node, _scene, "bob", "https://localhost:1/swarm");
        await _other.JoinAsync(_node, _scene, "dave");
        await using var worker = await WorkerHost.StartAsync(_node, _peer.Ca);
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/kick", new { agent = "alice", target = "bob" })).Ok();
        Assert.DoesNotContain("bob", await NamesAsync());
        await Eventually.TrueAsync("dave is told", () => _other.Messages.Any(m => m.Content == """{"action":"member_kicked","agent_id":"bob"}"""), Limit);
    }

    [Fact]
    [Conforms("ASP-53", "ASP-54")]
    public async Task A_remote_member_that_leaves_is_off_the_masters_roster_and_the_master_stays()
    {
        await _peer.JoinAsync(_node, _scene, "bob");
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/leave", new { agent = "alice" })).Refused(HttpStatusCode.Conflict, "master-may-not-leave");
        (await TellAsync("alice", _peer.Key, "bob", """{"action":"member_left","agent_id":"carol"}""")).Ok();
        Assert.Equal(["alice", "carol", "eve", "bob"], await NamesAsync());
        (await TellAsync("alice", _peer.Key, "bob", """{"action":"member_left","agent_id":"bob"}""")).Ok();
        Assert.Equal(["alice", "carol", "eve"], await NamesAsync());
        Assert.Equal(HttpStatusCode.Forbidden, (await TellAsync("carol", _peer.Key, "bob", "still?")).Status);
    }

    [Fact]
    [Conforms("ASP-60")]
    [Refuses("W-17")]
    public async Task A_transfer_counts_when_the_member_accepts_and_is_then_announced()
    {
        await _peer.JoinAsync(_node, _scene, "bob");
        await _other.JoinAsync(_node, _scene, "dave");
        var path = $"/hub/v1/swarms/{_scene.Swarm}/transfer";
        (await _node.Hub.PostHubAsync(path, new { agent = "carol", target = "bob" })).Refused(HttpStatusCode.Forbidden, "not-master");
        (await _node.Hub.PostHubAsync(path, new { agent = "alice", target = "nobody" })).Refused(HttpStatusCode.NotFound, "not-a-member");
        (await _node.Hub.PostHubAsync(path, new { agent = "alice", target = "alice" })).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        (await _node.Hub.PostHubAsync(path, new { agent = "alice", target = "eve" })).Refused(HttpStatusCode.Forbidden, "transfer-declined");

        // A reference peer queues it; others refuse, or answer nonsense.
        foreach (var (status, answer) in new[] { (200, """{"status":"queued"}"""), (403, """{"status":"accepted"}"""), (200, "[]"), (200, "accepted"), (302, "{}") })
        {
            _peer.Answer = (_, _, http) => PeerServer.RespondAsync(http, status, answer);
            (await _node.Hub.PostHubAsync(path, new { agent = "alice", target = "bob" })).Refused(HttpStatusCode.Forbidden, "transfer-declined");
        }

        _peer.Answer = (_, _, http) => PeerServer.RespondAsync(http, 501);
        (await _node.Hub.PostHubAsync(path, new { agent = "alice", target = "bob" })).Refused(HttpStatusCode.BadGateway, "peer-unreachable");
        Assert.Equal("alice", await MasterAsync());
        var offer = _peer.Messages.First();
        Assert.Equal($$"""{"action":"master_transfer","swarm_id":"{{_scene.Swarm}}","new_master":"bob"}""", offer.Content);
        Assert.Equal(("bob", "system"), (offer.Json.GetProperty("recipient").GetString(), offer.Json.GetProperty("type").GetString()));
        Assert.True(MessageSignature.Verify(await KeyOfAsync("alice"), MessageParser.Parse(offer.Body)));

        _peer.Answer = (request, _, http) => PeerServer.RespondAsync(
            http, 200, request.Content.Contains("master_transfer", StringComparison.Ordinal) ? """{"status":"accepted","message_id":"x"}""" : """{"status":"queued"}""");
        var transferred = (await _node.Hub.PostHubAsync(path, new { agent = "alice", target = "bob" })).Ok();
        Assert.Equal(
            ("transferred", "alice", "bob"),
            (transferred["status"].GetString(), transferred["old_master"].GetString(), transferred["new_master"].GetString()));
        Assert.Equal("bob", await MasterAsync());
        await using var worker = await WorkerHost.StartAsync(_node, _peer.Ca);
        foreach (var peer in new[] { _peer, _other })
        {
            await Eventually.TrueAsync(
                "it is announced", () => peer.Messages.Any(m => m.Content == """{"action":"master_changed","old_master":"alice","new_master":"bob"}"""), Limit);
        }

        // The rights have gone with it; the old master may leave now.
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/kick", new { agent = "alice", target = "carol" })).Refused(HttpStatusCode.Forbidden, "not-master");
        (await TellAsync("carol", _peer.Key, "bob", """{"action":"member_kicked","agent_id":"eve"}""")).Ok();
        Assert.DoesNotContain("eve", await NamesAsync());
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/leave", new { agent = "alice" })).Ok();
    }

    [Fact]
    [Conforms("ASP-60")]
    public async Task A_hosted_member_takes_over_at_once_and_invites()
    {
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/transfer", new { agent = "alice", target = "carol" })).Ok();
        Assert.Equal("carol", await MasterAsync());
        var invite = (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/invites", new { agent = "carol" })).Ok()["invite_token"].GetString()!;
        Assert.Equal(HttpStatusCode.OK, (await AskAsync("bob", _peer.Endpoint, _peer.PublicKey, InviteLink.Parse(invite, DateTimeOffset.MinValue).Jwt, "carol")).Status);
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/leave", new { agent = "alice" })).Ok();
    }

    [Fact]
    [Conforms("ASP-61")]
    [Refuses("W-17")]
    public async Task Dissolving_tells_everybody_and_leaves_nothing_but_inboxes()
    {
        await _peer.JoinAsync(_node, _scene, "bob");
        await _other.JoinAsync(_node, _scene, "dave");
        (await _node.Hub.PostHubAsync("/hub/v1/messages", new { from = "alice", swarm_id = _scene.Swarm.Value, to = "carol", content = "kept" })).Ok();
        var path = $"/hub/v1/swarms/{_scene.Swarm}/dissolve";
        (await _node.Hub.PostHubAsync(path, new { agent = "carol" })).Refused(HttpStatusCode.Forbidden, "not-master");
        (await _node.Hub.PostHubAsync(path, new { agent = "alice", reason = new string('x', 1001) })).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        var dissolved = (await _node.Hub.PostHubAsync(path, new { agent = "alice" })).Ok();
        Assert.Equal(("dissolved", "a swarm"), (dissolved["status"].GetString(), dissolved["name"].GetString()));
        (await _node.Hub.PostHubAsync(path, new { agent = "alice" })).Refused(HttpStatusCode.NotFound, "unknown-swarm");

        await using var worker = await WorkerHost.StartAsync(_node, _peer.Ca);
        foreach (var peer in new[] { _peer, _other })
        {
            await Eventually.TrueAsync(
                "it is told", () => peer.Messages.Any(m => m.Content == """{"action":"swarm_dissolved","reason":"master_left"}"""), Limit);
        }

        Assert.Empty((await _node.Hub.GetHubAsync("/hub/v1/swarms")).Ok()["swarms"].EnumerateArray());
        (await _node.Hub.PostHubAsync("/hub/v1/messages", new { from = "carol", swarm_id = _scene.Swarm.Value, to = "alice", content = "?" }))
            .Refused(HttpStatusCode.NotFound, "not-a-member");
        Assert.Equal("kept", Assert.Single((await _node.Hub.GetHubAsync("/hub/v1/agents/carol/inbox")).Ok()["messages"].EnumerateArray()).GetProperty("content").GetString());
    }

    [Fact]
    [Conforms("ASP-61")]
    public async Task The_end_of_a_large_swarm_reaches_every_one_of_its_members()
    {
        await _node.ExecuteAsync(
            """
            with made as (insert into agents (kind, endpoint, public_key, created_at)
                          select 3, 'https://far.example.com/swarm', sha256(n::text::bytea), now() from generate_series(1, 300) n
                          returning agent_no, public_key),
                 boxes as (insert into mailboxes (recipient_no) select agent_no from made)
            insert into members (swarm_no, agent_no, name, endpoint, public_key, joined_at)
            select s.swarm_no, m.agent_no, 'far-' || m.agent_no, 'https://far.example.com/swarm', m.public_key, now() from made m, swarms s
            """);
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/dissolve", new { agent = "alice", reason = "all said" })).Ok();
        var expansion = _node.Get<Swarm.Core.Delivery.Expansion>();
        while (await expansion.RunOnceAsync(CancellationToken.None))
        {
        }

        Assert.Equal(300, await _node.ScalarAsync<long>("select count(*) from deliveries d join agents a on a.agent_no = d.recipient_no where a.kind = 3"));
    }

    [Fact]
    [Conforms("ASP-63")]
    public async Task A_hosted_agents_new_key_is_told_under_the_old_one_and_used_from_then_on_at_every_replica()
    {
        await using var replica = await _node.StartReplicaAsync();
        await _peer.JoinAsync(_node, _scene, "bob");
        (await SendAsync(replica, "before")).Ok();
        var old = await KeyOfAsync("alice");
        var rotated = (await _node.Hub.PostHubAsync("/hub/v1/agents/alice/rotate-key", new { })).Ok()["public_key"].GetString()!;
        Assert.NotEqual(PublicKeyText.Format(old), rotated);
        Assert.Equal(rotated, PublicKeyText.Format(await KeyOfAsync("alice")));
        await Eventually.TrueAsync("the other replica signs with it", async () => (await SendAsync(replica, "after")).Status == HttpStatusCode.OK, Limit);

        await using var worker = await WorkerHost.StartAsync(_node, _peer.Ca);
        await Eventually.TrueAsync("all arrived", () => _peer.Messages.Any(m => m.Content == "after"), Limit);
        var key = PublicKeyText.Parse(rotated);
        Assert.Equal(["before", $$"""{"action":"key_rotated","agent_id":"alice","public_key":"{{rotated}}"}"""], _peer.Messages.Take(2).Select(m => m.Content));
        Assert.All(_peer.Messages.Take(2), m => Assert.True(MessageSignature.Verify(old, MessageParser.Parse(m.Body))));
        Assert.All(_peer.Messages.Skip(2), m => Assert.True(MessageSignature.Verify(key, MessageParser.Parse(m.Body))));
        (await _node.Hub.PostHubAsync("/hub/v1/agents/eve/rotate-key", new { })).Refused(HttpStatusCode.UnprocessableEntity, "key-not-held");
    }

    [Fact]
    [Conforms("ASP-54")]
    public async Task Who_is_revoked_has_left()
    {
        await _peer.JoinAsync(_node, _scene, "bob");
        (await _node.Hub.DeleteHubAsync("/hub/v1/agents/carol")).Ok();
        await using var worker = await WorkerHost.StartAsync(_node, _peer.Ca);
        await Eventually.TrueAsync("bob is told", () => _peer.Messages.Any(), Limit);
        var told = Assert.Single(_peer.Messages);
        Assert.Equal(("carol", """{"action":"member_left","agent_id":"carol"}"""), (told.Sender, told.Content));
        Assert.Equal("carol", told.Headers["X-Agent-ID"]);
    }

    [Fact]
    public async Task A_hosted_agent_that_moves_tells_its_remote_members_where_to()
    {
        await _peer.JoinAsync(_node, _scene, "bob");
        (await _node.Hub.PostHubAsync("/hub/v1/agents/alice/endpoint", new { endpoint = "http://plain" })).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        (await _node.Hub.PostHubAsync("/hub/v1/agents/alice/endpoint", new { endpoint = "https://new.example.com/swarm" })).Ok();
        Assert.Equal("https://new.example.com/swarm", (await MembersAsync())[0].GetProperty("endpoint").GetString());
        await using var worker = await WorkerHost.StartAsync(_node, _peer.Ca);
        await Eventually.TrueAsync("bob is told", () => _peer.Messages.Any(), Limit);
        Assert.Equal("""{"action":"endpoint_changed","agent_id":"alice","endpoint":"https://new.example.com/swarm"}""", Assert.Single(_peer.Messages).Content);
    }

    private Task<Answer> SendAsync(NodeHost at, string content) =>
        at.Hub.PostHubAsync("/hub/v1/messages", new { from = "alice", swarm_id = _scene.Swarm.Value, to = "bob", content });

    private async Task<Guid> CreateCarefulAsync() =>
        (await _node.Hub.PostHubAsync("/hub/v1/swarms", new { agent = "alice", name = "careful", require_approval = true })).Ok()["swarm_id"].GetGuid();

    private async Task<string> JwtAsync(Guid swarm, int? maxUses = null) => InviteLink.Parse(
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/invites", new { agent = "alice", max_uses = maxUses })).Ok()["invite_token"].GetString()!,
        DateTimeOffset.MinValue).Jwt;

    private Task<Answer> AskAsync(string name, string endpoint, string key, string jwt, string door = "alice") => _node.Http.PostHubAsync(
        $"/agents/{door}/swarm/join",
        new { type = "system", action = "join_request", invite_token = jwt, sender = new { agent_id = name, endpoint, public_key = key } });

    private async Task<JsonElement> PendingAsync(Guid swarm) => (await _node.Hub.GetHubAsync($"/hub/v1/swarms/{swarm}/requests?agent=alice")).Ok()["pending"];

    private async Task<JsonElement[]> MembersAsync() =>
        [.. (await _node.Hub.GetHubAsync($"/hub/v1/swarms/{_scene.Swarm}/members")).Ok()["members"].EnumerateArray()];

    private async Task<string[]> NamesAsync() => [.. (await MembersAsync()).Select(m => m.GetProperty("agent_id").GetString()!)];

    private async Task<string> MasterAsync() => (await _node.Hub.GetHubAsync($"/hub/v1/swarms/{_scene.Swarm}")).Ok()["master"].GetString()!;

    private async Task<PublicKey> KeyOfAsync(string agent) =>
        PublicKeyText.Parse((await _node.Hub.GetHubAsync($"/hub/v1/agents/{agent}")).Ok()["public_key"].GetString()!);

    private Task<Answer> TellAsync(string door, Key key, string sender, string content) => _node.Http.PostMessageAsync(
        door,
        MessageWriter.Write(MessageSignature.Sign(key, new()
        {
            MessageId = new(Guid.NewGuid()),
            Timestamp = AspTimestamp.Format(TimeProvider.System.GetUtcNow()),
            SenderId = sender,
            SenderEndpoint = "https://x.example.com/swarm",
            Recipient = "broadcast",
            SwarmId = _scene.Swarm,
            Kind = Swarm.Core.Messaging.MessageKind.System,
            Content = content,
        })));
}
