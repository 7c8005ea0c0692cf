using System.Net;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Attacks;

/// <summary>Attacks on rosters by system messages: forged, without the right, and made to look like another event.</summary>
[Collection(AttackCollection.Name)]
public sealed class LifecycleAttackTests(AttackFixture world)
{
    /// <summary>Everything that an event without effect must not touch; the message itself is an ordinary one, and stored.</summary>
    public static readonly string[] Rosters =
    [
        "swarms", "members", "agents", "invites", "join_requests", "introductions", "lifecycle_marks", "farewells", "former_keys", "master_changes", "known_keys",
        "tokens", "mutes",
    ];

    [Fact]
    [Refuses("W-02", "W-12")]
    public async Task A_forged_event_is_refused_and_calls_nobody()
    {
        using var fresh = Key.Create(SignatureAlgorithm.Ed25519);
        var decoy = await world.Far.PeerAsync("decoy");
        await TableState.UnchangedAsync(
            world.Node.Database,
            async () =>
            {
                foreach (var content in Events(decoy, "bob", AttackFixture.Text(fresh)).Concat(Events(decoy, "eve", AttackFixture.Text(fresh))))
                {
                    foreach (var (sender, status) in new[] { ("master", 401), ("bob", 401), ("zoe", 401), ("stranger", 403) })
                    {
                        var answer = await world.Far.TellAsync("zoe", world.Stranger, sender, content);
                        Assert.True((int)answer.Status == status, $"{sender}: {content}: {answer.Text}");
                    }

                    var home = world.Home.Sign("eve", "broadcast") with { Kind = Core.Messaging.MessageKind.System, Content = content };
                    foreach (var (sender, status) in new[] { ("alice", 401), ("eve", 401), ("carol", 401), ("stranger", 403) })
                    {
                        var answer = await world.Node.Http.PostMessageAsync(
                            "alice", MessageWriter.Write(MessageSignature.Sign(world.Stranger, home with { SenderId = sender })));
                        Assert.True((int)answer.Status == status, $"{sender}: {content}: {answer.Text}");
                    }
                }

                return true;
            });
        Assert.Empty(decoy.Requests);
    }

    [Fact]
    [Refuses("W-02", "W-12")]
    public async Task A_members_event_beyond_its_rights_is_a_message_without_effect()
    {
        using var fresh = Key.Create(SignatureAlgorithm.Ed25519);
        var decoy = await world.Far.PeerAsync("decoy");
        await TableState.UnchangedAsync(
            world.Node.Database,
            async () =>
            {
                foreach (var content in Events(decoy, "dave", AttackFixture.Text(fresh)).Concat(Events(decoy, "master", AttackFixture.Text(fresh))))
                {
                    var sent = await world.Far.TellAsync("zoe", world.Bob.Key, "bob", content);
                    Assert.True(sent.Status == HttpStatusCode.OK && sent["status"].GetString() == "queued", $"{content}: {sent.Text}");
                }

                foreach (var content in Events(decoy, "mallory", AttackFixture.Text(fresh)).Concat(Events(decoy, "alice", AttackFixture.Text(fresh))))
                {
                    var wire = MessageWriter.Write(MessageSignature.Sign(
                        world.Home.KeyOf("eve"), world.Home.Sign("eve", "broadcast") with { Kind = Core.Messaging.MessageKind.System, Content = content }));
                    var sent = await world.Node.Http.PostMessageAsync("alice", wire);
                    Assert.True(sent.Status == HttpStatusCode.OK && sent["status"].GetString() == "queued", $"{content}: {sent.Text}");
                }

                return true;
            },
            Rosters);
        Assert.Empty(decoy.Requests);
    }

