using System.Collections.Concurrent;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using NSec.Cryptography;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Swarms;

/// <summary>Three whole nodes, some of which are away when something happens: afterwards each knows how the swarm stands (ASP §10.6; §20 W-13, W-23).</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class ResyncTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly Dictionary<string, (NodeHost Node, PeerServer Front)> _nodes = [];
    private readonly ConcurrentDictionary<string, bool> _away = [];
    private Guid _swarm;
    private string _invite = "";

    /// <summary>Alice is the master; bob and carol have joined. Nobody's Worker runs, so nobody is told anything.</summary>
    public async Task InitializeAsync()
    {
        foreach (var name in new[] { "alice", "bob", "carol" })
        {
            var front = await PeerServer.StartAsync(_nodes.Count == 0 ? null : _nodes["alice"].Front);
            var node = await NodeHost.StartAsync(postgres, settings: new Dictionary<string, string>
            {
                ["Egress:AllowLoopback"] = "true", ["Egress:TrustedRoots"] = front.Ca, ["Swarm:PublicUrl"] = front.Origin,
            });
            front.Answer = (request, _, http) => _away.ContainsKey(name) ? PeerServer.RespondAsync(http, 404) : ForwardAsync(node, request, http);
            _nodes[name] = (node, front);
            (await node.Hub.PostHubAsync("/hub/v1/agents", new { name })).Ok();
        }

        _swarm = (await Hub("alice").PostHubAsync("/hub/v1/swarms", new { agent = "alice", name = "three" })).Ok()["swarm_id"].GetGuid();
        _invite = (await Hub("alice").PostHubAsync($"/hub/v1/swarms/{_swarm}/invites", new { agent = "alice" })).Ok()["invite_token"].GetString()!;
        foreach (var name in new[] { "bob", "carol" })
        {
            (await Hub(name).PostHubAsync("/hub/v1/join", new { agent = name, invite_token = _invite })).Ok();
        }

        (await SyncAsync("bob")).Ok();
    }

    public async Task DisposeAsync()
    {
        foreach (var (node, front) in _nodes.Values)
        {
            await node.DisposeAsync();
            await front.DisposeAsync();
        }
    }

    [Fact]
    [Conforms("ASP-62", "ASP-60")]
    [Refuses("W-13", "W-17")]
    public async Task Who_missed_a_change_of_the_master_learns_it_from_the_new_one_although_the_old_one_is_gone()
    {
        Assert.Equal("alice: alice bob carol", await KnownAsync("carol"));
        await TransferToBobAsync();
        _away["alice"] = true;

        // Bob's node shows what alice signed; then it is the master that tells who is in.
        var synced = (await SyncAsync("carol")).Ok();
        Assert.Equal(("synced", "bob", 3), (synced["status"].GetString(), synced["master"].GetString(), synced["member_count"].GetInt32()));
        Assert.Equal("bob: alice bob carol", await KnownAsync("carol"));

        // It holds from then on: bob kicks alice, and carol asks him.
        (await Hub("bob").PostHubAsync($"/hub/v1/swarms/{_swarm}/kick", new { agent = "bob", target = "alice" })).Ok();
        (await SyncAsync("carol")).Ok();
        Assert.Equal("bob: bob carol", await KnownAsync("carol"));
    }

    [Fact]
    [Conforms("ASP-62")]
    [Refuses("W-13")]
    public async Task A_message_of_an_unknown_member_or_of_an_unknown_master_makes_the_node_ask()
    {
        // Carol's node does not know dave, who joined since. His message is refused, and taken when it comes again.
        (await Hub("alice").PostHubAsync("/hub/v1/agents", new { name = "dave" })).Ok();
        (await Hub("alice").PostHubAsync("/hub/v1/join", new { agent = "dave", invite_token = _invite })).Ok();
        await using (var worker = await WorkerHost.StartAsync(_nodes["alice"].Node, _nodes["alice"].Front.Ca))
        {
            await ForgetAnnouncementsAsync();
            (await Hub("alice").PostHubAsync("/hub/v1/messages", new { from = "dave", swarm_id = _swarm, to = "carol", content = "I am new" })).Ok();
            await EventuallyAsync("carol", "alice: alice bob carol dave");
            await Eventually.TrueAsync("dave is heard", async () => (await InboxAsync("carol")).Contains("I am new"), Limit);
        }

        // Then bob is made the master while carol is away, and admits somebody.
        (await SyncAsync("bob")).Ok();
        await TransferToBobAsync();
        await _nodes["carol"].Node.ExecuteAsync("update swarms set asked_at = null");
        await using var replica = await _nodes["carol"].Node.StartReplicaAsync(); // One that has not asked just now.
        _nodes["carol"].Front.Answer = (request, _, http) => ForwardAsync(replica, request, http);
        _away.Clear();
        await using var bobs = await WorkerHost.StartAsync(_nodes["bob"].Node, _nodes["bob"].Front.Ca);
        var invite = (await Hub("bob").PostHubAsync($"/hub/v1/swarms/{_swarm}/invites", new { agent = "bob" })).Ok()["invite_token"].GetString();
        (await Hub("bob").PostHubAsync("/hub/v1/agents", new { name = "erin" })).Ok();
        (await Hub("bob").PostHubAsync("/hub/v1/join", new { agent = "erin", invite_token = invite })).Ok();
        await EventuallyAsync("carol", "bob: alice bob carol dave erin");
    }

    [Fact]
    [Conforms("ASP-63", "ASP-62")]
    [Refuses("W-23")]
    public async Task A_new_key_that_was_never_told_is_believed_by_the_word_of_the_old_one()
    {
        for (var time = 0; time < 2; time++)
        {
            (await Hub("carol").PostHubAsync("/hub/v1/agents/carol/rotate-key", new { })).Ok();
        }

        await _nodes["carol"].Node.ExecuteAsync("delete from deliveries"); // The notices are lost.
        var fresh = (await Hub("carol").GetHubAsync("/hub/v1/agents/carol")).Ok()["public_key"].GetString();
        Assert.NotEqual(fresh, await KeyAsync("alice", "carol"));
        (await SyncAsync("carol")).Ok();
        Assert.Equal(fresh, await KeyAsync("alice", "carol"));
        await using var worker = await WorkerHost.StartAsync(_nodes["carol"].Node, _nodes["carol"].Front.Ca);
        (await Hub("carol").PostHubAsync("/hub/v1/messages", new { from = "carol", swarm_id = _swarm, to = "alice", content = "by my new key" })).Ok();
        await Eventually.TrueAsync("alice has it", async () => (await InboxAsync("alice")).Contains("by my new key"), Limit);

        // Three are kept, and they go with the agent.
        for (var time = 0; time < 3; time++)
        {
            (await Hub("carol").PostHubAsync("/hub/v1/agents/carol/rotate-key", new { })).Ok();
        }

        Assert.Equal(3, await _nodes["carol"].Node.ScalarAsync<long>("select count(*) from former_keys"));
        (await Hub("carol").DeleteHubAsync("/hub/v1/agents/carol")).Ok();
        Assert.Equal(0, await _nodes["carol"].Node.ScalarAsync<long>("select count(*) from former_keys"));
    }

    [Fact]
    [Conforms("ASP-62")]
    [Refuses("W-18")]
    public async Task Who_was_kicked_without_hearing_of_it_is_told_so_and_is_not_in_again()
    {
        (await Hub("alice").PostHubAsync($"/hub/v1/swarms/{_swarm}/kick", new { agent = "alice", target = "carol" })).Ok();
        (await SyncAsync("carol")).Refused(HttpStatusCode.NotFound, "not-a-member");
        Assert.Equal("alice: alice bob", await KnownAsync("alice"));

        // A swarm that is none any more, one of this node, and one that the agent is not in.
        (await Hub("alice").PostHubAsync($"/hub/v1/swarms/{_swarm}/sync", new { agent = "alice" })).Ok();
        (await Hub("alice").PostHubAsync($"/hub/v1/swarms/{_swarm}/dissolve", new { agent = "alice" })).Ok();
        (await SyncAsync("bob")).Refused(HttpStatusCode.NotFound, "unknown-swarm");
        (await Hub("bob").PostHubAsync($"/hub/v1/swarms/{Guid.NewGuid()}/sync", new { agent = "bob" })).Refused(HttpStatusCode.NotFound, "unknown-swarm");
    }

    [Fact]
    [Conforms("ASP-25", "ASP-62")]
    [Refuses("W-15")]
    public async Task A_member_elsewhere_knows_what_its_swarm_allows_and_its_invite_counts_at_the_master()
    {
        var open = (await Hub("alice").PostHubAsync("/hub/v1/swarms", new { agent = "alice", name = "open", allow_member_invite = true })).Ok()["swarm_id"].GetGuid();
        var invite = (await Hub("alice").PostHubAsync($"/hub/v1/swarms/{open}/invites", new { agent = "alice" })).Ok()["invite_token"].GetString();
        (await Hub("bob").PostHubAsync("/hub/v1/join", new { agent = "bob", invite_token = invite })).Ok();
        var passed = (await Hub("bob").PostHubAsync($"/hub/v1/swarms/{open}/invites", new { agent = "bob" })).Ok()["invite_token"].GetString();
        (await Hub("carol").PostHubAsync("/hub/v1/join", new { agent = "carol", invite_token = passed })).Ok();

        // Where members may not invite, they know it too; and a change is learnt by asking.
        (await Hub("bob").PostHubAsync($"/hub/v1/swarms/{_swarm}/invites", new { agent = "bob" })).Refused(HttpStatusCode.Forbidden, "not-master");
        await _nodes["alice"].Node.ExecuteAsync($"select lock_swarm(swarm_no) from swarms where swarm_id = '{_swarm}'; update swarms set allow_member_invite = true");
        (await SyncAsync("bob")).Ok();
        (await Hub("bob").PostHubAsync($"/hub/v1/swarms/{_swarm}/invites", new { agent = "bob" })).Ok();
    }

    private async Task TransferToBobAsync()
    {
        // Carol hears nothing of it: her node is away, and alice's gives up before it is back.
        _away["carol"] = true;
        await using (await WorkerHost.StartAsync(_nodes["alice"].Node, _nodes["alice"].Front.Ca))
        {
            (await Hub("alice").PostHubAsync($"/hub/v1/swarms/{_swarm}/transfer", new { agent = "alice", target = "bob" })).Ok();
            await Eventually.TrueAsync("bob is the master", async () => (await KnownAsync("bob")).StartsWith("bob:", StringComparison.Ordinal), Limit);
        }

        await ForgetAnnouncementsAsync();
        _away.Remove("carol", out _);
    }

    private Task ForgetAnnouncementsAsync() => _nodes["alice"].Node.ExecuteAsync("delete from deliveries");

    private HttpClient Hub(string name) => _nodes[name].Node.Hub;

    private Task<Answer> SyncAsync(string name) => Hub(name).PostHubAsync($"/hub/v1/swarms/{_swarm}/sync", new { agent = name });

    private async Task<string[]> InboxAsync(string name) =>
        [.. (await Hub(name).GetHubAsync($"/hub/v1/agents/{name}/inbox?limit=100")).Ok()["messages"].EnumerateArray().Select(m => m.GetProperty("content").GetString()!)];

    private async Task<string?> KeyAsync(string at, string of) =>
        (await Hub(at).GetHubAsync($"/hub/v1/swarms/{_swarm}/members")).Ok()["members"].EnumerateArray()
            .Single(m => m.GetProperty("agent_id").GetString() == of).GetProperty("public_key").GetString();

    private async Task<string> KnownAsync(string at)
    {
        var swarm = (await Hub(at).GetHubAsync($"/hub/v1/swarms/{_swarm}")).Ok();
        return $"{swarm["master"].GetString()}: {string.Join(' ', swarm["members"].EnumerateArray().Select(m => m.GetProperty("agent_id").GetString()!).Order(StringComparer.Ordinal))}";
    }

    private Task EventuallyAsync(string at, string known) => Eventually.TrueAsync(known, async () => await KnownAsync(at) == known, Limit);

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
}
