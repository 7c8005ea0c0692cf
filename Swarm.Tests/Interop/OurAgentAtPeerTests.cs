using System.Net;
using System.Text;
using Peers;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Interop;

/// <summary>Our agents in the swarm of a reference peer, which is its master: all through the Hub API and our command line (ASP §10, §21).</summary>
[Collection(InteropCollection.Name)]
[Shown(By.EndToEnd)]
public sealed class OurAgentAtPeerTests(InteropFixture node)
{
    [Fact]
    [Conforms("ASP-21", "ASP-44", "ASP-48", "ASP-52", "ASP-89", "ASP-106")]
    public async Task Our_agents_join_by_token_and_learn_of_others()
    {
        var (master, dora) = (await node.PeerAsync("master"), await node.PeerAsync("dora"));
        var swarm = master.Client.CreateSwarm("far away").Id;
        var invite = master.Client.Invite(swarm);
        await dora.Client.JoinAsync(invite);
        var (erin, frank) = (await node.AgentAsync("erin"), await node.AgentAsync("frank"));

        // One by the Hub API, one by the command line.
        var joined = (await erin.JoinAsync(invite)).Ok();
        Assert.Equal(("joined", swarm, "far away", master.AgentId, 3), (
            joined["status"].GetString(), joined["swarm_id"].GetString(), joined["name"].GetString(), joined["master"].GetString(), joined["member_count"].GetInt32()));
        var byCommand = await node.CliAsync("join", "--as", frank.Name, "-t", invite);
        Assert.Equal(("joined", 4), (byCommand.GetProperty("status").GetString(), byCommand.GetProperty("member_count").GetInt32()));
        var request = master.Requests.Last(r => r.Path == "/swarm/join");
        Assert.Equal(("HTTP/2", "application/json", frank.Name, "0.1.0"), (
            request.Protocol, request.Headers["Content-Type"], request.Headers["X-Agent-ID"], request.Headers["X-Swarm-Protocol"]));
        var jwt = PeerInvite.Parse(invite, master.Now).Jwt;
        // The reference's bytes, and behind them a member of ours that reference servers ignore.
        Assert.StartsWith(
            $$$"""{"type":"system","action":"join_request","invite_token":"{{{jwt}}}","sender":{"agent_id":"{{{frank.Name}}}","endpoint":"{{{frank.Endpoint}}}","public_key":"{{{frank.PublicKey}}}"},"swarm_proof":{""",
            Encoding.UTF8.GetString(request.Body), StringComparison.Ordinal);

        // The master has told dora, who asked our node for their keys.
        Assert.Equal([master.AgentId, dora.AgentId, erin.Name, frank.Name], dora.Store.MembersOf(swarm));
        Assert.Equal((erin.PublicKey, frank.PublicKey), (dora.Store.KeyCache[erin.Name], dora.Store.KeyCache[frank.Name]));
        await erin.KnowsAsync(swarm, master.AgentId, dora.AgentId, erin.Name, frank.Name);

        // A third joins: the master tells erin and frank, our Worker asks it for its key.
        var gus = await node.PeerAsync("gus");
        await gus.Client.JoinAsync(invite);
        await erin.KnowsAsync(swarm, master.AgentId, dora.AgentId, erin.Name, frank.Name, gus.AgentId);
        var info = gus.Requests.Single(r => r.Path == "/swarm/info" && r.Headers["X-Agent-ID"] != dora.AgentId);
        Assert.Equal(("GET", "HTTP/2", "0.1.0"), (info.Method, info.Protocol, info.Headers["X-Swarm-Protocol"]));
        var member = (await node.Hub.GetHubAsync($"/hub/v1/swarms/{swarm}/members")).Ok()["members"].EnumerateArray()
            .Single(m => m.GetProperty("agent_id").GetString() == gus.AgentId);
        Assert.Equal((gus.Endpoint, gus.PublicKey), (member.GetProperty("endpoint").GetString(), member.GetProperty("public_key").GetString()));
        Assert.Equal(gus.Store.Find(swarm)!.Find(gus.AgentId)!.JoinedAt[..19], member.GetProperty("joined_at").GetString()![..19]);
        Assert.Contains(await erin.ContentsAsync(), c => c.Contains("member_joined", StringComparison.Ordinal) && c.Contains(gus.AgentId, StringComparison.Ordinal));
    }

