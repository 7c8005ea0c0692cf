using System.Collections.Concurrent;
using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;
using SettableTime = Swarm.Tests.Doors.SettableTime;

namespace Swarm.Tests.Delivery;

/// <summary>The inbox as a work queue: competing consumers, one lane each (design §3 promise 4).</summary>
[Collection(PostgresCollection.Name)]
public sealed class WorkQueueTests(PostgresFixture postgres) : IAsyncLifetime
{
    private readonly SettableTime _time = new(TimeProvider.System.GetUtcNow());
    private NodeHost _node = null!;
    private Scene _scene = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres, time: _time);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob", "carol"], ["eve", "frank", "grace"]);
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    public async Task Competing_consumers_never_share_a_lane_and_keep_its_order_and_do_everything_once()
    {
        const int PerSender = 40;
        string[] senders = ["eve", "frank", "grace"];
        for (var n = 0; n < PerSender; n++)
        {
            foreach (var sender in senders)
            {
                await PostAsync(sender, $"{n:D3}");
            }
        }

        using var limit = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        var active = new ConcurrentDictionary<string, bool>();
        var done = new ConcurrentQueue<(string Sender, string Content)>();
        await Task.WhenAll(Enumerable.Range(0, 5).Select(consumer => Task.Run(async () =>
        {
            while (done.Count < senders.Length * PerSender)
            {
                limit.Token.ThrowIfCancellationRequested();
                var lease = await LeaseAsync(max: 1 + (consumer * 2));
                var lanes = lease.Items.Select(i => i.Sender).Distinct().ToArray();
                Assert.All(lanes, lane => Assert.True(active.TryAdd(lane, true), $"Two consumers hold the lane of {lane}."));
                foreach (var item in lease.Items)
                {
                    done.Enqueue((item.Sender, item.Content));
                }

                Assert.All(lanes, lane => active.TryRemove(lane, out _));
                if (lease.Items.Length > 0)
                {
                    Assert.Equal(lease.Items.Length, (await AckAsync(lease)).Ok()["updated"].GetInt32());
                }
            }
        })));

        foreach (var sender in senders)
        {
            Assert.Equal(Enumerable.Range(0, PerSender).Select(n => $"{n:D3}"), done.Where(d => d.Sender == sender).Select(d => d.Content));
        }

        Assert.Equal(senders.Length * PerSender, await _node.ScalarAsync<long>("select count(*) from deliveries where state = 2"));
    }

    [Fact]
    public async Task A_consumer_that_others_overtake_looks_again_and_holds_no_lane_for_nothing()
    {
        await PostAsync("eve", "1");
        await PostAsync("frank", "2");
        await _node.ReplaceAsync("lease_deliveries", "exit when v_message is null;", "exit when v_message is null; perform pg_advisory_xact_lock(42);");
        Task<Leased> second, none;
        await using (var held = await HeldRow.TakeAsync(_node.Database, "select pg_advisory_xact_lock(42)"))
        {
            second = LeaseAsync(max: 1);
            await held.WaitersAsync(1);

            // What others who lease and acknowledge in this moment leave behind.
            await _node.ExecuteAsync("update deliveries set state = 2 where seq = 1");
        }

        Assert.Equal(["2"], (await second).Contents);
        (await AckAsync(await second)).Ok();
        await PostAsync("eve", "3");
        await using (var held = await HeldRow.TakeAsync(_node.Database, "select pg_advisory_xact_lock(42)"))
        {
            none = LeaseAsync();
            await held.WaitersAsync(1);
            await _node.ExecuteAsync("update deliveries set state = 2 where seq = 3");
        }

        Assert.Empty((await none).Items);
        Assert.Equal(0, await _node.ScalarAsync<long>("select count(*) from lanes where lease_id is not null"));
        await PostAsync("eve", "4");
        Assert.Equal(["4"], (await LeaseAsync()).Contents);
    }

    [Fact]
    public async Task A_lease_that_ran_out_gives_everything_back_in_order_and_can_settle_nothing_more()
    {
        await PostAsync("eve", "1");
        await PostAsync("eve", "2");
        var lost = await LeaseAsync(seconds: 30);
        Assert.Equal(["1", "2"], lost.Contents);
        Assert.Empty((await LeaseAsync()).Items);

        _time.Now += TimeSpan.FromSeconds(31);
        (await AckAsync(lost)).Refused(HttpStatusCode.Conflict, "lease-lost");
        var next = await LeaseAsync();
        Assert.Equal(["1", "2"], next.Contents);
        (await AckAsync(lost)).Refused(HttpStatusCode.Conflict, "lease-lost");
        (await NakAsync(lost, 0)).Refused(HttpStatusCode.Conflict, "lease-lost");
        (await ExtendAsync(lost, 30)).Refused(HttpStatusCode.Conflict, "lease-lost");
        Assert.Equal(2, (await AckAsync(next)).Ok()["updated"].GetInt32());
        Assert.Empty((await LeaseAsync()).Items);
    }

    [Fact]
    public async Task An_extended_lease_lives_on()
    {
        await PostAsync("eve", "1");
        var lease = await LeaseAsync(seconds: 30);
        _time.Now += TimeSpan.FromSeconds(29);
        (await ExtendAsync(lease, 60)).Ok();
        _time.Now += TimeSpan.FromSeconds(59);
        Assert.Empty((await LeaseAsync()).Items);
        Assert.Equal(1, (await AckAsync(lease)).Ok()["updated"].GetInt32());
    }

    [Fact]
    public async Task A_negative_acknowledgement_with_delay_holds_its_lane_and_no_other()
    {
        await PostAsync("eve", "1");
        await PostAsync("eve", "2");
        await PostAsync("frank", "other lane");
        var lease = await LeaseAsync();
        Assert.Equal(3, lease.Items.Length);

        // What was leased behind the returned one goes back with it.
        (await NakAsync(lease with { Items = [lease.Items[0]] }, 60)).Ok();
        Assert.Equal(1, (await AckAsync(lease with { Items = [lease.Items[2]] })).Ok()["updated"].GetInt32());
        await PostAsync("eve", "3");
        await PostAsync("frank", "not held");
        var meanwhile = await LeaseAsync();
        Assert.Equal(["not held"], meanwhile.Contents);
        (await AckAsync(meanwhile)).Ok();

        _time.Now += TimeSpan.FromSeconds(59);
        Assert.Empty((await LeaseAsync()).Items);
        _time.Now += TimeSpan.FromSeconds(2);
        Assert.Equal(["1", "2", "3"], (await LeaseAsync()).Contents);
    }

    [Fact]
    public async Task A_lane_is_free_again_when_the_last_of_its_lease_is_settled()
    {
        await PostAsync("eve", "1");
        await PostAsync("eve", "2");
        await PostAsync("eve", "3");
        var lease = await LeaseAsync(max: 2);
        Assert.Equal(["1", "2"], lease.Contents);
        (await AckAsync(lease with { Items = [lease.Items[0]] })).Ok();
        Assert.Empty((await LeaseAsync()).Items);
        (await AckAsync(lease with { Items = [lease.Items[1]] })).Ok();
        Assert.Equal(["3"], (await LeaseAsync()).Contents);
    }

    [Fact]
    public async Task What_does_not_fit_into_an_answer_stays_free_for_others()
    {
        // Five of 1 MiB end the page before the message of the other lane.
        for (var n = 0; n < 5; n++)
        {
            await SendAsync("alice", new string('x', 1024 * 1024));
        }

        await SendAsync("carol", "small");
        var large = await LeaseAsync(max: 10);
        Assert.DoesNotContain(large.Items, i => i.Sender == "carol");
        Assert.Equal(["small"], (await LeaseAsync(max: 10)).Contents);
    }

    [Fact]
    public async Task The_more_urgent_class_of_a_sender_is_a_lane_of_its_own_and_goes_first()
    {
        await SendAsync("carol", "normal");
        await SendAsync("carol", "urgent", "high");
        Assert.Equal(["urgent"], (await LeaseAsync(max: 1)).Contents);
        Assert.Equal(["normal"], (await LeaseAsync(max: 1)).Contents);
    }

    [Fact]
    public async Task Priorities_share_a_page_so_that_none_starves()
    {
        foreach (var priority in new[] { "low", "normal", "high" })
        {
            for (var n = 0; n < 30; n++)
            {
                await SendAsync("carol", $"{priority} {n}", priority);
            }
        }

        var page = (await LeaseAsync(max: 13)).Contents;
        Assert.Equal(Enumerable.Range(0, 9).Select(n => $"high {n}"), page.Where(c => c.StartsWith("high", StringComparison.Ordinal)));
        Assert.Equal(Enumerable.Range(0, 3).Select(n => $"normal {n}"), page.Where(c => c.StartsWith("normal", StringComparison.Ordinal)));
        Assert.Equal(["low 0"], page.Where(c => c.StartsWith("low", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task The_spans_of_a_lease_and_of_its_acknowledgement_link_to_the_accepts()
    {
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = s => s.Name is "Swarm" or "Microsoft.AspNetCore",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        await PostAsync("eve", "1");
        await PostAsync("frank", "2");
        var accepts = (await _node.ScalarAsync<string[]>("select array_agg(split_part(trace, '-', 2) order by message_no) from messages")).ToHashSet();
        Assert.Equal(2, accepts.Count);

        var lease = await LeaseAsync();
        (await AckAsync(lease)).Ok();
        foreach (var name in new[] { "lease", "acknowledge" })
        {
            var span = Assert.Single(spans, s => s.OperationName == name && lease.Id.Equals(s.GetTagItem("swarm.lease_id")?.ToString(), StringComparison.Ordinal));
            Assert.Equal(accepts, span.Links.Select(l => l.Context.TraceId.ToHexString()).ToHashSet());
        }
    }

    [Fact]
    public async Task A_consumer_that_waits_is_woken_by_a_message()
    {
        var waiting = _node.Hub.PostHubAsync("/hub/v1/agents/bob/inbox/lease", new { wait_seconds = 60 });
        await Eventually.TrueAsync("the consumer waits", () => _node.Get<Core.Signals.LocalSignals>().Count == 1, TimeSpan.FromSeconds(30));
        await PostAsync("eve", "at last");
        var lease = (await waiting.WaitAsync(TimeSpan.FromSeconds(30))).Ok();
        Assert.Equal("at last", lease["messages"][0].GetProperty("content").GetString());
    }

    [Fact]
    [Refuses("W-27")]
    public async Task An_expired_message_is_not_leased_and_the_expiry_ends_it()
    {
        await SendAsync("carol", "short-lived", expiresAt: _time.Now + TimeSpan.FromMinutes(1));
        await SendAsync("carol", "leased and short-lived", "high", _time.Now + TimeSpan.FromMinutes(1));
        await SendAsync("carol", "lasting");
        Assert.Equal(["leased and short-lived"], (await LeaseAsync(max: 1, seconds: 3600)).Contents);
        Assert.Equal(0, await _node.Get<Core.Delivery.Expiry>().RunOnceAsync(default));

        _time.Now += TimeSpan.FromMinutes(2);
        Assert.Equal(["lasting"], (await LeaseAsync()).Contents);
        Assert.Equal(2, await _node.Get<Core.Delivery.Expiry>().RunOnceAsync(default));
        Assert.Equal(0, await _node.Get<Core.Delivery.Expiry>().RunOnceAsync(default));
        var states = (await _node.Hub.GetHubAsync("/hub/v1/agents/bob/inbox")).Ok()["messages"].EnumerateArray()
            .Select(m => m.GetProperty("state").GetString());
        Assert.Equal(["expired", "expired", "leased"], states);
    }

    private sealed record Item(long Seq, string Sender, string Content);

    private sealed record Leased(string Id, Item[] Items)
    {
        public string[] Contents => [.. Items.Select(i => i.Content)];
    }

    private async Task PostAsync(string sender, string content) => Assert.Equal(
        HttpStatusCode.OK, (await _node.Http.PostMessageAsync("bob", _scene.Signed(sender, "bob", content, at: _time.Now))).Status);

    private async Task SendAsync(string from, string content, string priority = "normal", DateTimeOffset? expiresAt = null) =>
        (await _node.Hub.PostHubAsync(
            "/hub/v1/messages", new { from, swarm_id = _scene.Swarm.Value, to = "bob", content, priority, expires_at = expiresAt?.ToString("O") })).Ok();

    private async Task<Leased> LeaseAsync(int max = 100, int seconds = 30)
    {
        var answer = (await _node.Hub.PostHubAsync("/hub/v1/agents/bob/inbox/lease", new { max, lease_seconds = seconds })).Ok();
        return new(answer["lease_id"].GetString()!, [.. answer["messages"].EnumerateArray().Select(ToItem)]);
    }

    private Task<Answer> AckAsync(Leased lease) => _node.Hub.PostHubAsync(
        "/hub/v1/agents/bob/inbox/ack", new { lease_id = lease.Id, seqs = lease.Items.Select(i => i.Seq) });

    private Task<Answer> NakAsync(Leased lease, int delay) => _node.Hub.PostHubAsync(
        "/hub/v1/agents/bob/inbox/nak", new { lease_id = lease.Id, seqs = lease.Items.Select(i => i.Seq), delay_seconds = delay });

    private Task<Answer> ExtendAsync(Leased lease, int seconds) => _node.Hub.PostHubAsync(
        "/hub/v1/agents/bob/inbox/extend", new { lease_id = lease.Id, lease_seconds = seconds });

    private static Item ToItem(JsonElement item) => new(
        item.GetProperty("seq").GetInt64(), item.GetProperty("sender").GetString()!, item.GetProperty("content").GetString()!);
}
