using System.Text.Json;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Capabilities.Sdk;

/// <summary>A1's three SDKs as its specification describes what they send and read (A1 §14.7), each by a small client of its own.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class SdkTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly string[] Trade = ["trade.equity"];
    private static readonly object[] TradeIntent = [new { name = "trade.equity" }];

    private GatewayWorld _world = null!;

    public async Task InitializeAsync() => _world = await GatewayWorld.StartAsync(postgres);

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Fact]
    [Conforms("A1-28", "A1-29", "A1-31", "A1-32", "A1-33", "A1-41")]
    [Refuses("A1-W23")]
    public async Task Pythons_swarm_client_creates_adds_lists_authorizes_and_removes()
    {
        var swarms = new PythonSwarmClient(_world.Anybody, "http://localhost/", _world.Secret);
        var id = await swarms.CreateSwarmAsync("acme-trading-swarm", GatewayWorld.Names, GatewayWorld.Seed(0));
        Assert.Equal("2bf53824a4e054e5c79c37148983e04a5fbcef1969ac3f7da4efd59c212c703f", id);
        var member = await swarms.AddMemberAsync(id, _world.PublicKey(2), "worker", Trade, GatewayWorld.Seed(0));
        await swarms.AddMemberAsync(id, _world.PublicKey(5), "auditor", [], GatewayWorld.Seed(0));
        Assert.Equal(
            [("worker", true), ("auditor", false)],
            (await swarms.ListMembersAsync(id)).OrderByDescending(m => m.GetProperty("role").GetString())
                .Select(m => (m.GetProperty("role").GetString()!, m.GetProperty("cert_fingerprint_hex").ValueKind == JsonValueKind.String)));

        var receipt = await new PythonPassportClient(_world.Anybody).AuthorizeAsync(
            await swarms.GetChainAsync(id, _world.PublicKey(2), GatewayWorld.Seed(0)), "trade.equity", _world.PublicKey(2));
        Assert.Equal("acme-trading-swarm", receipt.GetProperty("passport_namespace").GetString());

        var before = await swarms.GetChainAsync(id, _world.PublicKey(2), GatewayWorld.Seed(0));
        await swarms.RemoveMemberAsync(id, member.GetProperty("agent_did").GetString()!);
        Assert.Single(await swarms.ListMembersAsync(id));
        var refused = await Assert.ThrowsAsync<PythonError>(() => new PythonPassportClient(_world.Anybody).AuthorizeAsync(before, "trade.equity", _world.PublicKey(2)));
        Assert.Equal(("delegation certificate has been revoked", "CERT_REVOKED"), (refused.Message, refused.Code));
        var gone = await Assert.ThrowsAsync<PythonError>(() => swarms.GetChainAsync(id, _world.PublicKey(2), GatewayWorld.Seed(0)));
        Assert.Equal("member not found", gone.Message);
        var stranger = await Assert.ThrowsAsync<PythonError>(() => new PythonSwarmClient(_world.Anybody, "http://localhost", null).ListMembersAsync(new string('0', 64)));
        Assert.Equal("swarm not found", stranger.Message);
        var nobody = await Assert.ThrowsAsync<PythonError>(() =>
            new PythonSwarmClient(_world.Anybody, "http://localhost", "guess").CreateSwarmAsync("x", Trade, GatewayWorld.Seed(0)));
        Assert.Equal(("invalid or missing admin secret", "SWARM_ERROR"), (nobody.Message, nobody.Code));
    }

    [Fact]
    [Conforms("A1-39", "A1-40", "A1-41", "A1-44")]
    [Refuses("A1-W23")]
    public async Task Pythons_A1_client_reads_every_answer_and_finds_its_error_code()
    {
        // This client can set no header, so what changes something is refused; with a token put in from outside, all of it works.
        var nobody = new PythonA1Client(_world.Anybody);
        var refused = await Assert.ThrowsAsync<PythonError>(() => nobody.IssueCertAsync(_world.PublicKey(1), TradeIntent));
        Assert.Equal(("invalid or missing admin secret", "AUTHORIZATION_FAILED"), (refused.Message, refused.Code));
        await Assert.ThrowsAsync<PythonError>(() => nobody.RevokeAsync(new string('0', 64)));
        Assert.Equal(2, nobody.Sent);

        var client = new PythonA1Client(_world.Admin);
        var (certificate, fingerprint, scope) = await client.IssueCertAsync(_world.PublicKey(1), TradeIntent);
        var gateway = (await client.WellKnownAsync()).GetProperty("gateway_signing_pk_hex").GetString()!;
        Assert.Equal(gateway, (await client.HealthAsync()).GetProperty("signing_pk_hex").GetString());
        var chain = JsonSerializer.SerializeToElement(new { version = 1, principal_pk = gateway, principal_scope = scope, certs = new[] { certificate } });
        var authorized = await client.AuthorizeAsync(chain, "trade.equity", _world.PublicKey(1), returnToken: true);
        Assert.True((await client.VerifyTokenAsync(authorized.GetProperty("token"))).GetProperty("valid").GetBoolean());
        var replay = await Assert.ThrowsAsync<PythonError>(() => client.PassportAuthorizeAsync(chain, "trade.equity", _world.PublicKey(1)));
        Assert.Equal("NONCE_REPLAY", replay.Code);
        Assert.Equal(0, (await client.AuthorizeBatchAsync(chain, _world.PublicKey(1), TradeIntent)).GetProperty("authorized_count").GetInt32());
        await client.RevokeAsync(fingerprint);
        Assert.True((await client.InspectAsync(fingerprint)).GetProperty("revoked").GetBoolean());
        Assert.Equal(1, (await client.RevokeBatchAsync([fingerprint])).GetProperty("revoked_count").GetInt32());

        Assert.Equal("bot.json", (await client.IssuePassportAsync("bot", Trade)).GetProperty("path").GetString());
        Assert.Single((await client.ListPassportsAsync()).GetProperty("passports").EnumerateArray());
        Assert.Equal("bot", (await client.ReadPassportAsync("namespace=bot")).GetProperty("namespace").GetString());
        Assert.Equal(7200, (await client.RenewPassportAsync("bot", "2h")).GetProperty("ttl_seconds").GetInt32());
        Assert.True((await client.RevokePassportAsync("bot")).GetProperty("success").GetBoolean());
    }

    [Fact]
    [Conforms("A1-28", "A1-29", "A1-31", "A1-32", "A1-33", "A1-42")]
    public async Task TypeScripts_swarm_client_creates_adds_lists_authorizes_and_removes()
    {
        var swarms = new TypeScriptSwarmClient(_world.Anybody, "http://localhost", _world.Secret);
        var id = await swarms.CreateSwarmAsync("desk", GatewayWorld.Names, GatewayWorld.Seed(0));
        var member = await swarms.AddMemberAsync(id, _world.PublicKey(2), "orchestrator", [], GatewayWorld.Seed(0));
        Assert.Equal(member, Assert.Single(await swarms.ListMembersAsync(id)));
        var passports = new TypeScriptPassportClient(_world.Anybody);
        var authorized = await passports.AuthorizeAsync(await swarms.GetChainAsync(id, _world.PublicKey(2), GatewayWorld.Seed(0)), "portfolio.read", _world.PublicKey(2));
        Assert.Equal(("desk", 1), (authorized.Namespace, authorized.Depth));
        var before = await swarms.GetChainAsync(id, _world.PublicKey(2), GatewayWorld.Seed(0));
        await swarms.RemoveMemberAsync(id, member.AgentDid);
        var refused = await Assert.ThrowsAsync<TypeScriptError>(() => passports.AuthorizeAsync(before, "portfolio.read", _world.PublicKey(2)));
        Assert.Equal("CERT_REVOKED", refused.Code);
        var unknown = await Assert.ThrowsAsync<TypeScriptError>(() => swarms.AddMemberAsync(new string('0', 64), _world.PublicKey(2), "worker", [], GatewayWorld.Seed(0)));
        Assert.Equal("swarm not found", unknown.Message);
    }

    [Fact]
    [Conforms("A1-23", "A1-39", "A1-42")]
    [Refuses("A1-W13", "A1-W23")]
    public async Task TypeScripts_A1_client_gets_its_token_at_the_first_try_and_a_retry_with_a_request_id_the_first_answer()
    {
        await _world.KnowAsync();
        var client = new TypeScriptA1Client(_world.Anybody, _world.Secret);
        await client.WellKnownAsync();
        await client.HealthAsync();
        var chain = GatewayWorld.ToJson(_world.Chain(Trade));
        var sent = client.Sent;
        var authorized = await client.AuthorizeAsync(chain, "trade.equity", _world.PublicKey(1), returnToken: true, requestId: "r");
        Assert.Equal(sent + 1, client.Sent);
        Assert.True((await client.VerifyTokenAsync(authorized.GetProperty("token"))).GetProperty("valid").GetBoolean());

        // What a lost answer makes it do.
        Assert.Equal(authorized.GetRawText(), (await client.AuthorizeAsync(chain, "trade.equity", _world.PublicKey(1), returnToken: true, requestId: "r")).GetRawText());
        var denied = await Assert.ThrowsAsync<TypeScriptError>(() => client.AuthorizeAsync(chain, "trade.equity", _world.PublicKey(1)));
        Assert.Equal("NONCE_REPLAY", denied.Code);
        Assert.Equal(2, (await client.AuthorizeBatchAsync(
            GatewayWorld.ToJson(_world.Chain([null])), _world.PublicKey(1), [new { name = "trade.equity" }, new { name = "portfolio.read" }])).GetProperty("results").GetArrayLength());

        var issued = await client.IssueCertAsync(_world.PublicKey(1), TradeIntent);
        var fingerprint = issued.GetProperty("fingerprint_hex").GetString()!;
        await client.RevokeCertAsync(fingerprint);
        Assert.True((await client.InspectCertAsync(fingerprint)).GetProperty("revoked").GetBoolean());
        await client.RevokeCertsBatchAsync([fingerprint]);

        // What A1 answers as plain text keeps its code here.
        var stranger = await Assert.ThrowsAsync<TypeScriptError>(() => new TypeScriptA1Client(_world.Anybody, null).RevokeCertAsync(fingerprint));
        Assert.Equal(("invalid or missing admin secret", "AUTHORIZATION_FAILED"), (stranger.Message, stranger.Code));
    }

    [Fact]
    [Conforms("A1-39", "A1-43", "A1-44")]
    public async Task Gos_client_authorizes_issues_revokes_inspects_and_manages_passports()
    {
        var go = new GoClient(_world.Anybody, ("Authorization", $"Bearer {_world.Secret}"));
        Assert.Equal("dyolo_v2.8.0", (await go.WellKnownAsync()).GetProperty("protocol_enforcer").GetString());
        var issued = await go.IssuePassportAsync("go-bot", GatewayWorld.Names, "30d");
        Assert.Equal(("go-bot.json", 30 * 86_400L), (issued.Path, issued.TtlSeconds));
        var chain = (await _world.PostAsync("/v1/passports/chain", new { @namespace = "go-bot", agent_pk_hex = _world.PublicKey(3), capabilities = Trade })).Ok();
        var receipt = await go.AuthorizePassportAsync(chain, "trade.equity", _world.PublicKey(3));
        Assert.Equal(("go-bot", 1, 64), (receipt.Namespace, receipt.Depth, receipt.Commitment.Length));
        var denied = await Assert.ThrowsAsync<GoError>(() => go.AuthorizePassportAsync(chain, "trade.equity", _world.PublicKey(3)));
        Assert.Equal(("NONCE_REPLAY", 403), (denied.Code, denied.Status));
        Assert.Equal(issued.PublicKey, (await go.RenewPassportAsync(issued.Path, "60d")).PublicKey);
        Assert.Single(await go.ListPassportsAsync());
        Assert.Equal(64, (await go.RevokePassportByNamespaceAsync("go-bot")).Length);
        Assert.Equal("passport not found", (await Assert.ThrowsAsync<GoError>(() => go.RevokePassportByNamespaceAsync("go-bot"))).Message);
        Assert.Empty(await go.ListPassportsAsync());

        var (fingerprint, scope) = await go.IssueCertAsync(_world.PublicKey(1), TradeIntent);
        Assert.Equal("780f7f1771ee960db764b5fe73fdd7ba0f28feefa6ba03fda769e06764ea9f87", scope);
        Assert.False(await go.InspectCertAsync(fingerprint));
        await go.RevokeCertAsync(fingerprint);
        Assert.True(await go.InspectCertAsync(fingerprint));
        Assert.Equal((1, 1), await go.RevokeCertsBatchAsync([fingerprint, "x"]));
        Assert.Equal("ttl must be a number of seconds, or like 30d, 12h, 90m, 1y, and not 0", (await Assert.ThrowsAsync<GoError>(() => go.IssuePassportAsync("n", Trade, "0d"))).Message);
    }
}
