using System.Text.Json;
using System.Text.Json.Nodes;
using Peers;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Interop;

/// <summary>Reference peers in a swarm of ours: our agent is its master (ASP §10, §21).</summary>
[Collection(InteropCollection.Name)]
[Shown(By.EndToEnd)]
public sealed class PeerAtOurNodeTests(InteropFixture node)
{
    private const string Odd = "naïve \u202E 👩‍💻 שלום \u0001\t\r\n\"quoted\" \\ e\u0301";

    [Fact]
    [Conforms("ASP-20", "ASP-31", "ASP-41", "ASP-44", "ASP-50", "ASP-51", "ASP-105")]
    public async Task Peers_join_by_token_and_are_told_of_each_other()
    {
        var alice = await node.AgentAsync("alice");
        var swarm = await alice.CreateSwarmAsync();
        var invite = await alice.InviteAsync(swarm);
        var (bob, carol) = (await node.PeerAsync("bob"), await node.PeerAsync("carol"));

        var joined = await bob.Client.JoinAsync(invite);
        Assert.Equal((swarm, "ours", alice.Name), (joined.Id, joined.Name, joined.Master));
        Assert.Equal(
            [(alice.Name, alice.Endpoint, alice.PublicKey), (bob.AgentId, bob.Endpoint, bob.PublicKey)],
            joined.Members.Select(m => (m.AgentId, m.Endpoint, m.PublicKey)));

        // Bob is told of carol by a message that alice signed, and fetches her key from her.
        await carol.Client.JoinAsync(invite);
        await bob.KnowsAsync(node, swarm, alice.Name, bob.AgentId, carol.AgentId);
        Assert.Equal(carol.PublicKey, bob.Store.KeyCache[carol.AgentId]);
        var told = Assert.Single(bob.Messages);
        Assert.True(told.IsSignedBy(alice.PublicKey));
        Assert.Equal((alice.Name, alice.Endpoint, "broadcast", "system"), (told.Sender, told.SenderEndpoint, told.Recipient, told.Type));
        Assert.Equal(
            $$"""{"type": "system", "action": "member_joined", "swarm_id": "{{swarm}}", "agent_id": "{{carol.AgentId}}", "endpoint": "{{carol.Endpoint}}", "joined_at": """,
            told.Content[..told.Content.LastIndexOf('"', told.Content.Length - 3)]);
        Assert.Equal("HTTP/2", bob.Requests.Single(r => r.Path == "/swarm/message").Protocol);
        Assert.Empty(carol.Messages);
        Assert.All(bob.Answered.Concat(carol.Answered), version => Assert.Equal(System.Net.HttpVersion.Version20, version));

        // The master's own notices, newest last here.
        var notices = await alice.InboxAsync();
        Assert.Equal([bob.AgentId, carol.AgentId], notices.Select(n => JsonElement.Parse(n.GetProperty("content").GetString()!).GetProperty("agent_id").GetString()));
        Assert.All(notices, n => Assert.Contains("\"initiated_by\": null, \"reason\": null, ", n.GetProperty("content").GetString()));

        // Joining again changes nothing, also with another key.
        Assert.Equal(3, (await bob.Client.JoinAsync(invite)).Members.Count);
        var thief = await ReferencePeer.StartAsync(bob.AgentId, node.Authority);
        await thief.Client.JoinAsync(invite);
        Assert.Equal(bob.PublicKey, thief.Store.Find(swarm)!.Find(bob.AgentId)!.PublicKey);
        await thief.DisposeAsync();

        // One of ours joins too: they are told, and ask our node for its key; the master needs no notice of that.
        var eve = await node.AgentAsync("eve");
        (await eve.JoinAsync(invite)).Ok();
        foreach (var peer in new[] { bob, carol })
        {
            await peer.KnowsAsync(node, swarm, alice.Name, bob.AgentId, carol.AgentId, eve.Name);
            Assert.Equal(eve.PublicKey, peer.Store.KeyCache[eve.Name]);
        }

        Assert.Equal(2, (await alice.InboxAsync()).Length);
    }

