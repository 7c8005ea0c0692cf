using System.Net;
using System.Text;
using Peers;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Interop;

/// <summary>
/// What changes a swarm beyond joining and leaving (ASP §10.5–10.7), with peers: reference ones, which store such events and go on, and ones that
/// follow them as the specification asks of new implementations.
/// </summary>
[Collection(InteropCollection.Name)]
[Shown(By.EndToEnd)]
public sealed class LifecycleWithPeersTests(InteropFixture node)
{
    private static readonly PeerOptions Following = new() { FollowsEvents = true, RetryPause = TimeSpan.FromMilliseconds(200) };

    [Fact]
    [Conforms("ASP-60", "ASP-106")]
    public async Task Our_master_hands_over_to_a_peer_that_accepts_and_not_to_one_that_only_queues()
    {
        var alice = await node.AgentAsync("alice");
        var swarm = await alice.CreateSwarmAsync();
        var invite = await alice.InviteAsync(swarm);
        var (reference, heir, other) = (await node.PeerAsync("reference"), await node.PeerAsync("heir", Following), await node.PeerAsync("other", Following));
        foreach (var peer in new[] { reference, heir, other })
        {
            await peer.Client.JoinAsync(invite);
        }

        await reference.KnowsAsync(node, swarm, alice.Name, reference.AgentId, heir.AgentId, other.AgentId);
        await heir.KnowsAsync(node, swarm, alice.Name, reference.AgentId, heir.AgentId, other.AgentId);

        // A reference peer answers "queued": nothing changes.
        (await alice.DoAsync(swarm, "transfer", reference.AgentId)).Refused(HttpStatusCode.Forbidden, "transfer-declined");
        var offer = await reference.HearsAsync(node, $$"""{"action":"master_transfer","swarm_id":"{{swarm}}","new_master":"{{reference.AgentId}}"}""");
        Assert.True(offer.IsSignedBy(alice.PublicKey));
        Assert.Equal((reference.AgentId, "system", alice.Name), (offer.Recipient, offer.Type, await alice.MasterAsync(swarm)));
        Assert.Equal(alice.Name, reference.Store.Find(swarm)!.Master);

        // One that accepts becomes the master, for us and for all who follow.
        var moved = await node.CliAsync("transfer", "--as", alice.Name, "-s", swarm, "-a", heir.AgentId, "-y");
        Assert.Equal((alice.Name, heir.AgentId), (moved.GetProperty("old_master").GetString(), moved.GetProperty("new_master").GetString()));
        Assert.Equal(heir.AgentId, await alice.MasterAsync(swarm));
        var announced = await other.HearsAsync(node, $$"""{"action":"master_changed","old_master":"{{alice.Name}}","new_master":"{{heir.AgentId}}"}""");
        Assert.True(announced.IsSignedBy(alice.PublicKey));
        await node.EventuallyAsync("they follow", () => heir.Store.Find(swarm)!.Master == heir.AgentId && other.Store.Find(swarm)!.Master == heir.AgentId);
        await reference.HearsAsync(node, announced.Content);
        Assert.Equal(alice.Name, reference.Store.Find(swarm)!.Master);

        // The new master's word counts here, the old one's no more.
        (await node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/invites", new { agent = alice.Name })).Refused(HttpStatusCode.Forbidden, "not-master");
        var late = await node.PeerAsync("late");
        await late.Client.JoinAsync(heir.Client.Invite(swarm));
        await alice.KnowsAsync(swarm, alice.Name, reference.AgentId, heir.AgentId, other.AgentId, late.AgentId);
        Assert.Equal(404, (await Assert.ThrowsAsync<PeerException>(() => late.Client.JoinAsync(invite))).Status);
        await heir.Client.KickAsync(swarm, alice.Name, "thank you");
        Assert.Empty(await alice.SwarmsAsync());
    }

    [Fact]
    [Conforms("ASP-60", "ASP-105")]
    public async Task A_peer_hands_over_to_our_agent_which_then_leads_the_swarm()
    {
        var (master, dora) = (await node.PeerAsync("master"), await node.PeerAsync("dora", Following));
        var swarm = master.Client.CreateSwarm("far away").Id;
        var invite = master.Client.Invite(swarm);
        await dora.Client.JoinAsync(invite);
        var (erin, frank) = (await node.AgentAsync("erin"), await node.AgentAsync("frank"));
        (await erin.JoinAsync(invite)).Ok();
        (await frank.JoinAsync(invite)).Ok();

        Assert.True(await master.Client.TransferAsync(swarm, erin.Name));
        Assert.Equal(erin.Name, await frank.MasterAsync(swarm));
        Assert.Equal(erin.Name, dora.Store.Find(swarm)!.Master);
        Assert.Equal(409, (int)(await erin.DoAsync(swarm, "leave")).Status);

        // A new peer joins at our door; those who were there before are told, a reference one too.
        var gus = await node.PeerAsync("gus");
        Assert.Equal(erin.Name, (await gus.Client.JoinAsync(await erin.InviteAsync(swarm))).Master);
        foreach (var peer in new[] { master, dora })
        {
            await peer.KnowsAsync(node, swarm, master.AgentId, dora.AgentId, erin.Name, frank.Name, gus.AgentId);
        }

        (await erin.DoAsync(swarm, "kick", master.AgentId)).Ok();
        await dora.KnowsAsync(node, swarm, dora.AgentId, erin.Name, frank.Name, gus.AgentId);
        await gus.Client.SendAsync(swarm, "to the new master", erin.Name);
        await erin.HearsAsync("to the new master");
        Assert.Equal(403, await StatusAsync(master, frank, master.Write(swarm, frank.Name, "message", "I was the master")));
    }

    [Fact]
    [Conforms("ASP-61", "ASP-96")]
    public async Task A_dissolved_swarm_is_gone_at_both_ends()
    {
        var alice = await node.AgentAsync("alice");
        var swarm = await alice.CreateSwarmAsync();
        var invite = await alice.InviteAsync(swarm);
        var (reference, bob) = (await node.PeerAsync("reference"), await node.PeerAsync("bob", Following));
        await reference.Client.JoinAsync(invite);
        await bob.Client.JoinAsync(invite);
        Assert.Equal("dissolved", (await node.CliAsync("dissolve", "--as", alice.Name, "-s", swarm, "-y")).GetProperty("status").GetString());
        await node.EventuallyAsync("bob has forgotten it", () => bob.Store.Find(swarm) is null);
        Assert.True((await reference.HearsAsync(node, """{"action":"swarm_dissolved","reason":"master_left"}""")).IsSignedBy(alice.PublicKey));
        Assert.Equal(404, (await Assert.ThrowsAsync<PeerException>(() => reference.Client.SendAsync(swarm, "anybody?", alice.Name))).Status);
        Assert.Equal(404, (await Assert.ThrowsAsync<PeerException>(() => bob.Client.JoinAsync(invite))).Status);

        // Theirs.
        var theirs = bob.Client.CreateSwarm("far away").Id;
        (await alice.JoinAsync(bob.Client.Invite(theirs))).Ok();
        await bob.Client.SendAsync(theirs, """{"action":"swarm_dissolved","reason":"enough"}""", type: "system");
        Assert.Empty(await alice.SwarmsAsync());
        (await alice.SendAsync(theirs, "anybody?")).Refused(HttpStatusCode.NotFound, "not-a-member");
    }

    [Fact]
    [Conforms("ASP-62", "ASP-106")]
    public async Task Joining_again_repairs_a_roster_that_a_reference_master_never_told_of()
    {
        // No private key path: nobody is told of joins (W-32).
        var master = await node.PeerAsync("master", new() { AnnouncesJoins = false });
        var swarm = master.Client.CreateSwarm("silent").Id;
        var invite = master.Client.Invite(swarm);
        var (erin, frank) = (await node.AgentAsync("erin"), await node.AgentAsync("frank"));
        (await erin.JoinAsync(invite)).Ok();
        (await frank.JoinAsync(invite)).Ok();
        var (gus, hans) = (await node.PeerAsync("gus"), await node.PeerAsync("hans"));
        await gus.Client.JoinAsync(invite);
        Assert.Equal(403, (await Assert.ThrowsAsync<PeerException>(() => gus.Client.SendAsync(swarm, "hello?", erin.Name))).Status);

        Assert.Equal(4, (await erin.JoinAsync(invite)).Ok()["member_count"].GetInt32());
        Assert.Equal([erin.Name, frank.Name, gus.AgentId, master.AgentId], await erin.RosterAsync(swarm));
        await gus.Client.SendAsync(swarm, "hello!", erin.Name);
        (await erin.SendAsync(swarm, "hello gus", gus.AgentId)).Ok();
        await gus.HearsAsync(node, "hello gus");

        // Somebody went and somebody came, silently: by the command line this time.
        lock (master.Store.Lock)
        {
            master.Store.Find(swarm)!.Members.RemoveAll(m => m.AgentId == gus.AgentId);
        }

        await hans.Client.JoinAsync(invite);
        Assert.Equal(4, (await node.CliAsync("join", "--as", frank.Name, "-t", invite)).GetProperty("member_count").GetInt32());
        Assert.Equal([erin.Name, frank.Name, hans.AgentId, master.AgentId], await frank.RosterAsync(swarm));
        Assert.Equal(403, (await Assert.ThrowsAsync<PeerException>(() => gus.Client.SendAsync(swarm, "still here", erin.Name))).Status);
    }

    [Fact]
    [Conforms("ASP-63", "ASP-106")]
    public async Task A_new_key_is_told_by_the_old_one_both_ways()
    {
        var alice = await node.AgentAsync("alice");
        var swarm = await alice.CreateSwarmAsync();
        var bob = await node.PeerAsync("bob", Following);
        await bob.Client.JoinAsync(await alice.InviteAsync(swarm));

        var key = (await node.Hub.PostHubAsync($"/hub/v1/agents/{alice.Name}/rotate-key", new { })).Ok()["public_key"].GetString()!;
        Assert.NotEqual(alice.PublicKey, key);
        (await alice.SendAsync(swarm, "with my new key", bob.AgentId)).Ok();
        var told = await bob.HearsAsync(node, $$"""{"action":"key_rotated","agent_id":"{{alice.Name}}","public_key":"{{key}}"}""");
        Assert.True(told.IsSignedBy(alice.PublicKey));
        Assert.True((await bob.HearsAsync(node, "with my new key")).IsSignedBy(key));
        Assert.Equal(key, bob.Store.Find(swarm)!.Find(alice.Name)!.PublicKey);

        // Theirs: not by the new key itself, only by the old one.
        var fresh = System.Security.Cryptography.RandomNumberGenerator.GetBytes(Ed25519.SeedLength);
        var freshKey = Convert.ToBase64String(Ed25519.PublicKeyOf(fresh));
        var notice = bob.Write(swarm, "broadcast", "system", $$"""{"action":"key_rotated","agent_id":"{{bob.AgentId}}","public_key":"{{freshKey}}"}""");
        Assert.Equal(401, await StatusAsync(bob, alice, notice.Signed(fresh)));
        await bob.Client.SendAsync(notice, tries: 1);
        await bob.Client.SendAsync(bob.Write(swarm, alice.Name, "message", "it is still me").Signed(fresh), tries: 1);
        Assert.Contains("it is still me", await alice.ContentsAsync());
        Assert.Equal(401, await StatusAsync(bob, alice, bob.Write(swarm, alice.Name, "message", "with the old key")));
    }

    [Fact]
    [Conforms("ASP-59", "ASP-106")]
    public async Task The_other_documented_shapes_are_understood_from_a_peer()
    {
        var master = await node.PeerAsync("master");
        var swarm = master.Client.CreateSwarm("far away").Id;
        var erin = await node.AgentAsync("erin");
        (await erin.JoinAsync(master.Client.Invite(swarm))).Ok();
        var gus = await node.PeerAsync("gus");
        await master.Client.SendAsync(
            swarm,
            $$$"""{"action":"member_joined","member":{"agent_id":"{{{gus.AgentId}}}","endpoint":"{{{gus.Endpoint}}}","public_key":"{{{gus.PublicKey}}}","joined_at":"2026-02-05T14:30:00.123Z"}}""",
            type: "system");
        Assert.Equal([erin.Name, gus.AgentId, master.AgentId], await erin.RosterAsync(swarm));
        Assert.Empty(gus.Requests);
        await master.Client.SendAsync(swarm, $$"""{"action":"member_kicked","member":"{{gus.AgentId}}"}""", type: "system");
        Assert.Equal([erin.Name, master.AgentId], await erin.RosterAsync(swarm));
        await master.Client.SendAsync(swarm, """{"action":"kicked"}""", erin.Name, "system");
        Assert.Empty(await erin.SwarmsAsync());
    }

    private static async Task<int> StatusAsync(ReferencePeer by, OurAgent to, PeerMessage message)
    {
        using var content = new StringContent(message.ToJson(), Encoding.UTF8, "application/json");
        using var answer = await by.Http.PostAsync(new Uri(to.Endpoint + "/message"), content);
        return (int)answer.StatusCode;
    }
}
