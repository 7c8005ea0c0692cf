using Microsoft.AspNetCore.Http;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Swarms;

/// <summary>Two whole nodes that know each other only over TLS: what one decides is on the other's roster (ASP §10).</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.EndToEnd)]
public sealed class TwoNodesTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private PeerServer _frontA = null!;
    private PeerServer _frontB = null!;
    private NodeHost _a = null!;
    private NodeHost _b = null!;

    public async Task InitializeAsync()
    {
        _frontA = await PeerServer.StartAsync();
        _frontB = await PeerServer.StartAsync(_frontA);
        _a = await StartAsync(_frontA);
        _b = await StartAsync(_frontB);
        (await _a.Hub.PostHubAsync("/hub/v1/agents", new { name = "alice" })).Ok();
        (await _a.Hub.PostHubAsync("/hub/v1/agents", new { name = "dave" })).Ok();
        (await _b.Hub.PostHubAsync("/hub/v1/agents", new { name = "bob" })).Ok();
    }

    public async Task DisposeAsync()
    {
        await _a.DisposeAsync();
        await _b.DisposeAsync();
        await _frontB.DisposeAsync();
        await _frontA.DisposeAsync();
    }

    [Fact]
    [Conforms("ASP-34", "ASP-51", "ASP-52", "ASP-53", "ASP-60", "ASP-61", "ASP-62", "ASP-63")]
    public async Task A_swarm_lives_its_life_across_two_nodes()
    {
        await using var workerA = await WorkerHost.StartAsync(_a, _frontA.Ca);
        await using var workerB = await WorkerHost.StartAsync(_b, _frontA.Ca);

        // Bob asks, waits, is approved, asks again.
        var swarm = (await _a.Hub.PostHubAsync("/hub/v1/swarms", new { agent = "alice", name = "both", require_approval = true })).Ok()["swarm_id"].GetGuid();
        var invite = (await _a.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/invites", new { agent = "alice" })).Ok()["invite_token"].GetString();
        Assert.Equal("pending", (await _b.Hub.PostHubAsync("/hub/v1/join", new { agent = "bob", invite_token = invite })).Ok()["status"].GetString());
        Assert.Equal("pending", (await _b.Hub.PostHubAsync("/hub/v1/join", new { agent = "bob", invite_token = invite })).Ok()["status"].GetString());
        (await _a.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/requests/bob/approve", new { agent = "alice" })).Ok();
        Assert.Equal("joined", (await _b.Hub.PostHubAsync("/hub/v1/join", new { agent = "bob", invite_token = invite })).Ok()["status"].GetString());

        // Dave joins at the one node, and is announced to the other, which fetches his key.
        Assert.Equal("pending", (await _a.Hub.PostHubAsync("/hub/v1/join", new { agent = "dave", invite_token = invite })).Ok()["status"].GetString());
        (await _a.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/requests/dave/approve", new { agent = "alice" })).Ok();
        await EventuallyAsync(_b, swarm, "alice", "alice", "bob", "dave");
        await ConverseAsync(_b, "bob", _a, "dave", swarm, "hello dave");
        await ConverseAsync(_a, "dave", _b, "bob", swarm, "hello bob");

        // A kick, and a return.
        (await _a.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/kick", new { agent = "alice", target = "dave", reason = "a \"test\"" })).Ok();
        await EventuallyAsync(_b, swarm, "alice", "alice", "bob");
        await _a.Hub.PostHubAsync("/hub/v1/join", new { agent = "dave", invite_token = invite });
        (await _a.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/requests/dave/approve", new { agent = "alice" })).Ok();
        await EventuallyAsync(_b, swarm, "alice", "alice", "bob", "dave");

        // Bob becomes the master, with the swarm's settings; he has a new key; dave leaves.
        (await _a.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/transfer", new { agent = "alice", target = "bob" })).Ok();
        await EventuallyAsync(_a, swarm, "bob", "alice", "bob", "dave");
        await EventuallyAsync(_b, swarm, "bob", "alice", "bob", "dave");
        Assert.True((await _b.Hub.GetHubAsync($"/hub/v1/swarms/{swarm}")).Ok()["settings"].GetProperty("require_approval").GetBoolean());
        (await _b.Hub.PostHubAsync("/hub/v1/agents/bob/rotate-key", new { })).Ok();
        await ConverseAsync(_b, "bob", _a, "alice", swarm, "with my new key");
        (await _a.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/leave", new { agent = "dave" })).Ok();
        await EventuallyAsync(_b, swarm, "bob", "alice", "bob");

        // The old master is kicked by the new one, and comes back by the new one's invite.
        (await _b.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/kick", new { agent = "bob", target = "alice" })).Ok();
        await Eventually.TrueAsync("alice is out", async () => (await SwarmsAsync(_a, "alice")) == 0, Limit);
        var again = (await _b.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/invites", new { agent = "bob" })).Ok()["invite_token"].GetString();
        Assert.Equal("pending", (await _a.Hub.PostHubAsync("/hub/v1/join", new { agent = "alice", invite_token = again })).Ok()["status"].GetString());
        (await _b.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/requests/alice/approve", new { agent = "bob" })).Ok();
        Assert.Equal("joined", (await _a.Hub.PostHubAsync("/hub/v1/join", new { agent = "alice", invite_token = again })).Ok()["status"].GetString());

        // The end.
        (await _b.Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/dissolve", new { agent = "bob" })).Ok();
        await Eventually.TrueAsync("it is gone there", async () => (await SwarmsAsync(_a, "alice")) == 0, Limit);
        Assert.Equal(0, await SwarmsAsync(_b, "bob"));
        foreach (var node in new[] { _a, _b })
        {
            Assert.Equal(0, await node.ScalarAsync<long>("select count(*) from dead_letters"));
        }
    }

    private async Task<NodeHost> StartAsync(PeerServer front)
    {
        var node = await NodeHost.StartAsync(postgres, settings: new Dictionary<string, string>
        {
            ["Egress:AllowLoopback"] = "true", ["Egress:TrustedRoots"] = _frontA.Ca, ["Swarm:PublicUrl"] = front.Origin,
        });
        front.Answer = (request, _, http) => ForwardAsync(node, request, http);
        return node;
    }

    private static async Task ForwardAsync(NodeHost node, PeerRequest request, HttpContext http)
    {
        using var call = new HttpRequestMessage(new HttpMethod(http.Request.Method), request.Path);
        if (request.Body.Length > 0)
        {
            call.Content = new ByteArrayContent(request.Body);
            call.Content.Headers.ContentType = new(request.Headers["Content-Type"]);
        }

        using var answer = await node.Http.SendAsync(call);
        await PeerServer.RespondAsync(http, (int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    private static async Task ConverseAsync(NodeHost from, string sender, NodeHost to, string recipient, Guid swarm, string content)
    {
        (await from.Hub.PostHubAsync("/hub/v1/messages", new { from = sender, swarm_id = swarm, to = recipient, content })).Ok();
        await Eventually.TrueAsync(
            $"{recipient} has it",
            async () => (await to.Hub.GetHubAsync($"/hub/v1/agents/{recipient}/inbox?limit=100")).Ok()["messages"].EnumerateArray()
                .Any(m => m.GetProperty("content").GetString() == content),
            Limit);
    }

    private static async Task<int> SwarmsAsync(NodeHost node, string agent) =>
        (await node.Hub.GetHubAsync($"/hub/v1/swarms?agent={agent}")).Ok()["swarms"].GetArrayLength();

    private static Task EventuallyAsync(NodeHost node, Guid swarm, string master, params string[] members) => Eventually.TrueAsync(
        $"{master} leads {string.Join(", ", members)}",
        async () =>
        {
            var known = (await node.Hub.GetHubAsync($"/hub/v1/swarms/{swarm}")).Ok();
            return known["master"].GetString() == master
                && members.SequenceEqual(known["members"].EnumerateArray().Select(m => m.GetProperty("agent_id").GetString()!).Order(StringComparer.Ordinal));
        },
        Limit);
}