    [Fact]
    [Conforms("ASP-05", "ASP-07", "ASP-13", "ASP-14", "ASP-26", "ASP-27", "ASP-28", "ASP-45", "ASP-46", "ASP-49", "ASP-105")]
    public async Task Messages_go_both_ways_with_all_that_they_carry()
    {
        var (alice, swarm, bob, carol) = await MeetAsync();

        // From the peer to us.
        var reply = Guid.NewGuid().ToString();
        var id = await bob.Client.SendAsync(swarm, Odd, alice.Name, "notification", m => m with
        {
            InReplyTo = reply, ThreadId = reply, Priority = "high", ExpiresAt = PeerMessage.Stamp(bob.Now.AddHours(1)),
            Attachments = [new JsonObject { ["type"] = "url", ["mime_type"] = "text/plain", ["content"] = "https://example.com/ü" }],
            References = [new JsonObject { ["type"] = "github_issue", ["repo"] = "octo/spoon", ["number"] = 12, ["action"] = "claimed" }],
            Metadata = new JsonObject { ["github_url"] = "https://github.com/octo/spoon", ["n"] = 1, ["yes"] = true, ["nothing"] = null },
        });
        var got = (await alice.InboxAsync()).Single(m => m.GetProperty("message_id").GetString() == id);
        Assert.Equal((bob.AgentId, alice.Name, "notification", "high", Odd, true), (
            Text(got, "sender"), Text(got, "recipient"), Text(got, "type"), Text(got, "priority"), Text(got, "content"), got.GetProperty("verified").GetBoolean()));
        Assert.Equal((reply, reply), (Text(got, "in_reply_to"), Text(got, "thread_id")));
        Assert.Equal("""[{"type":"url","mime_type":"text/plain","content":"https://example.com/ü"}]""", Json.Compact(JsonNode.Parse(got.GetProperty("attachments").GetRawText())));
        Assert.Equal("""[{"type":"github_issue","repo":"octo/spoon","number":12,"action":"claimed"}]""", got.GetProperty("references").GetRawText());
        Assert.Equal("""{"github_url":"https://github.com/octo/spoon","n":1,"yes":true,"nothing":null}""", got.GetProperty("metadata").GetRawText());

        // As much as the reference's command line sends, in characters that take most room.
        var longest = string.Concat(Enumerable.Repeat("🐝", 65_536));
        await bob.Client.SendAsync(swarm, longest, alice.Name);
        Assert.Contains(longest, await alice.ContentsAsync());
        (await alice.SendAsync(swarm, longest, carol.AgentId)).Ok();
        Assert.True((await carol.HearsAsync(node, longest)).IsSignedBy(alice.PublicKey));

        // The same bytes again are a success and no second message; other content under the same id is refused.
        var again = bob.Write(swarm, alice.Name, "message", "once");
        await bob.Client.SendAsync(again, tries: 1);
        await bob.Client.SendAsync(again, tries: 1);
        Assert.Single(await alice.ContentsAsync(), "once");
        var reused = await Assert.ThrowsAsync<PeerException>(() => bob.Client.SendAsync((again with { Content = "twice" }).Signed(bob.Seed), tries: 1));
        Assert.Equal(409, reused.Status);

        // From us to the peer.
        var sent = (await node.Hub.PostHubAsync("/hub/v1/messages", new
        {
            from = alice.Name, swarm_id = swarm, to = bob.AgentId, type = "notification", content = Odd, priority = "low", in_reply_to = id, thread_id = reply,
            metadata = new { n = 1, @float = 1.5 }, references = new[] { new { type = "github_pr", repo = "octo/spoon", number = 3 } },
            attachments = new[] { new { type = "inline", mime_type = "text/plain", content = "aGk=" } },
        })).Ok()["message_id"].GetString();
        var heard = await bob.HearsAsync(node, Odd);
        Assert.True(heard.IsSignedBy(alice.PublicKey));
        Assert.Equal((sent, alice.Name, bob.AgentId, "notification", "low", id, reply), (
            heard.Id, heard.Sender, heard.Recipient, heard.Type, heard.Priority, heard.InReplyTo, heard.ThreadId));
        Assert.Equal("""{"n":1,"float":1.5}""", Json.Compact(heard.Metadata));
        Assert.Equal("""[{"type":"github_pr","repo":"octo/spoon","number":3}]""", Json.Compact(heard.References));
        Assert.Equal("""[{"type":"inline","mime_type":"text/plain","content":"aGk="}]""", Json.Compact(heard.Attachments));
        var request = bob.Requests.Last(r => r.Path == "/swarm/message");
        Assert.Equal(("HTTP/2", "application/json", alice.Name, "0.1.0"), (
            request.Protocol, request.Headers["Content-Type"], request.Headers["X-Agent-ID"], request.Headers["X-Swarm-Protocol"]));

        // To all: one message, the same bytes at each.
        await bob.Client.SendAsync(swarm, "hello everyone, from bob");
        await alice.HearsAsync("hello everyone, from bob");
        await carol.HearsAsync(node, "hello everyone, from bob");
        await alice.SendAsync(swarm, "hello everyone, from alice");
        Assert.Equal((await bob.HearsAsync(node, "hello everyone, from alice")).ToJson(), (await carol.HearsAsync(node, "hello everyone, from alice")).ToJson());
        Assert.Equal("broadcast", bob.Messages.Last().Recipient);

        // The outbox knows that they arrived.
        await node.EventuallyAsync(
            "both are delivered", async () => (await alice.OutboxAsync()).Take(2).SequenceEqual(["hello everyone, from alice delivered", $"{Odd} delivered"]));
    }