    [Fact]
    [Conforms("ASP-52", "ASP-105")]
    public async Task What_a_new_member_sends_at_once_is_not_lost()
    {
        // Reference clients do not repeat what was answered 403, so a member that was announced must not be refused while its key is fetched.
        var master = await node.PeerAsync("master");
        var swarm = master.Client.CreateSwarm("far away").Id;
        var invite = master.Client.Invite(swarm);
        var erin = await node.AgentAsync("erin");
        (await erin.JoinAsync(invite)).Ok();
        var gus = await node.PeerAsync("gus", new() { RetryPause = TimeSpan.FromSeconds(1) });
        var asked = 0;
        gus.Trouble = request => request.Path == "/swarm/info" && asked++ == 0 ? 503 : null;
        await gus.Client.JoinAsync(invite);
        Assert.Equal(503, await StatusAsync(gus, erin, gus.Write(swarm, erin.Name, "message", "am I in?")));
        await gus.Client.SendAsync(swarm, "hello from gus", erin.Name);
        Assert.Contains("hello from gus", await erin.ContentsAsync());
        Assert.Equal(2, asked);

        // Who was not announced is refused as ever.
        var stranger = await node.PeerAsync("stranger");
        Assert.Equal(403, await StatusAsync(stranger, erin, stranger.Write(swarm, erin.Name, "message", "and I?")));
    }

    [Fact]
    [Conforms("ASP-52", "ASP-106")]
    public async Task What_others_send_before_the_master_has_answered_our_join_is_not_lost()
    {
        var (master, dora) = (await node.PeerAsync("master"), await node.PeerAsync("dora"));
        var swarm = master.Client.CreateSwarm("far away").Id;
        var invite = master.Client.Invite(swarm);
        await dora.Client.JoinAsync(invite);
        var erin = await node.AgentAsync("erin");
        Task welcome = Task.CompletedTask;
        var first = 0;
        dora.Reaction = async told =>
        {
            // The master waits for this before it answers our join.
            first = await StatusAsync(dora, erin, dora.Write(swarm, erin.Name, "message", "already?"));
            welcome = dora.Client.SendAsync(swarm, "welcome", erin.Name);
        };
        Assert.Equal(404, await StatusAsync(dora, erin, dora.Write(swarm, erin.Name, "message", "too early")));
        (await erin.JoinAsync(invite)).Ok();
        Assert.Equal(503, first);
        await welcome;
        Assert.Equal(["welcome"], await erin.ContentsAsync());
    }

    [Fact]
    [Conforms("ASP-45", "ASP-46", "ASP-49", "ASP-90", "ASP-106")]
    public async Task Messages_go_both_ways_and_to_all()
    {
        var (master, swarm, invite, dora, erin, frank) = await MeetAsync();

        // To one peer, by the command line and by the Hub API.
        var sent = await node.CliAsync("send", "--as", erin.Name, "-s", swarm, "-t", master.AgentId, "-m", "hello master 👋");
        var heard = await master.HearsAsync(node, "hello master 👋");
        Assert.Equal((sent.GetProperty("message_id").GetString(), erin.Name, erin.Endpoint, master.AgentId), (heard.Id, heard.Sender, heard.SenderEndpoint, heard.Recipient));
        Assert.True(heard.IsSignedBy(erin.PublicKey));
        (await erin.SendAsync(swarm, "hello dora", dora.AgentId)).Ok();
        Assert.True((await dora.HearsAsync(node, "hello dora")).IsSignedBy(dora.Store.Find(swarm)!.Find(erin.Name)!.PublicKey));

        // From peers to one of ours.
        await master.Client.SendAsync(swarm, "hello erin", erin.Name);
        await dora.Client.SendAsync(swarm, "hello frank", frank.Name);
        Assert.Contains("hello erin", await erin.ContentsAsync());
        Assert.Contains("hello frank", await frank.ContentsAsync());
        Assert.DoesNotContain("hello frank", await erin.ContentsAsync());

        // To all: our two share a node, and get it once each.
        await dora.Client.SendAsync(swarm, "from dora to all");
        (await erin.SendAsync(swarm, "from erin to all")).Ok();
        Assert.True((await master.HearsAsync(node, "from erin to all")).IsSignedBy(erin.PublicKey));
        await dora.HearsAsync(node, "from erin to all");
        Assert.Single(await erin.ContentsAsync(), "from dora to all");
        Assert.Equal(["from dora to all", "from erin to all"], (await frank.ContentsAsync()).Where(c => c.EndsWith("to all", StringComparison.Ordinal)));
        Assert.All(master.Requests.Where(r => r.Path == "/swarm/message"), r => Assert.Equal("HTTP/2", r.Protocol));
        await node.EventuallyAsync("the peers have it", async () => (await erin.OutboxAsync()).SequenceEqual(["from erin to all sent", "hello dora delivered", "hello master 👋 delivered"]));

        // One recipient is ours, and has not looked yet.
        await node.CliAsync("messages", "--as", frank.Name, "-s", swarm, "-l", "100");
        Assert.Equal("from erin to all delivered", (await erin.OutboxAsync())[0]);
    }

