using System.Diagnostics;
using System.Net;
using Swarm.Tests.Infrastructure;
using Xunit.Abstractions;
using Seed = Swarm.Tests.Doors.Seed;

namespace Swarm.Tests.Messaging;

/// <summary>The inbox as a view: lists, marks, streams (design §3). It leases nothing, and every stream sees every message.</summary>
[Collection(PostgresCollection.Name)]
public sealed class InboxViewTests(PostgresFixture postgres, ITestOutputHelper output) : IAsyncLifetime
{
    /// <summary>Promise 7: a revocation ends the streams of the revoked.</summary>
    private static readonly TimeSpan RevokedWithin = TimeSpan.FromSeconds(1);

    private NodeHost _node = null!;
    private Scene _scene = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob", "carol"], ["eve", "frank", "grace"]);
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    public async Task A_list_pages_in_order_and_filters_by_state_and_swarm()
    {
        for (var n = 1; n <= 7; n++)
        {
            await PostAsync("eve", $"{n}");
        }

        var first = await ListAsync("limit=3");
        Assert.Equal(["1", "2", "3"], Contents(first));
        var second = await ListAsync($"limit=3&cursor={first["next_cursor"].GetString()}");
        Assert.Equal(["4", "5", "6"], Contents(second));
        var last = await ListAsync($"limit=3&cursor={second["next_cursor"].GetString()}");
        Assert.Equal(["7"], Contents(last));
        Assert.False(last.Json.TryGetProperty("next_cursor", out _));

        Assert.Equal(2, (await MarkReadAsync(2, 5, 99)).Ok()["updated"].GetInt32());
        Assert.Equal(0, (await MarkReadAsync(2)).Ok()["updated"].GetInt32());
        Assert.Equal(["2", "5"], Contents(await ListAsync("state=read")));
        Assert.Equal(["1", "3", "4", "6", "7"], Contents(await ListAsync("state=unread")));
        Assert.Equal(["6", "7"], Contents(await ListAsync("after=5&state=unread")));
        Assert.Equal(7, Contents(await ListAsync($"swarm_id={_scene.Swarm}")).Length);
        Assert.Empty(Contents(await ListAsync($"swarm_id={Guid.NewGuid()}")));
        var counts = (await _node.Hub.GetHubAsync("/hub/v1/agents/bob/inbox/counts")).Ok();
        Assert.Equal((5, 2, 7), (counts["unread"].GetInt64(), counts["read"].GetInt64(), counts["total"].GetInt64()));

        // Nobody else's inbox was touched, and a page beyond the limit is refused.
        Assert.Empty(Contents((await _node.Hub.GetHubAsync("/hub/v1/agents/carol/inbox")).Ok()));
        Assert.Equal(7, Contents(await ListAsync("limit=100")).Length);
        (await _node.Hub.GetHubAsync("/hub/v1/agents/bob/inbox?limit=101")).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
    }

    [Fact]
    public async Task A_stream_that_resumes_again_and_again_under_load_misses_nothing_and_repeats_nothing()
    {
        const int PerSender = 100;
        string[] senders = ["eve", "frank", "grace"];
        var random = new Random(Seed.Take(output));
        var sending = Task.WhenAll(senders.Select(sender => Task.Run(async () =>
        {
            for (var n = 0; n < PerSender; n++)
            {
                await PostAsync(sender, $"{sender} {n:D3}");
            }
        })));

        var seen = new List<(long Seq, string Content)>();
        while (seen.Count < senders.Length * PerSender)
        {
            using var stream = await SseStream.OpenAsync(_node.Hub, "bob", seen.Count == 0 ? 0 : seen[^1].Seq);
            for (var left = random.Next(1, 40); left > 0 && seen.Count < senders.Length * PerSender; left--)
            {
                var next = (await stream.NextAsync())!;
                Assert.Equal("message", next.Name);
                Assert.Equal(next.Id, next.Data.GetProperty("seq").GetInt64());
                seen.Add((next.Id!.Value, next.Data.GetProperty("content").GetString()!));
            }
        }

        await sending;
        Assert.Equal(Enumerable.Range(1, senders.Length * PerSender).Select(n => (long)n), seen.Select(s => s.Seq));
        foreach (var sender in senders)
        {
            var own = seen.Select(s => s.Content).Where(c => c.StartsWith(sender, StringComparison.Ordinal)).ToArray();
            Assert.Equal(own.Order(StringComparer.Ordinal), own);
        }
    }

    [Fact]
    public async Task Every_stream_sees_every_message_from_now_on_and_changes_no_state()
    {
        await PostAsync("eve", "before");
        using var one = await SseStream.OpenAsync(_node.Hub, "bob");
        using var other = await SseStream.OpenAsync(_node.ClientOf(_scene.TokenOf("bob")), "bob");
        await PostAsync("eve", "after");
        Assert.Equal("after", await one.NextContentAsync());
        Assert.Equal("after", await other.NextContentAsync());
        Assert.Equal(["before", "after"], Contents(await ListAsync("state=unread")));
    }