    [Fact]
    [Conforms("ASP-30", "ASP-53", "ASP-54", "ASP-55", "ASP-56", "ASP-105")]
    public async Task Who_leaves_or_is_kicked_is_out_here_and_with_the_others()
    {
        var (alice, swarm, bob, carol) = await MeetAsync();
        var dora = await node.PeerAsync("dora");
        var invite = await alice.InviteAsync(swarm);
        await dora.Client.JoinAsync(invite);
        await bob.KnowsAsync(node, swarm, alice.Name, bob.AgentId, carol.AgentId, dora.AgentId);

        await bob.Client.LeaveAsync(swarm);
        await alice.KnowsAsync(swarm, alice.Name, carol.AgentId, dora.AgentId);
        Assert.Equal([alice.Name, dora.AgentId], dora.Store.MembersOf(swarm).Where(m => m != carol.AgentId));
        (await alice.SendAsync(swarm, "still there?", bob.AgentId)).Refused(System.Net.HttpStatusCode.UnprocessableEntity, "wrong-recipient");
        Assert.Equal(403, await StatusAsync(bob, alice, bob.Write(swarm, alice.Name, "message", "I am")));

        // By our command line, with a reason that the reference would paste in unescaped.
        var kicked = await node.CliAsync("kick", "--as", alice.Name, "-s", swarm, "-a", carol.AgentId, "-r", "says \"no\" \\ ü", "-y");
        Assert.Equal("kicked", kicked.GetProperty("status").GetString());
        var notice = await carol.HearsAsync(node, $$"""{"action":"kicked","agent_id":"{{carol.AgentId}}","reason":"says \"no\" \\ ü"}""");
        var told = await dora.HearsAsync(node, $$"""{"action":"member_kicked","agent_id":"{{carol.AgentId}}","reason":"says \"no\" \\ ü"}""");
        Assert.True(notice.IsSignedBy(alice.PublicKey) && told.IsSignedBy(alice.PublicKey));
        Assert.Equal((carol.AgentId, "broadcast", told.Timestamp), (notice.Recipient, told.Recipient, notice.Timestamp));
        await dora.KnowsAsync(node, swarm, alice.Name, dora.AgentId);

        // A reference peer keeps the swarm and goes on; nothing of it is taken any more.
        var refused = await Assert.ThrowsAsync<PeerException>(() => carol.Client.SendAsync(swarm, "but why", alice.Name));
        Assert.Equal((PeerError.Transport, 403), (refused.Kind, refused.Status));
        Assert.DoesNotContain("but why", await alice.ContentsAsync());

        // Who cannot be reached is out all the same, and the others learn of it.
        await bob.Client.JoinAsync(invite);
        await bob.StopListeningAsync();
        (await alice.DoAsync(swarm, "kick", bob.AgentId)).Ok();
        Assert.Equal([alice.Name, dora.AgentId], await alice.RosterAsync(swarm));
        await dora.KnowsAsync(node, swarm, alice.Name, dora.AgentId);
        Assert.Equal(403, await StatusAsync(dora, alice, bob.Write(swarm, alice.Name, "message", "from beyond")));
    }

