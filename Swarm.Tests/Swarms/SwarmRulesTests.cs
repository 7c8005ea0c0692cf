using System.Net;
using NSec.Cryptography;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Swarms;

/// <summary>Creating, inviting, joining, leaving, kicking, through the Hub API and the door.</summary>
[Collection(PostgresCollection.Name)]
public sealed class SwarmRulesTests(PostgresFixture postgres) : IAsyncLifetime
{
    private NodeHost _node = null!;

    public async Task InitializeAsync() => _node = await NodeHost.StartAsync(postgres);

    public async Task DisposeAsync() => await _node.DisposeAsync();

    [Fact]
    public async Task The_rules_of_leaving_and_kicking_hold_and_name_their_error()
    {
        using var scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob", "carol"], ["eve"]);
        await CreateAgentAsync("stranger");
        var swarm = $"/hub/v1/swarms/{scene.Swarm}";
        (await _node.Hub.PostHubAsync($"{swarm}/leave", new { agent = "alice" })).Refused(HttpStatusCode.Conflict, "master-may-not-leave");
        (await _node.Hub.PostHubAsync($"{swarm}/leave", new { agent = "stranger" })).Refused(HttpStatusCode.NotFound, "unknown-swarm");
        (await _node.Hub.PostHubAsync($"{swarm}/kick", new { agent = "bob", target = "carol" })).Refused(HttpStatusCode.Forbidden, "not-master");
        (await _node.Hub.PostHubAsync($"{swarm}/kick", new { agent = "alice", target = "alice" })).Refused(HttpStatusCode.Conflict, "may-not-kick-oneself");
        (await _node.Hub.PostHubAsync($"{swarm}/kick", new { agent = "alice", target = "stranger" })).Refused(HttpStatusCode.NotFound, "not-a-member");
        (await _node.Hub.PostHubAsync($"{swarm}/kick", new { agent = "stranger", target = "bob" })).Refused(HttpStatusCode.NotFound, "unknown-swarm");
        Assert.Equal(["alice", "bob", "carol", "eve"], await MembersAsync(scene.Swarm.ToString()));

        var left = (await _node.Hub.PostHubAsync($"{swarm}/leave", new { agent = "bob" })).Ok();
        Assert.Equal("left", left["status"].GetString());
        (await _node.Hub.PostHubAsync($"{swarm}/leave", new { agent = "bob" })).Refused(HttpStatusCode.NotFound, "unknown-swarm");
        var kicked = (await _node.Hub.PostHubAsync($"{swarm}/kick", new { agent = "alice", target = "eve", reason = "noise" })).Ok();
        Assert.Equal("kicked", kicked["status"].GetString());
        Assert.Equal(["alice", "carol"], await MembersAsync(scene.Swarm.ToString()));

        // Who is outside may come back, at the end of the list.
        await scene.JoinAsync(_node.Hub, "bob");
        Assert.Equal(["alice", "carol", "bob"], await MembersAsync(scene.Swarm.ToString()));
    }

    [Fact]
    public async Task Names_and_ids_of_swarms_and_agents_are_checked()
    {
        await CreateAgentAsync("alice");
        (await _node.Hub.PostHubAsync("/hub/v1/agents", new { name = "alice" })).Refused(HttpStatusCode.Conflict, "name-taken");
        foreach (var name in new[] { "", ".", "..", "broadcast", "a b", "ä", "a/b", new string('a', 257) })
        {
            (await _node.Hub.PostHubAsync("/hub/v1/agents", new { name })).Refused(HttpStatusCode.UnprocessableEntity, "invalid-name");
        }

        await CreateAgentAsync(new string('a', 256));
        foreach (var name in new[] { "", "   ", "a\nb", "a\0b", new string('a', 257) })
        {
            (await _node.Hub.PostHubAsync("/hub/v1/swarms", new { agent = "alice", name })).Refused(HttpStatusCode.UnprocessableEntity, "invalid-name");
        }

        var id = Guid.NewGuid();
        Assert.Equal(id, (await _node.Hub.PostHubAsync("/hub/v1/swarms", new { agent = "alice", name = new string('ä', 256), swarm_id = id })).Ok()["swarm_id"].GetGuid());
        (await _node.Hub.PostHubAsync("/hub/v1/swarms", new { agent = "alice", name = "again", swarm_id = id })).Refused(HttpStatusCode.Conflict, "swarm-exists");
        (await _node.Hub.DeleteHubAsync("/hub/v1/agents/alice")).Ok();
        (await _node.Hub.PostHubAsync("/hub/v1/agents", new { name = "alice" })).Refused(HttpStatusCode.Conflict, "name-taken");
    }

