using System.Text.Json;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Capabilities;

/// <summary>Swarms over HTTP: creation, roles, narrowing, lives, removal with everything that was issued, liveness (A1 §13, §14.2, §20).</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class GatewaySwarmTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly string[] Trade = ["trade.equity"];

    private GatewayWorld _world = null!;

    public async Task InitializeAsync() => _world = await GatewayWorld.StartAsync(postgres);

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Fact]
    [Conforms("A1-28")]
    [Refuses("A1-W06")]
    public async Task A_swarm_is_created_once_and_nobody_else_gets_its_id()
    {
        var first = (await CreateAsync("acme-trading-swarm", GatewayWorld.Names, 0)).Created();
        Assert.Equal("2bf53824a4e054e5c79c37148983e04a5fbcef1969ac3f7da4efd59c212c703f", first.GetProperty("swarm_id_hex").GetString());
        var id = first.GetProperty("swarm_id").GetString()!;
        (await _world.AddAsync(id, 2)).Created();
        Assert.Equal(first.GetRawText(), (await CreateAsync("acme-trading-swarm", [" portfolio.read,,trade.equity "], 0)).Created().GetRawText());
        Assert.Single(await MembersAsync(id));
        Assert.Equal((409, "AUTHORIZATION_FAILED", "Conflict"), (await CreateAsync("acme-trading-swarm", GatewayWorld.Names, 1)).Refused());
        Assert.Equal(409, (await _world.PostAsync("/v1/swarm/create", new { swarm_name = "acme-trading-swarm", capabilities = GatewayWorld.Names })).Code);

        // Two sets of names with one mask give one id (A1 §5, §16, W6): files.read and agent.execute share a bit.
        (await CreateAsync("twins", ["files.read"], 0)).Created();
        Assert.Equal(409, (await CreateAsync("twins", ["agent.execute"], 0)).Refused().Status);

        Assert.Equal("intent tree requires at least one intent", (await CreateAsync("none", [" , "], 0)).Error());
        var instant = await CreateAsync("none", Trade, 0, 0);
        Assert.Equal((400, $"wire format error: issued_at ({Chains.Now}) must be strictly less than expiration_unix ({Chains.Now})"), (instant.Code, instant.Error()));
        Assert.Equal(400, (await CreateAsync("none", Trade, 0, uint.MaxValue)).Refused().Status);
        Assert.Equal(400, (await CreateAsync(new string('x', 17_000), Trade, 0)).Refused().Status);
        Assert.Equal("signing key must be 32 bytes", (await _world.PostAsync("/v1/swarm/create", new { swarm_name = "n", capabilities = Trade, signing_key_hex = "abcd" })).Error());
        Assert.Equal(2, await _world.Node.ScalarAsync<long>("select count(*) from a1_swarms"));
    }

    [Fact]
    [Conforms("A1-28")]
    public async Task Many_who_create_the_same_swarm_at_two_replicas_get_the_same_one()
    {
        await using var other = await _world.StartReplicaAsync();
        var answers = await Task.WhenAll(Enumerable.Range(0, 10).Select(i => (i % 2 == 0 ? _world : other).PostAsync(
            "/v1/swarm/create", new { swarm_name = "one", capabilities = Trade, signing_key_hex = GatewayWorld.Seed(0) })));
        Assert.All(answers, answer => answer.Created());
        Assert.Equal(1, await _world.Node.ScalarAsync<long>("select count(*) from a1_swarms"));
        Assert.Equal(1, await _world.Node.ScalarAsync<long>("select count(*) from a1_passports"));
    }

    [Fact]
    [Conforms("A1-29", "A1-30", "A1-31")]
    [Refuses("A1-W08")]
    public async Task Roles_have_A1s_forms_and_commitments_and_lives_end_with_the_swarms()
    {
        var id = (await CreateAsync("acme-trading-swarm", GatewayWorld.Names, 0, 1)).Created().GetProperty("swarm_id").GetString()!;
        foreach (var (vector, key, role) in new[] { ("a1-swarm-02", 1, "orchestrator"), ("a1-swarm-03", 5, "auditor"), ("a1-swarm-05", 3, "supervisor") })
        {
            var expected = VectorFile.PublishedOfA1.Base(vector).Json.GetProperty("member_native_json");
            (await _world.AddAsync(id, key, role)).Created();
            var native = (await MembersAsync(id, "native")).Single(m => m.GetProperty("agent_did").GetString() == _world.Did(key));
            foreach (var member in expected.EnumerateObject().Where(m => m.Name != "cert_fingerprint_hex"))
            {
                // Its certificates are random here, all else is the vector's.
                Assert.Equal(JsonSerializer.Serialize(member.Value), JsonSerializer.Serialize(native.GetProperty(member.Name)));
            }
        }

        var capped = (await _world.AddAsync(id, 2, ttl: ulong.MaxValue)).Created().GetProperty("member");
        Assert.Equal(Chains.Now + 86_400, capped.GetProperty("expires_at_unix").GetUInt64());
        Assert.Equal((400, "AUTHORIZATION_FAILED", "WireFormatError"), (await _world.AddAsync(id, 2, ttl: 0)).Refused());
        Assert.Equal((400, "PASSPORT_NARROWING_VIOLATION"), (await _world.AddAsync(id, 2, capabilities: ["fly.plane"])).Refused() is var (status, code, _) ? (status, code) : default);
        Assert.Equal(400, (await _world.AddAsync(id, 2, "Worker")).Refused().Status);
        Assert.Equal((403, "AUTHORIZATION_FAILED", "NotTheOwner"), (await _world.AddAsync(id, 2, owner: 1)).Refused());
        Assert.Equal("swarm not found", (await _world.AddAsync(new string('0', 64), 2)).Error());
        Assert.Equal(4, (await MembersAsync(id)).Length);

        // Nobody is listed whose time is over, and the list is read as of now.
        _world.Time.Now += TimeSpan.FromSeconds(3600);
        Assert.Equal(_world.Did(2), Assert.Single(await MembersAsync(id)).GetProperty("agent_did").GetString());
        Assert.Equal((403, "AUTHORIZATION_FAILED", "MemberExpired"), (await _world.ChainAsync(id, 1)).Refused());
    }

    [Fact]
    [Conforms("A1-33", "A1-35")]
    [Refuses("A1-W07")]
    public async Task A_member_gets_a_chain_for_its_role_and_for_nothing_else()
    {
        string[] names = [.. GatewayWorld.Names, "desk.close"];
        var id = await _world.CreateSwarmAsync("desk", names);
        (await _world.AddAsync(id, 1, "orchestrator", [])).Created();
        (await _world.AddAsync(id, 2, "worker", Trade)).Created();
        (await _world.AddAsync(id, 3, "supervisor", ["trade.equity", "desk.close"])).Created();
        (await _world.AddAsync(id, 4, "worker", [])).Created();
        (await _world.AddAsync(id, 5, "auditor", names)).Created();

        foreach (var (agent, allowed, depth) in new[] { (1, names, 16), (2, Trade, 0), (3, ["trade.equity", "desk.close"], 4) })
        {
            foreach (var name in names)
            {
                var chain = (await _world.ChainAsync(id, agent)).Ok();
                var certificate = chain.GetProperty("certs").EnumerateArray().Single();
                Assert.Equal(depth, certificate.GetProperty("max_depth").GetInt32());
                var answer = await _world.AuthorizeAsync(chain, agent, name);
                Assert.Equal(allowed.Contains(name) ? 200 : 403, answer.Code);
                if (answer.Code == 403)
                {
                    Assert.Equal("SCOPE_VIOLATION", answer.Refused().Code);

                    // Not with a proof of the whole swarm's tree either.
                    var proof = Core.Capabilities.Scopes.IntentTree.Of(names).Prove(Core.Capabilities.Scopes.Intent.LeafOf(name));
                    var intent_proof = JsonElement.Parse(Conformance.A1Wire.Write(json => Core.Capabilities.Json.CertificateJson.WriteProof(json, proof)));
                    Assert.Equal("SCOPE_VIOLATION", (await _world.AuthorizeAsync(chain, agent, name, new { intent_proof })).Refused().Code);
                }
            }
        }

        Assert.Equal((403, "PASSPORT_NARROWING_VIOLATION"), (await _world.ChainAsync(id, 4)).Refused() is var (status, code, _) ? (status, code) : default);
        Assert.Equal(403, (await _world.ChainAsync(id, 5)).Refused().Status);
        Assert.Equal((404, "member not found"), ((await _world.ChainAsync(id, 6)).Code, (await _world.ChainAsync(id, 6)).Error()));
        Assert.Equal(404, (await _world.ChainAsync(new string('0', 64), 2)).Refused().Status);
        Assert.Equal((403, "AUTHORIZATION_FAILED", "NotTheOwner"), (await _world.ChainAsync(id, 2, owner: 1)).Refused());
        Assert.Equal(400, (await _world.ChainAsync(id, 2, ttl: 0)).Refused().Status);
        Assert.Equal(Chains.Now + 3600, (await _world.ChainAsync(id, 2, ttl: ulong.MaxValue)).Ok().GetProperty("expires_at_unix").GetUInt64());
    }

    [Fact]
    [Conforms("A1-32")]
    [Refuses("A1-W03")]
    public async Task Whoever_is_removed_added_anew_or_loses_the_swarm_can_do_nothing_with_what_was_issued_before()
    {
        await using var other = await _world.StartReplicaAsync();
        var id = await _world.CreateSwarmAsync();
        foreach (var end in new Func<Task<DoorAnswer>>[]
        {
            () => _world.RemoveAsync(id, 2),
            () => _world.AddAsync(id, 2),
            () => _world.PostAsync("/v1/swarm/delete", new { swarm_id = id }),
        })
        {
            var added = (await _world.AddAsync(id, 2)).Created();
            JsonElement[] chains = [added.GetProperty("chain"), (await _world.ChainAsync(id, 2)).Ok(), (await _world.ChainAsync(id, 2)).Ok()];
            var stays = (await _world.AddAsync(id, 3)).Created().GetProperty("chain");
            Assert.Equal(200, (await other.AuthorizeAsync(chains[1], 2, "trade.equity")).Code);
            Assert.InRange((await end()).Code, 200, 201);
            foreach (var chain in chains)
            {
                Assert.Equal((403, "CERT_REVOKED", "Revoked"), (await other.AuthorizeAsync(chain, 2, "trade.equity")).Refused());
            }

            var isDeleted = (await _world.Anybody.SendAsync(HttpMethod.Get, $"/v1/swarm/{id}/members")).Code == 404;
            Assert.Equal(isDeleted ? 403 : 200, (await other.AuthorizeAsync(stays, 3, "trade.equity")).Code);
        }

        Assert.Equal("swarm not found", (await _world.RemoveAsync(id, 2)).Error());
        var again = await _world.CreateSwarmAsync();
        Assert.Equal((404, "member not found"), ((await _world.RemoveAsync(again, 2)).Code, (await _world.RemoveAsync(again, 2)).Error()));
        Assert.Equal(404, (await _world.PostAsync("/v1/swarm/member/remove", new { swarm_id = again, agent_did = "did:a1:" + _world.PublicKey(2).ToUpperInvariant() })).Code);
    }

    [Fact]
    [Conforms("A1-34", "A1-31")]
    public async Task A_heartbeat_is_seen_in_the_full_view_and_extends_nothing()
    {
        var id = await _world.CreateSwarmAsync();
        (await _world.AddAsync(id, 2, ttl: 100)).Created();
        Assert.Equal(JsonValueKind.Null, (await MembersAsync(id, "full")).Single().GetProperty("last_seen_unix").ValueKind);
        _world.Time.Now += TimeSpan.FromSeconds(99);
        var beat = (await HeartbeatAsync(id, 2)).Ok();
        Assert.Equal((_world.Did(2), Chains.Now + 99), (beat.GetProperty("agent_did").GetString(), beat.GetProperty("last_seen_unix").GetUInt64()));
        var full = Assert.Single(await MembersAsync(id, "full"));
        Assert.Equal((Chains.Now + 99, "active", Chains.Now + 100), (full.GetProperty("last_seen_unix").GetUInt64(), full.GetProperty("status").GetString(), full.GetProperty("expires_at_unix").GetUInt64()));
        Assert.False(Assert.Single(await MembersAsync(id)).TryGetProperty("last_seen_unix", out _));
        _world.Time.Now += TimeSpan.FromSeconds(1);
        Assert.Equal((403, "AUTHORIZATION_FAILED", "MemberExpired"), (await HeartbeatAsync(id, 2)).Refused());
        Assert.Equal("member not found", (await HeartbeatAsync(id, 3)).Error());
        Assert.Equal("swarm not found", (await HeartbeatAsync(new string('0', 64), 2)).Error());
    }

    [Fact]
    [Conforms("A1-46")]
    [Refuses("A1-W14")]
    public async Task Swarms_are_shared_by_replicas_and_the_node_can_hold_the_owners_key()
    {
        await using var other = await _world.StartReplicaAsync();
        var id = (await _world.PostAsync("/v1/swarm/create", new { swarm_name = "held", capabilities = GatewayWorld.Names })).Created().GetProperty("swarm_id").GetString()!;
        (await other.PostAsync("/v1/swarm/member/add", new { swarm_id = id, agent_pk_hex = _world.PublicKey(2), role = "worker", capabilities = Trade })).Created();
        var chain = (await _world.PostAsync("/v1/swarm/member/chain", new { swarm_id = id, agent_pk_hex = _world.PublicKey(2) })).Ok();
        Assert.Equal(200, (await other.AuthorizeAsync(chain, 2, "trade.equity")).Code);

        // Where the owner keeps its key, it has to come with the request.
        var own = await _world.CreateSwarmAsync();
        var without = await _world.PostAsync("/v1/swarm/member/add", new { swarm_id = own, agent_pk_hex = _world.PublicKey(2), role = "worker", capabilities = Trade });
        Assert.Equal((403, "AUTHORIZATION_FAILED", "KeyNotHeld"), without.Refused());
    }

    [Fact]
    [Conforms("A1-49")]
    [Refuses("A1-W18")]
    public async Task Every_change_of_a_swarm_is_in_the_audit_with_its_subjects_and_fingerprints()
    {
        var id = await _world.CreateSwarmAsync();
        var print = (await _world.AddAsync(id, 2)).Created().GetProperty("member").GetProperty("cert_fingerprint_hex").GetString()!;
        var second = (await _world.ChainAsync(id, 2)).Ok().GetProperty("fingerprint_hex").GetString()!;
        (await _world.RemoveAsync(id, 2)).Ok();
        var entries = await _world.Node.ScalarAsync<string[]>("select array_agg(detail order by entry_no) from audit_entries where kind = 2 and detail like 'a1 %'");
        Assert.Collection(
            entries,
            e => Assert.Matches($"^a1 swarm {id} created by operator token \\d+, owner {_world.Did(0)}, certificate [0-9a-f]{{64}}$", e),
            e => Assert.Matches($"^a1 swarm {id} member {_world.Did(2)} added as worker by operator token \\d+, certificate {print}$", e),
            e => Assert.Matches($"^a1 swarm {id} chain issued to {_world.Did(2)} by operator token \\d+, certificate {second}$", e),
            e => Assert.True(e.StartsWith($"a1 swarm {id} member removed by operator token ", StringComparison.Ordinal) && e.Contains(_world.Did(2), StringComparison.Ordinal)
                && e.Contains($"revoked {print}", StringComparison.Ordinal) && e.Contains($"revoked {second}", StringComparison.Ordinal), e));
    }

    private Task<DoorAnswer> CreateAsync(string name, string[] capabilities, int owner, uint days = 30) => _world.PostAsync(
        "/v1/swarm/create", new { swarm_name = name, capabilities, ttl_days = days, signing_key_hex = GatewayWorld.Seed(owner) });

    private Task<DoorAnswer> HeartbeatAsync(string id, int agent) => _world.PostAsync("/v1/swarm/member/heartbeat", new { swarm_id = id, agent_did = _world.Did(agent) });

    private async Task<JsonElement[]> MembersAsync(string id, string? view = null)
    {
        var answer = (await _world.Anybody.SendAsync(HttpMethod.Get, $"/v1/swarm/{id}/members{(view is null ? "" : $"?view={view}")}")).Ok();
        var members = answer.GetProperty("members").EnumerateArray().ToArray();
        Assert.Equal(members.Length, answer.GetProperty("count").GetInt32());
        return members;
    }
}