    [Fact]
    [Conforms("ASP-53", "ASP-54", "ASP-58", "ASP-106")]
    public async Task Our_agent_leaves_joins_again_and_is_kicked()
    {
        var (master, swarm, invite, dora, erin, frank) = await MeetAsync();
        Assert.Equal("left", (await node.CliAsync("leave", "--as", erin.Name, "-s", swarm, "-y")).GetProperty("status").GetString());
        await master.KnowsAsync(node, swarm, master.AgentId, dora.AgentId, frank.Name);
        await dora.KnowsAsync(node, swarm, master.AgentId, dora.AgentId, frank.Name);
        var notice = master.Messages.Single(m => m.Type == "system" && m.Sender == erin.Name);
        Assert.Equal(($$"""{"action":"member_left","agent_id":"{{erin.Name}}"}""", "broadcast"), (notice.Content, notice.Recipient));
        Assert.True(notice.IsSignedBy(erin.PublicKey));
        Assert.Empty(await erin.SwarmsAsync());
        Assert.Equal(404, await StatusAsync(dora, erin, dora.Write(swarm, "broadcast", "message", "is erin there?")));

        // Back by the same invite, as a new member.
        Assert.Equal(4, (await erin.JoinAsync(invite)).Ok()["member_count"].GetInt32());
        await dora.KnowsAsync(node, swarm, master.AgentId, dora.AgentId, frank.Name, erin.Name);
        await dora.Client.SendAsync(swarm, "welcome back", erin.Name);
        await erin.HearsAsync("welcome back");

        // Kicked by the reference, with a reason.
        await master.Client.KickAsync(swarm, erin.Name, "test");
        Assert.Empty(await erin.SwarmsAsync());
        (await erin.SendAsync(swarm, "why?")).Refused(HttpStatusCode.NotFound, "not-a-member");
        Assert.Contains("welcome back", await erin.ContentsAsync());
        Assert.Contains($$"""{"action":"kicked","agent_id":"{{erin.Name}}","reason":"test"}""", await erin.ContentsAsync());
        Assert.Equal([dora.AgentId, frank.Name, master.AgentId], await frank.RosterAsync(swarm));
        Assert.Single(await frank.ContentsAsync(), $$"""{"action":"member_kicked","agent_id":"{{erin.Name}}","reason":"test"}""");
        Assert.Single(await frank.ContentsAsync(), c => c.Contains("member_joined", StringComparison.Ordinal) && c.Contains(erin.Name, StringComparison.Ordinal));

        // A reason that the reference pastes in unescaped makes no event.
        var odd = await Record.ExceptionAsync(() => master.Client.KickAsync(swarm, frank.Name, "says \"no\""));
        Assert.Null(odd);
        Assert.Equal([swarm], await frank.SwarmsAsync());
        lock (master.Store.Lock)
        {
            master.Store.Find(swarm)!.Members.Add(new(frank.Name, frank.Endpoint, frank.PublicKey, ""));
        }

        // A third is kicked, a fourth leaves: ours learn of it.
        await master.Client.KickAsync(swarm, dora.AgentId);
        Assert.Equal([frank.Name, master.AgentId], await frank.RosterAsync(swarm));
        Assert.Equal(403, await StatusAsync(dora, frank, dora.Write(swarm, frank.Name, "message", "I was kicked")));
        await dora.Client.JoinAsync(invite);
        await frank.KnowsAsync(swarm, dora.AgentId, frank.Name, master.AgentId);
        await dora.Client.LeaveAsync(swarm);
        Assert.Equal([frank.Name, master.AgentId], await frank.RosterAsync(swarm));
    }

