using System.Net;
using Swarm.Core;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Swarms;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Messaging;

/// <summary>Promise 7 (design §3): membership is current at the commit, whatever was true when the message was checked.</summary>
[Collection(PostgresCollection.Name)]
public sealed class FenceTests(PostgresFixture postgres) : IAsyncLifetime
{
    private NodeHost _node = null!;
    private Scene _scene = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob"], ["carol", "mallory"]);
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    [Refuses("W-18")]
    public async Task A_kick_is_answered_only_after_the_open_batch_and_nothing_of_the_kicked_is_accepted_afterwards()
    {
        await using var held = await HeldRow.MailboxAsync(_node.Database, "bob");
        var before = _node.Http.PostMessageAsync("bob", _scene.Signed("mallory", "bob", "before"));
        await held.WaitersAsync(1);

        var kick = KickAsync("mallory");
        await held.WaitersAsync(2);
        var meanwhile = _node.Http.PostMessageAsync("bob", _scene.Signed("mallory", "bob", "meanwhile"));
        Assert.False(before.IsCompleted);
        Assert.False(kick.IsCompleted);

        await held.DisposeAsync();
        Assert.Equal(HttpStatusCode.OK, (await before).Status);
        (await kick).Ok();
        var after = await _node.Http.PostMessageAsync("bob", _scene.Signed("mallory", "bob", "after"));
        Assert.Equal(HttpStatusCode.Forbidden, after.Status);

        // What was accepted before stays; what raced with the kick is there exactly if it was answered so.
        string[] expected = (await meanwhile).Status == HttpStatusCode.OK ? ["before", "meanwhile"] : ["before"];
        Assert.Equal(expected, await InboxAsync("bob"));
    }

    [Fact]
    public async Task A_message_checked_before_a_kick_and_committed_after_it_is_refused()
    {
        // Makes the replica's picture of the swarm: from now on it checks against that.
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("bob", _scene.Signed("mallory", "bob", "first"))).Status);

        // Another replica kicks, and its transaction is open while ours checks.
        await using var kick = await HeldRow.TakeAsync(
            _node.Database,
            """
            select lock_swarm(swarm_no) from swarms;
            delete from members where name = 'mallory';
            """);
        var late = _node.Http.PostMessageAsync("bob", _scene.Signed("mallory", "bob", "late"));
        await kick.WaitersAsync(1);
        await kick.CommitAsync();

        Assert.Equal(HttpStatusCode.Forbidden, (await late).Status);
        Assert.Equal(["first"], await InboxAsync("bob"));
        Assert.Equal(1, await _node.ScalarAsync<long>("select count(*) from messages"));
        Assert.Equal(1, await _node.ScalarAsync<long>("select count(*) from message_ids"));
    }

    [Fact]
    public async Task A_message_of_a_member_who_stays_is_checked_again_and_accepted_once()
    {
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("bob", _scene.Signed("carol", "bob", "first"))).Status);
        await using var change = await HeldRow.TakeAsync(
            _node.Database,
            """
            select lock_swarm(swarm_no) from swarms;
            delete from members where name = 'mallory';
            """);
        var late = _node.Http.PostMessageAsync("bob", _scene.Signed("carol", "bob", "late"));
        await change.WaitersAsync(1);
        await change.CommitAsync();

        Assert.Equal(HttpStatusCode.OK, (await late).Status);
        Assert.Equal(["first", "late"], await InboxAsync("bob"));
    }

    [Fact]
    public async Task The_commit_names_a_message_stale_whose_swarm_has_another_version()
    {
        var roster = (await _node.Get<Rosters>().GetFreshAsync(_scene.Swarm, default))!;
        var bob = (await _node.Get<AgentDirectory>().FindAsync("bob", default))!;
        var carol = roster.Find("carol")!;
        var old = Pending.Of(_scene.Sign("carol", "bob"), carol.Agent, roster.SwarmNo, roster.Version - 1, bob.Id);
        var current = Pending.Of(_scene.Sign("carol", "bob"), carol.Agent, roster.SwarmNo, roster.Version, bob.Id);
        Assert.Equal(CommitStatus.Stale, (await _node.Get<GroupCommit>().CommitAsync(old, default)).Status);
        Assert.Equal(CommitStatus.Accepted, (await _node.Get<GroupCommit>().CommitAsync(current, default)).Status);
        Assert.Equal(1, await _node.ScalarAsync<long>("select count(*) from message_ids"));
    }

    [Fact]
    public async Task A_revoked_agent_sends_nothing_more()
    {
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("bob", _scene.Signed("mallory", "bob", "before"))).Status);
        (await _node.Hub.DeleteHubAsync("/hub/v1/agents/mallory")).Ok();
        Assert.Equal(HttpStatusCode.Forbidden, (await _node.Http.PostMessageAsync("bob", _scene.Signed("mallory", "bob", "after"))).Status);
        Assert.Equal(["before"], await InboxAsync("bob"));
    }

    private Task<Answer> KickAsync(string target) =>
        _node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/kick", new { agent = "alice", target });

    private async Task<string[]> InboxAsync(string agent) =>
        [.. (await _node.Hub.GetHubAsync($"/hub/v1/agents/{agent}/inbox?limit=100")).Ok()["messages"].EnumerateArray()
            .Select(m => m.GetProperty("content").GetString()!)];
}
