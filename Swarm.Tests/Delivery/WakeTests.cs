using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Swarm.Core.Delivery.Wake;
using Swarm.Tests.Client;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Delivery;

/// <summary>Whom to wake, from the settings to the order (ASP §11), step by step with a clock that the test sets.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class WakeQueueTests(PostgresFixture postgres) : IAsyncLifetime
{
    private readonly SettableTime _time = new(TimeProvider.System.GetUtcNow());
    private NodeHost _node = null!;
    private Scene _scene = null!;
    private WakeQueue _queue = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres, time: _time);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob"], []);
        _queue = _node.Get<WakeQueue>();
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    [Conforms("ASP-75", "ASP-77")]
    public async Task An_agent_is_woken_once_for_what_arrived_since_it_asked()
    {
        await SendAsync("before it asked");
        await SetAsync(new { });
        Assert.Empty(await TakeAsync());
        var (first, second) = (await SendAsync("one"), await SendAsync("two", priority: "high"));
        var order = Assert.Single(await TakeAsync());
        Assert.Equal(("bob", WakeAction.Webhook, "https://hook.example.com/x"), (order.Name, order.Action, order.Url));
        Assert.Equal([first, second], order.Messages.Select(m => m.MessageId.ToString()));

        // Somebody else does not get it meanwhile, and once it is done with it does not come again.
        Assert.Empty(await TakeAsync());
        await _queue.DoneAsync(order, "woken", default);
        Assert.Empty(await TakeAsync());
        Assert.Equal("woken", (await _node.Hub.GetHubAsync("/hub/v1/agents/bob/wake"))["last_result"].GetString());
    }

    [Fact]
    [Conforms("ASP-75", "ASP-80")]
    public async Task The_order_of_a_worker_that_died_comes_again()
    {
        await SetAsync(new { });
        await SendAsync("one");
        var lost = Assert.Single(await TakeAsync());
        await SendAsync("two");
        _time.Now += WakeQueue.LeaseTime - TimeSpan.FromMilliseconds(1);
        Assert.Empty(await TakeAsync());
        _time.Now += TimeSpan.FromMilliseconds(1);
        var again = Assert.Single(await TakeAsync());
        Assert.Equal(2, again.Messages.Count);

        // What the first one says now is too late.
        await _queue.DoneAsync(lost, "late", default);
        await _queue.DoneAsync(again, "woken", default);
        Assert.Equal("woken", (await _node.Hub.GetHubAsync("/hub/v1/agents/bob/wake"))["last_result"].GetString());
        Assert.Empty(await TakeAsync());
    }

    [Fact]
    [Conforms("ASP-77", "ASP-80")]
    public async Task A_window_gathers_messages_and_an_urgent_one_ends_it()
    {
        await SetAsync(new { coalesce_seconds = 60, wake_conditions = new[] { "any_message", "high_priority" } });
        await SendAsync("one");
        Assert.Empty(await TakeAsync());
        _time.Now += TimeSpan.FromSeconds(59);
        await SendAsync("two");
        Assert.Empty(await TakeAsync());
        Assert.InRange((await _queue.NextDueAsync(default))!.Value - _time.Now, TimeSpan.FromMilliseconds(1), TimeSpan.FromSeconds(1));
        _time.Now += TimeSpan.FromSeconds(1);
        var order = Assert.Single(await TakeAsync());
        Assert.Equal((2, WakeLevel.Normal), (order.Messages.Count, order.Level));
        await _queue.DoneAsync(order, "woken", default);

        await SendAsync("three");
        Assert.Empty(await TakeAsync());
        await SendAsync("four", priority: "high");
        order = Assert.Single(await TakeAsync());
        Assert.Equal((2, WakeLevel.Urgent), (order.Messages.Count, order.Level));
    }

    [Fact]
    [Conforms("ASP-75")]
    public async Task A_wake_that_fails_is_tried_again_with_growing_pauses_and_given_up_in_the_end()
    {
        await SetAsync(new { });
        await SendAsync("one");
        for (var attempt = 1; attempt < WakeQueue.AttemptsMax; attempt++)
        {
            var order = Assert.Single(await TakeAsync());
            Assert.False(await _queue.FailedAsync(order, "HTTP 500", jitter: 1, default));
            var pause = WakeQueue.BackoffFirst * Math.Pow(2, attempt - 1);
            await SendAsync("more does not hasten it");
            _time.Now += pause - TimeSpan.FromMilliseconds(1);
            Assert.Empty(await TakeAsync());
            _time.Now += TimeSpan.FromMilliseconds(1);
        }

        Assert.True(await _queue.FailedAsync(Assert.Single(await TakeAsync()), "HTTP 500", 1, default));
        Assert.Empty(await TakeAsync());
        Assert.Equal("given up: HTTP 500", (await _node.Hub.GetHubAsync("/hub/v1/agents/bob/wake"))["last_result"].GetString());
        await SendAsync("the next one");
        Assert.Single((Assert.Single(await TakeAsync())).Messages);
    }

    [Fact]
    [Conforms("ASP-73", "ASP-77")]
    public async Task What_is_silent_read_deleted_or_muted_wakes_nobody()
    {
        await SetAsync(new { wake_conditions = new[] { "keyword_match" }, watched_keywords = new[] { "FIRE" } });
        await SendAsync("a quiet remark");
        Assert.Empty(await TakeAsync());
        await SendAsync("there is a fire");
        (await _node.Hub.PostHubAsync("/hub/v1/agents/bob/inbox/read", new { seqs = new[] { 2 } })).Ok();
        Assert.Empty(await TakeAsync());
        await SendAsync("fire again");
        await _node.ExecuteAsync("insert into mutes (agent_no, name, muted_at) select agent_no, 'alice', now() from agents where name = 'bob'");
        Assert.Empty(await TakeAsync());
        await _node.ExecuteAsync("delete from mutes");
        await SendAsync("fire, the third");
        var order = Assert.Single(await TakeAsync());
        Assert.Equal([4L], order.Messages.Select(m => m.Seq));
        Assert.Equal(WakeLevel.Urgent, order.Level);
    }

    [Fact]
    [Conforms("ASP-77")]
    public async Task Settings_belong_to_the_agent_keep_their_secret_and_say_what_is_wrong()
    {
        var set = await SetAsync(new { quiet_hours = new { start = 22, end = 6 } });
        Assert.Equal(64, set["secret"].GetString()!.Length);
        using var alice = _node.ClientOf(_scene.TokenOf("alice"));
        (await alice.PostHubAsync("/hub/v1/agents/bob/wake", new { action = "none" })).Refused(HttpStatusCode.Forbidden, "forbidden");
        var got = (await _node.Hub.GetHubAsync("/hub/v1/agents/bob/wake")).Ok();
        Assert.DoesNotContain(set["secret"].GetString()!, got.Text, StringComparison.Ordinal);
        Assert.True(got["has_secret"].GetBoolean());
        Assert.Equal("""{"start":22,"end":6}""", got["preferences"].GetProperty("quiet_hours").GetRawText());
        Assert.Equal(["any_message"], got["preferences"].GetProperty("wake_conditions").EnumerateArray().Select(c => c.GetString()));
        foreach (var wrong in new object[]
        {
            new { action = "webhook" }, new { action = "none", url = "https://x.example" }, new { action = "webhook", url = "ftp://x.example" },
            new { action = "webhook", url = "https://u:p@x.example" }, new { action = "webhook", url = "https://x.example/" + new string('a', 2048) },
            new { action = "protocol", url = "https://x.example", secret = "a b" }, new { action = "protocol", url = "https://x.example", secret = new string('a', 257) },
            new { preferences = new { quiet_hours = new { start = 24, end = 1 } } }, new { preferences = new { nonsense = 1 } },
            new { preferences = new { default_level = 7 } },
            new { preferences = new { kinds = (object?)null } }, new { preferences = new { watched_agents = new string?[] { null } } },
            new { preferences = new { watched_keywords = new string?[] { null } } }, new { preferences = new { muted_swarms = new[] { "x" } } }, new { preferences = new { wake_conditions = new[] { "always" } } },
        })
        {
            (await _node.Hub.PostHubAsync("/hub/v1/agents/bob/wake", wrong)).Refused((HttpStatusCode)422, "invalid-request");
        }

        Assert.Equal(got.Text, (await _node.Hub.GetHubAsync("/hub/v1/agents/bob/wake")).Text);
        Assert.Equal(
            0, await _node.ScalarAsync<long>($"select count(*) from wakes where position('{set["secret"].GetString()}' in encode(sealed_secret, 'escape')) > 0"));
    }

    private async Task<Answer> SetAsync(object preferences) =>
        (await _node.Hub.PostHubAsync("/hub/v1/agents/bob/wake", new { preferences, action = "webhook", url = "https://hook.example.com/x" })).Ok();

    private async Task<IReadOnlyList<WakeOrder>> TakeAsync() => (await _queue.TakeAsync(10, default)).Orders;

    private async Task<string> SendAsync(string content, string priority = "normal") =>
        (await _node.Hub.PostHubAsync(
            "/hub/v1/messages", new { from = "alice", swarm_id = _scene.Swarm.ToString(), to = "bob", content, priority })).Ok()["message_id"].GetString()!;
}

