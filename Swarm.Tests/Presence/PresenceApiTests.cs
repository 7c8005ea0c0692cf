using System.Net;
using Swarm.Core.Presence;
using Swarm.Tests.Doors;
using Swarm.Tests.Egress;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Presence;

public sealed class PresenceApiTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private static readonly DateTimeOffset Now = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);

    private static readonly Dictionary<string, string> OpenToLoopback = new() { ["Egress:AllowLoopback"] = "true" };

    [Fact]
    public async Task A_stream_a_lease_and_a_send_make_an_agent_present_and_nothing_else_does()
    {
        var time = new SettableTime(Now);
        await using var node = await NodeHost.StartAsync(postgres, time: time);
        using var scene = await Scene.CreateAsync(node.Hub, ["alice", "bob", "carol", "dave"], ["eve"]);
        time.Now = Now.AddMinutes(5);

        (await node.Hub.PostHubAsync("/hub/v1/agents/alice/inbox/lease", new { max = 1 })).Ok();
        Assert.Equal(200, (await node.Http.PostAsync("/agents/alice/swarm/message", scene.Signed("eve", "alice", at: time.Now))).Code);
        using var bob = node.ClientOf(scene.TokenOf("bob"));
        using (await SseStream.OpenAsync(bob, "bob"))
        {
            await Eventually.TrueAsync("bob is online", async () => (await AgentAsync(node, "bob"))["online"].GetBoolean(), TimeSpan.FromSeconds(30));
        }

        using (await SseStream.OpenAsync(node.Hub, "carol"))
        {
            (await node.Hub.GetHubAsync("/hub/v1/agents/dave/inbox")).Ok();
        }

        var listed = (await node.Hub.GetHubAsync("/hub/v1/agents")).Ok()["agents"].EnumerateArray().ToDictionary(a => a.GetProperty("name").GetString()!);
        Assert.Equal(
            ["alice", "bob", "eve"], listed.Where(a => a.Value.GetProperty("online").GetBoolean()).Select(a => a.Key).Order(StringComparer.Ordinal));
        Assert.Equal(time.Now, listed["eve"].GetProperty("last_seen").GetDateTimeOffset());
        var members = (await node.Hub.GetHubAsync($"/hub/v1/swarms/{scene.Swarm}/members")).Ok()["members"].EnumerateArray();
        Assert.Equal(3, members.Count(m => m.GetProperty("online").GetBoolean()));

        time.Now += LastSeen.OnlineFor + TimeSpan.FromSeconds(1);
        var gone = await AgentAsync(node, "eve");
        Assert.Equal((false, Now.AddMinutes(5)), (gone["online"].GetBoolean(), gone["last_seen"].GetDateTimeOffset()));
    }

    [Fact]
    public async Task A_ping_of_a_local_agent_tells_its_presence_to_those_who_share_a_swarm_with_it()
    {
        await using var node = await NodeHost.StartAsync(postgres);
        using var scene = await Scene.CreateAsync(node.Hub, ["alice", "bob"], []);
        (await node.Hub.PostHubAsync("/hub/v1/agents", new { name = "zoe" })).Ok();
        (await node.Hub.PostHubAsync("/hub/v1/agents/bob/inbox/lease", new { max = 1 })).Ok();
        using var alice = node.ClientOf(scene.TokenOf("alice"));

        var bob = (await alice.PostHubAsync("/hub/v1/ping", new { agent = "alice", target = "bob" })).Ok();

        Assert.Equal(("local", "online"), (bob["kind"].GetString(), bob["status"].GetString()));
        Assert.Equal("offline", (await alice.PostHubAsync("/hub/v1/ping", new { agent = "alice", target = "alice" })).Ok()["status"].GetString());
        (await alice.PostHubAsync("/hub/v1/ping", new { agent = "alice", target = "zoe" })).Refused(HttpStatusCode.Forbidden, "forbidden");
        (await alice.PostHubAsync("/hub/v1/ping", new { target = "bob" })).Refused(HttpStatusCode.Forbidden, "forbidden");
        (await alice.PostHubAsync("/hub/v1/ping", new { agent = "bob", target = "bob" })).Refused(HttpStatusCode.Forbidden, "forbidden");
        Assert.Equal("offline", (await node.Hub.PostHubAsync("/hub/v1/ping", new { target = "zoe" })).Ok()["status"].GetString());
        (await node.Hub.PostHubAsync("/hub/v1/ping", new { target = "nobody" })).Refused(HttpStatusCode.NotFound, "unknown-agent");
        (await node.Hub.PostHubAsync("/hub/v1/ping", new { target = "no name" })).Refused((HttpStatusCode)422, "invalid-request");
        (await node.Hub.PostHubAsync("/hub/v1/ping", new { })).Refused((HttpStatusCode)422, "invalid-request");
    }

    [Fact]
    public async Task A_ping_of_a_url_asks_its_health()
    {
        await using var node = await NodeHost.StartAsync(postgres, settings: OpenToLoopback);
        await using var peer = LyingServer.Saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        await using var broken = LyingServer.Saying("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n");

        var answer = (await node.Hub.PostHubAsync("/hub/v1/ping", new { target = $"http://127.0.0.1:{peer.Port}/agents/bob/swarm/" })).Ok();

        Assert.Equal(("remote", "ok", 200), (answer["kind"].GetString(), answer["status"].GetString(), answer["http_status"].GetInt32()));
        Assert.True(answer["latency_ms"].GetDouble() > 0);
        Assert.StartsWith("GET /agents/bob/swarm/health HTTP/1.1\r\n", peer.Head, StringComparison.Ordinal);
        Assert.DoesNotContain("Authorization", peer.Head, StringComparison.Ordinal);
        var failed = (await node.Hub.PostHubAsync("/hub/v1/ping", new { target = $"http://127.0.0.1:{broken.Port}/swarm" })).Ok();
        Assert.Equal(("failed", 503), (failed["status"].GetString(), failed["http_status"].GetInt32()));
        (await node.Hub.PostHubAsync("/hub/v1/ping", new { target = "ftp://example.com/x" })).Refused((HttpStatusCode)422, "invalid-request");
    }

    [Fact]
    public async Task A_ping_cannot_look_into_the_nodes_own_network()
    {
        await using var node = await NodeHost.StartAsync(postgres);
        await using var inside = LyingServer.Saying("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        foreach (var target in new[] { $"http://127.0.0.1:{inside.Port}/", $"https://localhost:{inside.Port}/", "http://169.254.169.254/latest", $"https://0x7f000001:{inside.Port}/" })
        {
            var answer = (await node.Hub.PostHubAsync("/hub/v1/ping", new { target })).Ok();

            Assert.Equal(("failed", "The address may not be called."), (answer["status"].GetString(), answer["detail"].GetString()));
        }

        Assert.Equal(0, inside.Accepted);
    }

    private static async Task<Answer> AgentAsync(NodeHost node, string name) => (await node.Hub.GetHubAsync($"/hub/v1/agents/{name}")).Ok();
}
