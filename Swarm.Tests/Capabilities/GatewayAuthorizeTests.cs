using System.Text;
using System.Text.Json;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Capabilities;

/// <summary>Authorizing over HTTP: nonces, revocations, batches, tokens, remembered answers, policies, events (A1 §9.1, §10, §11, §14.3, §19, §20).</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class GatewayAuthorizeTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly string[] Trade = ["trade.equity"];

    private GatewayWorld _world = null!;

    public async Task InitializeAsync()
    {
        _world = await GatewayWorld.StartAsync(postgres);
        await _world.KnowAsync();
    }

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Fact]
    [Conforms("A1-20", "A1-46")]
    public async Task Of_many_replays_at_two_replicas_exactly_one_succeeds()
    {
        await using var other = await _world.StartReplicaAsync();
        for (var round = 0; round < 5; round++)
        {
            var chain = GatewayWorld.ToJson(_world.Chain(null, Trade));
            var answers = await Task.WhenAll(Enumerable.Range(0, 40).Select(i => (i % 2 == 0 ? _world : other).AuthorizeAsync(chain, 2, "trade.equity")));
            Assert.Equal(1, answers.Count(a => a.Code == 200));
            Assert.All(answers.Where(a => a.Code != 200), a => Assert.Equal((403, "NONCE_REPLAY", "NonceReplay"), a.Refused()));
        }

        Assert.Equal(10, await _world.Node.ScalarAsync<long>("select count(*) from a1_nonces"));
    }

    [Fact]
    [Conforms("A1-20", "A1-46")]
    public async Task Nonces_are_consumed_all_or_none_and_a_restart_forgets_none_of_them()
    {
        var first = _world.Chain(Trade, null);
        Assert.Equal(200, (await _world.AuthorizeAsync(GatewayWorld.ToJson(first), 2, "trade.equity")).Code);

        // Shares the used hop, and brings one of its own, which must stay usable.
        var own = _world.Chain(Trade, null).Certificates[1];
        var shared = first with { Certificates = [first.Certificates[0], own] };
        Assert.Equal("NONCE_REPLAY", (await _world.AuthorizeAsync(GatewayWorld.ToJson(shared), 2, "trade.equity")).Refused().Code);
        Assert.Equal(2, await _world.Node.ScalarAsync<long>("select count(*) from a1_nonces"));
        var fresh = _world.Chain(Trade).Certificates[0];
        var revoked = _world.Chain(Trade);
        Assert.Equal(200, (await _world.PostAsync("/v1/cert/revoke", new { fingerprint_hex = revoked.Certificates[0].Fingerprint().ToString() })).Code);

        await using var restarted = await _world.StartReplicaAsync();
        Assert.Equal("NONCE_REPLAY", (await restarted.AuthorizeAsync(GatewayWorld.ToJson(first), 2, "trade.equity")).Refused().Code);
        Assert.Equal("CERT_REVOKED", (await restarted.AuthorizeAsync(GatewayWorld.ToJson(revoked), 1, "trade.equity")).Refused().Code);
        Assert.Equal(200, (await restarted.AuthorizeAsync(GatewayWorld.ToJson(first with { Certificates = [fresh, own] }), 2, "trade.equity")).Code);
    }

    [Fact]
    [Conforms("A1-21", "A1-46")]
    public async Task A_revocation_that_was_answered_holds_at_once_at_every_replica_and_comes_before_a_replay()
    {
        await using var other = await _world.StartReplicaAsync();
        for (var round = 0; round < 10; round++)
        {
            var chain = _world.Chain(Trade, null);
            var print = chain.Certificates[round % 2].Fingerprint().ToString();
            if (round % 3 == 0)
            {
                Assert.Equal(200, (await other.AuthorizeAsync(GatewayWorld.ToJson(chain), 2, "trade.equity")).Code);
            }

            Assert.False((await other.Anybody.SendAsync(HttpMethod.Get, $"/v1/cert/{print}")).Ok().GetProperty("revoked").GetBoolean());
            var upper = print.ToUpperInvariant();
            Assert.Equal(upper, (await _world.PostAsync("/v1/cert/revoke", new { fingerprint_hex = upper })).Ok().GetProperty("revoked").GetString());
            Assert.Equal((403, "CERT_REVOKED", "Revoked"), (await other.AuthorizeAsync(GatewayWorld.ToJson(chain), 2, "trade.equity")).Refused());
            Assert.True((await other.Anybody.SendAsync(HttpMethod.Get, $"/v1/cert/{print}")).Ok().GetProperty("revoked").GetBoolean());
        }

        var batch = (await _world.PostAsync("/v1/cert/revoke-batch", new { fingerprints = new[] { new string('a', 64), "zz", new string('a', 64), "abcd" } })).Ok();
        Assert.Equal((2, """["zz","abcd"]"""), (batch.GetProperty("revoked_count").GetInt32(), batch.GetProperty("failed").GetRawText()));
        Assert.Equal("invalid hex", (await _world.PostAsync("/v1/cert/revoke", new { fingerprint_hex = "zz" })).Error());
        Assert.Equal("fingerprint must be 32 bytes", (await _world.PostAsync("/v1/cert/revoke", new { fingerprint_hex = "abcd" })).Error());
        Assert.Equal(400, (await _world.Anybody.SendAsync(HttpMethod.Get, "/v1/cert/xyz")).Refused().Status);
    }

    [Fact]
    [Conforms("A1-24")]
    public async Task A_batch_passes_or_fails_by_the_rules_of_its_first_intent_and_consumes_only_when_all_pass()
    {
        var chain = GatewayWorld.ToJson(_world.Chain([null]));
        var mixed = await BatchAsync(chain, 1, "trade.equity", "fly.plane", "portfolio.read");
        Assert.Equal("False 2 3", Summary(mixed));
        Assert.Equal("True|False BATCH_ITEM_FAILED batch authorization failed at index 1: execution intent is not within the terminal scope|True", Items(mixed));
        Assert.Equal(0, await _world.Node.ScalarAsync<long>("select count(*) from a1_nonces"));

        var outside = await BatchAsync(chain, 1, "fly.plane", "trade.equity");
        Assert.Equal("False 0 2", Summary(outside));
        Assert.Equal("True 2 2", Summary(await BatchAsync(chain, 1, "trade.equity", "portfolio.read")));
        Assert.Equal(1, await _world.Node.ScalarAsync<long>("select count(*) from a1_nonces"));
        var replay = await BatchAsync(chain, 1, "trade.equity", "portfolio.read");
        Assert.Equal("False NONCE_REPLAY nonce has already been consumed|False NONCE_REPLAY nonce has already been consumed", Items(replay));
        Assert.Equal("True 0 0", Summary(await BatchAsync(chain, 1)));

        var other = GatewayWorld.ToJson(_world.Chain([null]));
        Assert.Equal("True 256 256", Summary(await BatchAsync(other, 1, [.. Enumerable.Repeat("trade.equity", 256)])));
        var large = await _world.Anybody.PostObjectAsync("/v1/authorize/batch", BatchBody(other, 1, [.. Enumerable.Repeat("trade.equity", 257)]));
        Assert.Equal((400, "AUTHORIZATION_FAILED", "WireFormatError"), large.Refused());
        Assert.Equal("wire format error: Batch size 257 exceeds maximum allowed of 256", large.Error());
        Assert.Equal(400, (await _world.Anybody.PostObjectAsync("/v1/authorize/batch", BatchBody(other, 1, ""))).Refused().Status);
    }

    [Fact]
    [Conforms("A1-23")]
    public async Task A_token_is_issued_in_the_form_that_its_client_reads_and_verified_in_every_form()
    {
        var native = (await TokenAsync("?token_form=native", null)).GetProperty("token");
        Assert.Equal(32, native.GetProperty("receipt").GetProperty("intent").GetArrayLength());
        var go = (await TokenAsync("", "a1-sdk-go/dyolo_v2.8.0")).GetProperty("token");
        Assert.Equal(32, go.GetProperty("mac").GetArrayLength());
        var hex = (await TokenAsync("", null)).GetProperty("token");
        Assert.Equal(64, hex.GetProperty("receipt").GetProperty("verified_scope_root").GetString()!.Length);
        foreach (var token in new[] { native, go, hex })
        {
            foreach (var body in new object[] { token, new { token } })
            {
                var answer = (await _world.Anybody.PostObjectAsync("/v1/token/verify", body)).Ok();
                Assert.Equal((true, 1UL, Chains.Now), (answer.GetProperty("valid").GetBoolean(), answer.GetProperty("chain_depth").GetUInt64(), answer.GetProperty("verified_at_unix").GetUInt64()));
            }
        }

        var mac = hex.GetProperty("mac").GetString()!;
        foreach (var (bad, text) in new[]
        {
            ((mac[0] == '0' ? "1" : "0") + mac[1..], "MAC verification failed"),
            ("xyz", "wire format error: invalid MAC hex"),
            ("abcd", "wire format error: MAC must be 32 bytes"),
        })
        {
            var answer = await _world.Anybody.PostObjectAsync("/v1/token/verify", new { token = new { receipt = hex.GetProperty("receipt"), mac = bad } });
            Assert.Equal((401, false, text), (answer.Code, answer.Json.GetProperty("valid").GetBoolean(), answer.Error()));
        }

        Assert.Equal(422, (await _world.Anybody.PostObjectAsync("/v1/token/verify", new { token = new { mac } })).Refused().Status);
    }

    [Fact]
    [Conforms("A1-20", "A1-27")]
    [Refuses("A1-W13")]
    public async Task The_same_request_with_a_request_id_is_answered_again_as_before_and_another_one_is_a_replay()
    {
        var chain = GatewayWorld.ToJson(_world.Chain(Trade));
        var more = new { request_id = "r-1", return_token = true };
        var first = await _world.AuthorizeAsync(chain, 1, "trade.equity", more);
        _world.Time.Now += TimeSpan.FromSeconds(60);
        await using var other = await _world.StartReplicaAsync();
        Assert.Equal(first.Ok().GetRawText(), (await other.AuthorizeAsync(chain, 1, "trade.equity", more)).Ok().GetRawText());
        Assert.Equal("NONCE_REPLAY", (await _world.AuthorizeAsync(chain, 1, "trade.equity", new { request_id = "r-2", return_token = true })).Refused().Code);
        Assert.Equal("NONCE_REPLAY", (await _world.AuthorizeAsync(chain, 1, "trade.equity")).Refused().Code);

        // What was revoked meanwhile is not said again.
        await _world.PostAsync("/v1/cert/revoke", new { fingerprint_hex = _world.Chain(Trade).Certificates[0].Fingerprint().ToString() });
        _world.Time.Now += TimeSpan.FromSeconds(600);
        Assert.Equal("NONCE_REPLAY", (await _world.AuthorizeAsync(chain, 1, "trade.equity", more)).Refused().Code);
    }

    [Fact]
    [Conforms("A1-19", "A1-27")]
    public async Task Bytes_may_come_as_hex_extensions_empty_and_the_proof_with_the_request_or_not_at_all()
    {
        var chain = _world.Chain([null]);
        var json = System.Text.Json.Nodes.JsonNode.Parse(Chains.Write(chain))!;
        var certificate = json["certs"]![0]!;
        foreach (var member in new[] { "delegator_pk", "delegate_pk", "scope_root", "nonce", "signature" })
        {
            certificate[member] = Convert.ToHexStringLower([.. certificate[member]!.AsArray().Select(n => (byte)n!)]);
        }

        var executor = Convert.FromHexString(_world.PublicKey(1)).Select(b => (int)b).ToArray();
        var answer = await _world.Anybody.PostObjectAsync("/v1/authorize", new { chain = json, intent_name = "portfolio.read", executor_pk_hex = executor, unknown = 1 });
        Assert.Equal(1, answer.Ok().GetProperty("chain_depth").GetInt32());
    }

    [Fact]
    [Conforms("A1-27", "A1-38")]
    [Refuses("A1-W21")]
    public async Task What_is_malformed_is_reported_in_A1s_order_and_words()
    {
        var chain = GatewayWorld.ToJson(_world.Chain(Trade));
        var wrongVersion = System.Text.Json.Nodes.JsonNode.Parse(chain.GetRawText())!;
        wrongVersion["version"] = 2;
        foreach (var (executor, intent, version, text) in new[]
        {
            ("xx", "", 2, "wire format error: invalid executor_pk_hex"), ("abcd", "", 2, "wire format error: executor_pk must be 32 bytes"),
            ("02" + new string('0', 62), "", 2, "wire format error: invalid executor Ed25519 key"),
            (_world.PublicKey(1), "", 2, "wire format error: Intent action cannot be empty"),
            (_world.PublicKey(1), "x", 2, "unsupported certificate version: expected 1, got 2"),
        })
        {
            var answer = await _world.Anybody.PostObjectAsync("/v1/authorize", new { chain = wrongVersion, intent_name = intent, executor_pk_hex = executor });
            Assert.Equal((403, "AUTHORIZATION_FAILED"), (answer.Refused().Status, answer.Refused().Code));
            Assert.Equal(text, answer.Error());
        }

        var twice = await _world.AuthorizeAsync(chain, 1, "trade.equity", new { intent_params = new Dictionary<string, string> { ["a"] = "1", ["A "] = "2" } });
        Assert.Equal(403, twice.Refused().Status);
        Assert.Equal(422, (await _world.AuthorizeAsync(chain, 1, "trade.equity", new { intent_params = new { a = 1 } })).Refused().Status);
    }

    [Fact]
    [Conforms("A1-50")]
    [Refuses("A1-W22")]
    public async Task Policies_of_the_configuration_are_asked_first()
    {
        await using var world = await GatewayWorld.StartAsync(postgres, new Dictionary<string, string>
        {
            ["A1:Policies:0:Name"] = "desk", ["A1:Policies:0:ChainLengthMax"] = "1", ["A1:Policies:0:TtlSecondsMax"] = "3600",
            ["A1:Policies:0:AllowedActions:0"] = "trade.",
        });
        await world.KnowAsync();
        foreach (var (hops, intent, text) in new (IReadOnlyList<string>?[] Hops, string, string?)[]
        {
            ([Trade], "trade.equity", null),
            ([null], "portfolio.read", "policy violation: intent 'portfolio.read' not permitted under policy 'desk'"),
            ([Trade, null], "trade.equity", "policy violation: chain depth 2 exceeds policy maximum 1"),
        })
        {
            var answer = await world.AuthorizeAsync(GatewayWorld.ToJson(world.Chain(hops)), hops.Length, intent);
            Assert.Equal((text is null ? 200 : 403, text), (answer.Code, text is null ? null : answer.Error()));
        }
    }

    [Fact]
    [Conforms("A1-49")]
    [Refuses("A1-W18")]
    public async Task Every_attempt_leaves_an_event_under_the_audit_chain_and_a_changed_one_is_found()
    {
        var chain = _world.Chain(Trade);
        await _world.AuthorizeAsync(GatewayWorld.ToJson(chain), 1, "trade.equity", new { request_id = "mine" });
        await _world.AuthorizeAsync(GatewayWorld.ToJson(chain), 1, "trade.equity", new { request_id = "again" });
        await _world.AuthorizeAsync(GatewayWorld.ToJson(chain), 2, "trade.equity");
        await _world.Anybody.PostObjectAsync("/v1/authorize", new { chain = GatewayWorld.ToJson(chain), intent_name = "", executor_pk_hex = "" });
        await BatchAsync(GatewayWorld.ToJson(_world.Chain([null])), 1, "trade.equity", "fly.plane");

        var events = await EventsAsync(_world);
        Assert.Equal(5, events.Count);
        Assert.Equal(["AUTHORIZED", "DENIED", "DENIED", "DENIED", "DENIED"], events.Select(e => e.GetProperty("outcome").GetString()));
        Assert.Equal(chain.Fingerprint().ToString(), events[0].GetProperty("chain_fingerprint").GetString());
        Assert.Equal(
            (_world.PublicKey(0), _world.PublicKey(1), 1, "mine", (long)Chains.Now),
            (events[0].GetProperty("principal_pk_hex").GetString(), events[0].GetProperty("executor_pk_hex").GetString(), events[0].GetProperty("chain_depth").GetInt32(),
                events[0].GetProperty("request_id").GetString(), events[0].GetProperty("timestamp_unix").GetInt64()));
        Assert.Equal("nonce has already been consumed", events[1].GetProperty("error_message").GetString());
        Assert.Equal("""["AUTHORIZED","DENIED"]""", events[4].GetProperty("batch_outcomes").GetRawText());

        var verifier = _world.Node.Get<Core.Audit.AuditVerifier>();
        Assert.Null((await verifier.VerifyAsync([], default)).FirstBreak);
        await _world.Node.ExecuteAsync("update a1_events set events = overlay(events placing '\\x21'::bytea from 2) where entry_no = 1");
        Assert.Equal("The events of these authorizations were changed or removed.", (await verifier.VerifyAsync([], default)).FirstBreak?.Reason);
        await _world.Node.ExecuteAsync("delete from a1_events");
        Assert.NotNull((await verifier.VerifyAsync([], default)).FirstBreak);
    }

    [Fact]
    [Conforms("A1-20", "A1-31")]
    public async Task What_has_run_out_is_forgotten_and_not_a_second_before()
    {
        var chain = _world.Chain(Trade);
        await _world.AuthorizeAsync(GatewayWorld.ToJson(chain), 1, "trade.equity", new { request_id = "r" });
        var swarm = await _world.CreateSwarmAsync();
        (await _world.AddAsync(swarm, 3)).Created();
        var sweep = _world.Node.Get<Core.Capabilities.Gateway.CapabilitySweep>();
        const string Rows = "select (select count(*) from a1_nonces) * 100 + (select count(*) from a1_members) * 10 + (select count(*) from a1_certificates where agent is not null)";
        _world.Time.Now += TimeSpan.FromSeconds(3600 + 15 + Core.Capabilities.Gateway.CapabilitySweep.SlackSeconds);
        Assert.False(await sweep.RunOnceAsync(default));
        Assert.Equal(100, await _world.Node.ScalarAsync<long>(Rows));
        _world.Time.Now += TimeSpan.FromSeconds(1);
        await sweep.RunOnceAsync(default);
        Assert.Equal(0, await _world.Node.ScalarAsync<long>(Rows));
        Assert.Equal(1, await _world.Node.ScalarAsync<long>("select count(*) from a1_swarms"));
        _world.Time.Now += TimeSpan.FromDays(62);
        await sweep.RunOnceAsync(default);
        Assert.Equal(0, await _world.Node.ScalarAsync<long>("select count(*) from a1_passports"));
    }

    internal static async Task<IReadOnlyList<JsonElement>> EventsAsync(GatewayWorld world)
    {
        var text = await world.Node.ScalarAsync<byte[]>("select coalesce(string_agg(events, '' order by at, entry_no), '') from a1_events");
        return [.. Encoding.UTF8.GetString(text).Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonElement.Parse(line))];
    }

    private async Task<JsonElement> TokenAsync(string query, string? agent)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/v1/authorize{query}")
        {
            Content = new StringContent(
                JsonSerializer.Serialize(new { chain = GatewayWorld.ToJson(_world.Chain(Trade)), intent_name = "trade.equity", executor_pk_hex = _world.PublicKey(1), return_token = true }),
                Encoding.UTF8, "application/json"),
        };
        if (agent is not null)
        {
            request.Headers.TryAddWithoutValidation("User-Agent", agent);
        }

        using var answer = await _world.Anybody.SendAsync(request);
        return JsonElement.Parse(await answer.Content.ReadAsStringAsync());
    }

    private async Task<JsonElement> BatchAsync(JsonElement chain, int executor, params string[] intents) =>
        (await _world.Anybody.PostObjectAsync("/v1/authorize/batch", BatchBody(chain, executor, intents))).Ok();

    private object BatchBody(JsonElement chain, int executor, params string[] intents) =>
        new { chain, executor_pk_hex = _world.PublicKey(executor), intents = intents.Select(name => new { name }) };

    private static string Summary(JsonElement batch) =>
        $"{batch.GetProperty("all_authorized").GetBoolean()} {batch.GetProperty("authorized_count").GetInt32()} {batch.GetProperty("total_count").GetInt32()}";

    private static string Items(JsonElement batch) => string.Join('|', batch.GetProperty("results").EnumerateArray().Select(item =>
    {
        Assert.Equal(item.GetProperty("authorized").GetBoolean(), item.TryGetProperty("chain_fingerprint", out _));
        return item.TryGetProperty("error", out var error) ? $"{item.GetProperty("authorized").GetBoolean()} {item.GetProperty("error_code").GetString()} {error.GetString()}" : "True";
    }));
}
