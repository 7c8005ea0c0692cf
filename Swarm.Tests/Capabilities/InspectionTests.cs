using System.Text;
using System.Text.Json;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Capabilities;

/// <summary>The Hub API's explanation of certificates, chains, passports and tokens.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class InspectionTests(PostgresFixture postgres) : IAsyncLifetime
{
    private const string Path = "/hub/v1/capabilities/inspect";

    private static readonly string[] Trade = ["trade.equity"];

    private GatewayWorld _world = null!;

    public async Task InitializeAsync() => _world = await GatewayWorld.StartAsync(postgres);

    public async Task DisposeAsync() => await _world.DisposeAsync();

    [Fact]
    [Conforms("A1-48")]
    public async Task A_chain_is_explained_hop_by_hop_with_names_that_its_hashes_bear_out()
    {
        var passport = await _world.KnowAsync();
        var chain = _world.Chain(null, Trade, null);
        var found = await InspectAsync(GatewayWorld.ToJson(chain));
        Assert.Equal(("chain", chain.Fingerprint().ToString()), (Text(found, "kind"), Text(found, "fingerprint")));
        Assert.Equal(_world.Did(0), Text(found.GetProperty("principal"), "did"));
        Assert.Equal(GatewayWorld.Names, Names(found.GetProperty("principal")));
        var hops = found.GetProperty("hops").EnumerateArray().ToArray();
        Assert.Equal([0, 1, 2], hops.Select(hop => Enumerable.Range(0, 3).Single(i => Text(hop, "from") == _world.Did(i) && Text(hop, "to") == _world.Did(i + 1))));
        Assert.Equal([GatewayWorld.Names, Trade, Trade], hops.Select(Names));
        Assert.All(hops, hop => Assert.Equal((true, false, false), (Truth(hop, "signature_valid"), Truth(hop, "revoked"), Truth(hop, "used"))));
        Assert.Equal(chain.Certificates.Select(c => c.Fingerprint().ToString()), hops.Select(hop => Text(hop, "fingerprint")));
        Assert.Equal("2023-11-14T23:13:20.000Z", Text(hops[0], "expires_at"));
        Assert.Equal(JsonValueKind.Null, found.GetProperty("refusal").ValueKind);

        // It consumed nothing; and what is used up then says so.
        Assert.Equal(200, (await _world.AuthorizeAsync(GatewayWorld.ToJson(chain), 3, "trade.equity")).Code);
        found = await InspectAsync(GatewayWorld.ToJson(chain));
        Assert.Equal("NonceReplay", Cause(found));
        Assert.All(found.GetProperty("hops").EnumerateArray(), hop => Assert.True(Truth(hop, "used")));

        // A list of names that is not the scope's is not shown as it.
        var lying = chain.Certificates[0] with { ScopeRoot = passport.Root.Fingerprint() };
        var hopOfLiar = (await InspectAsync(GatewayWorld.ToJson(chain with { Certificates = [lying] }))).GetProperty("hops")[0];
        Assert.Equal(JsonValueKind.Null, hopOfLiar.GetProperty("capabilities").ValueKind);
        Assert.False(Truth(hopOfLiar, "signature_valid"));
    }

    [Fact]
    [Conforms("A1-48", "A1-13")]
    public async Task What_would_be_refused_is_told_in_the_words_of_the_refusal()
    {
        var unknown = _world.Chain(Trade);
        Assert.Equal("PolicyViolation", Cause(await InspectAsync(GatewayWorld.ToJson(unknown))));
        await _world.KnowAsync();
        var chain = _world.Chain(Trade, null);
        var (first, second) = (chain.Certificates[0], chain.Certificates[1]);
        var revoked = _world.Chain(Trade, null);
        Assert.Equal(200, (await _world.PostAsync("/v1/cert/revoke", new { fingerprint_hex = revoked.Certificates[1].Fingerprint().ToString() })).Code);
        SignedChain[] bad =
        [
            chain with { Certificates = [] }, chain with { Certificates = [second] }, chain with { Certificates = [first, first] },
            chain with { Certificates = [first with { ExpiresAt = _world.Now - 100 }, second] }, chain with { Certificates = [first with { IssuedAt = _world.Now + 100 }, second] },
            chain with { Certificates = [first, second with { ExpiresAt = first.ExpiresAt + 1 }] }, chain with { Certificates = [first with { MaxDepth = 1 }, second] },
            chain with { Certificates = [first, second with { Nonce = first.Nonce }] }, chain with { Certificates = [first, second with { MaxDepth = 9 }] },
            chain with { Certificates = [first, second with { ScopeRoot = default }] }, chain with { Certificates = [first with { Version = 2 }, second] }, revoked,
        ];
        var causes = new HashSet<string>();
        foreach (var presented in bad)
        {
            var json = GatewayWorld.ToJson(presented);
            var refusal = (await InspectAsync(json)).GetProperty("refusal");
            var executor = presented.Certificates.Count;
            var denied = await _world.AuthorizeAsync(json, executor, "trade.equity");
            Assert.Equal(denied.Refused(), (403, Text(refusal, "error_code"), Text(refusal, "detail_code")));
            Assert.Equal(denied.Error(), Text(refusal, "error"));
            causes.Add(Text(refusal, "detail_code")!);
        }

        Assert.Equal(
            ["BrokenLinkage", "EmptyChain", "Expired", "InvalidSignature", "MaxDepthExceeded", "NonceReplay", "NotYetValid", "Revoked", "RootMismatch", "ScopeEscalation", "TemporalViolation", "UnsupportedVersion"],
            causes.Order(StringComparer.Ordinal));

        // The passport's end is the chain's.
        _world.Time.Now += TimeSpan.FromDays(31);
        Assert.Equal("Expired", Cause(await InspectAsync(GatewayWorld.ToJson(_world.Chain(Trade)))));
    }

    [Fact]
    [Conforms("A1-48", "A1-25")]
    public async Task Passports_certificates_tokens_and_answers_with_them_are_told_from_each_other()
    {
        var passport = await _world.KnowAsync();
        var found = await InspectAsync(GatewayWorld.ToJson(passport));
        Assert.Equal(("passport", "acme-trading-bot"), (Text(found, "kind"), Text(found, "namespace")));
        Assert.Equal(GatewayWorld.Names, Names(found.GetProperty("hops")[0]));
        Assert.Equal(JsonValueKind.Null, found.GetProperty("refusal").ValueKind);
        Assert.Equal("ScopeEscalation", Cause(await InspectAsync(GatewayWorld.ToJson(passport with { Capabilities = ["everything"] }))));

        var issued = (await _world.PostAsync("/v1/cert/issue", new { delegate_pk_hex = _world.PublicKey(1), intents = new[] { new { name = "x" } }, extensions = new { ticket = "42", n = 7 } })).Created();
        foreach (var document in new[] { issued, issued.GetProperty("cert") })
        {
            found = await InspectAsync(document);
            Assert.Equal(("certificate", Text(issued, "fingerprint_hex")), (Text(found, "kind"), Text(found, "fingerprint")));
            Assert.Equal("""{"n":7,"ticket":"42"}""", found.GetProperty("hops")[0].GetProperty("extensions").GetRawText());
            Assert.Equal(JsonValueKind.Null, found.GetProperty("hops")[0].GetProperty("capabilities").ValueKind);
            Assert.Equal(JsonValueKind.Null, found.GetProperty("refusal").ValueKind);
        }

        Assert.Equal(200, (await _world.PostAsync("/v1/cert/revoke", new { fingerprint_hex = Text(issued, "fingerprint_hex") })).Code);
        Assert.Equal("Revoked", Cause(await InspectAsync(issued)));

        var chain = _world.Chain(Trade);
        var answer = (await _world.AuthorizeAsync(GatewayWorld.ToJson(chain), 1, "trade.equity", new { return_token = true })).Ok();
        found = await InspectAsync(answer);
        Assert.Equal(("token", chain.Fingerprint().ToString(), 1), (Text(found, "kind"), Text(found, "fingerprint"), found.GetProperty("token").GetProperty("chain_depth").GetInt32()));
        Assert.Equal("2023-11-14T22:13:20.000Z", Text(found.GetProperty("token"), "verified_at"));
        Assert.Equal(JsonValueKind.Null, found.GetProperty("refusal").ValueKind);
        var forged = answer.GetProperty("token").GetRawText().Replace("\"chain_depth\":1", "\"chain_depth\":2", StringComparison.Ordinal);
        Assert.Equal("MacVerificationFailed", Cause(await InspectAsync(JsonElement.Parse(forged))));
    }

    [Fact]
    [Refuses("W-25")]
    public async Task Whatever_is_no_such_document_is_refused_and_nothing_changes()
    {
        var before = await TableState.ReadAsync(_world.Node.Database);
        var chain = GatewayWorld.ToJson(_world.Chain(Trade)).GetRawText();
        string[] bodies =
        [
            "", " ", "{", "[]", "null", "1", "\"x\"", "{}", "{}{}", chain + "x", chain[..^1], "{\"chain\":" + chain, "{\"chain\":{\"chain\":" + chain + "}}", "{\"chain\":null}", "{\"cert\":[]}",
            "{\"certs\":[]}", "{\"mac\":\"00\"}", "{\"mac\":\"00\",\"receipt\":{}}", "{\"delegate_pk\":[1,2]}", "{\"a1_passport\":2}", "{\"token\":7}", "{\"certs\":1,\"certs\":2}",
            chain.Replace("\"max_depth\":255", "\"max_depth\":256", StringComparison.Ordinal), chain.Replace("\"fields\":{", "\"fields\":{\"\\ud800\":\"x\",", StringComparison.Ordinal),
            new string('[', 1000), "{\"certs\":" + new string('[', 100) + new string(']', 100) + "}", "{\"a1_passport\":1,\"capabilities\":[\"\\ud800\"]}", "\uFEFF{}",
        ];
        foreach (var body in bodies)
        {
            Assert.True(await PostAsync(Encoding.UTF8.GetBytes(body)) is (422, "invalid-request"), body[..Math.Min(80, body.Length)]);
        }

        Assert.Equal((422, "invalid-request"), await PostAsync([0x7B, 0x22, 0xC3, 0x28, 0x22, 0x7D]));
        Assert.Equal((413, "body-too-large"), await PostAsync(new byte[(2 * 1024 * 1024) + 1]));
        Assert.Equal((422, "invalid-request"), await PostAsync(Encoding.UTF8.GetBytes(chain), "text/plain"));
        Assert.Equal(before, await TableState.ReadAsync(_world.Node.Database));
    }

    [Fact]
    [Conforms("A1-48")]
    public async Task Whoever_has_a_token_may_ask_and_nobody_else()
    {
        var agent = (await _world.Node.Hub.PostHubAsync("/hub/v1/agents", new { name = "alice" })).Ok()["token"].GetString();
        var chain = GatewayWorld.ToJson(_world.Chain(Trade));
        using var asAgent = _world.Node.ClientOf(agent);
        Assert.Equal("chain", Text((await asAgent.PostObjectAsync(Path, chain)).Ok(), "kind"));
        Assert.Equal(401, (await _world.Anybody.PostObjectAsync(Path, chain)).Code);
    }

    [Fact]
    public async Task As_many_names_and_certificates_as_fit_are_explained_in_bounded_time()
    {
        // 2 MiB of names, none of which is its certificate's; and the longest chain that is read.
        var names = Enumerable.Range(0, 150_000).Select(i => $"n{i}").ToArray();
        var certificate = GatewayWorld.ToJson(_world.Chain(Trade)).GetProperty("certs")[0].GetRawText().Replace(
            "\"fields\":{", $"\"fields\":{{\"a\":{JsonSerializer.Serialize(names)},", StringComparison.Ordinal);
        Assert.Equal("InvalidSignature", Cause(await InspectAsync(JsonElement.Parse(certificate))));
        var chain = _world.Chain(Trade);
        var many = GatewayWorld.ToJson(chain with { Certificates = [.. Enumerable.Repeat(chain.Certificates[0], 600)] });
        Assert.Equal(600, (await InspectAsync(many)).GetProperty("hops").GetArrayLength());
    }

    private async Task<JsonElement> InspectAsync(JsonElement document) => (await _world.Admin.PostAsync(Path, Encoding.UTF8.GetBytes(document.GetRawText()))).Ok();

    private async Task<(int Status, string Error)> PostAsync(byte[] body, string contentType = "application/json")
    {
        var answer = await _world.Admin.PostAsync(Path, body, contentType);
        return (answer.Code, answer.Json.GetProperty("type").GetString()!["urn:swarm:error:".Length..]);
    }

    private static string? Text(JsonElement json, string member) => json.GetProperty(member).GetString();

    private static bool Truth(JsonElement json, string member) => json.GetProperty(member).GetBoolean();

    private static string?[] Names(JsonElement json) => [.. json.GetProperty("capabilities").EnumerateArray().Select(name => name.GetString())];

    private static string? Cause(JsonElement found) => Text(found.GetProperty("refusal"), "detail_code");
}
