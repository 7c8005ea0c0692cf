using System.Net;
using Swarm.Core;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Swarms;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Messaging;

/// <summary>Who is muted is answered as before, and reaches nobody who muted (ASP §10.7).</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class MuteTests(PostgresFixture postgres) : IAsyncLifetime
{
    private NodeHost _node = null!;
    private Scene _scene = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob", "carol"], ["eve"]);
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    [Conforms("ASP-73", "ASP-74")]
    [Refuses("W-26")]
    public async Task A_muted_sender_is_answered_as_before_and_makes_no_delivery()
    {
        var before = await PostAsync("one");
        (await MuteAsync("bob", new { agent_id = "eve", reason = "spam" })).Ok();
        var after = await PostAsync("two");
        Assert.Equal(before.Text.Length, after.Text.Length);
        Assert.Equal((HttpStatusCode.OK, "queued"), (after.Status, after["status"].GetString()));
        Assert.Equal(["one"], await InboxAsync("bob"));
        Assert.Equal(2, await _node.ScalarAsync<long>("select count(*) from messages"));

        // Mutes are one's own: carol hears the same sender.
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("carol", _scene.Signed("eve", "carol", "to carol"))).Status);
        Assert.Equal(["to carol"], await InboxAsync("carol"));

        Assert.True((await UnmuteAsync("bob", new { agent_id = "eve" }))["was_muted"].GetBoolean());
        await PostAsync("three");
        Assert.Equal(["one", "three"], await InboxAsync("bob"));
    }

    [Fact]
    [Conforms("ASP-73", "ASP-74")]
    public async Task A_muted_swarm_reaches_its_other_members_only_and_the_sender_is_told_as_before()
    {
        (await MuteAsync("bob", new { swarm_id = _scene.Swarm.ToString() })).Ok();
        var sent = (await _node.Hub.PostHubAsync(
            "/hub/v1/messages", new { from = "alice", swarm_id = _scene.Swarm.ToString(), content = "to all" })).Ok();
        Assert.Equal(3, sent["recipients"].GetInt32());
        Assert.Empty(await InboxAsync("bob"));
        Assert.Equal(["to all"], await InboxAsync("carol"));
    }

    [Fact]
    [Conforms("ASP-73")]
    public async Task Muting_again_replaces_the_reason_and_a_swarm_that_one_is_not_in_can_be_muted()
    {
        var elsewhere = Guid.NewGuid().ToString();
        (await MuteAsync("bob", new { agent_id = "eve", reason = "spam" })).Ok();
        (await MuteAsync("bob", new { agent_id = "eve", reason = "worse" })).Ok();
        (await MuteAsync("bob", new { swarm_id = elsewhere })).Ok();
        var list = (await _node.Hub.GetHubAsync("/hub/v1/agents/bob/mutes")).Ok();
        Assert.Equal(["eve worse"], list["agents"].EnumerateArray().Select(m => $"{m.GetProperty("agent_id")} {m.GetProperty("reason")}"));
        Assert.Equal([elsewhere], list["swarms"].EnumerateArray().Select(m => m.GetProperty("swarm_id").GetString()));
        Assert.False((await UnmuteAsync("bob", new { agent_id = "nobody" }))["was_muted"].GetBoolean());
        Assert.Equal(3, await _node.ScalarAsync<long>("select count(*) from audit_entries where detail like 'bob muted %'"));
    }

    [Fact]
    [Conforms("ASP-74")]
    public async Task A_mute_holds_at_every_replica_once_it_is_answered()
    {
        await using var replica = await _node.StartReplicaAsync();
        Assert.Equal(HttpStatusCode.OK, (await replica.Http.PostMessageAsync("bob", _scene.Signed("eve", "bob", "fills the cache"))).Status);
        for (var round = 0; round < 20; round++)
        {
            (await MuteAsync("bob", new { agent_id = "eve" })).Ok();
            Assert.Equal(HttpStatusCode.OK, (await replica.Http.PostMessageAsync("bob", _scene.Signed("eve", "bob", "not heard"))).Status);
            (await UnmuteAsync("bob", new { agent_id = "eve" })).Ok();
            Assert.Equal(HttpStatusCode.OK, (await replica.Http.PostMessageAsync("bob", _scene.Signed("eve", "bob", "heard"))).Status);
        }

        Assert.Equal(["fills the cache", .. Enumerable.Repeat("heard", 20)], await InboxAsync("bob"));
    }

    [Fact]
    [Conforms("ASP-73")]
    public async Task Mutes_have_a_limit_and_only_their_owner_and_the_operator_change_them()
    {
        using var eve = _node.ClientOf(_scene.TokenOf("eve"));
        (await eve.PostHubAsync("/hub/v1/agents/bob/mute", new { agent_id = "alice" })).Refused(HttpStatusCode.Forbidden, "forbidden");
        (await eve.GetHubAsync("/hub/v1/agents/bob/mutes")).Refused(HttpStatusCode.Forbidden, "forbidden");
        (await MuteAsync("bob", new { agent_id = "eve", swarm_id = _scene.Swarm.ToString() })).Refused((HttpStatusCode)422, "invalid-request");
        (await MuteAsync("bob", new { agent_id = "eve", reason = new string('x', Mutes.ReasonLengthMax) })).Ok();
        (await MuteAsync("bob", new { agent_id = "eve", reason = new string('x', Mutes.ReasonLengthMax + 1) })).Refused((HttpStatusCode)422, "invalid-request");
        await _node.ExecuteAsync(
            $"""
            insert into mutes (agent_no, name, muted_at)
            select agent_no, 'agent-' || n, now() from agents, generate_series(2, {Mutes.PerAgentMax}) n where name = 'bob'
            """);
        (await MuteAsync("bob", new { agent_id = "one-more" })).Refused(HttpStatusCode.Conflict, "limit-reached");
        (await MuteAsync("bob", new { agent_id = "eve" })).Ok();
    }

    [Fact]
    public void A_roster_without_mutes_keeps_the_recipients_as_they_are()
    {
        Assert.Null(RosterMutes.Of([]));
        var mutes = RosterMutes.Of([new() { AgentNo = 1, Name = "eve" }, new() { AgentNo = 2, SwarmId = Guid.NewGuid() }])!;
        AgentId[] all = [new(1), new(2), new(3)];
        Assert.Equal([new(3)], mutes.Listeners(all, "eve"));
        Assert.Equal([new(1), new(3)], mutes.Listeners(all, "bob"));
        AgentId[] third = [new(3)];
        Assert.Same(third, mutes.Listeners(third, "eve"));
    }

    private Task<Answer> MuteAsync(string agent, object body) => _node.Hub.PostHubAsync($"/hub/v1/agents/{agent}/mute", body);

    private Task<Answer> UnmuteAsync(string agent, object body) => _node.Hub.PostHubAsync($"/hub/v1/agents/{agent}/unmute", body);

    private async Task<Answer> PostAsync(string content) => (await _node.Http.PostMessageAsync("bob", _scene.Signed("eve", "bob", content))).Ok();

    private async Task<IEnumerable<string>> InboxAsync(string agent) =>
        (await _node.Hub.GetHubAsync($"/hub/v1/agents/{agent}/inbox?limit=100")).Ok()["messages"].EnumerateArray().Select(m => m.GetProperty("content").GetString()!);
}