    [Fact]
    [Conforms("ASP-33", "ASP-34", "ASP-105")]
    public async Task A_peer_waits_for_approval_and_asks_again()
    {
        var alice = await node.AgentAsync("alice");
        var swarm = await alice.CreateSwarmAsync(requireApproval: true);
        var invite = await alice.InviteAsync(swarm);
        var (bob, carol) = (await node.PeerAsync("bob"), await node.PeerAsync("carol"));
        foreach (var peer in new[] { bob, bob, carol })
        {
            var pending = await Assert.ThrowsAsync<PeerException>(() => peer.Client.JoinAsync(invite));
            Assert.Equal((PeerError.Pending, 202), (pending.Kind, pending.Status));
        }

        var waiting = await node.CliAsync("approve", "--as", alice.Name, "-s", swarm);
        Assert.Equal(
            [(bob.AgentId, bob.Endpoint), (carol.AgentId, carol.Endpoint)],
            waiting.GetProperty("pending").EnumerateArray().Select(p => (Text(p, "agent_id"), Text(p, "endpoint"))));
        Assert.Equal("approved", (await node.CliAsync("approve", "--as", alice.Name, "-s", swarm, "-a", bob.AgentId)).GetProperty("status").GetString());
        Assert.Equal("rejected", (await node.CliAsync("approve", "--as", alice.Name, "-s", swarm, "-a", carol.AgentId, "--reject")).GetProperty("status").GetString());
        Assert.Equal([alice.Name, bob.AgentId], (await bob.Client.JoinAsync(invite)).Members.Select(m => m.AgentId));
        Assert.Equal(403, (await Assert.ThrowsAsync<PeerException>(() => carol.Client.JoinAsync(invite))).Status);
        await bob.Client.SendAsync(swarm, "thank you", alice.Name);
        await alice.HearsAsync("thank you");
    }

    [Fact]
    [Conforms("ASP-22", "ASP-23", "ASP-24", "ASP-105")]
    public async Task An_invite_that_counts_no_more_is_refused_in_a_form_that_a_reference_client_understands()
    {
        var alice = await node.AgentAsync("alice");
        var swarm = await alice.CreateSwarmAsync();
        var (bob, carol) = (await node.PeerAsync("bob"), await node.PeerAsync("carol"));
        var once = await alice.InviteAsync(swarm, maxUses: 1);
        await bob.Client.JoinAsync(once);
        await bob.Client.JoinAsync(once);
        Assert.Equal(403, (await Assert.ThrowsAsync<PeerException>(() => carol.Client.JoinAsync(once))).Status);
        var revoked = await alice.InviteAsync(swarm);
        await node.CliAsync("revoke", "--as", alice.Name, "-t", revoked);
        Assert.Equal(403, (await Assert.ThrowsAsync<PeerException>(() => carol.Client.JoinAsync(revoked))).Status);

        // Signed by a peer, naming alice as the master: what a member's invite looks like.
        var foreign = PeerInvite.Create(swarm, alice.Name, alice.Endpoint, bob.Now, bob.Seed).Url;
        var refused = await Assert.ThrowsAsync<PeerException>(() => carol.Client.JoinAsync(foreign));
        Assert.Equal((401, "Token signature verification failed"), (refused.Status, refused.Message));
        var broken = await Assert.ThrowsAsync<PeerException>(() => carol.Client.JoinAsync($"{foreign[..foreign.IndexOf("?token=", StringComparison.Ordinal)]}?token=a.b.c"));
        Assert.Equal(PeerError.Token, broken.Kind);
        var stranger = PeerInvite.Create(Guid.NewGuid().ToString(), alice.Name, alice.Endpoint, bob.Now, bob.Seed).Url;
        Assert.Equal(404, (await Assert.ThrowsAsync<PeerException>(() => carol.Client.JoinAsync(stranger))).Status);
        Assert.Equal([alice.Name, bob.AgentId], await alice.RosterAsync(swarm));
    }

    [Fact]
    [Conforms("ASP-30", "ASP-63", "ASP-105")]
    public async Task A_name_stands_for_another_agent_in_another_swarm_and_an_agent_is_one_in_all()
    {
        var alice = await node.AgentAsync("alice");
        var (first, second) = (await alice.CreateSwarmAsync(), await alice.CreateSwarmAsync());
        var one = await node.PeerAsync("bob");
        await using var other = await ReferencePeer.StartAsync(one.AgentId, node.Authority);
        var carol = await node.PeerAsync("carol");
        await one.Client.JoinAsync(await alice.InviteAsync(first));
        await other.Client.JoinAsync(await alice.InviteAsync(second));
        await carol.Client.JoinAsync(await alice.InviteAsync(first));
        await carol.Client.JoinAsync(await alice.InviteAsync(second));
        await one.Client.SendAsync(first, "the one", alice.Name);
        await other.Client.SendAsync(second, "the other", alice.Name);
        Assert.Equal(401, await StatusAsync(one, alice, one.Write(second, alice.Name, "message", "in the other's name")));
        (await alice.SendAsync(first, "to the one", one.AgentId)).Ok();
        (await alice.SendAsync(second, "to the other", other.AgentId)).Ok();
        await one.HearsAsync(node, "to the one");
        await other.HearsAsync(node, "to the other");
        Assert.DoesNotContain(one.Messages, m => m.SwarmId == second);

        // Carol is kicked from the first, and goes on in the second.
        (await alice.DoAsync(first, "kick", carol.AgentId)).Ok();
        Assert.Equal(403, (await Assert.ThrowsAsync<PeerException>(() => carol.Client.SendAsync(first, "here?", alice.Name))).Status);
        await carol.Client.SendAsync(second, "here!", alice.Name);
        Assert.Equal(["the one", "the other", "here!"], (await alice.ContentsAsync()).Where(c => !c.StartsWith('{')));
    }