/// <summary>The Worker as a process wakes agents over real HTTP.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class WakeWorkerTests(PostgresFixture postgres)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    [Conforms("ASP-75", "ASP-80")]
    [Refuses("W-04")]
    public async Task The_worker_posts_signed_ids_to_a_webhook_and_the_protocols_body_with_the_secret()
    {
        var hang = new TaskCompletionSource();
        var calls = new ConcurrentQueue<SeenRequest>();
        await using var peer = await HubPeer.StartAsync(async (context, request, number) =>
        {
            if (request.Path == "/hangs")
            {
                await hang.Task;
            }

            calls.Enqueue(request);

            // The first call of the webhook fails and is tried again.
            await HubPeer.JsonAsync(context, request.Path == "/hook" && calls.Count(c => c.Path == "/hook") == 1 ? 500 : 202, "{}");
        });
        await using var node = await NodeHost.StartAsync(postgres);
        using var scene = await Scene.CreateAsync(node.Hub, ["alice", "bob", "carol", "dave"], []);
        var secret = (await SetAsync(node, "bob", new { action = "webhook", url = $"{peer.Url}hook" }))["secret"].GetString()!;
        await SetAsync(node, "carol", new { action = "protocol", url = $"{peer.Url}api/wake", secret = "open-sesame" });
        await SetAsync(node, "dave", new { action = "protocol", url = $"{peer.Url}hangs" });

        await using var process = NodeProcess.Create(
            node.ConnectionString, node.DataFolder, environment: new Dictionary<string, string?> { ["Egress__AllowLoopback"] = "true" });
        await using var worker = process.StartWorker();
        var sent = (await node.Hub.PostHubAsync(
            "/hub/v1/messages", new { from = "alice", swarm_id = scene.Swarm.ToString(), content = "a secret plan", priority = "high" })).Ok();
        await Eventually.TrueAsync(
            $"both are woken, although a third hangs:\n{worker.Output}",
            () => calls.Count(c => c.Path == "/hook") == 2 && calls.Any(c => c.Path == "/api/wake"), Limit);

        var hook = calls.Last(c => c.Path == "/hook");
        var id = sent["message_id"].GetString();
        Assert.Equal(
            $$"""{"type":"wake","agent":"bob","level":"normal","messages":[{"seq":1,"message_id":"{{id}}","swarm_id":"{{scene.Swarm}}","sender":"alice","type":"message","priority":"high","level":"normal"}]}""",
            hook.Body);
        var parts = hook["X-Swarm-Signature"]!.Split(',').Select(p => p.Split('=')).ToDictionary(p => p[0], p => p[1]);
        Assert.Equal(
            Convert.ToHexStringLower(HMACSHA256.HashData(Encoding.UTF8.GetBytes(secret), Encoding.UTF8.GetBytes($"{parts["t"]}.{hook.Body}"))), parts["v1"]);
        Assert.InRange(
            DateTimeOffset.FromUnixTimeSeconds(long.Parse(parts["t"])), TimeProvider.System.GetUtcNow().AddMinutes(-2), TimeProvider.System.GetUtcNow().AddSeconds(2));

        var wake = calls.First(c => c.Path == "/api/wake");
        Assert.Equal("open-sesame", wake["X-Wake-Secret"]);
        Assert.Equal(
            $$"""{"message_id":"{{id}}","swarm_id":"{{scene.Swarm}}","sender_id":"alice","notification_level":"normal"}""", wake.Body);
        hang.SetResult();
        await Eventually.TrueAsync(
            $"all are settled:\n{worker.Output}", async () => await node.ScalarAsync<long>("select count(*) from wakes where last_result = 'woken'") == 3, Limit);
        Assert.DoesNotContain("open-sesame", worker.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(secret, worker.Output, StringComparison.Ordinal);

        // A restart finds the position where it was: only the new message wakes.
        await worker.KillAsync();
        await using var next = process.StartWorker();
        await node.Hub.PostHubAsync("/hub/v1/messages", new { from = "alice", swarm_id = scene.Swarm.ToString(), to = "carol", content = "news" });
        await Eventually.TrueAsync($"carol is woken again:\n{next.Output}", () => calls.Count(c => c.Path == "/api/wake") == 2, Limit);
        Assert.Equal(2, calls.Count(c => c.Path == "/hook"));
    }

    private static async Task<Answer> SetAsync(NodeHost node, string agent, object body) =>
        (await node.Hub.PostHubAsync($"/hub/v1/agents/{agent}/wake", body)).Ok();
}
