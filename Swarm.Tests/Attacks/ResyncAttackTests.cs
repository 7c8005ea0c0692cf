using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using NSec.Cryptography;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;
using Swarm.Tests.Swarms;

namespace Swarm.Tests.Attacks;

/// <summary>Attacks by the answers that the node gets when it asks how a swarm stands, and on its asking.</summary>
[Collection(PostgresCollection.Name)]
public sealed class ResyncAttackTests(PostgresFixture postgres) : IAsyncLifetime
{
    private RemoteMaster _far = null!;
    private PeerServer _bob = null!;
    private string _answer = "";

    /// <summary>Zoe is a member here; the master gives no answer, so that bob, another member, is asked.</summary>
    public async Task InitializeAsync()
    {
        _far = await RemoteMaster.StartAsync(postgres, new Dictionary<string, string> { ["AgentSwarm:Resync"] = "true" }, "zoe");
        _bob = await _far.PeerAsync("bob");
        await _far.AddAsync("zoe", "bob", _bob);
        _far.Master.Answer = (_, _, http) => PeerServer.RespondAsync(http, 404);
        _bob.Answer = (_, _, http) => PeerServer.RespondAsync(http, 200, _answer);
    }

    public async Task DisposeAsync() => await _far.DisposeAsync();

    [Fact]
    [Refuses("W-02", "W-13", "W-17")]
    public async Task A_member_does_not_make_itself_the_master_by_what_it_answers()
    {
        using Key stranger = Key.Create(SignatureAlgorithm.Ed25519), planted = Key.Create(SignatureAlgorithm.Ed25519);
        var soon = TimeProvider.System.GetUtcNow().AddSeconds(1);
        var honest = Change("master", "bob", soon);
        var otherSwarm = honest with { SwarmId = new(Guid.NewGuid()) };
        var attacks = new (string What, JsonNode?[] Changes)[]
        {
            ("no change at all", []),
            ("signed by itself", [Signed(_bob.Key, honest)]),
            ("signed by a stranger", [Signed(stranger, honest)]),
            ("in its own name", [Signed(_bob.Key, honest with { SenderId = "bob", Content = Content("bob", "bob") })]),
            ("of another swarm", [Signed(_far.Master.Key, otherSwarm)]),
            ("of another swarm, with this one's id", [Wire(MessageSignature.Sign(_far.Master.Key, otherSwarm) with { SwarmId = _far.Swarm })]),
            ("to somebody unknown", [Signed(_far.Master.Key, Change("master", "planted", soon))]),
            ("with another old master", [Signed(_far.Master.Key, honest with { Content = Content("bob", "bob") })]),
            ("no system message", [Signed(_far.Master.Key, honest with { Kind = MessageKind.Message })]),
            ("moved out of another message", [Wire(MessageSignature.Sign(_far.Master.Key, honest with { Recipient = "bob", Kind = MessageKind.Message, Content = "x system" + honest.Content })
                with { Recipient = "bobmessagex ", Kind = MessageKind.System, Content = honest.Content })]),
            ("from before the master was certain", [Signed(_far.Master.Key, Change("master", "bob", soon.AddHours(-1)))]),
            ("from the future", [Signed(_far.Master.Key, Change("master", "bob", soon.AddMinutes(10)))]),
            ("no messages", [7, "x", null, new JsonArray(), new JsonObject { ["a"] = 1 }]),
        };
        foreach (var (what, changes) in attacks)
        {
            _answer = Roster(changes, ("bob", _bob.Endpoint, _bob.PublicKey), ("zoe", "https://localhost:8743/agents/zoe/swarm", await ZoeAsync()), ("planted", _bob.Endpoint, AttackFixture.Text(planted)));
            var answer = await TableState.UnchangedAsync(_far.Node.Database, SyncAsync, "members", "agents", "master_changes", "introductions", "invites");
            Assert.True(answer.Status != HttpStatusCode.OK, $"{what}: {answer.Text}");
            Assert.Equal("master", await MasterAsync());
        }

        // With what the master signed it is believed, and then its roster too; the same shown again, after the swarm was handed back, is not.
        _answer = Roster([Signed(_far.Master.Key, Change("master", "bob", soon))], ("bob", _bob.Endpoint, _bob.PublicKey), ("zoe", "https://localhost:8743/agents/zoe/swarm", await ZoeAsync()), ("master", _far.Master.Endpoint, _far.Master.PublicKey));
        Assert.Equal("bob", (await SyncAsync()).Ok()["master"].GetString());
        (await _far.TellAsync("zoe", _bob.Key, "bob", Content("bob", "master"), at: TimeProvider.System.GetUtcNow().AddSeconds(2))).Ok();
        Assert.Equal("master", await MasterAsync());
        Assert.NotEqual(HttpStatusCode.OK, (await SyncAsync()).Status);
        Assert.Equal("master", await MasterAsync());
    }

