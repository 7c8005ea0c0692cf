using System.Net;
using Npgsql;
using NSec.Cryptography;
using Swarm.Core.Delivery;
using Swarm.Core.Messaging;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;
using SettableTime = Swarm.Tests.Doors.SettableTime;

namespace Swarm.Tests.Delivery;

/// <summary>Large broadcasts and scheduled messages: one body, deliveries made later, order kept (design §3, group commit).</summary>
[Collection(PostgresCollection.Name)]
public sealed class ExpansionTests(PostgresFixture postgres) : IAsyncLifetime
{
    private readonly SettableTime _time = new(TimeProvider.System.GetUtcNow());
    private NodeHost _node = null!;
    private Scene _scene = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres, time: _time);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob", "carol"], ["eve"]);
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Theory]
    [InlineData(GroupCommit.ExpandAbove, false)]
    [InlineData(GroupCommit.ExpandAbove + 1, true)]
    public async Task Up_to_the_limit_a_broadcast_is_delivered_by_its_accept_and_one_past_it_by_the_expansion(int recipients, bool expanded)
    {
        await FillSwarmAsync(recipients - 3);
        var sent = (await SendAsync("alice", "broadcast")).Ok();
        Assert.Equal(recipients, sent["recipients"].GetInt32());
        Assert.Equal(expanded ? 0 : recipients, await DeliveriesAsync());

        Assert.Equal(expanded, await ExpandAllAsync() > 0);
        Assert.Equal(recipients, await DeliveriesAsync());
        Assert.Equal(1, await _node.ScalarAsync<long>("select count(*) from messages"));
        Assert.Equal(0, await _node.ScalarAsync<long>("select count(*) from expansions"));
    }

    [Fact]
    public async Task Chunks_go_on_after_a_crash_and_several_workers_make_every_delivery_once()
    {
        var members = (2 * Expansion.ChunkMax) + 500;
        await FillSwarmAsync(members - 3);
        for (var n = 0; n < 3; n++)
        {
            (await SendAsync(n == 2 ? "bob" : "alice", $"{n}")).Ok();
        }

        // One chunk by a Worker that then dies; the rest by three at once.
        Assert.True(await _node.Get<Expansion>().RunOnceAsync(default));
        Assert.Equal(Expansion.ChunkMax, await DeliveriesAsync());
        await Task.WhenAll(ExpandAllAsync(), ExpandAllAsync(), ExpandAllAsync());
        await ExpandAllAsync();

        Assert.Equal(3 * members, await DeliveriesAsync());
        Assert.Equal(0, await _node.ScalarAsync<long>(
            "select count(*) from (select recipient_no from deliveries group by recipient_no having max(seq) <> count(*) or min(seq) <> 1) gaps"));
        Assert.Equal(0, await _node.ScalarAsync<long>(
            """
            select count(*) from deliveries a join deliveries b on a.recipient_no = b.recipient_no and a.sender_no = b.sender_no
            where a.message_no < b.message_no and a.seq > b.seq
            """));
        var report = await _node.Get<Core.Audit.AuditVerifier>().VerifyAsync([], default);
        Assert.Null(report.FirstBreak);
    }

    [Fact]
    public async Task What_a_sender_says_after_a_large_broadcast_arrives_after_it()
    {
        await FillSwarmAsync(GroupCommit.ExpandAbove);
        (await SendAsync("alice", "large")).Ok();
        (await SendAsync("alice", "after 1", to: "bob")).Ok();
        (await _node.Hub.PostHubAsync("/hub/v1/messages/batch", new
        {
            messages = new[] { "after 2", "after 3", "after 4" }.Select(content => new { from = "alice", swarm_id = _scene.Swarm.Value, to = "bob", content }),
        })).Ok();
        (await SendAsync("carol", "of another sender", to: "bob")).Ok();

        // Others are not held up.
        Assert.Equal(["of another sender"], await InboxAsync("bob"));
        await ExpandAllAsync();
        Assert.Equal(["of another sender", "large", "after 1", "after 2", "after 3", "after 4"], await InboxAsync("bob"));
        (await SendAsync("alice", "at once again", to: "bob")).Ok();
        Assert.Equal("at once again", (await InboxAsync("bob")).Last());
    }

    [Fact]
    [Refuses("W-18")]
    public async Task Who_left_before_its_chunk_gets_nothing()
    {
        await FillSwarmAsync(GroupCommit.ExpandAbove);
        (await SendAsync("alice", "large")).Ok();
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/kick", new { agent = "alice", target = "carol" })).Ok();
        await ExpandAllAsync();
        Assert.Equal(["large"], await InboxAsync("bob"));
        Assert.Empty(await InboxAsync("carol"));
    }

    [Fact]
    public async Task A_repeated_large_broadcast_has_no_second_effect()
    {
        await FillSwarmAsync(GroupCommit.ExpandAbove);
        var id = Guid.NewGuid();
        Assert.Equal("accepted", (await SendAsync("alice", "large", id: id)).Ok()["status"].GetString());
        Assert.Equal("duplicate", (await SendAsync("alice", "large", id: id)).Ok()["status"].GetString());
        await ExpandAllAsync();
        Assert.Equal("duplicate", (await SendAsync("alice", "large", id: id)).Ok()["status"].GetString());
        await ExpandAllAsync();
        Assert.Equal(["large"], await InboxAsync("bob"));
    }

    [Fact]
    public async Task A_scheduled_message_is_delivered_when_its_time_has_come_and_not_before()
    {
        (await SendAsync("alice", "later", to: "bob", at: _time.Now.AddMinutes(10))).Ok();
        (await SendAsync("alice", "earlier", at: _time.Now.AddMinutes(5))).Ok();
        (await SendAsync("alice", "now", to: "bob")).Ok();
        Assert.Equal(0, await ExpandAllAsync());
        Assert.Equal(["now"], await InboxAsync("bob"));
        Assert.Equal(_time.Now.AddMinutes(5), (await _node.Get<Expansion>().NextDueAsync(default))!.Value, TimeSpan.FromMilliseconds(1));

        _time.Now = _time.Now.AddMinutes(5);
        Assert.Equal(1, await ExpandAllAsync());
        Assert.Equal(["now", "earlier"], await InboxAsync("bob"));
        Assert.Equal(["earlier"], await InboxAsync("carol"));

        // Due, but nobody has looked yet: it is first in its lane from now on.
        _time.Now = _time.Now.AddMinutes(5);
        (await SendAsync("alice", "behind it", to: "bob")).Ok();
        await ExpandAllAsync();
        Assert.Equal(["now", "earlier", "later", "behind it"], await InboxAsync("bob"));
    }

    [Fact]
    public async Task A_schedule_has_limits()
    {
        (await SendAsync("alice", "x", at: _time.Now + Intake.DeliverAtMax)).Ok();
        (await SendAsync("alice", "x", at: _time.Now + Intake.DeliverAtMax + TimeSpan.FromSeconds(1))).Refused(HttpStatusCode.UnprocessableEntity, "invalid-schedule");
        (await SendAsync("alice", "x", at: _time.Now.AddHours(1), expires: _time.Now.AddHours(1))).Refused(HttpStatusCode.UnprocessableEntity, "invalid-schedule");
        (await SendAsync("alice", "x", at: _time.Now.AddHours(1), expires: _time.Now.AddHours(1).AddSeconds(1))).Ok();
        Assert.Equal(2, await _node.ScalarAsync<long>("select count(*) from messages"));

        // It expires unseen when nobody made its deliveries in time.
        _time.Now = _time.Now.AddHours(2);
        Assert.Equal(1, await ExpandAllAsync());
        Assert.Empty(await InboxAsync("bob"));
    }

    private async Task<int> ExpandAllAsync()
    {
        var expansion = _node.Get<Expansion>();
        var chunks = 0;
        while (await expansion.RunOnceAsync(default))
        {
            chunks++;
        }

        return chunks;
    }

    private Task<long> DeliveriesAsync() => _node.ScalarAsync<long>("select count(*) from deliveries");

    private Task<Answer> SendAsync(
        string from, string content, string? to = null, Guid? id = null, DateTimeOffset? at = null, DateTimeOffset? expires = null) =>
        _node.Hub.PostHubAsync("/hub/v1/messages", new
        {
            from, swarm_id = _scene.Swarm.Value, to, content, message_id = id, deliver_at = at?.ToString("O"), expires_at = expires?.ToString("O"),
        });

    private async Task<string[]> InboxAsync(string agent) =>
        [.. (await _node.Hub.GetHubAsync($"/hub/v1/agents/{agent}/inbox")).Ok()["messages"].EnumerateArray().Select(m => m.GetProperty("content").GetString()!)];

    /// <summary>Straight into the database: a thousand joins would be a test of joining.</summary>
    private async Task FillSwarmAsync(int members)
    {
        using var key = Key.Create(SignatureAlgorithm.Ed25519);
        await using var command = _node.Database.CreateCommand(
            """
            with swarm as materialized (select swarm_no, lock_swarm(swarm_no) from swarms where swarm_id = $1),
            made as (
                insert into agents (kind, name, endpoint, public_key, created_at)
                select 2, 'member-' || n, 'https://m.example.com/swarm', $2, now() from generate_series(1, $3) n
                returning agent_no, name, endpoint, public_key, created_at),
            boxes as (insert into mailboxes (recipient_no) select agent_no from made)
            insert into members (swarm_no, agent_no, name, endpoint, public_key, joined_at)
            select swarm.swarm_no, made.agent_no, made.name, made.endpoint, made.public_key, made.created_at from made, swarm
            """);
        command.Parameters.Add(new() { Value = _scene.Swarm.Value });
        command.Parameters.Add(new() { Value = key.PublicKey.Export(KeyBlobFormat.RawPublicKey) });
        command.Parameters.Add(new() { Value = members });
        await command.ExecuteNonQueryAsync();
    }
}
