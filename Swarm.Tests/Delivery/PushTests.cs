using System.Diagnostics;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using NSec.Cryptography;
using Swarm.Core.Delivery;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.ServiceDefaults.Egress;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Delivery;

/// <summary>Pushes to peers over HTTPS: what goes over the wire, and what becomes of it when peers misbehave.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class PushTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private NodeHost _node = null!;
    private Scene _scene = null!;
    private PeerServer _peer = null!;
    private WorkerHost? _worker;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "carol"], ["eve"]);
        _peer = await PeerServer.StartAsync();
    }

    public async Task DisposeAsync()
    {
        if (_worker is not null)
        {
            await _worker.DisposeAsync();
        }

        await _peer.DisposeAsync();
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    [Conforms("ASP-41", "ASP-45")]
    public async Task A_direct_message_is_posted_with_the_bytes_that_were_signed_and_the_headers_of_the_reference()
    {
        await _peer.JoinAsync(_node, _scene, "bob");
        await WorkAsync();
        var id = await SendAsync("alice", "bob", "👋 \"hello\"");
        await StateAsync(DeliveryState.Delivered, 1);

        var request = Assert.Single(_peer.Requests);
        Assert.Equal("/swarm/message", request.Path);
        Assert.Equal("HTTP/2", request.Protocol);
        Assert.Equal("application/json", request.Headers["Content-Type"]);
        Assert.Equal(("*/*", "alice", "0.1.0"), (request.Headers["Accept"], request.Headers["X-Agent-ID"], request.Headers["X-Swarm-Protocol"]));
        Assert.Equal(request.Body.Length.ToString(), request.Headers["Content-Length"]);
        Assert.False(request.Headers.ContainsKey("Authorization"));
        Assert.Equal(await _node.ScalarAsync<byte[]>("select wire from messages where outgoing"), request.Body);
        Assert.Equal(id, request.Json.GetProperty("message_id").GetGuid());
        var alice = PublicKeyText.Parse((await _node.Hub.GetHubAsync("/hub/v1/agents/alice")).Ok()["public_key"].GetString()!);
        Assert.True(MessageSignature.Verify(alice, MessageParser.Parse(request.Body)));

        // Who is not in the roster cannot be sent to.
        (await _node.Hub.PostHubAsync("/hub/v1/messages", new { from = "alice", swarm_id = _scene.Swarm.Value, to = "nobody", content = "x" }))
            .Refused(HttpStatusCode.UnprocessableEntity, "wrong-recipient");
    }

    [Fact]
    [Conforms("ASP-46", "ASP-49")]
    [Refuses("W-14", "W-27")]
    public async Task A_broadcast_reaches_every_remote_member_and_tells_of_each_what_became_of_it()
    {
        await using var second = await PeerServer.StartAsync(_peer);
        second.Answer = (_, _, http) => PeerServer.RespondAsync(http, 422);
        await _peer.JoinAsync(_node, _scene, "bob");
        await second.JoinAsync(_node, _scene, "dave");
        var sent = (await _node.Hub.PostHubAsync("/hub/v1/messages", new { from = "alice", swarm_id = _scene.Swarm.Value, content = "to all" })).Ok();
        Assert.Equal(4, sent["recipients"].GetInt32());

        // The outbox is durable before anybody was called.
        Assert.Equal(new Dictionary<string, string> { ["bob"] = "pending", ["dave"] = "pending" }, await RemoteStatesAsync());
        await WorkAsync();

        // Bob was also told that dave joined.
        await StateAsync(DeliveryState.Delivered, 2);
        await StateAsync(DeliveryState.Dead, 1);
        Assert.Equal(new Dictionary<string, string> { ["bob"] = "delivered", ["dave"] = "dead: HTTP 422" }, await RemoteStatesAsync());
        Assert.Equal(Assert.Single(_peer.Requests, r => r.Content == "to all").Body, Assert.Single(second.Requests).Body);
    }

    [Fact]
    [Conforms("ASP-47", "ASP-49")]
    [Refuses("W-14")]
    public async Task Failures_of_every_kind_are_tried_again_until_the_peer_takes_it_and_each_is_recorded()
    {
        Func<Microsoft.AspNetCore.Http.HttpContext, Task>[] answers =
        [
            http => PeerServer.RespondAsync(http, 500), PeerServer.HalfAsync, PeerServer.EndlessAsync, PeerServer.HangAsync,
            http => PeerServer.RespondAsync(http, 429, retryAfter: "1"),
            http =>
            {
                http.Response.Headers.Location = $"{_peer.Origin}/elsewhere";
                return PeerServer.RespondAsync(http, 307);
            },
            http => PeerServer.RespondAsync(http, 403),
        ];
        _peer.Answer = (_, before, http) => before < answers.Length ? answers[before](http) : PeerServer.RespondAsync(http, 202);
        await _peer.JoinAsync(_node, _scene, "bob");
        await WorkAsync(("Push:CallTimeMax", "00:00:01"));
        await SendAsync("alice", "bob", "insistent");
        await StateAsync(DeliveryState.Delivered, 1);

        Assert.All(_peer.Requests, r => Assert.Equal("/swarm/message", r.Path));
        Assert.Single(_peer.Requests.Select(r => Convert.ToBase64String(r.Body)).Distinct());
        Assert.Equal(
            "HTTP 500|The answer is broken.|The answer is too large.|No complete answer came in time.|HTTP 429; asked to wait 1 s|HTTP 307|HTTP 403",
            await _node.ScalarAsync<string>("select string_agg(error, '|' order by attempt) from delivery_attempts"));
    }

    [Fact]
    public async Task A_refusal_that_lasts_is_dead_after_its_time_and_the_lane_goes_on()
    {
        _peer.Answer = (request, _, http) => PeerServer.RespondAsync(http, request.Content == "refused" ? 403 : 200);
        await _peer.JoinAsync(_node, _scene, "bob");
        await WorkAsync(("Push:RefusalTime", "00:00:01"), ("Push:BackoffMax", "00:00:00.3"));
        await SendAsync("alice", "bob", "refused");
        await SendAsync("alice", "bob", "next");
        await StateAsync(DeliveryState.Delivered, 1);
        await StateAsync(DeliveryState.Dead, 1);
        Assert.True(_peer.Requests.Count(r => r.Content == "refused") > 2);
        Assert.Equal("HTTP 403", await _node.ScalarAsync<string>("select reason from dead_letters"));
    }

    [Fact]
    public async Task An_address_that_may_not_be_called_makes_a_dead_letter_that_says_so()
    {
        await _peer.JoinAsync(_node, _scene, "bob", "https://169.254.169.254/swarm");
        await WorkAsync();
        await SendAsync("alice", "bob", "never");
        await StateAsync(DeliveryState.Dead, 1);
        Assert.Equal("The address may not be called.", await _node.ScalarAsync<string>("select reason from dead_letters"));
        Assert.Equal(1, await _node.ScalarAsync<short>("select max(attempts) from deliveries"));
    }

    [Fact]
    [Refuses("W-20", "W-21")]
    public async Task A_hanging_destination_delays_nobody_else()
    {
        await using var hanging = await PeerServer.StartAsync(_peer);
        hanging.Answer = (_, _, http) => PeerServer.HangAsync(http);
        await _peer.JoinAsync(_node, _scene, "bob");
        await hanging.JoinAsync(_node, _scene, "dave");
        await WorkAsync();
        for (var n = 0; n < 40; n++)
        {
            await SendAsync("alice", "dave", $"{n}");
            await SendAsync("carol", "dave", $"{n}");
            await SendAsync("alice", "bob", $"{n}");
        }

        await StateAsync(DeliveryState.Delivered, 41);
        Assert.All(hanging.Messages, m => Assert.Equal("0", m.Content));
    }

    [Fact]
    public async Task An_open_breaker_holds_the_lanes_of_its_destination_without_a_call_and_closes_by_one_probe()
    {
        var time = new SettableTime(TimeProvider.System.GetUtcNow());
        var isUp = false;
        _peer.Answer = (_, _, http) => Volatile.Read(ref isUp) ? PeerServer.QueuedAsync(http) : PeerServer.RespondAsync(http, 502);
        await _peer.JoinAsync(_node, _scene, "bob");
        await WorkAsync(time, ("Push:BackoffMax", "00:00:00.001"), ("Push:SweepInterval", "00:00:00.1"));
        await SendAsync("alice", "bob", "first");
        var breaker = _worker!.Get<DestinationBreaker>();
        var destination = EgressUrl.Parse(_peer.Endpoint)!.Destination;
        await Eventually.TrueAsync(
            "the breaker opens",
            () =>
            {
                time.Now += TimeSpan.FromMilliseconds(10);
                return breaker.OpenFor(destination) > TimeSpan.Zero;
            },
            Limit);
        await Eventually.TrueAsync("its failures are written down", async () => await _node.ScalarAsync<long>("select count(*) from lanes where lease_id is not null") == 0, Limit);
        var calls = _peer.Requests.Count;
        Assert.InRange(calls, DestinationBreaker.FailuresMax, DestinationBreaker.FailuresMax + 1);

        // New lanes are not even leased while it is open.
        await SendAsync("carol", "bob", "second");
        await Eventually.TrueAsync("the worker has looked", async () => await _node.ScalarAsync<long>("select count(*) from deliveries join messages using (message_no) where outgoing") == 2, Limit);
        Assert.Equal(calls, _peer.Requests.Count);

        Volatile.Write(ref isUp, true);
        time.Now += TimeSpan.FromMinutes(1);
        await Eventually.TrueAsync(
            "everything is delivered",
            async () =>
            {
                time.Now += TimeSpan.FromSeconds(1);
                return await _node.ScalarAsync<long>("select count(*) from deliveries where state = 2") == 2;
            },
            Limit);
    }

    [Fact]
    public async Task What_is_too_old_for_its_receiver_is_dead_without_a_call()
    {
        await _peer.JoinAsync(_node, _scene, "bob");
        await SendAsync("alice", "bob", "old");
        var time = new SettableTime(TimeProvider.System.GetUtcNow() + Intake.PastWindow);
        await WorkAsync(time);
        await StateAsync(DeliveryState.Dead, 1);
        Assert.Empty(_peer.Requests);
    }

    [Fact]
    public async Task A_span_of_each_push_links_to_the_accept_of_its_message()
    {
        var spans = new System.Collections.Concurrent.ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = s => s.Name == "Swarm",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        await _peer.JoinAsync(_node, _scene, "bob");
        await SendAsync("alice", "bob", "traced");
        await _node.ExecuteAsync("update messages set trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'");
        var no = await _node.ScalarAsync<long>("select message_no from messages where outgoing");
        await WorkAsync();
        await StateAsync(DeliveryState.Delivered, 1);
        var push = Assert.Single(spans, s => s.OperationName == "push" && no.Equals(s.GetTagItem("swarm.message_no")));
        Assert.Equal("0af7651916cd43dd8448eb211c80319c", Assert.Single(push.Links).Context.TraceId.ToHexString());
        Assert.Equal(200, push.GetTagItem("http.response.status_code"));
    }

    [Fact]
    public async Task Two_workers_share_the_work_and_repeat_nothing()
    {
        await _peer.JoinAsync(_node, _scene, "bob");
        await WorkAsync();
        await using var second = await WorkerHost.StartAsync(_node, _peer.Ca);
        for (var n = 0; n < 60; n++)
        {
            await SendAsync(n % 2 == 0 ? "alice" : "carol", "bob", $"{n:D2}");
        }

        await StateAsync(DeliveryState.Delivered, 60);
        foreach (var sender in new[] { "alice", "carol" })
        {
            var contents = _peer.Messages.Where(m => m.Sender == sender).Select(m => m.Content).ToList();
            Assert.Equal(contents.Order(), contents);
        }

        Assert.Equal(60, _peer.Requests.Count);
    }

    [Fact]
    [Refuses("W-14", "W-27")]
    public async Task A_killed_worker_loses_nothing_and_the_order_holds_at_the_peer()
    {
        const int Messages = 400;
        var killed = new TaskCompletionSource();
        _peer.Answer = async (_, _, http) =>
        {
            if (_peer.Requests.Count == Messages / 4)
            {
                killed.TrySetResult();
            }

            await PeerServer.QueuedAsync(http);
        };
        await _peer.JoinAsync(_node, _scene, "bob");
        for (var n = 0; n < Messages; n++)
        {
            await SendAsync(n % 2 == 0 ? "alice" : "carol", "bob", $"{n:D4}");
        }

        await using var process = NodeProcess.Create(_node.ConnectionString, _node.DataFolder, environment: new Dictionary<string, string?>
        {
            ["Egress__AllowLoopback"] = "true",
            ["Egress__TrustedRoots"] = _peer.Ca,
            ["Push__CallTimeMax"] = "00:00:01",
            ["Push__LeaseTime"] = "00:00:03",
            ["Push__SweepInterval"] = "00:00:00.5",
        });
        await using (var worker = process.StartWorker())
        {
            await killed.Task.WaitAsync(Limit);
            await worker.KillAsync();
        }

        var before = _peer.Requests.Count;
        Assert.InRange(before, Messages / 4, Messages - 1);
        await using var next = process.StartWorker();
        await StateAsync(DeliveryState.Delivered, Messages);
        foreach (var sender in new[] { "alice", "carol" })
        {
            // Each message is new, or a repeat of what was not written down when the worker died: nothing skips ahead.
            var contents = _peer.Messages.Where(m => m.Sender == sender).Select(m => m.Content).ToList();
            Assert.Equal(Messages / 2, contents.Distinct().Count());
            var firsts = contents.Distinct().ToList();
            Assert.Equal(firsts.Order(), firsts);
        }

        Assert.InRange(_peer.Requests.Count - Messages, 0, 2 * PushOptions.LeaseEachMax);
    }

    private async Task WorkAsync(params (string Name, string Value)[] settings) =>
        _worker = await WorkerHost.StartAsync(_node, _peer.Ca, settings.ToDictionary(s => s.Name, s => (string?)s.Value));

    private async Task WorkAsync(TimeProvider time, params (string Name, string Value)[] settings) =>
        _worker = await WorkerHost.StartAsync(_node, _peer.Ca, settings.ToDictionary(s => s.Name, s => (string?)s.Value), time);

    private async Task<Guid> SendAsync(string from, string to, string content) => (await _node.Hub.PostHubAsync(
        "/hub/v1/messages", new { from, swarm_id = _scene.Swarm.Value, to, content })).Ok()["message_id"].GetGuid();

    private Task StateAsync(DeliveryState state, int count) => Eventually.TrueAsync(
        $"{count} deliveries are {state}",
        async () => await _node.ScalarAsync<long>($"select count(*) from deliveries where state = {(int)state}") == count, Limit);

    private async Task<Dictionary<string, string>> RemoteStatesAsync() =>
        (await _node.Hub.GetHubAsync("/hub/v1/agents/alice/outbox")).Ok()["messages"][0].GetProperty("deliveries").EnumerateArray()
            .Where(d => d.GetProperty("recipient").GetString() is "bob" or "dave")
            .ToDictionary(
                d => d.GetProperty("recipient").GetString()!,
                d => d.GetProperty("state").GetString() + (d.TryGetProperty("error", out var error) ? $": {error.GetString()}" : ""));
}
