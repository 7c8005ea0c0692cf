using System.Net;
using System.Text.Json.Nodes;
using NSec.Cryptography;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Attacks;

/// <summary>Attacks on the message door: forging, shifting, replaying, squatting.</summary>
[Collection(AttackCollection.Name)]
public sealed class MessageAttackTests(AttackFixture world)
{
    [Fact]
    [Refuses("W-01")]
    public async Task Nobody_speaks_in_anothers_name_or_to_whom_it_may_not()
    {
        var (home, far) = (world.Home, world.Far);
        var eve = home.Sign("eve", "carol", "let me in");
        var zero = Convert.ToBase64String(new byte[64]);
        byte[] identity = [1, .. new byte[63]]; // R is the point of order one, S is zero: verifies under keys of small order where nobody looks.
        var attacks = new (string What, int Status, string Door, byte[] Wire)[]
        {
            ("no signature", 401, "carol", MessageWriter.Write(eve with { Signature = "" })),
            ("a signature of zeros", 401, "carol", MessageWriter.Write(eve with { Signature = zero })),
            ("a signature of small order", 401, "carol", MessageWriter.Write(eve with { Signature = Convert.ToBase64String(identity) })),
            ("the signature of another message", 401, "carol", MessageWriter.Write(eve with { Signature = home.Sign("eve", "carol").Signature })),
            ("another member's signature", 401, "carol", MessageWriter.Write(home.Sign("mallory", "carol") with { SenderId = "eve" })),
            ("a stranger as a member", 401, "carol", MessageWriter.Write(MessageSignature.Sign(world.Stranger, eve))),
            ("a stranger as the master", 401, "carol", MessageWriter.Write(MessageSignature.Sign(world.Stranger, eve with { SenderId = "alice" }))),
            ("a stranger as the receiver itself", 401, "carol", MessageWriter.Write(MessageSignature.Sign(world.Stranger, eve with { SenderId = "carol" }))),
            ("a stranger as itself", 403, "carol", MessageWriter.Write(MessageSignature.Sign(world.Stranger, eve with { SenderId = "stranger" }))),
            ("a member of another swarm", 403, "carol", MessageWriter.Write(MessageSignature.Sign(world.Bob.Key, eve with { SenderId = "bob" }))),
            ("a member into another swarm", 403, "zoe", MessageWriter.Write(MessageSignature.Sign(home.KeyOf("eve"), eve with { SwarmId = far.Swarm, Recipient = "zoe" }))),
            ("a swarm that the door's agent is not in", 404, "zoe", MessageWriter.Write(eve)),
            ("a swarm that nobody knows", 404, "carol", MessageWriter.Write(MessageSignature.Sign(home.KeyOf("eve"), eve with { SwarmId = new(Guid.NewGuid()) }))),
            ("another's message at this door", 403, "alice", MessageWriter.Write(eve)),
            ("to nobody", 403, "carol", MessageWriter.Write(home.Sign("eve", "nobody"))),
        };
        foreach (var (what, status, door, wire) in attacks)
        {
            await world.RefusedAsync(status, door, wire, what);
        }

        // It was the attack that was refused, not the message.
        Assert.Equal(HttpStatusCode.OK, (await world.Node.Http.PostMessageAsync("carol", MessageWriter.Write(eve))).Status);
    }

    [Fact]
    [Refuses("W-06")]
    public async Task Text_does_not_move_between_fields_under_one_signature()
    {
        var kick = """{"action":"member_kicked","agent_id":"mallory"}""";
        foreach (var recipient in new[] { "carol", "broadcast" })
        {
            var honest = MessageSignature.Sign(world.Home.KeyOf("eve"), world.Home.Sign("eve", recipient) with { Content = $"please system{kick}" });
            var shifted = honest with { Recipient = $"{recipient}messageplease ", Kind = MessageKind.System, Content = kick };
            Assert.True(MessageSignature.Verify(world.Home.KeyOf("eve").PublicKey, shifted));
            await world.RefusedAsync(403, "carol", MessageWriter.Write(shifted), recipient);
        }
    }

