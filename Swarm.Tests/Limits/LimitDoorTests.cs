using System.Net;
using System.Text.Json;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Limits;

/// <summary>What callers see of the limits.</summary>
[Shown(By.Wire)]
public sealed class LimitDoorTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private static readonly DateTimeOffset Now = new(2026, 11, 21, 12, 0, 20, TimeSpan.Zero);
    private static readonly long EndOfMinute = Now.AddSeconds(40).ToUnixTimeSeconds();

    [Fact]
    [Conforms("ASP-38", "ASP-39", "ASP-40")]
    public async Task The_rate_vector_but_with_delays_in_whole_seconds()
    {
        var vector = VectorFile.Published.Base("RATE-01");
        await using var node = await TestNode.StartAsync(
            postgres, Now, isReference: true, listens: true, settings: new Dictionary<string, string> { ["Limits:RefusedPerAddressPerMinute"] = "2" });
        await node.CreateAgentAsync(new { name = "alice", @default = true });
        string[] paths = ["/api/inbox/count", "/swarm/nothing/here", "/swarm/info"]; // Every path counts.

        var answers = new List<HttpResponseMessage>();
        foreach (var path in paths)
        {
            answers.Add(await CallFromAsync(node, path, "198.51.100.7"));
        }

        foreach (var (step, answer) in vector.Json.GetProperty("steps").EnumerateArray().Zip(answers))
        {
            Assert.Equal(step.GetProperty("status").GetInt32() == 429, answer.StatusCode == HttpStatusCode.TooManyRequests);
            Assert.Equal(step.GetProperty("x-ratelimit-limit").GetString(), Header(answer, "X-RateLimit-Limit"));
            Assert.Equal(step.GetProperty("x-ratelimit-remaining").GetString(), Header(answer, "X-RateLimit-Remaining"));
            Assert.Equal(step.GetProperty("has_retry_after").GetBoolean(), Header(answer, "Retry-After") is not null);
            Assert.Equal($"{EndOfMinute}", Header(answer, "X-RateLimit-Reset"));
        }

        var error = JsonElement.Parse(await answers[2].Content.ReadAsStringAsync()).GetProperty("error");
        Assert.Equal(vector.Json.GetProperty("final_body").GetProperty("error").GetProperty("code").GetString(), error.GetProperty("code").GetString());
        Assert.Equal(40, error.GetProperty("details").GetProperty("retry_after").GetInt32());
        Assert.Equal("40", Header(answers[2], "Retry-After"));
        Assert.Equal(HttpStatusCode.OK, (await CallFromAsync(node, "/swarm/health", "198.51.100.8")).StatusCode);
        node.Time.Now += TimeSpan.FromSeconds(40);
        Assert.Equal(HttpStatusCode.OK, (await CallFromAsync(node, "/swarm/health", "198.51.100.7")).StatusCode);
    }

    [Fact]
    [Conforms("ASP-40")]
    [Refuses("W-19")]
    public async Task A_sender_is_counted_after_its_signature_and_nobody_spends_anothers_budget()
    {
        await using var node = await NodeHost.StartAsync(postgres, time: new SettableTime(Now), settings: new Dictionary<string, string> { ["Limits:SenderPerMinute"] = "3" });
        using var scene = await Scene.CreateAsync(node.Hub, ["alice"], ["bob", "carol"]);
        AspMessage Forged() => scene.Sign("carol", "alice", at: Now) with { SenderId = "bob", SenderEndpoint = "https://bob.example.com/swarm" };

        for (var i = 0; i < 5; i++)
        {
            Assert.Equal(401, (await node.Http.PostAsync("/agents/alice/swarm/message", MessageWriter.Write(Forged()))).Code);
        }

        var answers = new List<DoorAnswer>();
        for (var i = 0; i < 4; i++)
        {
            answers.Add(await node.Http.PostAsync("/agents/alice/swarm/message", scene.Signed("bob", "alice", at: Now)));
        }

        Assert.Equal([200, 200, 200, 429], answers.Select(answer => answer.Code));
        Assert.Equal(["2", "1", "0", null], answers.Select(answer => Header(answer.Http, "X-RateLimit-Remaining")));
        Assert.Equal(["3", "3", "3", null], answers.Select(answer => Header(answer.Http, "X-RateLimit-Limit")));
        Assert.All(answers, answer => Assert.Equal($"{EndOfMinute}", Header(answer.Http, "X-RateLimit-Reset")));
        Assert.Equal("RATE_LIMITED", answers[3].ErrorCode);
        Assert.Equal("40", Header(answers[3].Http, "Retry-After"));
        Assert.Equal(200, (await node.Http.PostAsync("/agents/alice/swarm/message", scene.Signed("carol", "alice", at: Now))).Code);
        Assert.Equal(4, await node.ScalarAsync<long>("select count(*) from deliveries"));
    }

    [Fact]
    [Refuses("W-21")]
    public async Task A_sender_that_sends_more_than_its_volume_is_refused_and_still_heard_in_short()
    {
        await using var node = await NodeHost.StartAsync(
            postgres, time: new SettableTime(Now), settings: new Dictionary<string, string> { ["Limits:SenderMegabytesPerMinute"] = "1" });
        using var scene = await Scene.CreateAsync(node.Hub, ["alice"], ["bob", "carol"]);
        Task<DoorAnswer> SendAsync(string from, int bytes) => node.Http.PostAsync("/agents/alice/swarm/message", scene.Signed(from, "alice", new string('x', bytes), at: Now));

        Assert.Equal(200, (await SendAsync("bob", 700_000)).Code);
        Assert.Equal(200, (await SendAsync("bob", 700_000)).Code);
        var refused = await TableState.UnchangedAsync(node.Database, () => SendAsync("bob", 5_000));
        Assert.Equal((429, "RATE_LIMITED", "40"), (refused.Code, refused.ErrorCode, Header(refused.Http, "Retry-After")));
        Assert.Equal(200, (await SendAsync("bob", 1_000)).Code);
        Assert.Equal(200, (await SendAsync("carol", 700_000)).Code);
    }

    [Fact]
    public async Task A_swarm_has_a_budget_for_all_its_members()
    {
        await using var node = await NodeHost.StartAsync(postgres, time: new SettableTime(Now), settings: new Dictionary<string, string> { ["Limits:SwarmPerMinute"] = "2" });
        using var scene = await Scene.CreateAsync(node.Hub, ["alice"], ["bob", "carol"]);

        Assert.Equal(200, (await node.Http.PostAsync("/agents/alice/swarm/message", scene.Signed("bob", "alice", at: Now))).Code);
        Assert.Equal(200, (await node.Http.PostAsync("/agents/alice/swarm/message", scene.Signed("carol", "alice", at: Now))).Code);
        Assert.Equal(429, (await node.Http.PostAsync("/agents/alice/swarm/message", scene.Signed("bob", "alice", at: Now))).Code);
    }

    [Fact]
    public async Task The_hub_says_it_as_a_problem()
    {
        await using var node = await NodeHost.StartAsync(postgres, time: new SettableTime(Now), settings: new Dictionary<string, string> { ["Limits:SenderPerMinute"] = "1" });
        using var scene = await Scene.CreateAsync(node.Hub, ["alice", "dave"], []);
        var message = new { from = "alice", swarm_id = scene.Swarm.ToString(), to = "dave", content = "Hello" };
        (await node.Hub.PostHubAsync("/hub/v1/messages", message)).Ok();

        using var answer = await node.Hub.PostAsync("/hub/v1/messages", System.Net.Http.Json.JsonContent.Create(message));

        Assert.Equal((HttpStatusCode)429, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType!.MediaType);
        Assert.Equal("urn:swarm:error:rate-limited", JsonElement.Parse(await answer.Content.ReadAsStringAsync()).GetProperty("type").GetString());
        Assert.Equal(TimeSpan.FromSeconds(40), answer.Headers.RetryAfter!.Delta);
    }

    [Fact]
    [Conforms("ASP-40")]
    [Refuses("W-19")]
    public async Task Of_an_address_only_refusals_count_and_a_spent_one_is_not_heard()
    {
        await using var node = await TestNode.StartAsync(
            postgres, Now, listens: true, settings: new Dictionary<string, string> { ["Limits:RefusedPerAddressPerMinute"] = "2" });
        await node.CreateAgentAsync(new { name = "alice", @default = true });

        Assert.Equal(
            "200 200 200 404 404 429 429",
            await StatusesAsync(node, "198.51.100.7", "/swarm/health", "/swarm/health", "/swarm/info", "/agents/nobody/swarm/health", "/swarm/x", "/swarm/health", "/hub/v1/status"));
        Assert.Equal("401 401 429", await StatusesAsync(node, "203.0.113.9", "/hub/v1/status", "/hub/v1/status", "/hub/v1/status"));
        Assert.Equal("401 404 429", await StatusesAsync(node, "203.0.113.10", "/api/inbox", "/api/nothing", "/api/outbox"));

        // The proxy on this machine appends; what the caller wrote before it is not believed. Loopback itself is never counted.
        Assert.Equal("429", await StatusesAsync(node, "192.0.2.1, 198.51.100.7", "/swarm/health"));
        Assert.Equal("404 404 404 200", await StatusesAsync(node, null, "/swarm/x", "/swarm/x", "/swarm/x", "/swarm/health"));
    }

    [StandIns.RedisFact]
    public async Task Two_replicas_hold_a_senders_limit_together()
    {
        const int Limit = 40; // Blocks of two.
        var settings = new Dictionary<string, string> { ["Limits:SenderPerMinute"] = $"{Limit}" };
        var time = new SettableTime(TimeProvider.System.GetUtcNow()); // The same minute throughout; no other run has used its keys of this agent number.
        await using var server = await StandIns.RedisServer.StartAsync();
        await using var one = await NodeHost.StartAsync(postgres, server.ConnectionString, time, settings: settings);
        await using var two = await one.StartReplicaAsync();
        using var scene = await Scene.CreateAsync(one.Hub, ["alice"], ["bob"]);

        var accepted = 0;
        for (var i = 0; i < 2 * Limit; i++)
        {
            var http = i % 2 == 0 ? one.Http : two.Http;
            var answer = await http.PostAsync("/agents/alice/swarm/message", scene.Signed("bob", "alice", at: time.Now));
            Assert.True(answer.Code is 200 or 429, answer.Text);
            accepted += answer.Code == 200 ? 1 : 0;
        }

        Assert.InRange(accepted, Limit - 4, Limit + 6);
        Assert.Equal(accepted, await one.ScalarAsync<long>("select count(*) from deliveries"));
    }

    private static string? Header(HttpResponseMessage answer, string name) => answer.Headers.TryGetValues(name, out var values) ? values.Single() : null;

    private static async Task<string> StatusesAsync(TestNode node, string? from, params string[] paths)
    {
        var statuses = new List<int>();
        foreach (var path in paths)
        {
            statuses.Add((int)(await CallFromAsync(node, path, from)).StatusCode);
        }

        return string.Join(' ', statuses);
    }

    private static Task<HttpResponseMessage> CallFromAsync(TestNode node, string path, string? address)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, path);
        if (address is not null)
        {
            request.Headers.Add("X-Forwarded-For", address);
        }

        return node.Http.SendAsync(request);
    }
}
