using System.Net;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;
using Swarm.Tests.Swarms;

namespace Swarm.Tests.Attacks;

/// <summary>Attacks on joining: tokens that do not count, keys that are not the applicant's, members' places.</summary>
[Collection(AttackCollection.Name)]
public sealed class JoinAttackTests(AttackFixture world)
{
    [Fact]
    [Refuses("W-11", "W-22")]
    public async Task A_token_that_does_not_count_admits_nobody_and_tells_nothing()
    {
        using Key applicant = New(), other = New();
        var swarm = $"/hub/v1/swarms/{world.Home.Swarm}/invites";
        var hub = world.Node.Hub;
        // Of terms that no other test here has: two invites of one second and like terms are one token.
        var revoked = (await hub.PostHubAsync(swarm, new { agent = "alice", max_uses = 7 })).Ok();
        (await hub.DeleteHubAsync($"{swarm}/{revoked["token_hash"].GetString()}?agent=alice")).Ok();
        var expired = (await hub.PostHubAsync(swarm, new { agent = "alice", expires_in_hours = -1 })).Ok();
        var spent = AttackFixture.Jwt(await world.Home.InviteAsync(hub, maxUses: 1));
        (await world.JoinAsync("alice", spent, "guest-1", AttackFixture.Text(other))).Ok();
        var good = AttackFixture.Jwt(await world.Home.InviteAsync(hub));
        var parts = good.Split('.');
        var claims = new InviteClaims(world.Home.Swarm, "alice", (await AgentAsync("alice"))["endpoint"].GetString()!, TimeProvider.System.GetUtcNow(), null, null);
        var attacks = new (string What, int Status, string Door, string Jwt)[]
        {
            ("revoked", 403, "alice", AttackFixture.Jwt(revoked["invite_token"].GetString()!)),
            ("expired", 401, "alice", AttackFixture.Jwt(expired["invite_token"].GetString()!)),
            ("used up", 403, "alice", spent),
            ("another member's door", 404, "carol", good),
            ("a door outside the swarm", 404, "zoe", good),
            ("signed by a stranger", 401, "alice", InviteToken.Create(claims, world.Stranger).Jwt),
            ("signed by a member who may not invite", 401, "alice", InviteToken.Create(claims, world.Home.KeyOf("eve")).Jwt),
            ("with more uses than were signed", 401, "alice", $"{parts[0]}.{InviteToken.Create(claims with { MaxUses = 9 }, world.Stranger).Jwt.Split('.')[1]}.{parts[2]}"),
            ("without a signature", 401, "alice", $"{parts[0]}.{parts[1]}."),
            ("of no algorithm", 400, "alice", $"{Base64Url("{\"alg\":\"none\",\"typ\":\"JWT\"}")}.{parts[1]}.{parts[2]}"),
            ("a signature spelt otherwise", 400, "alice", good + "="),
        };
        foreach (var (what, status, door, jwt) in attacks)
        {
            foreach (var name in new[] { "newcomer", "eve" })
            {
                // Who is a member gets by a used token what it may know; nobody else does, and nobody by any other.
                if ((what, name) is ("used up", "eve"))
                {
                    continue;
                }

                var answer = await world.RefusedAsync(status, () => world.JoinAsync(door, jwt, name, AttackFixture.Text(applicant)), $"{what}, {name}");
                Assert.DoesNotContain("endpoint", answer.Text, StringComparison.Ordinal);
                Assert.DoesNotContain("public_key", answer.Text, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    [Refuses("W-11", "W-22", "W-23")]
    public async Task A_key_that_is_not_the_applicants_is_not_made_a_member_by_a_proof_that_is_none()
    {
        using Key victim = New(), thief = New();
        var jwt = AttackFixture.Jwt(await world.Home.InviteAsync(world.Node.Hub));
        var elsewhere = AttackFixture.Jwt(await world.Home.InviteAsync(world.Node.Hub, maxUses: 5));
        var (key, now) = (AttackFixture.Text(victim), TimeProvider.System.GetUtcNow());
        object? Good(string name = "newcomer", string? token = null, string to = "alice", DateTimeOffset? at = null) =>
            AttackFixture.Proof(victim, isRepeat: false, to, token ?? jwt, name, key, at);
        var proofs = new (string What, int Status, object? Proof)[]
        {
            ("signed by another", 401, AttackFixture.Proof(thief, isRepeat: false, "alice", jwt, "newcomer", key)),
            ("for another token", 401, Good(token: elsewhere)),
            ("for another name", 401, Good("somebody")),
            ("for another door", 401, Good(to: "carol")),
            ("too old", 401, Good(at: now.AddMinutes(-6))),
            ("from the future", 401, Good(at: now.AddMinutes(6))),
            ("without signature", 422, new { kind = "join", timestamp = AspTimestamp.Format(now) }),
            ("of another kind", 422, new { kind = "admin", timestamp = AspTimestamp.Format(now), signature = "x" }),
            ("no object", 422, "proof"),
            ("too long", 422, new { kind = "join", timestamp = AspTimestamp.Format(now), signature = new string('x', 2_000) }),
            ("a repeat of who is no member", 403, AttackFixture.Proof(victim, isRepeat: true, "alice", jwt, "newcomer", key)),
        };
        foreach (var (what, status, proof) in proofs)
        {
            await world.RefusedAsync(status, () => world.JoinAsync("alice", jwt, "newcomer", key, proof), what);
        }

        (await world.JoinAsync("alice", jwt, "newcomer", key, Good())).Ok();
        (await world.Node.Hub.PostHubAsync($"/hub/v1/swarms/{world.Home.Swarm}/kick", new { agent = "alice", target = "newcomer" })).Ok();
    }

    [Fact]
    [Refuses("W-22")]
    public async Task Where_proof_is_asked_for_nobody_learns_the_roster_without_it()
    {
        await using var node = await NodeHost.StartAsync(
            world.Postgres, settings: new Dictionary<string, string> { ["Swarm:RequireJoinProof"] = "true", ["Limits:SenderPerMinute"] = "3" });
        using var scene = await Scene.CreateAsync(node.Hub, ["alice", "carol"], ["eve"]);
        using var key = New();
        var jwt = AttackFixture.Jwt(await scene.InviteAsync(node.Hub));
        object Application(object? proof) => new
        {
            type = "system", action = "join_request", invite_token = jwt,
            sender = new { agent_id = "bob", endpoint = "https://bob.example.com/swarm", public_key = AttackFixture.Text(key) }, swarm_proof = proof,
        };
        var refused = await TableState.UnchangedAsync(node.Database, () => node.Http.PostHubAsync("/agents/alice/swarm/join", Application(null)));
        Assert.Equal(HttpStatusCode.Unauthorized, refused.Status);
        Assert.DoesNotContain("members", refused.Text, StringComparison.Ordinal);
        var joined = await node.Http.PostHubAsync("/agents/alice/swarm/join", Application(AttackFixture.Proof(key, isRepeat: false, "alice", jwt, "bob", AttackFixture.Text(key))));
        Assert.Equal(4, joined.Ok()["members"].GetArrayLength());

        // A member may ask again, but not as often as it likes.
        var repeats = new List<int>();
        for (var time = 0; time < 8; time++)
        {
            var proof = AttackFixture.Proof(key, isRepeat: true, "alice", jwt, "bob", AttackFixture.Text(key));
            repeats.Add((int)(await node.Http.PostHubAsync("/agents/alice/swarm/join", Application(proof))).Status);
        }

        Assert.Equal(200, repeats[0]);
        Assert.Contains(429, repeats);
    }

    [Fact]
    [Refuses("W-23", "W-11")]
    public async Task A_members_place_is_not_taken_by_joining_again_with_another_key()
    {
        using Key old = New(), thief = New();
        var jwt = AttackFixture.Jwt(await world.Home.InviteAsync(world.Node.Hub));
        (await world.JoinAsync("alice", jwt, "ann", AttackFixture.Text(old))).Ok();
        var wanted = AttackFixture.Text(thief);

        // Without the word of the old key, the answer is the roster as it was (ASP §8.2, JOIN-02); a proof that is none is refused.
        var repeats = new (string What, int Status, object? Proof)[]
        {
            ("bare", 200, null),
            ("by the new key", 200, AttackFixture.Proof(thief, isRepeat: false, "alice", jwt, "ann", wanted)),
            ("as a repeat by the new key", 401, AttackFixture.Proof(thief, isRepeat: true, "alice", jwt, "ann", wanted)),
            ("by the old key, for another new one", 401, AttackFixture.Proof(old, isRepeat: true, "alice", jwt, "ann", AttackFixture.Text(world.Stranger))),
            ("by the old key, too old", 401, AttackFixture.Proof(old, isRepeat: true, "alice", jwt, "ann", wanted, TimeProvider.System.GetUtcNow().AddMinutes(-6))),
            ("by the old key, for another member", 401, AttackFixture.Proof(old, isRepeat: true, "carol", jwt, "ann", wanted)),
            ("by the old key, as a first join", 200, AttackFixture.Proof(old, isRepeat: false, "alice", jwt, "ann", wanted)),
        };
        foreach (var (what, status, proof) in repeats)
        {
            var answer = await world.RefusedAsync(status, () => world.JoinAsync("alice", jwt, "ann", wanted, proof), what);
            Assert.True(status != 200 || KeyOf(answer, "ann") == AttackFixture.Text(old), what);
        }

        // Nor is a key taken that is somebody else's already, or that verifies nothing.
        foreach (var (key, status) in new[] { (AttackFixture.Text(world.Home.KeyOf("eve")), 200), (Convert.ToBase64String(new byte[32]), 422), ("AAAA", 422) })
        {
            var answer = await TableState.UnchangedAsync(
                world.Node.Database, () => world.JoinAsync("alice", jwt, "ann", key, old, isRepeat: true), "members", "agents");
            Assert.Equal(status, (int)answer.Status);
        }

        // By the word of the old key it changes; what the old one signs is nobody's word any more.
        var changed = await world.JoinAsync("alice", jwt, "ann", wanted, old, isRepeat: true);
        Assert.Equal(wanted, KeyOf(changed.Ok(), "ann"));
        await world.RefusedAsync(401, () => world.JoinAsync("alice", jwt, "ann", wanted, old, isRepeat: true), "the same again, by the old key");
        var message = world.Home.Sign("eve", "carol") with { SenderId = "ann" };
        await world.RefusedAsync(401, "carol", MessageWriter.Write(MessageSignature.Sign(old, message)), "the old key");
        Assert.Equal(HttpStatusCode.OK, (await world.Node.Http.PostMessageAsync("carol", MessageWriter.Write(MessageSignature.Sign(thief, message)))).Status);
    }

    [Fact]
    [Refuses("W-18", "W-13")]
    public async Task Who_was_kicked_gets_nothing_and_does_not_come_back_by_asking_how_the_swarm_stands()
    {
        using var key = New();
        var hub = world.Node.Hub;
        var jwt = AttackFixture.Jwt(await world.Home.InviteAsync(hub));
        (await world.JoinAsync("alice", jwt, "kay", AttackFixture.Text(key))).Ok();
        (await world.JoinAsync("carol", jwt, "kay", AttackFixture.Text(key), key, isRepeat: true)).Ok();
        (await hub.PostHubAsync($"/hub/v1/swarms/{world.Home.Swarm}/kick", new { agent = "alice", target = "kay" })).Ok();

        var mine = $"select count(*) from deliveries d join agents a on a.agent_no = d.recipient_no where a.public_key = '\\x{Convert.ToHexString(key.PublicKey.Export(KeyBlobFormat.RawPublicKey))}'";
        var before = await world.Node.ScalarAsync<long>(mine);
        (await hub.PostHubAsync("/hub/v1/messages", new { from = "alice", swarm_id = world.Home.Swarm.Value, to = "broadcast", content = "without kay" })).Ok();
        (await hub.PostHubAsync("/hub/v1/messages", new { from = "alice", swarm_id = world.Home.Swarm.Value, to = "kay", content = "?" }))
            .Refused(HttpStatusCode.UnprocessableEntity, "wrong-recipient");
        Assert.Equal(before, await world.Node.ScalarAsync<long>(mine));

        var message = MessageWriter.Write(MessageSignature.Sign(key, world.Home.Sign("eve", "carol") with { SenderId = "kay" }));
        await world.RefusedAsync(403, "carol", message, "a message");
        foreach (var door in new[] { "alice", "carol" })
        {
            var answer = await world.RefusedAsync(403, () => world.JoinAsync(door, jwt, "kay", AttackFixture.Text(key), key, isRepeat: true), "a repeat");
            Assert.Equal("not_a_member", answer["error"].GetProperty("details").GetProperty("reason").GetString());
        }
    }

    [Fact]
    [Refuses("W-25")]
    public async Task Crafted_joins_are_refused_in_the_words_of_the_protocol()
    {
        using var key = New();
        var good = AttackFixture.Jwt(await world.Home.InviteAsync(world.Node.Hub));
        var parts = good.Split('.');
        string[] payloads =
        [
            "[]", "7", "null", "\"x\"", "{}", """{"swarm_id":[]}""", """{"swarm_id":{}}""", """{"swarm_id":null}""", """{"swarm_id":"\ud800"}""",
            $$"""{"swarm_id":"{{world.Home.Swarm}}","master":7,"endpoint":[],"iat":"x"}""",
            $$"""{"swarm_id":"{{world.Home.Swarm}}","master":"alice","endpoint":"x","iat":1,"expires_at":7}""", new string('[', 5_000),
        ];
        foreach (var jwt in payloads.Select(p => $"{parts[0]}.{Base64Url(p)}.{parts[2]}")
            .Concat(["a.b", "..", "é.é.é", $"{parts[0]}.%.{parts[2]}", $"{Base64Url("[]")}.{parts[1]}.{parts[2]}", $"é.{parts[1]}.{parts[2]}", new string('x', 20_000)]))
        {
            var answer = await TableState.UnchangedAsync(world.Node.Database, () => world.JoinAsync("alice", jwt, "newcomer", AttackFixture.Text(key)));
            Assert.True((int)answer.Status is 400 or 401 or 404 or 422, $"{jwt[..Math.Min(80, jwt.Length)]}: {(int)answer.Status} {answer.Text}");
        }

        foreach (var bad in new[] { "", "\0", "=", new string('A', 44), "MCowBQYDK2VwAyEA", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", new string('x', 2_000) })
        {
            await world.RefusedAsync(422, () => world.JoinAsync("alice", good, "newcomer", bad), bad);
        }
    }

    [Fact]
    [Refuses("W-23", "W-25")]
    public async Task A_key_under_which_nothing_verifies_is_taken_nowhere()
    {
        var hub = world.Node.Hub;
        var jwt = AttackFixture.Jwt(await world.Home.InviteAsync(hub));
        var zoe = (await AgentAsync("zoe"))["public_key"].GetString()!;
        await TableState.UnchangedAsync(
            world.Node.Database,
            async () =>
            {
                foreach (var key in Unsound)
                {
                    Assert.Equal(HttpStatusCode.UnprocessableEntity, (await world.JoinAsync("alice", jwt, "weak", key)).Status);
                    (await hub.PostHubAsync("/hub/v1/agents", new { name = "weak", kind = "external", public_key = key }))
                        .Refused(HttpStatusCode.UnprocessableEntity, "invalid-key");
                    var imported = await hub.PostHubAsync("/hub/v1/agents/zoe/import?merge=true", StateWith(zoe, key));
                    imported.Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
                    Assert.Contains("members[1].public_key", imported["detail"].GetString(), StringComparison.Ordinal);
                }

                return true;
            });

        // In an event it is as if there were none.
        await TableState.UnchangedAsync(
            world.Node.Database,
            async () =>
            {
                foreach (var key in Unsound)
                {
                    (await world.Far.TellAsync("zoe", $$"""{"action":"member_joined","member":{"agent_id":"weak","endpoint":"https://10.0.0.1/swarm","public_key":"{{key}}"} }""")).Ok();
                    (await world.Far.TellAsync("zoe", $$"""{"action":"key_rotated","agent_id":"master","public_key":"{{key}}"}""")).Ok();
                }

                return true;
            },
            "members", "agents");
    }

    /// <summary>Points of small order, in some of their encodings, and what is no canonical encoding of a point.</summary>
    private static readonly string[] Unsound =
    [
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAIA=",
        "JuiVj8KyJ7BFw/SJ8u+Y8NXfrAXTxjM5sTgCiG1T/AU=", "xxdqcD1N2E+6PAt2DRBnDyogU/osOczGTsf9d5KsA3o=", "7P///////////////////////////////////////38=",
        "7f///////////////////////////////////////38=", "7v///////////////////////////////////////38=", "//////////////////////////////////////////8=",
    ];

    private static object StateWith(string zoe, string key)
    {
        const string At = "2026-01-01T00:00:00+00:00", Swarm = "550e8400-e29b-41d4-a716-446655440001";
        return new
        {
            schema_version = "2.0.0", agent_id = "zoe", exported_at = At,
            swarms = new Dictionary<string, object>
            {
                [Swarm] = new
                {
                    swarm_id = Swarm, name = "imported", master = "zoe", joined_at = At,
                    members = new[]
                    {
                        new { agent_id = "zoe", endpoint = "https://zoe.example.com/swarm", public_key = zoe, joined_at = At },
                        new { agent_id = "weak", endpoint = "https://weak.example.com/swarm", public_key = key, joined_at = At },
                    },
                },
            },
        };
    }

    private async Task<Answer> AgentAsync(string name) => (await world.Node.Hub.GetHubAsync($"/hub/v1/agents/{name}")).Ok();

    private static string? KeyOf(Answer roster, string name) =>
        roster["members"].EnumerateArray().Single(m => m.GetProperty("agent_id").GetString() == name).GetProperty("public_key").GetString();

    private static Key New() => Key.Create(SignatureAlgorithm.Ed25519);

    private static string Base64Url(string text) => System.Buffers.Text.Base64Url.EncodeToString(System.Text.Encoding.UTF8.GetBytes(text));
}
