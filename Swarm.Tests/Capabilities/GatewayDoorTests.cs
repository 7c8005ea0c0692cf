using System.Text;
using System.Text.Json;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Capabilities;

/// <summary>What all routes of the A1 door share: tokens, limits, headers, errors, and answers to anything (A1 §14.1, §14.4 to §14.6, §20).</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class GatewayDoorTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly string[] Trade = ["trade.equity"];

    private static readonly (string Method, string Path, bool IsAdmin)[] Routes =
    [
        ("POST", "/v1/authorize", false), ("POST", "/v1/passport/authorize", false), ("POST", "/v1/authorize/batch", false), ("POST", "/v1/token/verify", false),
        ("POST", "/v1/cert/issue", true), ("POST", "/v1/cert/issue-batch", true), ("POST", "/v1/cert/revoke", true), ("POST", "/v1/cert/revoke-batch", true),
        ("GET", "/v1/cert/00", false), ("POST", "/v1/swarm/create", true), ("POST", "/v1/swarm/delete", true), ("POST", "/v1/swarm/member/add", true),
        ("POST", "/v1/swarm/member/remove", true), ("POST", "/v1/swarm/member/chain", true), ("POST", "/v1/swarm/member/heartbeat", true),
        ("GET", "/v1/swarm/00/members", false), ("POST", "/v1/passports/issue", true), ("GET", "/v1/passports/list", true), ("GET", "/v1/passports/read", true),
        ("POST", "/v1/passports/renew", true), ("POST", "/v1/passports/revoke-by-namespace", true), ("POST", "/v1/passports/restore", true),
        ("POST", "/v1/passports/chain", true),
    ];

    private GatewayWorld _world = null!;

    public async Task InitializeAsync() => _world = await GatewayWorld.StartAsync(postgres);

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Fact]
    [Conforms("A1-36", "A1-38")]
    [Refuses("A1-W04", "A1-W17")]
    public async Task What_changes_something_needs_an_operators_token_before_its_body_is_read()
    {
        var agent = (await _world.Node.Hub.PostHubAsync("/hub/v1/agents", new { name = "alice" })).Ok()["token"].GetString();
        foreach (var (method, path, isAdmin) in Routes)
        {
            foreach (var token in new[] { null, "guess", _world.Secret + "x", agent })
            {
                using var client = _world.Node.ClientOf(token);
                using var request = new HttpRequestMessage(new(method), path) { Content = method == "POST" ? new StringContent("{", Encoding.UTF8, "application/json") : null };
                var answer = await ReadAsync(await client.SendAsync(request));
                var status = answer.Refused().Status;
                Assert.True(!isAdmin ? status is 400 or 404 : status == (token == agent ? 403 : 401), $"{method} {path} {status}");
            }
        }

        Assert.Equal("invalid or missing admin secret", (await _world.Anybody.PostObjectAsync("/v1/cert/revoke", new { })).Error());
    }

    [Fact]
    [Conforms("A1-38")]
    [Refuses("A1-W08", "A1-W21")]
    public async Task No_body_path_or_method_makes_a_500_and_every_refusal_has_the_one_form()
    {
        var chain = GatewayWorld.ToJson(_world.Chain(Trade)).GetRawText();
        string[] bodies =
        [
            "", "{", "[]", "null", "1", "\"x\"", "{}", "{\"chain\":null}", "{\"chain\":{}}", "\u00ff", "{\"a\":1}x", "{\"signing_key_hex\":\"zz\"}", "{\"fingerprints\":[1]}",
            $$"""{"chain":{{chain}},"intent_name":"\ud800","executor_pk_hex":"00"}""", $$"""{"chain":{{chain}},"intent_name":"\u0000","executor_pk_hex":""}""",
            $$"""{"chain":{{chain}},"intent_name":"x","executor_pk_hex":[1,2]}""", "{\"chain\":" + chain + ",\"chain\":" + chain + "}",
            $$"""{"chain":{{chain}},"executor_pk_hex":"00","intents":[{"name":1}]}""", $$"""{"chain":{{chain.Replace("[", "[-1,", StringComparison.Ordinal)}}}""",
            """{"swarm_name":"\u0000","capabilities":["\u0000"],"ttl_days":1}""", """{"swarm_name":"x","capabilities":["\ud800"]}""",
            """{"swarm_name":"x","capabilities":["a"],"ttl_days":4294967296}""", """{"swarm_name":"x","capabilities":["a"],"signing_key_hex":"\ud800"}""",
            """{"swarm_id":"\u0000","agent_pk_hex":"","role":"","agent_did":"\u0000"}""", """{"swarm_id":[],"agent_pk_hex":{},"role":7}""",
            """{"delegate_pk_hex":"00","intents":[],"ttl_seconds":18446744073709551615}""",
            $$"""{"delegate_pk_hex":"{{_world.PublicKey(1)}}","intents":[{"name":"x"}],"ttl_seconds":18446744073709551615}""",
            $$"""{"delegate_pk_hex":"{{_world.PublicKey(1)}}","intents":[{"name":"x"}],"ttl_seconds":0}""",
            $$"""{"delegate_pk_hex":"{{_world.PublicKey(1)}}","intents":[{"name":"x"}],"extensions":{"":1} }""",
            $$"""{"delegate_pk_hex":"{{_world.PublicKey(1)}}","intents":[{"name":"x"}],"extensions":{"k":"{{new string('x', 17_000)}}"} }""",
            """{"namespace":"x","capabilities":["a"],"ttl":"99999999999999999999y"}""", $$"""{"namespace":"{{new string('n', 17_000)}}","capabilities":["a"],"ttl":"1d"}""",
            """{"namespace":"\u0000","capabilities":["a"],"ttl":"1d","output_path":"../../x.json"}""", """{"path":"../x.json","ttl":"1d"}""", """{"passports":[{"content":"{"}]}""",
            """{"passports":[{"content":{"a1_passport":1}}]}""", """{"namespace":"x","passport_path":"/etc/passwd"}""", """{"token":{"receipt_json":"{","mac":"00"}}""",
            """{"receipt":{},"mac":[]}""", new string('[', 200), "{\"x\":" + new string('[', 100) + "1" + new string(']', 100) + "}",
        ];
        foreach (var (method, path, _) in Routes.Where(r => r.Method == "POST"))
        {
            foreach (var body in bodies)
            {
                var bytes = body == "\u00ff" ? [0xff, 0xfe] : Encoding.UTF8.GetBytes(body);
                await CheckAsync(await _world.Admin.PostAsync(path, bytes), $"{path} {body}");
            }

            Assert.Equal(415, (await _world.Admin.PostAsync(path, "{}"u8.ToArray(), null)).Refused().Status);
            Assert.Equal(415, (await _world.Admin.PostAsync(path, "{}"u8.ToArray(), "text/plain")).Refused().Status);
            Assert.Equal(413, (await _world.Admin.PostAsync(path, new byte[(2 * 1024 * 1024) + 1])).Refused().Status);
            Assert.Equal(405, (await _world.Admin.SendAsync(HttpMethod.Put, path)).Refused().Status);
            Assert.Equal(method == "POST" ? "POST" : "GET", (await _world.Admin.SendAsync(HttpMethod.Delete, path)).Http.Content.Headers.Allow.Single());
        }

        foreach (var path in new[] { "/v1/", "/v1/nothing", "/v1/swarm", "/v1/cert/a/b", "/v1/cert/%2e%2e", "/v1/cert/%zz", "/v1/passports/read?path=..%2Fx", "/v1/passports/read", "/v1/swarm/00/members?view=x" })
        {
            await CheckAsync(await _world.Admin.SendAsync(HttpMethod.Get, path), path);
        }

        static Task CheckAsync(DoorAnswer answer, string what)
        {
            Assert.True(answer.Code < 500, $"{answer.Code} {what}");
            if (answer.Code >= 400 && !answer.Json.TryGetProperty("success", out _) && !answer.Json.TryGetProperty("valid", out _))
            {
                answer.Refused();
            }

            return Task.CompletedTask;
        }
    }

    [Fact]
    [Conforms("A1-37", "A1-38")]
    public async Task An_address_that_is_refused_too_often_is_told_to_wait()
    {
        await using var node = await TestNode.StartAsync(postgres, listens: true, settings: new Dictionary<string, string> { ["Limits:RefusedPerAddressPerMinute"] = "3" });
        var answers = new List<DoorAnswer>();
        for (var i = 0; i < 5; i++)
        {
            answers.Add(await FromAsync(node, "203.0.113.9", "/v1/cert/xx"));
        }

        Assert.Equal([400, 400, 400, 429, 429], answers.Select(a => a.Code));
        Assert.Equal((429, "RATE_LIMIT_EXCEEDED", "RateLimited"), answers[4].Refused());
        Assert.InRange(answers[4].Http.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
        Assert.Equal(400, (await FromAsync(node, "203.0.113.10", "/v1/cert/xx")).Code);
        Assert.Equal(429, (await FromAsync(node, "203.0.113.9", "/.well-known/a1-configuration")).Code);
    }

    [Fact]
    [Conforms("A1-39")]
    public async Task Health_and_discovery_say_what_the_clients_read_and_only_what_is_there()
    {
        foreach (var path in new[] { "/health", "/healthz" })
        {
            var health = (await _world.Anybody.SendAsync(HttpMethod.Get, path)).Ok();
            Assert.Equal(("ok", "2.8.0", "postgres"), (health.GetProperty("status").GetString(), health.GetProperty("version").GetString(), health.GetProperty("storage_backend").GetString()));
            Assert.False(health.GetProperty("webhook_enabled").GetBoolean() || health.GetProperty("jwt_exchange_enabled").GetBoolean() || health.GetProperty("multi_tenant_enabled").GetBoolean());
            Assert.Equal(64, health.GetProperty("signing_pk_hex").GetString()!.Length);
        }

        await using var other = await _world.StartReplicaAsync();
        var document = await _world.Anybody.SendAsync(HttpMethod.Get, "/.well-known/a1-configuration");
        Assert.Equal("dyolo_v2.8.0", document.Http.Headers.GetValues("X-A1-Protocol").Single());
        var json = document.Ok();
        Assert.Equal(json.GetRawText(), (await other.Anybody.SendAsync(HttpMethod.Get, "/.well-known/a1-configuration")).Ok().GetRawText());
        var issuer = json.GetProperty("issuer").GetString()!;
        foreach (var endpoint in json.EnumerateObject().Where(m => m.Name.EndsWith("_endpoint", StringComparison.Ordinal)))
        {
            var path = endpoint.Value.GetString()![issuer.Length..];
            Assert.NotEqual(404, (await _world.Admin.PostAsync(path, "{}"u8.ToArray())).Code);
        }
    }

    [Fact]
    [Conforms("A1-40")]
    [Refuses("A1-W19")]
    public async Task Certificates_are_issued_once_for_each_key_and_body()
    {
        await using var other = await _world.StartReplicaAsync();
        var order = new { delegate_pk_hex = _world.PublicKey(1), intents = new[] { new { name = "a", @params = new { x = "1" } } }, max_depth = 3, extensions = new { team = "x", n = 7, list = new object[] { "a", 1 }, f = 1.5 } };
        var first = await IssueAsync(_world, "/v1/cert/issue", order, "k1");
        Assert.Equal(201, first.Code);
        var fields = first.Json.GetProperty("cert").GetProperty("extensions").GetProperty("fields");
        Assert.Equal("""{"f":"1.5","list":["a","1"],"n":7,"team":"x"}""", fields.GetRawText());
        var again = await IssueAsync(other, "/v1/cert/issue", order, "k1");
        Assert.Equal((200, first.Text), (again.Code, again.Text));
        Assert.Equal((409, "AUTHORIZATION_FAILED", "Conflict"), (await IssueAsync(_world, "/v1/cert/issue", order with { max_depth = 4 }, "k1")).Refused());

        // Each route and each caller has keys of its own.
        Assert.Equal(201, (await IssueAsync(_world, "/v1/cert/issue-batch", new { requests = new[] { order } }, "k1")).Code);
        var many = await Task.WhenAll(Enumerable.Range(0, 10).Select(i => IssueAsync(i % 2 == 0 ? _world : other, "/v1/cert/issue", order, "k2")));
        Assert.Single(many, a => a.Code == 201);
        Assert.Single(many.Select(a => a.Text).Distinct());
        _world.Time.Now += TimeSpan.FromSeconds(301);
        Assert.Equal(201, (await IssueAsync(_world, "/v1/cert/issue", order, "k1")).Code);

        // All or nothing, and a failure is not remembered.
        var bad = new { requests = new object[] { order, new { delegate_pk_hex = "zz", intents = order.intents } } };
        Assert.Equal(400, (await IssueAsync(_world, "/v1/cert/issue-batch", bad, "k3")).Refused().Status);
        var two = await IssueAsync(_world, "/v1/cert/issue-batch", new { requests = new[] { order, order } }, "k3");
        Assert.Equal((201, 2, 2), (two.Code, two.Json.GetProperty("total").GetInt32(), two.Json.GetProperty("bundle").GetProperty("certs").GetArrayLength()));
        Assert.Equal("requests array must not be empty", (await IssueAsync(_world, "/v1/cert/issue-batch", new { requests = Array.Empty<object>() }, null)).Error());
        Assert.Equal(400, (await IssueAsync(_world, "/v1/cert/issue-batch", new { requests = Enumerable.Repeat(order, 257) }, null)).Refused().Status);
        Assert.Equal("intent tree requires at least one intent", (await IssueAsync(_world, "/v1/cert/issue", new { delegate_pk_hex = _world.PublicKey(1), intents = Array.Empty<object>() }, null)).Error());
    }

    [Fact]
    [Conforms("A1-44", "A1-25")]
    public async Task A_passport_is_issued_read_renewed_restored_and_revoked_with_what_its_key_issued()
    {
        var issued = (await _world.PostAsync("/v1/passports/issue", new { @namespace = "my bot!", capabilities = GatewayWorld.Names, ttl = "2d" })).Ok();
        Assert.Equal(("my-bot-.json", true, 172_800), (issued.GetProperty("path").GetString(), issued.GetProperty("success").GetBoolean(), issued.GetProperty("ttl_seconds").GetInt32()));
        foreach (var (name, capabilities, ttl) in new[] { (" ", Trade, "1d"), ("x", [], "1d"), ("x", Trade, "0"), ("x", Trade, "1w"), ("my_bot?", Trade, "1d"), ("my bot.", Trade, "1d") })
        {
            var refused = (await _world.PostAsync("/v1/passports/issue", new { @namespace = name, capabilities, ttl })).Ok();
            Assert.Equal(name == "my_bot?", refused.GetProperty("success").GetBoolean());
        }

        var file = (await _world.Admin.SendAsync(HttpMethod.Get, "/v1/passports/read?path=my-bot-.json")).Ok();
        Assert.Equal("my bot!", file.GetProperty("namespace").GetString());
        foreach (var (path, status) in new[] { ("../x.json", 403), ("%2Fetc%2Fpasswd", 403), ("nothing.json", 404), ("", 400) })
        {
            Assert.Equal(status, (await _world.Admin.SendAsync(HttpMethod.Get, $"/v1/passports/read?path={path}")).Refused().Status);
        }

        var chain = await ChainAsync("my bot!");
        var used = await ChainAsync("my bot!");
        Assert.Equal(200, (await _world.AuthorizeAsync(used, 3, "trade.equity")).Code);
        Assert.Equal(403, (await _world.AuthorizeAsync(used, 3, "portfolio.read")).Code);

        var renewed = (await _world.PostAsync("/v1/passports/renew", new { path = "my-bot-.json", ttl = "90m" })).Ok();
        Assert.Equal((issued.GetProperty("public_key_hex").GetString(), 5400), (renewed.GetProperty("public_key_hex").GetString(), renewed.GetProperty("ttl_seconds").GetInt32()));
        var entry = (await _world.Admin.SendAsync(HttpMethod.Get, "/v1/passports/list")).Ok().GetProperty("passports").EnumerateArray().First();
        Assert.Equal((Chains.Now + 5400, "valid", 0), (entry.GetProperty("expiration_unix").GetUInt64(), entry.GetProperty("status").GetString(), entry.GetProperty("days_remaining").GetInt32()));

        var revoked = (await _world.PostAsync("/v1/passports/revoke-by-namespace", new { @namespace = "my bot!" })).Ok();
        Assert.True(revoked.GetProperty("success").GetBoolean());
        Assert.Equal("CERT_REVOKED", (await _world.AuthorizeAsync(chain, 3, "trade.equity")).Refused().Code);

        // Neither the file that was revoked, nor one that was changed, comes back to life.
        var tampered = JsonElement.Parse(file.GetRawText().Replace("portfolio.read", "portfolio.sell", StringComparison.Ordinal));
        var restored = (await _world.PostAsync("/v1/passports/restore", new { passports = new object[] { new { content = tampered }, new { content = "no" }, new { content = file, path = "../x.json" } } })).Ok();
        Assert.Equal((0, 3), (restored.GetProperty("restored").GetInt32(), restored.GetProperty("skipped").GetInt32()));
        Assert.Equal(1, (await _world.PostAsync("/v1/passports/restore", new { passports = new object[] { new { content = file.GetRawText() } } })).Ok().GetProperty("restored").GetInt32());
        Assert.Equal("CERT_REVOKED", (await _world.AuthorizeAsync(chain, 3, "trade.equity")).Refused().Code);
        Assert.Equal(404, (await _world.PostAsync("/v1/passports/renew", new { path = "nothing.json", ttl = "1d" })).Code);
        Assert.Equal(422, (await _world.PostAsync("/v1/passports/renew", new { ttl = "1d" })).Refused().Status);

        async Task<JsonElement> ChainAsync(string name) =>
            (await _world.PostAsync("/v1/passports/chain", new { @namespace = name, agent_pk_hex = _world.PublicKey(3), capabilities = Trade })).Ok();
    }

    [Fact]
    [Conforms("A1-38")]
    public async Task A_database_that_is_away_is_a_503_that_may_be_tried_again_and_a_refusal_stays_one()
    {
        await _world.KnowAsync();
        var chain = GatewayWorld.ToJson(_world.Chain(Trade));
        Assert.Equal(200, (await _world.AuthorizeAsync(GatewayWorld.ToJson(_world.Chain(Trade)), 1, "trade.equity")).Code);
        await _world.Node.ExecuteAsync("alter table a1_nonces rename to away; alter table a1_revocations rename to away2");
        var answer = await _world.AuthorizeAsync(chain, 1, "trade.equity");
        Assert.Equal((503, "STORAGE_ERROR", "StorageFailure"), answer.Refused());
        Assert.NotNull(answer.Http.Headers.RetryAfter);
        Assert.Equal((503, "STORAGE_ERROR", "StorageFailure"), (await _world.Anybody.SendAsync(HttpMethod.Get, $"/v1/cert/{new string('0', 64)}")).Refused());
        await _world.Node.ExecuteAsync("alter table away rename to a1_nonces; alter table away2 rename to a1_revocations");
        Assert.Equal(200, (await _world.AuthorizeAsync(chain, 1, "trade.equity")).Code);
    }

    private static async Task<DoorAnswer> IssueAsync(GatewayWorld world, string path, object body, string? key)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new StringContent(JsonSerializer.Serialize(body), Encoding.UTF8, "application/json") };
        if (key is not null)
        {
            request.Headers.Add("Idempotency-Key", key);
        }

        return await ReadAsync(await world.Admin.SendAsync(request));
    }

    private static async Task<DoorAnswer> FromAsync(TestNode node, string address, string path)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, path);
        request.Headers.Add("X-Forwarded-For", address);
        return await ReadAsync(await node.Http.SendAsync(request));
    }

    private static async Task<DoorAnswer> ReadAsync(HttpResponseMessage answer) => new(answer.StatusCode, await answer.Content.ReadAsStringAsync(), answer);
}