    [Fact]
    public async Task A_stream_from_before_what_is_kept_is_told_so_first()
    {
        for (var n = 1; n <= 5; n++)
        {
            await PostAsync("eve", $"{n}");
        }

        await _node.ExecuteAsync("delete from deliveries where seq <= 3");
        using var stream = await SseStream.OpenAsync(_node.Hub, "bob", lastEventId: 1);
        var reset = (await stream.NextAsync())!;
        Assert.Equal(("reset", 4L), (reset.Name, reset.Data.GetProperty("oldest_seq").GetInt64()));
        Assert.Equal("4", await stream.NextContentAsync());

        using var current = await SseStream.OpenAsync(_node.Hub, "bob", lastEventId: 3);
        Assert.Equal("4", await current.NextContentAsync());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_stream_on_another_replica_ends_within_a_second_of_its_tokens_revocation(bool withSignals)
    {
        await using var other = await _node.StartReplicaAsync();
        var issued = (await _node.Hub.PostHubAsync("/hub/v1/agents/bob/tokens", new { label = "a stream" })).Ok();
        using var client = other.ClientOf(issued["token"].GetString());
        using var stream = await SseStream.OpenAsync(client, "bob");
        await PostAsync("eve", "seen");
        Assert.Equal("seen", await stream.NextContentAsync());

        var id = issued["id"].GetInt64();
        var startedAt = Stopwatch.GetTimestamp();
        await RevokeAsync(withSignals, $"/hub/v1/agents/bob/tokens/{id}", $"update tokens set revoked_at = now() where token_id = {id}");
        Assert.Null(await stream.NextAsync());
        Assert.InRange(Stopwatch.GetElapsedTime(startedAt), TimeSpan.Zero, RevokedWithin);
        (await client.GetHubAsync("/hub/v1/agents/bob/inbox")).Refused(HttpStatusCode.Unauthorized, "unauthenticated");
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_stream_on_another_replica_ends_within_a_second_of_its_agents_revocation(bool withSignals)
    {
        await using var other = await _node.StartReplicaAsync();
        using var stream = await SseStream.OpenAsync(other.Hub, "bob");
        await PostAsync("eve", "seen");
        Assert.Equal("seen", await stream.NextContentAsync());

        var startedAt = Stopwatch.GetTimestamp();
        await RevokeAsync(withSignals, "/hub/v1/agents/bob", "update agents set revoked_at = now() where name = 'bob'");
        Assert.Null(await stream.NextAsync());
        Assert.InRange(Stopwatch.GetElapsedTime(startedAt), TimeSpan.Zero, RevokedWithin);
    }

    [Fact]
    public async Task A_stream_that_the_database_fails_ends_in_order_and_its_reader_resumes()
    {
        using var stream = await SseStream.OpenAsync(_node.Hub, "bob");
        await PostAsync("eve", "one");
        Assert.Equal("one", await stream.NextContentAsync());
        await _node.ExecuteAsync("alter table deliveries rename to deliveries_away");
        _node.Get<Core.Signals.LocalSignals>().NotifyAll();
        Assert.Null(await stream.NextAsync());

        await _node.ExecuteAsync("alter table deliveries_away rename to deliveries");
        using var again = await SseStream.OpenAsync(_node.Hub, "bob", lastEventId: 1);
        await PostAsync("eve", "two");
        Assert.Equal("two", await again.NextContentAsync());
    }

    [Fact]
    public async Task Streams_that_end_while_something_changes_do_no_harm_to_the_node()
    {
        var control = _node.Get<Core.Signals.ControlEvents>();
        var opening = Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(async () =>
        {
            for (var n = 0; n < 40; n++)
            {
                (await SseStream.OpenAsync(_node.Hub, "bob")).Dispose();
            }
        })));
        while (!opening.IsCompleted)
        {
            // Raised as the watch on the database does it; an exception here would stop the node.
            control.RaiseMissed();
            control.Raise(new(Core.Signals.ControlKind.Token, 1));
            await Task.Yield();
        }

        await opening;
        (await _node.Hub.GetHubAsync("/hub/v1/agents/bob/inbox")).Ok();
    }

    /// <summary>Through the Hub, or in the database as it looks to a replica that no event reached: only the epoch was raised.</summary>
    private async Task RevokeAsync(bool withSignals, string path, string sql)
    {
        if (withSignals)
        {
            (await _node.Hub.DeleteHubAsync(path)).Ok();
        }
        else
        {
            await _node.ExecuteAsync($"{sql}; update node set control_epoch = control_epoch + 1");
        }
    }

    private async Task PostAsync(string sender, string content) =>
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("bob", _scene.Signed(sender, "bob", content))).Status);

    private async Task<Answer> ListAsync(string query) => (await _node.Hub.GetHubAsync($"/hub/v1/agents/bob/inbox?{query}")).Ok();

    private Task<Answer> MarkReadAsync(params long[] seqs) => _node.Hub.PostHubAsync("/hub/v1/agents/bob/inbox/read", new { seqs });

    private static string[] Contents(Answer list) =>
        [.. list["messages"].EnumerateArray().Select(m => m.GetProperty("content").GetString()!)];
}