    [Fact]
    [Refuses("W-02", "W-23")]
    public async Task Not_even_the_master_replaces_a_pinned_key_or_the_key_of_an_agent_of_this_node()
    {
        using var fresh = Key.Create(SignatureAlgorithm.Ed25519);
        var decoy = await world.Far.PeerAsync("bob");
        var carol = (await world.Node.Hub.GetHubAsync("/hub/v1/agents/carol")).Ok()["public_key"].GetString()!;
        foreach (var (name, key) in new[] { ("bob", AttackFixture.Text(fresh)), ("zoe", AttackFixture.Text(fresh)), ("new", world.Dave.PublicKey), ("new", carol) })
        {
            var content = JsonSerializer.Serialize(new { action = "member_joined", member = new { agent_id = name, endpoint = decoy.Endpoint, public_key = key } });
            (await TableState.UnchangedAsync(world.Node.Database, () => world.Far.TellAsync("zoe", content), "members", "agents", "introductions")).Ok();
        }

        // Nor by the shape without a key, for which the endpoint would be asked.
        (await world.Far.TellAsync("zoe", $$"""{"action":"member_joined","agent_id":"bob","endpoint":"{{decoy.Endpoint}}"}""")).Ok();
        Assert.Equal(0, await world.Node.ScalarAsync<long>("select count(*) from introductions where name = 'bob'"));
        Assert.Empty(decoy.Requests);
    }

    [Fact]
    [Refuses("W-24")]
    public async Task A_reason_cannot_become_another_event()
    {
        using var scene = await Scene.CreateAsync(world.Node.Hub, ["kim"], []);
        await scene.AddRemoteAsync(world.Node.Hub, "lea", "https://lea.example.com/swarm");
        var reason = "x\",\"agent_id\":\"kim\",\"action\":\"swarm_dissolved\"}\n\0\u2028\\";
        foreach (var target in new[] { "\",\"x\":\"", "lea\"", "a b" })
        {
            (await TableState.UnchangedAsync(
                world.Node.Database, () => world.Node.Hub.PostHubAsync($"/hub/v1/swarms/{scene.Swarm}/kick", new { agent = "kim", target })))
                .Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        }

        (await world.Node.Hub.PostHubAsync($"/hub/v1/swarms/{scene.Swarm}/kick", new { agent = "kim", target = "lea", reason })).Ok();
        await using var command = world.Node.Database.CreateCommand(
            $"select m.wire from messages m join swarms s using (swarm_no) where s.swarm_id = '{scene.Swarm}' and convert_from(m.wire, 'UTF8') like '%kicked%'");
        var told = MessageParser.Parse((byte[])(await command.ExecuteScalarAsync())!).Content;
        var content = JsonElement.Parse(told).EnumerateObject().Select(m => (m.Name, m.Value.GetString())).ToArray();
        Assert.Equal([("action", "kicked"), ("agent_id", "lea"), ("reason", reason)], content);
    }

    /// <summary>All that a message can try to do to a member, or to the swarm.</summary>
    private static IEnumerable<string> Events(PeerServer decoy, string victim, string key) =>
    [
        $$"""{"action":"member_kicked","agent_id":"{{victim}}"}""",
        $$"""{"action":"member_left","agent_id":"{{victim}}"}""",
        $$"""{"action":"member_joined","agent_id":"planted","endpoint":"{{decoy.Endpoint}}"}""",
        $$"""{"action":"member_joined","member":{"agent_id":"planted","endpoint":"{{decoy.Endpoint}}","public_key":"{{key}}"} }""",
        $$"""{"action":"member_joined","member":{"agent_id":"{{victim}}","endpoint":"{{decoy.Endpoint}}","public_key":"{{key}}"} }""",
        $$"""{"action":"key_rotated","agent_id":"{{victim}}","public_key":"{{key}}"}""",
        $$"""{"action":"endpoint_changed","agent_id":"{{victim}}","endpoint":"{{decoy.Endpoint}}"}""",
        $$"""{"action":"master_changed","old_master":"{{victim}}","new_master":"bob"}""",
        """{"action":"master_changed","old_master":"master","new_master":"bob"}""",
        """{"action":"master_changed","old_master":"alice","new_master":"eve"}""",
        """{"action":"swarm_dissolved","reason":"master_left"}""",
    ];
}