    [Fact]
    [Conforms("ASP-47", "ASP-49")]
    public async Task What_a_peer_in_trouble_did_not_take_arrives_later_and_once()
    {
        var alice = await node.AgentAsync("alice");
        var swarm = await alice.CreateSwarmAsync();
        var bob = await node.PeerAsync("bob", new() { RateLimit = 3, RateWindow = TimeSpan.FromSeconds(2) });
        await bob.Client.JoinAsync(await alice.InviteAsync(swarm));
        var failures = 0;
        bob.Trouble = request => request.Path == "/swarm/message" && failures++ < 3 ? 503 : null;
        string[] contents = [.. Enumerable.Range(1, 8).Select(i => $"number {i}")];
        foreach (var content in contents)
        {
            (await alice.SendAsync(swarm, content, bob.AgentId)).Ok();
        }

        // Three refusals, then a limit of three in two seconds, whose Retry-After is an epoch second: in order, and each stored once.
        await node.EventuallyAsync("all are delivered", async () => (await alice.OutboxAsync()).Count(m => m.EndsWith(" delivered", StringComparison.Ordinal)) == contents.Length);
        lock (bob.Store.Lock)
        {
            Assert.Equal(contents, bob.Store.Inbox.Where(m => m.Sender == alice.Name).Select(m => m.Content.Split('\n').Single(l => l.StartsWith("content: ", StringComparison.Ordinal))[9..]));
        }
    }

    [Fact]
    [Conforms("ASP-44", "ASP-106")]
    public async Task A_peer_whose_certificate_nobody_vouches_for_is_not_talked_to()
    {
        using var unknown = new PeerAuthority();
        unknown.Trust(Path.Combine(node.Node.DataFolder, "ca.pem"));
        var alice = await node.AgentAsync("alice");
        var swarm = await alice.CreateSwarmAsync();
        await using var mallory = await ReferencePeer.StartAsync(node.Name("mallory"), unknown);
        await mallory.Client.JoinAsync(await alice.InviteAsync(swarm));
        (await alice.SendAsync(swarm, "for your eyes", mallory.AgentId)).Ok();
        await node.EventuallyAsync("it was tried", async () =>
        {
            await using var tried = node.Database.CreateCommand("select count(*) from deliveries where attempts > 0 and last_error is not null and recipient_no = "
                + $"(select agent_no from members where name = '{mallory.AgentId}')");
            return (long)(await tried.ExecuteScalarAsync())! > 0;
        });
        Assert.Empty(mallory.Requests);

        // Nor joined, when it is a master.
        var theirs = mallory.Client.CreateSwarm("a trap");
        (await alice.JoinAsync(mallory.Client.Invite(theirs.Id))).Refused(System.Net.HttpStatusCode.BadGateway, "peer-unreachable");
        Assert.Empty(mallory.Requests);
    }

    private async Task<(OurAgent Alice, string Swarm, ReferencePeer Bob, ReferencePeer Carol)> MeetAsync()
    {
        var alice = await node.AgentAsync("alice");
        var swarm = await alice.CreateSwarmAsync();
        var invite = await alice.InviteAsync(swarm);
        var (bob, carol) = (await node.PeerAsync("bob"), await node.PeerAsync("carol"));
        await bob.Client.JoinAsync(invite);
        await carol.Client.JoinAsync(invite);
        await bob.KnowsAsync(node, swarm, alice.Name, bob.AgentId, carol.AgentId);
        return (alice, swarm, bob, carol);
    }

    private static async Task<int> StatusAsync(ReferencePeer by, OurAgent to, PeerMessage message)
    {
        using var content = new StringContent(message.ToJson(), System.Text.Encoding.UTF8, "application/json");
        using var answer = await by.Http.PostAsync(new Uri(to.Endpoint + "/message"), content);
        return (int)answer.StatusCode;
    }

    private static string? Text(JsonElement json, string name) => json.GetProperty(name).GetString();
}