    [Fact]
    [Conforms("ASP-57", "ASP-30")]
    public async Task What_a_reference_receiver_would_believe_of_anybody_is_believed_of_nobody()
    {
        var (master, swarm, _, dora, erin, frank) = await MeetAsync();
        var roster = await erin.RosterAsync(swarm);
        var mallory = await node.PeerAsync("mallory");

        // A member that is not the master: taken as ordinary messages, without effect.
        foreach (var content in new[]
            {
                $$"""{"action":"member_kicked","agent_id":"{{frank.Name}}"}""", $$"""{"action":"member_left","agent_id":"{{master.AgentId}}"}""",
                $$"""{"action":"kicked","agent_id":"{{erin.Name}}"}""", """{"action":"swarm_dissolved","reason":"master_left"}""",
                $$"""{"action":"member_joined","agent_id":"{{mallory.AgentId}}","endpoint":"{{mallory.Endpoint}}"}""",
                $$"""{"action":"master_changed","old_master":"{{master.AgentId}}","new_master":"{{dora.AgentId}}"}""",
                $$"""{"action":"key_rotated","agent_id":"{{frank.Name}}","public_key":"{{mallory.PublicKey}}"}""",
            })
        {
            Assert.Equal(200, await StatusAsync(dora, erin, dora.Write(swarm, erin.Name, "system", content)));
            Assert.Contains(content, await erin.ContentsAsync());
        }

        // A stranger, one that borrows a name, and one that shifts the fields of a signed text.
        Assert.Equal(403, await StatusAsync(mallory, erin, mallory.Write(swarm, erin.Name, "message", "let me in")));
        var borrowed = (mallory.Write(swarm, erin.Name, "system", $$"""{"action":"kicked","agent_id":"{{erin.Name}}"}""") with { Sender = master.AgentId }).Signed(mallory.Seed);
        Assert.Equal(401, await StatusAsync(mallory, erin, borrowed));
        var whole = dora.Write(swarm, "broadcast", "message", "see the system{}");
        var shifted = whole with { Recipient = "broadcastmessagesee the ", Type = "system", Content = "{}" };
        Assert.True(shifted.IsSignedBy(dora.PublicKey));
        Assert.Equal(403, await StatusAsync(dora, erin, shifted));
        Assert.Equal(roster, await erin.RosterAsync(swarm));
        Assert.Equal(master.AgentId, await erin.MasterAsync(swarm));
        Assert.Empty(mallory.Requests);
    }

    [Fact]
    [Conforms("ASP-33", "ASP-106")]
    public async Task A_swarm_of_theirs_that_wants_approval_keeps_us_waiting()
    {
        var master = await node.PeerAsync("master");
        var swarm = master.Client.CreateSwarm("closed", requireApproval: true).Id;
        var erin = await node.AgentAsync("erin");
        Assert.Equal("pending", (await erin.JoinAsync(master.Client.Invite(swarm))).Ok()["status"].GetString());
        Assert.Empty(await erin.SwarmsAsync());
        Assert.Equal([master.AgentId], master.Store.MembersOf(swarm));
    }

    [Fact]
    [Conforms("ASP-21", "ASP-106")]
    public async Task What_a_reference_master_refuses_is_told_in_our_words()
    {
        var (master, other) = (await node.PeerAsync("master"), await node.PeerAsync("other"));
        var swarm = master.Client.CreateSwarm("far away").Id;
        var erin = await node.AgentAsync("erin");
        (await erin.JoinAsync(master.Client.Invite(swarm, TimeSpan.FromMilliseconds(-1)))).Refused(HttpStatusCode.Unauthorized, "token-expired");
        (await erin.JoinAsync(PeerInvite.Create(swarm, master.AgentId, master.Endpoint, master.Now, other.Seed).Url)).Refused(HttpStatusCode.Unauthorized, "token-signature");
        (await erin.JoinAsync(PeerInvite.Create(Guid.NewGuid().ToString(), master.AgentId, master.Endpoint, master.Now, master.Seed).Url))
            .Refused(HttpStatusCode.NotFound, "unknown-swarm");
        master.Trouble = request => request.Path == "/swarm/join" ? 429 : null;
        (await erin.JoinAsync(master.Client.Invite(swarm))).Refused(HttpStatusCode.TooManyRequests, "rate-limited");
        var tries = 0;
        master.Trouble = request => request.Path == "/swarm/join" && tries++ == 0 ? 503 : null;
        (await erin.JoinAsync(master.Client.Invite(swarm))).Ok();
        Assert.Equal(2, tries);
    }

    private async Task<(ReferencePeer Master, string Swarm, string Invite, ReferencePeer Dora, OurAgent Erin, OurAgent Frank)> MeetAsync()
    {
        var (master, dora) = (await node.PeerAsync("master"), await node.PeerAsync("dora"));
        var swarm = master.Client.CreateSwarm("far away").Id;
        var invite = master.Client.Invite(swarm);
        await dora.Client.JoinAsync(invite);
        var (erin, frank) = (await node.AgentAsync("erin"), await node.AgentAsync("frank"));
        (await erin.JoinAsync(invite)).Ok();
        (await frank.JoinAsync(invite)).Ok();
        return (master, swarm, invite, dora, erin, frank);
    }

    private static async Task<int> StatusAsync(ReferencePeer by, OurAgent to, PeerMessage message)
    {
        using var content = new StringContent(message.ToJson(), Encoding.UTF8, "application/json");
        using var answer = await by.Http.PostAsync(new Uri(to.Endpoint + "/message"), content);
        return (int)answer.StatusCode;
    }
}
