using System.Text.Json;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Capabilities;

/// <summary>A1's own requests, over HTTP: what its gateway answers, and where this one knows better (A1 §14.3, §20).</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Vector)]
public sealed class GatewayVectorTests(PostgresFixture postgres) : IAsyncLifetime
{
    private GatewayWorld _world = null!;

    public async Task InitializeAsync() => _world = await GatewayWorld.StartAsync(postgres, Pins());

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Fact]
    [Conforms("A1-13", "A1-14", "A1-19", "A1-20", "A1-21", "A1-22", "A1-27", "A1-35")]
    public async Task Every_request_of_the_vectors_is_answered_as_they_say()
    {
        var count = 0;
        foreach (var row in VectorFile.Rows("authorize"))
        {
            if (VectorFile.Find((string)row[0], (string)row[1]) is not { } vector)
            {
                continue;
            }

            await PrepareAsync(vector);
            var path = ++count % 2 == 0 ? "/v1/authorize" : "/v1/passport/authorize";
            var answer = await _world.Anybody.PostObjectAsync(path, BodyOf(vector));
            var expect = vector.Expect;
            if (!expect.GetProperty("authorized").GetBoolean())
            {
                Assert.True((403, expect.GetProperty("error_code").GetString()!, expect.GetProperty("variant").GetString()!) == answer.Refused(), $"{vector}: {answer.Text}");
                Assert.Equal(expect.GetProperty("error").GetString(), answer.Error());
                continue;
            }

            var json = answer.Ok();
            Assert.True(json.GetProperty("authorized").GetBoolean());
            Assert.Equal(JsonValueKind.Null, json.GetProperty("error_code").ValueKind);
            foreach (var member in new[] { "chain_depth", "chain_fingerprint", "verified_at_unix" })
            {
                Assert.Equal(expect.GetProperty(member).ToString(), json.GetProperty(member).ToString());
            }

            Assert.Equal(JsonSerializer.Serialize(expect.GetProperty("receipt")), JsonSerializer.Serialize(json.GetProperty("receipt")));
        }

        Assert.InRange(count, 25, int.MaxValue);
    }

    [Fact]
    [Conforms("A1-45")]
    public async Task A_revoked_or_expired_passport_stops_the_chains_that_A1_lets_through()
    {
        await using var world = await GatewayWorld.StartAsync(postgres);
        var file = VectorFile.PublishedOfA1.Base("a1-passport-01").Json.GetProperty("passport");
        foreach (var (id, code) in new[] { ("a1-auth-10", "CERT_EXPIRED"), ("a1-auth-09", "CERT_REVOKED") })
        {
            var vector = VectorFile.PublishedOfA1.Base(id);

            // Unknown, its principal is nobody; then it is known, alive, and the same request passes; then it is not alive any more.
            Assert.Equal((403, "POLICY_VIOLATION", "PolicyViolation"), (await world.Anybody.PostObjectAsync("/v1/authorize", BodyOf(vector))).Refused());
            Assert.Equal(1, (await world.PostAsync("/v1/passports/restore", new { passports = new[] { new { content = file } } })).Ok().GetProperty("restored").GetInt32());
            if (id == "a1-auth-09")
            {
                Assert.Equal(200, (await world.PostAsync("/v1/cert/revoke-batch", new { fingerprints = vector.Json.GetProperty("revoked_fingerprints") })).Code);
            }

            world.Time.Now = DateTimeOffset.FromUnixTimeSeconds(vector.Json.GetProperty("now").GetInt64());
            Assert.Equal(code, (await world.Anybody.PostObjectAsync("/v1/authorize", BodyOf(vector))).Refused().Code);
            world.Time.Now = DateTimeOffset.FromUnixTimeSeconds((long)Chains.Now);
            await world.Node.ExecuteAsync("delete from a1_swarms; delete from a1_passports; delete from a1_nonces; delete from a1_revocations");
            world.Node.Get<Swarm.Core.Signals.ControlEvents>().RaiseMissed();
        }
    }

    private static Dictionary<string, string> Pins()
    {
        var pins = new Dictionary<string, string>();
        foreach (var name in new[] { "principal", "orchestrator", "worker", "outsider", "gateway", "auditor" })
        {
            var key = VectorFile.PublishedOfA1.Key(name);
            pins[$"A1:TrustedPrincipals:{pins.Count}"] = key.AgentId["did:a1:".Length..];
        }

        return pins;
    }

    private static Dictionary<string, object?> BodyOf(Vector vector)
    {
        var body = new Dictionary<string, object?>
        {
            ["chain"] = vector.Json.GetProperty("chain"),
            ["intent_name"] = vector.Text("intent_name"),
            ["intent_params"] = vector.Json.GetProperty("intent_params"),
            ["executor_pk_hex"] = vector.Text("executor_pk_hex"),
        };
        if (vector.Json.TryGetProperty("merkle_proof", out var proof))
        {
            body["intent_proof"] = proof;
        }

        return body;
    }

    private async Task PrepareAsync(Vector vector)
    {
        await _world.Node.ExecuteAsync("truncate a1_nonces, a1_revocations");
        _world.Time.Now = DateTimeOffset.FromUnixTimeSeconds(vector.Json.GetProperty("now").GetInt64());
        foreach (var nonce in vector.Json.GetProperty("consumed_nonces").EnumerateArray())
        {
            await _world.Node.ExecuteAsync($"insert into a1_nonces values ('{nonce.GetString()}', gen_random_uuid(), 9000000000)");
        }

        if (vector.Json.GetProperty("revoked_fingerprints") is var revoked && revoked.GetArrayLength() > 0)
        {
            Assert.Equal(revoked.GetArrayLength(), (await _world.PostAsync("/v1/cert/revoke-batch", new { fingerprints = revoked })).Ok().GetProperty("revoked_count").GetInt32());
        }
    }
}