    [Fact]
    [Refuses("W-11", "W-13")]
    public async Task The_invite_goes_to_the_master_alone_and_a_hostile_answer_changes_nothing()
    {
        _far.Master.Requests.Clear();
        foreach (var answer in new[]
            {
                "", "[]", "{", """{"status":"accepted"}""", """{"status":"accepted","master_changes":7}""", Roster([]), Roster([], ("bob", "http://x", "y")),
                new string('[', 100_000), Roster([], ("zoe", "https://x", _bob.PublicKey)),
            })
        {
            _answer = answer;
            var refused = await TableState.UnchangedAsync(_far.Node.Database, SyncAsync, "members", "agents", "master_changes", "introductions");
            Assert.True((int)refused.Status is >= 400 and < 503, refused.Text);
        }

        _far.Master.Answer = (_, _, http) => PeerServer.RespondAsync(http, 200, _answer);
        _answer = Roster([], ("master", _bob.Endpoint, _bob.PublicKey), ("zoe", "https://localhost:8743/agents/zoe/swarm", await ZoeAsync()));
        (await TableState.UnchangedAsync(_far.Node.Database, SyncAsync, "members", "agents", "master_changes", "introductions"))
            .Refused(HttpStatusCode.Conflict, "swarm-exists");

        var kept = InviteToken.Parse(_far.Master.Requests.First().Json.GetProperty("invite_token").GetString()!);
        Assert.Equal("repeat", _far.Master.Requests.First().Json.GetProperty("swarm_proof").GetProperty("kind").GetString());
        kept.Verify([_far.Master.Key.PublicKey], TimeProvider.System.GetUtcNow());
        Assert.NotEmpty(_bob.Requests);
        Assert.All(_bob.Requests, r =>
        {
            var given = InviteToken.Parse(r.Json.GetProperty("invite_token").GetString()!);
            Assert.Equal(_far.Swarm, given.SwarmId);
            Assert.Throws<Core.SwarmException>(() => given.Verify([_far.Master.Key.PublicKey], DateTimeOffset.UnixEpoch));
        });
    }

    [Fact]
    [Refuses("W-12", "W-13", "W-19")]
    public async Task A_flood_of_strangers_makes_the_node_ask_once()
    {
        using var stranger = Key.Create(SignatureAlgorithm.Ed25519);
        var asked = new TaskCompletionSource();
        _far.Master.Answer = (_, _, http) =>
        {
            asked.TrySetResult();
            return PeerServer.RespondAsync(http, 404);
        };
        _far.Master.Requests.Clear();
        for (var n = 0; n < 200; n++)
        {
            Assert.Equal(HttpStatusCode.Forbidden, (await _far.TellAsync("zoe", stranger, $"stranger-{n}", "hello", "zoe")).Status);
        }

        await asked.Task.WaitAsync(RemoteMaster.Limit);
        await using (var replica = await _far.Node.StartReplicaAsync())
        {
            // The other replica notices it for the first time, and may not ask either.
            Assert.Equal(
                HttpStatusCode.Forbidden, (await replica.Http.PostMessageAsync("zoe", _far.Signed(stranger, "stranger", "hello", "zoe"))).Status);
            Assert.False(await replica.Get<Resyncs>().ClaimAsync(_far.Swarm, CancellationToken.None));
        }

        Assert.Single(_far.Master.Requests);
        Assert.Empty(_bob.Requests);
    }

    private Task<Answer> SyncAsync() => _far.Node.Hub.PostHubAsync($"/hub/v1/swarms/{_far.Swarm}/sync", new { agent = "zoe" });

    private async Task<string?> MasterAsync() => (await _far.Node.Hub.GetHubAsync($"/hub/v1/swarms/{_far.Swarm}")).Ok()["master"].GetString();

    private async Task<string> ZoeAsync() => (await _far.Node.Hub.GetHubAsync("/hub/v1/agents/zoe")).Ok()["public_key"].GetString()!;

    private static string Content(string old, string fresh) => $$"""{"action":"master_changed","old_master":"{{old}}","new_master":"{{fresh}}"}""";

    private AspMessage Change(string old, string fresh, DateTimeOffset at) => new()
    {
        MessageId = new(Guid.NewGuid()), Timestamp = AspTimestamp.Format(at), SenderId = old, SenderEndpoint = _far.Master.Endpoint, Recipient = "broadcast",
        SwarmId = _far.Swarm, Kind = MessageKind.System, Content = Content(old, fresh),
    };

    private static JsonNode? Signed(Key key, AspMessage message) => Wire(MessageSignature.Sign(key, message));

    private static JsonNode? Wire(AspMessage message) => JsonNode.Parse(MessageWriter.Write(message));

    private string Roster(JsonNode?[] changes, params (string Name, string Endpoint, string Key)[] members) => new JsonObject
    {
        ["status"] = "accepted", ["swarm_id"] = _far.Swarm.ToString(), ["swarm_name"] = "far away",
        ["members"] = new JsonArray([.. members.Select(m => new JsonObject { ["agent_id"] = m.Name, ["endpoint"] = m.Endpoint, ["public_key"] = m.Key })]),
        ["master_changes"] = new JsonArray(changes),
    }.ToJsonString();
}
