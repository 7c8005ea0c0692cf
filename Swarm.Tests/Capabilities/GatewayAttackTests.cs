using System.Diagnostics;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Capabilities;

/// <summary>
/// Attacks by the weaknesses that A1's specification lists of its own gateway (A1 §16), by their numbers; more of them are marked beside the rules that they concern.
/// </summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class GatewayAttackTests(PostgresFixture postgres)
{
    private static readonly string[] Trade = ["trade.equity"];

    [Fact]
    [Conforms("A1-45")]
    [Refuses("A1-W01")]
    public async Task W1_A_key_and_scope_of_ones_own_making_authorize_nothing()
    {
        await using var world = await GatewayWorld.StartAsync(postgres);
        var chain = GatewayWorld.ToJson(world.Chain(Trade));
        Assert.Equal((403, "POLICY_VIOLATION", "PolicyViolation"), (await world.AuthorizeAsync(chain, 1, "trade.equity")).Refused());
        await world.CreateSwarmAsync();
        Assert.Equal(200, (await world.AuthorizeAsync(chain, 1, "trade.equity")).Code);

        // Only an operator who opened it gets A1's own trust.
        await using var open = await GatewayWorld.StartAsync(postgres, new Dictionary<string, string> { ["A1:Compatibility"] = "Reference" });
        Assert.Equal(200, (await open.AuthorizeAsync(GatewayWorld.ToJson(open.Chain(Trade)), 1, "trade.equity")).Code);
        Assert.Equal(200, (await open.Anybody.PostObjectAsync("/v1/cert/revoke", new { fingerprint_hex = new string('0', 64) })).Code);
        using var lured = new HttpRequestMessage(HttpMethod.Post, "/v1/cert/revoke") { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
        lured.Headers.Add("Origin", "https://evil.example");
        Assert.Equal(401, (int)(await open.Anybody.SendAsync(lured)).StatusCode);
    }

    [Fact]
    [Conforms("A1-45")]
    [Refuses("A1-W02")]
    public async Task W2_A_principal_whose_passport_is_revoked_or_over_authorizes_nothing_at_any_replica()
    {
        await using var world = await GatewayWorld.StartAsync(postgres);
        await using var other = await world.StartReplicaAsync();
        var passport = await world.KnowAsync(ttlSeconds: 600);
        JsonElement Chain() => GatewayWorld.ToJson(world.Chain(Trade));
        Assert.Equal(200, (await other.AuthorizeAsync(Chain(), 1, "trade.equity")).Code);
        var made = Chain();
        world.Time.Now += TimeSpan.FromSeconds(615);
        Assert.Equal(200, (await other.AuthorizeAsync(Chain(), 1, "trade.equity")).Code);
        world.Time.Now += TimeSpan.FromSeconds(1);
        Assert.Equal((403, "CERT_EXPIRED", "Expired"), (await other.AuthorizeAsync(made, 1, "trade.equity")).Refused());
        world.Time.Now -= TimeSpan.FromSeconds(616);
        Assert.Equal(200, (await other.AuthorizeAsync(Chain(), 1, "trade.equity")).Code);
        (await world.PostAsync("/v1/passports/revoke-by-namespace", new { @namespace = passport.Namespace })).Ok();
        Assert.Equal((403, "CERT_REVOKED", "Revoked"), (await other.AuthorizeAsync(made, 1, "trade.equity")).Refused());
    }

    [Fact]
    [Conforms("A1-32")]
    [Refuses("A1-W03")]
    public async Task W3_Removal_during_an_authorization_lets_no_later_one_through()
    {
        await using var world = await GatewayWorld.StartAsync(postgres);
        await using var other = await world.StartReplicaAsync();
        var id = await world.CreateSwarmAsync();
        for (var round = 0; round < 5; round++)
        {
            (await world.AddAsync(id, 2)).Created();
            var chains = new List<JsonElement>();
            for (var i = 0; i < 6; i++)
            {
                chains.Add((await world.ChainAsync(id, 2)).Ok());
            }

            var racing = chains[..3].Select(c => other.AuthorizeAsync(c, 2, "trade.equity")).ToArray();
            (await world.RemoveAsync(id, 2)).Ok();
            foreach (var chain in chains[3..])
            {
                Assert.Equal("CERT_REVOKED", (await other.AuthorizeAsync(chain, 2, "trade.equity")).Refused().Code);
            }

            Assert.All(await Task.WhenAll(racing), answer => Assert.True(answer.Code is 200 or 403));
        }
    }

    [Fact]
    [Conforms("A1-36")]
    [Refuses("A1-W04", "A1-W16", "A1-W17")]
    public async Task W4_W16_W17_Nobody_without_a_token_changes_anything()
    {
        await using var world = await GatewayWorld.StartAsync(postgres);
        var id = await world.CreateSwarmAsync();
        (await world.PostAsync("/v1/passports/issue", new { @namespace = "bot", capabilities = Trade, ttl = "1d" })).Ok();
        const string Rows = """
            select (select count(*) from a1_passports) * 1000 + (select count(*) from a1_revocations) * 100 + (select count(*) from a1_members) * 10
                 + (select count(*) from audit_entries where kind = 2)
            """;
        var before = await world.Node.ScalarAsync<long>(Rows);
        foreach (var (path, body) in new (string, object)[]
        {
            ("/v1/cert/revoke", new { fingerprint_hex = new string('0', 64) }), ("/v1/cert/revoke-batch", new { fingerprints = new[] { new string('0', 64) } }),
            ("/v1/cert/issue", new { delegate_pk_hex = world.PublicKey(1), intents = new[] { new { name = "x" } } }),
            ("/v1/passports/issue", new { @namespace = "evil", capabilities = Trade, ttl = "1d" }), ("/v1/passports/renew", new { path = "bot.json", ttl = "1d" }),
            ("/v1/passports/revoke-by-namespace", new { @namespace = "bot" }), ("/v1/passports/restore", new { passports = Array.Empty<object>() }),
            ("/v1/swarm/create", new { swarm_name = "evil", capabilities = Trade, signing_key_hex = GatewayWorld.Seed(0) }),
            ("/v1/swarm/member/add", new { swarm_id = id, agent_pk_hex = world.PublicKey(1), role = "worker", signing_key_hex = GatewayWorld.Seed(0) }),
            ("/v1/swarm/delete", new { swarm_id = id }), ("/v1/system/shutdown", new { }), ("/mcp", new { }), ("/v1/agents/install", new { }),
        })
        {
            Assert.True((await world.Anybody.PostObjectAsync(path, body)).Code is 401 or 404, path);
        }

        Assert.Equal(before, await world.Node.ScalarAsync<long>(Rows));
    }

    [Fact]
    [Conforms("A1-20")]
    [Refuses("A1-W05")]
    public async Task W5_A_nonce_is_known_for_as_long_as_its_certificate_lives_also_after_a_day_and_a_restart()
    {
        await using var world = await GatewayWorld.StartAsync(postgres);
        var id = await world.CreateSwarmAsync();
        (await world.AddAsync(id, 2, ttl: 20 * 86_400)).Created();
        var chain = (await world.ChainAsync(id, 2, ttl: 20 * 86_400)).Ok();
        Assert.Equal(200, (await world.AuthorizeAsync(chain, 2, "trade.equity")).Code);
        world.Time.Now += TimeSpan.FromSeconds((20 * 86_400) + 15);
        await world.Node.Get<Core.Capabilities.Gateway.CapabilitySweep>().RunOnceAsync(default);
        await using var restarted = await world.StartReplicaAsync();
        Assert.Equal("NONCE_REPLAY", (await restarted.AuthorizeAsync(chain, 2, "trade.equity")).Refused().Code);
    }

    [Fact]
    [Conforms("A1-29", "A1-33")]
    [Refuses("A1-W06", "A1-W07", "A1-W20")]
    public async Task W6_W7_W20_Colliding_names_open_no_swarm_and_no_capability()
    {
        await using var world = await GatewayWorld.StartAsync(postgres);

        // These two share their bit of the mask (A1 §5), so the mask admits one for the other; the names do not.
        var id = await world.CreateSwarmAsync("files", "files.read", "trade.equity");
        Assert.Equal("PASSPORT_NARROWING_VIOLATION", (await world.AddAsync(id, 2, capabilities: ["agent.execute"])).Refused().Code);
        (await world.AddAsync(id, 2, capabilities: ["files.read"])).Created();
        Assert.Equal("SCOPE_VIOLATION", (await world.AuthorizeAsync((await world.ChainAsync(id, 2)).Ok(), 2, "agent.execute")).Refused().Code);
        Assert.Equal(409, (await world.PostAsync("/v1/swarm/create", new { swarm_name = "files", capabilities = new[] { "agent.execute", "trade.equity" }, signing_key_hex = GatewayWorld.Seed(0) })).Code);
    }

    [Fact]
    [Conforms("A1-22", "A1-25")]
    [Refuses("A1-W09", "A1-W10")]
    public async Task W9_W10_A_claim_in_a_leaf_opens_no_scope_and_a_passport_that_does_not_hold_is_not_taken_in()
    {
        await using var world = await GatewayWorld.StartAsync(postgres);
        await world.KnowAsync();
        var certificate = world.Chain(Trade).Certificates[0];
        using var owner = GatewayWorld.Key(0);
        var claiming = (certificate with
        {
            Extensions = Core.Capabilities.Certificates.CertificateExtensions.OfPassport("root", NarrowingMask.Of(["everything"]), ["trade.equity", "portfolio.read"]),
        }).SignedBy(owner);
        var chain = world.Chain(Trade) with { Certificates = [claiming] };
        Assert.Equal("SCOPE_VIOLATION", (await world.AuthorizeAsync(GatewayWorld.ToJson(chain), 1, "portfolio.read")).Refused().Code);

        var passport = await world.KnowAsync(name: "second");
        foreach (var forged in new[]
        {
            passport with { Namespace = "other" }, passport with { Capabilities = [.. passport.Capabilities, "more"] },
            passport with { Mask = NarrowingMask.Of(["more"]) }, passport with { Root = passport.Root with { ExpiresAt = ulong.MaxValue } },
        })
        {
            var answer = await world.PostAsync("/v1/passports/restore", new { passports = new[] { new { content = GatewayWorld.ToJson(forged), path = "forged.json" } } });
            Assert.Equal(0, answer.Ok().GetProperty("restored").GetInt32());
        }
    }

    [Fact]
    [Refuses("A1-W11")]
    public async Task W11_A_signing_key_is_taken_only_in_private_and_is_found_nowhere_afterwards()
    {
        var log = new StringBuilder();
        var tags = new StringBuilder();
        using var listener = new ActivityListener
        {
            ShouldListenTo = _ => true,
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = activity =>
            {
                lock (tags)
                {
                    tags.AppendJoin('\n', activity.TagObjects.Concat(activity.Events.SelectMany(e => e.Tags)).Select(t => $"{t.Key}={t.Value}")).AppendLine(activity.DisplayName);
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        await using var node = await NodeHost.StartAsync(
            postgres, settings: new Dictionary<string, string> { ["Logging:LogLevel:Default"] = "Trace", ["Logging:LogLevel:Microsoft"] = "Trace", ["Logging:LogLevel:Requests"] = "Information" },
            replace: services => services.AddSingleton<ILoggerProvider>(new Recorder(log)));
        using var admin = node.ClientOf(node.Hub.DefaultRequestHeaders.Authorization!.Parameter);
        var seed = Convert.ToHexStringLower(System.Security.Cryptography.RandomNumberGenerator.GetBytes(32));
        using var key = NSec.Cryptography.Key.Import(NSec.Cryptography.SignatureAlgorithm.Ed25519, Convert.FromHexString(seed), NSec.Cryptography.KeyBlobFormat.RawPrivateKey);
        var answers = new StringBuilder();
        async Task<DoorAnswer> PostAsync(string path, object body)
        {
            var answer = await admin.PostObjectAsync(path, body);
            answers.AppendLine(answer.Text);
            return answer;
        }

        var id = (await PostAsync("/v1/swarm/create", new { swarm_name = "s", capabilities = Trade, signing_key_hex = seed })).Created().GetProperty("swarm_id").GetString();
        var agent = new string('0', 62) + "00";
        foreach (var signing_key_hex in new[] { seed, seed.ToUpperInvariant(), seed[..62], seed + "00", seed[..63] + "x" })
        {
            await PostAsync("/v1/swarm/create", new { swarm_name = "s", capabilities = Trade, signing_key_hex });
            await PostAsync("/v1/swarm/create", new { swarm_name = 1, signing_key_hex, capabilities = Trade });
            await PostAsync("/v1/swarm/member/add", new { signing_key_hex, swarm_id = id, agent_pk_hex = "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394", role = "worker", capabilities = Trade });
            await PostAsync("/v1/swarm/member/chain", new { signing_key_hex, swarm_id = id, agent_pk_hex = "8139770ea87d175f56a35466c34c7ecccb8d8a91b4ee37a25df60f5b8fc9b394" });
            await PostAsync("/v1/passports/issue", new { @namespace = "p", capabilities = Trade, ttl = "1d", signing_key_hex });
            await PostAsync("/v1/passports/renew", new { @namespace = "p", ttl = "1d", signing_key_hex });
            await PostAsync("/v1/passports/chain", new { @namespace = "p", agent_pk_hex = agent, capabilities = Trade, signing_key_hex });
        }

        Assert.True(await node.ScalarAsync<long>("select count(*) from a1_certificates") >= 5, "the keys were used");
        var dump = new StringBuilder();
        foreach (var table in await node.ScalarAsync<string[]>("select array_agg(relname::text) from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace"))
        {
            dump.AppendLine(await node.ScalarAsync<string>($"select coalesce(string_agg(t::text, E'\\n'), '') from {table} t"));
        }

        // Bytes in the database are shown in hex, so the seed would be as well; documents are looked at as text and as hex of text.
        var hexOfText = Convert.ToHexStringLower(Encoding.ASCII.GetBytes(seed[..40]));
        foreach (var (where, text) in new[] { ("log", log.ToString()), ("database", dump.ToString()), ("answers", answers.ToString()), ("traces", tags.ToString()) })
        {
            Assert.True(text.Length > 1000, $"{where} has only {text.Length} characters");
            Assert.DoesNotContain(seed[..40], text, StringComparison.OrdinalIgnoreCase);
            Assert.DoesNotContain(hexOfText, text, StringComparison.OrdinalIgnoreCase);
        }
    }

    [Fact]
    [Refuses("A1-W11")]
    public async Task W11_A_signing_key_that_came_in_the_clear_is_refused_and_changes_nothing()
    {
        await using var node = await TestNode.StartAsync(postgres, listens: true);
        foreach (var (from, scheme, status) in new[]
        {
            (null, null, 201), ("203.0.113.5", null, 403), ("203.0.113.5", "http", 403), (null, "http", 403), ("203.0.113.5", "https", 201),
        })
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/swarm/create")
            {
                Content = new StringContent(
                    JsonSerializer.Serialize(new { swarm_name = $"{from} {scheme}", capabilities = Trade, signing_key_hex = GatewayWorld.Seed(0) }), Encoding.UTF8, "application/json"),
            };
            request.Headers.Authorization = node.Hub.DefaultRequestHeaders.Authorization;
            if (from is not null)
            {
                request.Headers.Add("X-Forwarded-For", from);
            }

            if (scheme is not null)
            {
                request.Headers.Add("X-Forwarded-Proto", scheme);
            }

            using var answer = await node.Http.SendAsync(request);
            Assert.True(status == (int)answer.StatusCode, await answer.Content.ReadAsStringAsync());
        }

        await using var count = node.Database.CreateCommand("select count(*) from a1_swarms");
        Assert.Equal(2L, await count.ExecuteScalarAsync());
    }

    [Fact]
    [Conforms("A1-39")]
    [Refuses("A1-W15")]
    public async Task W15_Nobody_negotiates_a_certificate_whatever_it_signs_for_itself()
    {
        await using var world = await GatewayWorld.StartAsync(postgres);
        await world.CreateSwarmAsync();
        using var key = GatewayWorld.Key(3);
        var nonce = new Nonce(1, 2);
        foreach (var (listed, intent) in new (string[], string)[] { ([], "trade.equity"), (Trade, "portfolio.read"), (Trade, "trade.equity") })
        {
            foreach (var at in new[] { world.Now, world.Now + 1_000_000 })
            {
                var digest = Negotiation.RequestDigest(world.Did(3), nonce, at, 3600, intent, listed);
                var asked = new
                {
                    requester_did = world.Did(3), requester_pk_hex = world.PublicKey(3), requested_capabilities = listed, intent_name = intent, ttl_secs = 3600,
                    nonce = Convert.ToHexStringLower(nonce.AsSpan()), timestamp_unix = at,
                    signature = Convert.ToHexStringLower(NSec.Cryptography.SignatureAlgorithm.Ed25519.Sign(key, digest.AsSpan())),
                };
                var answer = await TableState.UnchangedAsync(world.Node.Database, () => world.Anybody.PostObjectAsync("/v1/negotiate", asked));
                Assert.Equal(404, answer.Code);
                Assert.False(answer.Json.TryGetProperty("cert", out _));
            }
        }

        var discovery = (await world.Anybody.GetAsync("/.well-known/a1-configuration")).Content;
        Assert.DoesNotContain("negotiat", await discovery.ReadAsStringAsync(), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    [Conforms("A1-50")]
    [Refuses("A1-W22")]
    public async Task W22_A_tenants_header_opens_no_second_life_for_a_nonce_and_no_way_around_a_policy()
    {
        await using var world = await GatewayWorld.StartAsync(postgres, new Dictionary<string, string>
        {
            ["A1:Policies:0:Name"] = "trading only", ["A1:Policies:0:AllowedActions:0"] = "trade.",
        });
        await world.KnowAsync();
        using var tenant = world.Node.ClientOf(null);
        var used = GatewayWorld.ToJson(world.Chain(Trade));
        Assert.Equal(200, (await world.AuthorizeAsync(used, 1, "trade.equity")).Code);
        foreach (var name in new[] { "other", "default", "", "../x" })
        {
            tenant.DefaultRequestHeaders.Remove("X-A1-Tenant-ID");
            tenant.DefaultRequestHeaders.TryAddWithoutValidation("X-A1-Tenant-ID", name);
            object Body(JsonElement chain, string intent) => new { chain, intent_name = intent, executor_pk_hex = world.PublicKey(1) };
            Assert.Equal("NONCE_REPLAY", (await tenant.PostObjectAsync("/v1/authorize", Body(used, "trade.equity"))).Refused().Code);
            var fresh = GatewayWorld.ToJson(world.Chain([["portfolio.read"]]));
            Assert.Equal("POLICY_VIOLATION", (await tenant.PostObjectAsync("/v1/authorize", Body(fresh, "portfolio.read"))).Refused().Code);
        }
    }

    [Fact]
    [Conforms("A1-19", "A1-27")]
    [Refuses("A1-W12")]
    public async Task W12_A_scope_of_several_capabilities_authorizes_each_of_them_and_no_other()
    {
        await using var world = await GatewayWorld.StartAsync(postgres);
        string[] names = ["a", "b", "c", "d", "e"];
        var id = await world.CreateSwarmAsync("many", names);
        (await world.AddAsync(id, 2, capabilities: ["a", "c", "e"])).Created();
        foreach (var name in names)
        {
            Assert.Equal(name is "a" or "c" or "e" ? 200 : 403, (await world.AuthorizeAsync((await world.ChainAsync(id, 2)).Ok(), 2, name)).Code);
        }
    }

    /// <summary>Everything that is logged, whatever its level.</summary>
    private sealed class Recorder(StringBuilder lines) : ILoggerProvider, ILogger
    {
        public ILogger CreateLogger(string categoryName) => this;

        public void Dispose()
        {
        }

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            lock (lines)
            {
                lines.AppendLine(formatter(state, exception)).Append(exception);
            }
        }
    }
}