    [Fact]
    [Refuses("W-11")]
    public async Task An_invite_for_five_admits_exactly_five_of_twenty_who_come_at_once_to_two_replicas()
    {
        await using var other = await _node.StartReplicaAsync();
        using var scene = await Scene.CreateAsync(_node.Hub, ["alice"], []);
        var names = Enumerable.Range(0, 20).Select(n => $"agent-{n}").ToArray();
        foreach (var name in names)
        {
            await CreateAgentAsync(name);
        }

        var invite = await scene.InviteAsync(_node.Hub, maxUses: 5);
        var answers = await Task.WhenAll(names.Select((name, n) => JoinAsync(name, invite, n % 2 == 0 ? _node : other)));
        Assert.Equal(5, answers.Count(a => a.Status == HttpStatusCode.OK));
        Assert.All(answers.Where(a => a.Status != HttpStatusCode.OK), a => a.Refused(HttpStatusCode.Forbidden, "token-exhausted"));
        Assert.Equal(6, (await MembersAsync(scene.Swarm.ToString())).Length);

        // Who is in already spends nothing by asking again.
        var member = names[Array.FindIndex(answers, a => a.Status == HttpStatusCode.OK)];
        Assert.Equal(HttpStatusCode.OK, (await JoinAsync(member, invite)).Status);
        Assert.Equal(5, await _node.ScalarAsync<int>("select max(uses) from invites"));
    }