    [Fact]
    [Refuses("W-06")]
    public async Task What_the_signature_leaves_out_replaces_nothing_and_moves_nobody()
    {
        var message = world.Home.Sign("eve", "carol", "as I sent it");
        var wire = MessageWriter.Write(message);
        (await world.Node.Http.PostMessageAsync("carol", wire)).Ok();
        var changes = new Dictionary<string, JsonNode>
        {
            ["sender"] = new JsonObject { ["agent_id"] = "eve", ["endpoint"] = world.Bob.Endpoint },
            ["in_reply_to"] = $"{Guid.NewGuid()}", ["thread_id"] = $"{Guid.NewGuid()}", ["priority"] = "high", ["expires_at"] = "2020-01-01T00:00:00.000Z",
            ["attachments"] = new JsonArray(new JsonObject { ["type"] = "url", ["mime_type"] = "text/html", ["content"] = "https://evil.example.com" }),
            ["references"] = new JsonArray(new JsonObject { ["type"] = "url", ["url"] = "https://evil.example.com", ["action"] = "completed" }),
            ["metadata"] = new JsonObject { ["approved"] = true }, ["protocol_version"] = "9.9.9",
        };
        foreach (var (member, value) in changes)
        {
            var relayed = JsonNode.Parse(wire)!;
            relayed[member] = value;
            await world.RefusedAsync(200, "carol", System.Text.Encoding.UTF8.GetBytes(relayed.ToJsonString()), member);
        }

        // Nor where such a copy comes first: the roster says where the sender is reached, whatever a message claims.
        var first = JsonNode.Parse(world.Home.Signed("eve", "carol"))!;
        first["sender"]!["endpoint"] = world.Bob.Endpoint;
        var answer = await TableState.UnchangedAsync(
            world.Node.Database, () => world.Node.Http.PostMessageAsync("carol", System.Text.Encoding.UTF8.GetBytes(first.ToJsonString())), "members", "agents", "swarms");
        Assert.Equal(HttpStatusCode.OK, answer.Status);
    }

    [Fact]
    [Refuses("W-07")]
    public async Task A_replay_changes_nothing_however_often_and_however_late()
    {
        var now = TimeProvider.System.GetUtcNow();
        foreach (var at in new[] { now.AddDays(-7).AddMinutes(-1), now.AddDays(-30), now.AddMinutes(6), now.AddYears(1) })
        {
            await world.RefusedAsync(400, "carol", world.Home.Signed("eve", "carol", at: at), $"{at}");
        }

        var message = world.Home.Signed("eve", "broadcast", "once");
        foreach (var door in new[] { "carol", "alice" })
        {
            (await world.Node.Http.PostMessageAsync(door, message)).Ok();
        }

        for (var time = 0; time < 3; time++)
        {
            await world.RefusedAsync(200, "carol", message, "again");
            await world.RefusedAsync(200, "alice", message, "again at the other door");
        }
    }

    [Fact]
    [Refuses("W-07")]
    public async Task A_replayed_kick_does_not_kick_again_who_came_back()
    {
        var far = world.Far;
        await using var ben = await PeerServer.StartAsync(far.Master);
        var at = TimeProvider.System.GetUtcNow().AddMinutes(-1);
        await far.AddAsync("zoe", "ben", ben, at);
        var kick = far.Signed(far.Master.Key, "master", """{"action":"member_kicked","agent_id":"ben"}""", at: at.AddSeconds(1));
        (await far.Node.Http.PostMessageAsync("zoe", kick)).Ok();
        await far.AddAsync("zoe", "ben", ben, at.AddSeconds(2));

        await world.RefusedAsync(200, "zoe", kick, "the same");
        var late = far.Signed(far.Master.Key, "master", """{"action":"member_kicked","agent_id":"ben"}""", at: at.AddSeconds(1.5));
        var stored = await TableState.UnchangedAsync(
            far.Node.Database, () => far.Node.Http.PostMessageAsync("yan", late), "members", "agents", "introductions", "lifecycle_marks", "farewells");
        Assert.Equal(HttpStatusCode.OK, stored.Status);
        Assert.Contains("ben", await far.MembersAsync());
    }

    [Fact]
    [Refuses("W-08")]
    public async Task Whoever_sees_an_id_first_cannot_take_it()
    {
        var honest = world.Home.Sign("eve", "carol", "the real one");
        var id = honest.MessageId.Value;
        await world.RefusedAsync(
            403, "carol", MessageWriter.Write(MessageSignature.Sign(world.Stranger, honest with { SenderId = "stranger", Content = "squatted" })), "a stranger");
        await world.RefusedAsync(401, "carol", MessageWriter.Write(honest with { Content = "squatted" }), "in its name");
        var member = await world.Node.Http.PostMessageAsync("carol", world.Home.Signed("mallory", "carol", "squatted", id));
        Assert.Equal(HttpStatusCode.OK, member.Status);
        (await world.Node.Http.PostMessageAsync("carol", MessageWriter.Write(honest))).Ok();
        Assert.Equal(
            ["eve: the real one", "mallory: squatted"],
            (await world.Node.Hub.GetHubAsync("/hub/v1/agents/carol/inbox?limit=100&state=all")).Ok()["messages"].EnumerateArray()
                .Where(m => m.GetProperty("message_id").GetGuid() == id)
                .Select(m => $"{m.GetProperty("sender").GetString()}: {m.GetProperty("content").GetString()}").Order(StringComparer.Ordinal));
        await world.RefusedAsync(409, "carol", world.Home.Signed("eve", "carol", "another", id), "the sender itself");
    }
}
