using System.Text;
using System.Text.Json.Nodes;
using NSec.Cryptography;
using Swarm.Cli;
using Swarm.Cli.Arguments;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Cli;

/// <summary>The commands about keys, passports, chains and A1's gateway against a real node (A1 §17).</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.EndToEnd)]
public sealed class CapabilityCommandTests(PostgresFixture postgres) : IAsyncLifetime, IDisposable
{
    private readonly CliRun cli = new();
    private TestNode node = null!;

    private Uri Url => node.Hub.BaseAddress!;

    public async Task InitializeAsync()
    {
        node = await TestNode.StartAsync(postgres, listens: true);
        cli.Variables["SWARM_TOKEN"] = node.Hub.DefaultRequestHeaders.Authorization!.Parameter!;
    }

    public async Task DisposeAsync() => await node.DisposeAsync();

    public void Dispose() => cli.Dispose();

    [Fact]
    [Conforms("A1-48", "A1-02")]
    public async Task A_key_of_ones_own_lies_in_its_file_alone()
    {
        var path = In("agent.key");
        await OkAsync("keys", "new", "--out", path);
        var seed = await File.ReadAllTextAsync(path);
        Assert.Matches("^[0-9a-f]{64}$", seed);
        Assert.False(Swarm.Cli.Profile.PrivateFiles.IsOpenToOthers(path));
        using var key = Key.Import(SignatureAlgorithm.Ed25519, Convert.FromHexString(seed), KeyBlobFormat.RawPrivateKey);
        var publicKey = Convert.ToHexStringLower(key.PublicKey.Export(KeyBlobFormat.RawPublicKey));
        Assert.Contains($"did:a1:{publicKey}\n", cli.Out, StringComparison.Ordinal);
        Assert.DoesNotContain(seed, cli.Out + cli.Error, StringComparison.Ordinal);
        await OkAsync("keys", "show", path, "--json");
        Assert.Equal(publicKey, (string?)cli.Json["verifying_key_hex"]);
        Assert.DoesNotContain(seed, cli.Out + cli.Error, StringComparison.Ordinal);

        Assert.Equal(ExitCode.General, await cli.RunAsync(Url, "keys", "new", "--out", path));
        Assert.Equal(seed, await File.ReadAllTextAsync(path));
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "keys", "show", In("none")));
        await File.WriteAllTextAsync(In("short"), seed[1..]);
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "keys", "show", In("short")));
        await OkAsync("keys", "new", "--json");
        Assert.Equal(["verifying_key_hex", "did", "signing_key_hex"], cli.Json.AsObject().Select(m => m.Key));
        await File.WriteAllTextAsync(In("again"), (string)cli.Json["signing_key_hex"]!);
        var made = (string?)cli.Json["verifying_key_hex"];
        await OkAsync("keys", "show", In("again"), "--json");
        Assert.Equal(made, (string?)cli.Json["verifying_key_hex"]);
    }

    [Fact]
    [Conforms("A1-48")]
    public async Task A_passport_lets_an_agent_act_once_with_each_chain_and_no_more_when_it_is_revoked()
    {
        await OkAsync("agent", "create", "bob", "--json");
        var bob = Convert.ToHexStringLower(Convert.FromBase64String((string)cli.Json["public_key"]!));
        await OkAsync("passport", "issue", "acme", "--allow", "trade.equity, portfolio.read", "--ttl", "2d", "--out", In("acme.json"), "--json");
        Assert.Equal(("issued", 2 * 24 * 3600), ((string?)cli.Json["status"], (int)cli.Json["ttl_seconds"]!));
        await OkAsync("passport", "list", "--json");
        Assert.Equal(("acme", "valid"), ((string?)cli.Json["passports"]![0]!["namespace"], (string?)cli.Json["passports"]![0]!["status"]));
        await OkAsync("passport", "list");
        Assert.Contains("trade.equity, portfolio.read", cli.Out, StringComparison.Ordinal);
        await OkAsync("passport", "read", "acme");
        Assert.True(JsonNode.DeepEquals(cli.Json, JsonNode.Parse(await File.ReadAllTextAsync(In("acme.json")))));
        await OkAsync("passport", "inspect", In("acme.json"));
        Assert.Contains("Passport acme", cli.Out, StringComparison.Ordinal);
        Assert.EndsWith("Nothing speaks against it.\n", cli.Out, StringComparison.Ordinal);

        var chain = In("chain.json");
        await OkAsync("passport", "sub", "acme", "--agent", "bob", "--allow", "trade.equity", "--allow", "portfolio.read", "--ttl", "1h", "--out", chain);
        await OkAsync("inspect", chain);
        Assert.Contains($"→ did:a1:{bob}", cli.Out, StringComparison.Ordinal);
        Assert.Contains("may:            trade.equity, portfolio.read", cli.Out, StringComparison.Ordinal);
        Assert.Contains("signature:      valid", cli.Out, StringComparison.Ordinal);
        await OkAsync("inspect", chain, "--json");
        Assert.Equal(("chain", $"did:a1:{bob}"), ((string?)cli.Json["kind"], (string?)cli.Json["hops"]![0]!["to"]));
        Assert.Null(cli.Json["refusal"]);
        var fingerprint = (string)cli.Json["hops"]![0]!["fingerprint"]!;

        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "authorize", chain, "--intent", "trade.bonds", "--as", "bob"));
        Assert.Contains("REFUSED", cli.Out, StringComparison.Ordinal);
        Assert.Contains("execution intent is not within the terminal scope (SCOPE_VIOLATION)", cli.Out, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "authorize", chain, "--intent", "trade.equity", "--param", "symbol=AAPL", "--as", "bob", "--json"));
        Assert.Equal((false, "SCOPE_VIOLATION"), ((bool)cli.Json["authorized"]!, (string?)cli.Json["error_code"]));
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "authorize", chain, "--intent", "trade.equity", "--as", new string('1', 64), "--json"));
        Assert.NotEqual("", (string?)cli.Json["error"]);
        await OkAsync("authorize", chain, "--intent", "trade.equity", "--as", "did:a1:" + bob);
        Assert.EndsWith($"authorized: did:a1:{bob} may do trade.equity, this once\n", cli.Out, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "authorize", chain, "--intent", "trade.equity", "--as", bob, "--json"));
        Assert.Equal("NONCE_REPLAY", (string?)cli.Json["error_code"]);
        await OkAsync("inspect", chain);
        Assert.Contains("used: each certificate counts once", cli.Out, StringComparison.Ordinal);
        Assert.EndsWith("Refused now: nonce has already been consumed (NONCE_REPLAY)\n", cli.Out, StringComparison.Ordinal);

        // The same request is the same answer.
        await OkAsync("passport", "sub", "acme", "--agent", bob, "--allow", "trade.equity", "--out", chain);
        for (var i = 0; i < 2; i++)
        {
            await OkAsync("authorize", chain, "--intent", "trade.equity", "--as", "bob", "--request-id", "order-7", "--json");
            Assert.True((bool)cli.Json["authorized"]!);
        }

        await OkAsync("revoke", fingerprint, "--json");
        await OkAsync("inspect", fingerprint, "--json");
        Assert.True((bool)cli.Json["revoked"]!);

        await OkAsync("passport", "renew", "acme", "--ttl", "30d", "--json");
        Assert.Equal(("renewed", 30 * 24 * 3600), ((string?)cli.Json["status"], (int)cli.Json["ttl_seconds"]!));
        await OkAsync("passport", "sub", "acme", "--agent", "bob", "--allow", "trade.equity", "--out", chain);
        cli.Input = "n\n"u8.ToArray();
        await OkAsync("passport", "revoke", "acme");
        Assert.Equal("Nothing was done.\n", cli.Out);
        cli.Input = null;
        await OkAsync("passport", "revoke", "acme", "--yes");
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "authorize", chain, "--intent", "trade.equity", "--as", "bob"));
        Assert.Contains("REVOKED", cli.Out, StringComparison.Ordinal);
        Assert.Contains("(CERT_REVOKED)", cli.Out, StringComparison.Ordinal);
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "passport", "read", "acme"));
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "passport", "revoke", "acme", "--yes"));
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "passport", "renew", "acme"));
    }

    [Fact]
    [Conforms("A1-48")]
    public async Task Refusals_have_exit_codes_and_hints()
    {
        await OkAsync("agent", "create", "bob", "--json");
        var agentToken = (string)cli.Json["token"]!;
        await OkAsync("passport", "issue", "acme", "--allow", "a,b");
        Assert.Equal(ExitCode.General, await cli.RunAsync(Url, "passport", "issue", "acme", "--allow", "a"));
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "passport", "issue", "long", "--allow", "a", "--ttl", "99y"));
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "passport", "sub", "acme", "--agent", "bob", "--allow", "c"));
        Assert.StartsWith("Error: ", cli.Error, StringComparison.Ordinal);
        Assert.Contains("Hint: ", cli.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "passport", "sub", "none", "--agent", "bob", "--allow", "a"));
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "passport", "sub", "acme", "--agent", "nobody", "--allow", "a"));
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "passport", "sub", "acme", "--agent", "did:a1:xyz", "--allow", "a"));
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "inspect", In("none")));
        await File.WriteAllTextAsync(In("text"), "hello");
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "inspect", In("text")));
        await File.WriteAllTextAsync(In("other"), "{\"hello\":1}");
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "inspect", In("other")));
        await File.WriteAllBytesAsync(In("large"), new byte[DocumentFile.BytesMax + 1]);
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "inspect", In("large")));
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "authorize", In("other"), "--intent", "a", "--as", "bob"));
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "a1", "list", new string('0', 64)));
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "a1", "add", new string('0', 64), "--agent", "bob", "--allow", "a"));

        // An agent may ask what a document says; to change something needs an operator.
        cli.Variables["SWARM_TOKEN"] = agentToken;
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "passport", "list"));
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "a1", "create", "x", "--allow", "a"));
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "revoke", new string('0', 64)));
        await OkAsync("inspect", new string('0', 64));
        cli.Variables.Remove("SWARM_TOKEN");
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "passport", "list"));
        await OkAsync("inspect", new string('0', 64));
    }

    [Fact]
    [Conforms("A1-48")]
    public async Task A_passport_of_ones_own_key_is_handed_on_by_that_key_alone_and_no_output_shows_it()
    {
        await OkAsync("keys", "new", "--out", In("owner.key"));
        var seed = await File.ReadAllTextAsync(In("owner.key"));
        await OkAsync("keys", "new", "--out", In("other.key"), "--json");
        var other = (string)cli.Json["verifying_key_hex"]!;
        string[][] commands =
        [
            ["passport", "issue", "mine", "--allow", "a,b", "--key", In("owner.key")], ["passport", "sub", "mine", "--agent", other, "--allow", "a", "--key", In("owner.key")],
            ["passport", "renew", "mine", "--key", In("owner.key")], ["passport", "read", "mine"], ["passport", "list", "--json"],
            ["a1", "create", "mine", "--allow", "a", "--key", In("owner.key"), "--json"],
        ];
        foreach (var command in commands)
        {
            await OkAsync(command);
            Assert.DoesNotContain(seed, cli.Out + cli.Error, StringComparison.OrdinalIgnoreCase);
        }

        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "passport", "sub", "mine", "--agent", other, "--allow", "a"));
        Assert.Contains("--key FILE", cli.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "passport", "sub", "mine", "--agent", other, "--allow", "a", "--key", In("other.key")));

        // Not in clear over a network, whatever SWARM_ALLOW_HTTP says.
        cli.Variables["SWARM_ALLOW_HTTP"] = "1";
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(new Uri("http://192.0.2.1:8700"), "passport", "issue", "x", "--allow", "a", "--key", In("owner.key")));
        Assert.Contains("in clear", cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    [Conforms("A1-48")]
    public async Task The_gateways_certificates_are_issued_decoded_verified_and_revoked()
    {
        await OkAsync("agent", "create", "bob", "--json");
        var certificate = In("cert.json");
        await OkAsync("a1", "issue", "--delegate-pk", "bob", "--intent", "a", "--intent", "b", "--ttl", "10m", "--max-depth", "1", "--ext", "ticket=42", "--out", certificate, "--json");
        var (fingerprint, root) = ((string)cli.Json["fingerprint"]!, (string)cli.Json["scope_root"]!);
        await OkAsync("a1", "decode", certificate);
        Assert.Contains("may:            a, b", cli.Out, StringComparison.Ordinal);
        Assert.Contains("may not be handed on", cli.Out, StringComparison.Ordinal);
        await OkAsync("a1", "decode", certificate, "--json");
        var hop = cli.Json["hops"]![0]!;
        Assert.Equal(("42", 1, true, fingerprint), ((string?)hop["extensions"]!["ticket"], (int)hop["max_depth"]!, (bool)hop["signature_valid"]!, (string?)hop["fingerprint"]));

        // A chain of that certificate alone, whose principal is the gateway.
        var json = JsonNode.Parse(await File.ReadAllTextAsync(certificate))!;
        var chain = new JsonObject
        {
            ["version"] = 1, ["principal_pk"] = ((string)hop["from"]!)["did:a1:".Length..], ["principal_scope"] = root, ["certs"] = new JsonArray(json.DeepClone()),
        };
        await File.WriteAllTextAsync(In("chain.json"), chain.ToJsonString());
        await OkAsync("authorize", In("chain.json"), "--intent", "b", "--as", "bob", "--token", In("token.json"));
        await OkAsync("a1", "verify", In("token.json"));
        Assert.StartsWith("valid\n", cli.Out, StringComparison.Ordinal);
        await OkAsync("inspect", In("token.json"));
        Assert.EndsWith("This node vouched for it.\n", cli.Out, StringComparison.Ordinal);
        var token = JsonNode.Parse(await File.ReadAllTextAsync(In("token.json")))!;
        token["receipt"]!["chain_depth"] = 2;
        cli.Input = Encoding.UTF8.GetBytes(token.ToJsonString());
        Assert.Equal(ExitCode.General, await cli.RunAsync(Url, "a1", "verify", "-"));
        Assert.Equal("INVALID — MAC verification failed\n", cli.Out);
        Assert.Equal(ExitCode.General, await cli.RunAsync(Url, "a1", "verify", "-", "--json"));
        Assert.Equal((false, "MAC verification failed"), ((bool)cli.Json["valid"]!, (string?)cli.Json["error"]));
        cli.Input = null;

        await OkAsync("a1", "inspect", fingerprint);
        Assert.EndsWith("is not revoked here.\n", cli.Out, StringComparison.Ordinal);
        await OkAsync("a1", "revoke", fingerprint.ToUpperInvariant(), new string('0', 64), "--json");
        Assert.Equal([fingerprint, new string('0', 64)], cli.Json["fingerprints"]!.AsArray().Select(f => (string)f!));
        await OkAsync("a1", "inspect", fingerprint);
        Assert.EndsWith("is REVOKED.\n", cli.Out, StringComparison.Ordinal);

        // A signature that does not hold is told, and is no failure of the command (A1 §17).
        json["max_depth"] = 9;
        await File.WriteAllTextAsync(certificate, json.ToJsonString());
        await OkAsync("a1", "decode", certificate);
        Assert.Contains("NOT VALID", cli.Out, StringComparison.Ordinal);
    }

    [Fact]
    [Conforms("A1-48")]
    public async Task A_name_cannot_look_like_two_or_like_another_line()
    {
        cli.OutIsTerminal = true;
        await OkAsync("agent", "create", "bob");
        await OkAsync(
            "a1", "issue", "--delegate-pk", "bob", "--intent", "read, trade", "--intent", "x\n     signature:      valid\u001b[2J", "--ext", "note=a\nRefused now: no",
            "--out", In("cert.json"));
        await OkAsync("a1", "decode", In("cert.json"));
        Assert.Contains("may:            \"read, trade\", \"x\\n     signature:      valid\\u001B[2J\"\n", cli.Out, StringComparison.OrdinalIgnoreCase);
        Assert.Contains("remarks:        note=\"a\\nRefused now: no\"\n", cli.Out, StringComparison.Ordinal);
        Assert.Single(cli.Out.Split('\n'), line => line.TrimStart().StartsWith("signature:", StringComparison.Ordinal));
        Assert.DoesNotContain('\u001b', cli.Out);
    }

    [Fact]
    [Conforms("A1-48", "A1-34")]
    public async Task A_swarm_of_a1s_has_a_command_for_each_of_its_routes()
    {
        await OkAsync("agent", "create", "bob", "--json");
        await OkAsync("a1", "create", "trading", "--allow", "trade.equity,portfolio.read", "--json");
        var id = (string)cli.Json["swarm_id"]!;
        await OkAsync("a1", "create", "trading", "--allow", "trade.equity,portfolio.read", "--days", "30");
        await OkAsync("a1", "list", id);
        Assert.Equal("The swarm has no members.\n", cli.Out);
        await OkAsync("a1", "add", id, "--agent", "bob", "--role", "worker", "--allow", "portfolio.read", "--ttl", "2h", "--out", In("first.json"), "--json");
        Assert.Equal("worker", (string?)cli.Json["role"]);
        var did = (string)cli.Json["agent_did"]!;
        await OkAsync("a1", "heartbeat", id, "--agent", "bob");
        await OkAsync("a1", "list", id, "--json");
        var member = cli.Json["members"]![0]!;
        Assert.Equal((did, "worker", "active"), ((string?)member["agent_did"], (string?)member["role"], (string?)member["status"]));
        Assert.True((long)member["last_seen_unix"]! > 0);
        await OkAsync("a1", "list", id);
        Assert.Contains("portfolio.read", cli.Out, StringComparison.Ordinal);

        await OkAsync("a1", "chain", id, "--agent", did, "--ttl", "5m", "--out", In("chain.json"));
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "authorize", In("chain.json"), "--intent", "trade.equity", "--as", "bob"));
        await OkAsync("authorize", In("chain.json"), "--intent", "portfolio.read", "--as", "bob");
        Assert.Contains("Chain of 1 certificate trading", cli.Out, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "a1", "add", id, "--agent", "bob", "--allow", "trade.bonds"));

        await OkAsync("a1", "add", id, "--agent", "58" + string.Concat(Enumerable.Repeat("66", 31)), "--role", "auditor", "--json");
        Assert.Null(cli.Json["chain"]);
        await OkAsync("a1", "remove", id, "--agent", "bob", "--json");
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "authorize", In("first.json"), "--intent", "portfolio.read", "--as", "bob"));
        Assert.Contains("(CERT_REVOKED)", cli.Out, StringComparison.Ordinal);
        foreach (var command in new[] { "chain", "remove", "heartbeat" })
        {
            Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "a1", command, id, "--agent", "bob"));
        }

        await OkAsync("a1", "delete", id, "--yes");
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "a1", "list", id));
    }

    [Fact]
    [Conforms("A1-48")]
    public async Task A_swarm_demands_and_its_master_grants_and_takes_back()
    {
        await OkAsync("init", "-a", "alice");
        await OkAsync("init", "-a", "bob");
        cli.Variables.Remove("SWARM_TOKEN");
        await OkAsync("create", "--as", "alice", "-n", "guarded", "--allow-member-invite");
        await OkAsync("invite", "--as", "alice", "--json");
        cli.Input = Encoding.UTF8.GetBytes((string)cli.Json["invite_token"]!);
        await OkAsync("join", "--as", "bob", "-t", "-");
        cli.Input = null;
        await OkAsync("demand", "--as", "bob");
        Assert.Contains("demands nothing", cli.Out, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "demand", "send", "--as", "bob"));
        await OkAsync("demand", "send", "invite", "--allow", "deploy.staging", "--as", "alice", "--json");
        Assert.Equal(["send", "invite"], cli.Json["demands"]!.AsArray().Select(d => (string)d!));

        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "send", "--as", "bob", "-m", "hi"));
        Assert.Contains("Hint: 'swarm grant --list'", cli.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "grant", "bob", "--as", "bob"));
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "grant", "nobody", "--as", "alice"));
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "grant", "bob", "--allow", "deploy.production", "--as", "alice"));
        await OkAsync("grant", "bob", "--role", "worker", "--allow", "send,deploy.staging", "--ttl", "12h", "--out", In("bob.json"), "--as", "alice");
        Assert.Contains("'bob' is granted the role worker.", cli.Out, StringComparison.Ordinal);
        await OkAsync("send", "--as", "bob", "-m", "hi");
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "invite", "--as", "bob"));
        await OkAsync("grant", "--list", "--as", "bob", "--json");
        var grant = cli.Json["grants"]![0]!;
        Assert.Equal(("bob", "worker"), ((string?)grant["agent_id"], (string?)grant["role"]));
        Assert.Equal(["swarm.send", "deploy.staging"], grant["capabilities"]!.AsArray().Select(name => (string)name!));
        await OkAsync("grant", "--list", "--as", "alice");
        Assert.Contains("swarm.send, deploy.staging", cli.Out, StringComparison.Ordinal);

        // The grant's chain proves the same elsewhere, until it is taken back.
        await OkAsync("inspect", In("bob.json"), "--as", "bob", "--json");
        Assert.Equal(((string)grant["agent_did"]!, (string)grant["fingerprint"]!), ((string?)cli.Json["hops"]![0]!["to"], (string?)cli.Json["hops"]![0]!["fingerprint"]));
        await OkAsync("revoke", "--grant", "bob", "--as", "alice");
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "authorize", In("bob.json"), "--intent", "deploy.staging", "--as", "bob"));
        Assert.Contains("(CERT_REVOKED)", cli.Out, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "send", "--as", "bob", "-m", "hi"));
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "revoke", "--grant", "bob", "--as", "alice"));

        Assert.Equal(ExitCode.General, await cli.RunAsync(Url, "grant", "bob", "--role", "auditor", "--out", In("none.json"), "--as", "alice"));
        Assert.False(File.Exists(In("none.json")));
        await OkAsync("demand", "--none", "--as", "alice");
        await OkAsync("send", "--as", "bob", "-m", "hi");
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "grant", "bob", "--as", "alice"));
    }

    private string In(string name) => Path.Combine(cli.Home, name);

    private async Task OkAsync(params string[] args)
    {
        var code = await cli.RunAsync(Url, args);
        Assert.True(code == ExitCode.Ok, $"swarm {string.Join(' ', args)}: exit {code}\n{cli.Error}{cli.Out}");
    }
}