    [Fact]
    public async Task A_revoked_invite_admits_nobody_more()
    {
        using var scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob"], []);
        await CreateAgentAsync("carol");
        var invite = (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{scene.Swarm}/invites", new { agent = "alice", max_uses = 9 })).Ok();
        var path = $"/hub/v1/swarms/{scene.Swarm}/invites/{invite["token_hash"].GetString()}?agent=";
        (await _node.Hub.DeleteHubAsync($"{path}bob")).Refused(HttpStatusCode.Forbidden, "not-master");
        (await _node.Hub.DeleteHubAsync($"{path}alice")).Ok();
        (await JoinAsync("carol", invite["invite_token"].GetString()!)).Refused(HttpStatusCode.Forbidden, "token-revoked");
        Assert.Equal(["alice", "bob"], await MembersAsync(scene.Swarm.ToString()));
    }

    [Fact]
    [Refuses("W-15")]
    public async Task Members_invite_only_where_the_master_allows_it()
    {
        foreach (var name in new[] { "alice", "bob", "carol" })
        {
            await CreateAgentAsync(name);
        }

        foreach (var allowed in new[] { false, true })
        {
            var swarm = await CreateSwarmAsync(new { agent = "alice", name = "s", allow_member_invite = allowed });
            Assert.Equal(HttpStatusCode.OK, (await JoinAsync("bob", await InviteAsync(swarm, "alice"))).Status);
            var invite = await _node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/invites", new { agent = "bob" });
            if (allowed)
            {
                Assert.Equal(HttpStatusCode.OK, (await JoinAsync("carol", invite.Ok()["invite_token"].GetString()!)).Status);
            }
            else
            {
                invite.Refused(HttpStatusCode.Forbidden, "not-master");
            }

            (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/invites", new { agent = allowed ? "nobody" : "carol" }))
                .Refused(HttpStatusCode.NotFound, allowed ? "unknown-agent" : "unknown-swarm");
        }
    }

    [Fact]
    public async Task Where_joins_are_approved_an_applicant_waits_and_is_no_member()
    {
        await CreateAgentAsync("alice");
        await CreateAgentAsync("bob");
        var swarm = await CreateSwarmAsync(new { agent = "alice", name = "s", require_approval = true });
        Assert.Equal("pending", (await JoinAsync("bob", await InviteAsync(swarm, "alice"))).Ok()["status"].GetString());
        Assert.Equal(["alice"], await MembersAsync(swarm));
        (await _node.Hub.PostHubAsync("/hub/v1/messages", new { from = "bob", swarm_id = swarm, to = "alice", content = "?" }))
            .Refused(HttpStatusCode.NotFound, "not-a-member");
    }

    [Fact]
    [Refuses("W-23")]
    public async Task A_stranger_who_joins_by_a_members_name_gets_neither_its_place_nor_its_key()
    {
        using var scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob"], ["eve"]);
        using var thief = Key.Create(SignatureAlgorithm.Ed25519);
        var invite = await scene.InviteAsync(_node.Hub);
        var before = (await _node.Hub.GetHubAsync($"/hub/v1/swarms/{scene.Swarm}/members")).Ok().Text;
        await _node.Http.PostHubAsync(
            "/agents/alice/swarm/join",
            new
            {
                type = "system",
                action = "join_request",
                invite_token = invite[(invite.IndexOf("token=", StringComparison.Ordinal) + 6)..],
                sender = new
                {
                    agent_id = "eve",
                    endpoint = "https://thief.example.com/swarm",
                    public_key = Convert.ToBase64String(thief.PublicKey.Export(KeyBlobFormat.RawPublicKey)),
                },
            });
        Assert.Equal(before, (await _node.Hub.GetHubAsync($"/hub/v1/swarms/{scene.Swarm}/members")).Ok().Text);
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("bob", scene.Signed("eve", "bob"))).Status);
    }

    [Fact]
    public async Task A_membership_that_was_answered_counts_on_every_replica()
    {
        await using var other = await _node.StartReplicaAsync();
        using var scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob"], ["eve"]);
        for (var round = 0; round < 5; round++)
        {
            Assert.Equal(HttpStatusCode.OK, (await other.Http.PostMessageAsync("bob", scene.Signed("eve", "bob"))).Status);
            (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{scene.Swarm}/kick", new { agent = "alice", target = "eve" })).Ok();
            Assert.Equal(HttpStatusCode.Forbidden, (await other.Http.PostMessageAsync("bob", scene.Signed("eve", "bob"))).Status);
            await scene.JoinAsync(_node.Hub, "eve");
            await Eventually.TrueAsync(
                "the new member is known there",
                async () => (await other.Http.PostMessageAsync("bob", scene.Signed("eve", "bob"))).Status == HttpStatusCode.OK,
                TimeSpan.FromSeconds(1));
        }
    }

    private async Task CreateAgentAsync(string name) => (await _node.Hub.PostHubAsync("/hub/v1/agents", new { name })).Ok();

    private async Task<string> CreateSwarmAsync(object swarm) => (await _node.Hub.PostHubAsync("/hub/v1/swarms", swarm)).Ok()["swarm_id"].GetString()!;

    private async Task<string> InviteAsync(string swarm, string agent) =>
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/invites", new { agent })).Ok()["invite_token"].GetString()!;

    private Task<Answer> JoinAsync(string agent, string invite, NodeHost? at = null) =>
        (at ?? _node).Hub.PostHubAsync("/hub/v1/join", new { agent, invite_token = invite });

    private async Task<string[]> MembersAsync(string swarm) =>
        [.. (await _node.Hub.GetHubAsync($"/hub/v1/swarms/{swarm}/members")).Ok()["members"].EnumerateArray().Select(m => m.GetProperty("agent_id").GetString()!)];
}
