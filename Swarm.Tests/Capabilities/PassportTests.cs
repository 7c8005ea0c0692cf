using System.Text.Json;
using System.Text.Json.Nodes;
using NSec.Cryptography;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Members;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Capabilities;

/// <summary>Passports, what they hand on, and the members of a swarm (A1 §12, §13, §20).</summary>
[Shown(By.Unit)]
public sealed class PassportTests
{
    private static readonly string[] Names = ["trade.equity", "files.read", "portfolio.read"];

    private readonly Chains _chains = new();

    [Fact]
    [Conforms("A1-25")]
    public void A_passport_is_written_read_and_found_right()
    {
        var passport = Issue();
        var written = A1Wire.Write(passport.Write);
        Assert.Equal(
            ["a1_passport", "namespace", "capability_mask_hex", "capabilities", "cert", "_magic"], JsonNode.Parse(written)!.AsObject().Select(m => m.Key));
        var read = Read(written);
        Assert.Null(read.Check(_chains.PublicKeys, Chains.Now, 15));
        Assert.Equal(written, A1Wire.Write(read.Write));
        var json = JsonNode.Parse(written)!.AsObject();
        json.Remove("_magic");
        Assert.Null(Read(json.ToJsonString()).Check(_chains.PublicKeys, Chains.Now, 15));
        json["a1_passport"] = 2;
        Assert.Throws<ShapeException>(() => Read(json.ToJsonString()));
        json.Remove("a1_passport");
        Assert.Throws<ShapeException>(() => Read(json.ToJsonString()));
    }

    [Fact]
    [Conforms("A1-25")]
    public void Whatever_is_changed_in_a_passports_file_is_noticed()
    {
        var passport = Issue();
        Assert.Equal("ScopeEscalation", Kind(passport with { Capabilities = Names[..2] }));
        Assert.Equal("ScopeEscalation", Kind(passport with { Capabilities = [.. Names, "more"] }));
        Assert.Equal("ScopeEscalation", Kind(passport with { Capabilities = ["trade.equity", "agent.execute", "portfolio.read"] }));
        Assert.Equal("ScopeEscalation", Kind(passport with { Capabilities = [] }));
        Assert.Equal("ScopeEscalation", Kind(passport with { Mask = NarrowingMask.Of([.. Names, "more"]) }));
        Assert.Equal("ScopeEscalation", Kind(passport with { Namespace = "another" }));
        Assert.Equal("InvalidSignature", Kind(passport with { Root = passport.Root with { ExpiresAt = passport.Root.ExpiresAt + 1 } }));
        Assert.Equal("RootMismatch", Kind(passport with { Root = (passport.Root with { Delegate = _chains.KeyOf(1) }).SignedBy(_chains.Key(0)) }));
        Assert.Equal("UnsupportedVersion", Kind(passport with { Root = (passport.Root with { Version = 2 }).SignedBy(_chains.Key(0)) }));

        // A certificate of the right key, with names and mask that are its own but not the file's.
        Assert.Equal("ScopeEscalation", Kind(passport with { Root = Issue("acme", ["x"]).Root }));
        string? Kind(Passport changed) => changed.Check(_chains.PublicKeys, Chains.Now, 15)?.DetailCode;
    }

    [Theory]
    [InlineData(-16, "NotYetValid")]
    [InlineData(-15, null)]
    [InlineData(3615, null)]
    [InlineData(3616, "Expired")]
    [Conforms("A1-25")]
    public void A_passport_has_its_time(int after, string? kind) =>
        Assert.Equal(kind, Issue().Check(_chains.PublicKeys, (ulong)((long)Chains.Now + after), 15)?.DetailCode);

    [Fact]
    [Conforms("A1-25")]
    public void What_cannot_be_issued_is_refused_and_never_overflows()
    {
        Assert.Equal(Denial.EmptyTree, Refused(() => Issue("n", [])));
        Assert.Equal("wire format error: issued_at (1700000000) must be strictly less than expiration_unix (1700000000)", Refused(() => Issue(ttl: 0)).Text);
        Assert.Equal(ulong.MaxValue, Issue(ttl: ulong.MaxValue).Root.ExpiresAt);
        Assert.Equal(DenialKind.WireFormatError, Refused(() => Issue(capabilities: [""])).Kind);
        Assert.Equal(DenialKind.WireFormatError, Refused(() => Issue(capabilities: ["\ud800"])).Kind);
        Assert.Equal(DenialKind.WireFormatError, Refused(() => Issue(new string('n', 20_000))).Kind);
        Assert.Equal(DenialKind.WireFormatError, Refused(() => Issue("\ud800")).Kind);
        Assert.Equal(DenialKind.WireFormatError, Refused(() => Issue(capabilities: [.. Enumerable.Range(0, 4097).Select(i => $"{i}")])).Kind);
        Assert.Equal(2048, Issue(capabilities: [.. Enumerable.Range(0, 2048).Select(i => $"{i}")]).Capabilities.Count);
    }

    [Fact]
    [Conforms("A1-26")]
    public void A_sub_certificate_stays_within_its_passport()
    {
        var passport = Issue();
        Assert.Equal(Denial.PassportNarrowingViolation, Refused(() => Sub("web.search")));

        // agent.execute shares the bit of files.read: the mask admits it, the tree does not.
        Assert.Equal(Denial.IntentNotFound, Refused(() => Sub("agent.execute")));
        Assert.Equal(Denial.EmptyTree, Refused(() => passport.IssueSub(_chains.KeyOf(1), [], _chains.Key(0), Chains.Now, 60, _chains.NextNonce())));
        Assert.Equal(DenialKind.WireFormatError, Refused(() => passport.IssueSub(_chains.KeyOf(1), ["files.read"], _chains.Key(3), Chains.Now, 60, default)).Kind);

        var certificate = Sub("files.read");
        Assert.Equal((Chains.Now + 60, (byte)16), (certificate.ExpiresAt, certificate.MaxDepth));
        Assert.Equal(["dyolo.passport.mask", "dyolo.passport.namespace", "dyolo.passport.v"], certificate.Extensions.Fields.Select(f => f.Key));
        Assert.Equal(passport.Root.ExpiresAt, passport.IssueSub(_chains.KeyOf(1), ["files.read"], _chains.Key(0), Chains.Now, ulong.MaxValue, default).ExpiresAt);
        Assert.Null(_chains.Ask(passport.ChainOf(certificate), "files.read"));
        Assert.Equal(DenialKind.ScopeViolation, _chains.Ask(passport.ChainOf(Sub("files.read")), "trade.equity")?.Kind);

        DelegationCertificate Sub(params string[] names) => passport.IssueSub(_chains.KeyOf(1), names, _chains.Key(0), Chains.Now, 60, _chains.NextNonce());
    }

    [Fact]
    [Conforms("A1-12", "A1-26")]
    public void A_passports_chain_goes_on_hop_by_hop_with_proofs_against_the_parent()
    {
        var passport = Issue();
        var first = passport.IssueSub(_chains.KeyOf(1), Names[..2], _chains.Key(0), Chains.Now, 60, _chains.NextNonce());
        Delegation second = new()
        {
            Delegate = _chains.KeyOf(2), Parent = Names[..2], Capabilities = ["files.read"], Namespace = "acme", IssuedAt = Chains.Now,
            ExpiresAt = Chains.Now + 60, Nonce = _chains.NextNonce(),
        };
        var chain = passport.ChainOf(first, second.SignedBy(_chains.Key(1)));
        Assert.Equal("acme", chain.Namespace);
        Assert.Null(_chains.Ask(chain, "files.read"));
        Assert.Equal(DenialKind.ScopeViolation, _chains.Ask(chain, "trade.equity")?.Kind);

        // As A1's guide shows it, which is wrong: the proof against the passport's tree.
        var misled = passport.ChainOf(first, (second with { Parent = Names }).SignedBy(_chains.Key(1)));
        Assert.Equal(DenialKind.ScopeEscalation, _chains.Ask(misled, "files.read")?.Kind);

        // The root certificate may be pushed as the first hop.
        Assert.Null(_chains.Authorizer.Validate(
            passport.ChainOf(passport.Root, first), _chains.KeyOf(1), new(Intent.Create("files.read")), TrustAnchor.Pinned,
            Chains.Now, new()).Denial);
    }

    [Fact]
    [Conforms("A1-35")]
    public void A_members_chain_holds_what_its_role_lists_and_no_more()
    {
        var passport = Issue();
        foreach (var (role, allowed, depth) in new (SwarmRole, string[], byte)[]
        {
            (SwarmRole.Worker(["files.read"]), ["files.read"], 0),
            (SwarmRole.Worker(["files.read", "trade.equity", "files.read"]), ["files.read", "trade.equity"], 0),
            (SwarmRole.Supervisor(["portfolio.read"], 60), ["portfolio.read"], 4),
            (SwarmRole.Orchestrator, Names, 16),
            (SwarmRole.Custom("lead", ["trade.equity"], canDelegate: true, 1), ["trade.equity"], 2),
            (SwarmRole.Custom("lead", ["trade.equity"], canDelegate: false, 7), ["trade.equity"], 7),
        })
        {
            var chain = _chains.Read(Chains.Write(IssueChain(role)));
            Assert.Equal(depth, chain.Certificates[0].MaxDepth);
            Assert.Equal(allowed.Length > 1 ? allowed : null, chain.Certificates[0].Extensions.Capabilities);
            foreach (var name in Names.Append("agent.execute"))
            {
                Assert.Equal(allowed.Contains(name), _chains.Ask(chain, name) is null);
                if (Names.Contains(name) && !allowed.Contains(name))
                {
                    Assert.NotNull(_chains.Ask(chain, name, IntentTree.Of(Names).Prove(Intent.LeafOf(name))));
                }
            }
        }

        foreach (var role in new[]
        {
            SwarmRole.Auditor, SwarmRole.Worker([]), SwarmRole.Worker(["web.search"]), SwarmRole.Worker(["agent.execute"]),
            SwarmRole.Supervisor(["files.read", "Files.Read"], 60),
        })
        {
            Assert.Equal(Denial.PassportNarrowingViolation, Refused(() => IssueChain(role)));
        }

        Assert.Equal(Denial.PassportNarrowingViolation, A1Swarm.CheckRole(SwarmRole.Worker(["agent.execute"]), Names));
        Assert.Null(A1Swarm.CheckRole(SwarmRole.Auditor, Names));
        SignedChain IssueChain(SwarmRole role) => A1Swarm.IssueChain(
            _chains.Key(0), passport, role, _chains.KeyOf(1), Chains.Now, 60, Chains.Now + 100, _chains.NextNonce());
    }

    [Fact]
    public void A_members_chain_ends_with_the_membership_and_the_passport_and_is_the_owners()
    {
        Assert.Equal(Chains.Now + 60, Expiry(60, Chains.Now + 100));
        Assert.Equal(Chains.Now + 100, Expiry(ulong.MaxValue, Chains.Now + 100));
        Assert.Equal(Chains.Now + 3600, Expiry(7200, ulong.MaxValue));
        Assert.Equal(DenialKind.WireFormatError, Refused(() => Expiry(0, ulong.MaxValue)).Kind);
        Assert.Equal(DenialKind.WireFormatError, Refused(() => Expiry(60, Chains.Now)).Kind);
        Assert.Equal(
            "wire format error: the signing key is not the swarm owner's",
            Refused(() => A1Swarm.IssueChain(_chains.Key(1), Issue(), SwarmRole.Orchestrator, _chains.KeyOf(1), Chains.Now, 60, ulong.MaxValue, default)).Text);

        ulong Expiry(ulong ttl, ulong memberExpiresAt) => A1Swarm.IssueChain(
            _chains.Key(0), Issue(), SwarmRole.Orchestrator, _chains.KeyOf(1), Chains.Now, ttl, memberExpiresAt, _chains.NextNonce())
            .Certificates[0].ExpiresAt;
    }

    [Theory]
    [InlineData("\"Orchestrator\"")]
    [InlineData("\"Auditor\"")]
    [InlineData("{\"Worker\":{\"capabilities\":[\"a\",\"b\"]}}")]
    [InlineData("{\"Supervisor\":{\"capabilities\":[],\"max_worker_ttl_secs\":18446744073709551615}}")]
    [InlineData("{\"Custom\":{\"name\":\"Lead\",\"capabilities\":[\"a\"],\"can_delegate\":false,\"max_delegation_depth\":255}}")]
    [Conforms("A1-30")]
    public void Roles_are_read_and_written_as_A1_tags_them(string json) => Assert.Equal(json, A1Wire.Write(ReadRole(json).Write));

    [Theory]
    [InlineData("\"Worker\"")]
    [InlineData("\"orchestrator\"")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("{\"Auditor\":{}}")]
    [InlineData("{\"Worker\":{}}")]
    [InlineData("{\"Worker\":{\"capabilities\":\"a\"}}")]
    [InlineData("{\"Worker\":{\"capabilities\":[]},\"Auditor\":{}}")]
    [InlineData("{\"Supervisor\":{\"capabilities\":[]}}")]
    [InlineData("{\"Custom\":{\"name\":\"x\",\"capabilities\":[],\"can_delegate\":0,\"max_delegation_depth\":1}}")]
    [InlineData("{\"Custom\":{\"name\":\"x\",\"capabilities\":[],\"can_delegate\":true,\"max_delegation_depth\":256}}")]
    [Conforms("A1-30")]
    public void What_is_no_role_is_refused(string json) => Assert.Throws<ShapeException>(() => ReadRole(json));

    [Fact]
    [Conforms("A1-30")]
    public void A_roles_commitment_covers_role_agent_and_time()
    {
        Bytes32[] all =
        [
            SwarmRole.Worker(["a"]).Commitment("did:a1:x", 1),
            SwarmRole.Worker(["b"]).Commitment("did:a1:x", 1),
            SwarmRole.Worker(["a"]).Commitment("did:a1:y", 1),
            SwarmRole.Worker(["a"]).Commitment("did:a1:x", 2),
            SwarmRole.Supervisor(["a"], 0).Commitment("did:a1:x", 1),
            SwarmRole.Custom("worker", ["a"], canDelegate: true, 0).Commitment("did:a1:x", 1),
            SwarmRole.Custom("worker", ["a"], canDelegate: false, 1).Commitment("did:a1:x", 1),
        ];
        Assert.Equal(all.Length, all.Distinct().Count());
        Assert.Equal(all[0], SwarmRole.Custom("worker", ["a"], canDelegate: false, 0).Commitment("did:a1:x", 1));
    }

    private Passport Issue(string name = "acme", IReadOnlyList<string>? capabilities = null, ulong ttl = 3600) =>
        Passport.Issue(name, capabilities ?? Names, _chains.Key(0), Chains.Now, ttl, _chains.NextNonce());

    private Passport Read(string json) => A1Wire.Read(json, (ref Utf8JsonReader reader) => Passport.Read(ref reader, _chains.PublicKeys));

    private static SwarmRole ReadRole(string json) => A1Wire.Read(json, (ref Utf8JsonReader reader) => SwarmRole.Read(ref reader));

    private static Denial Refused(Func<object?> issue) => Assert.Throws<DenialException>(issue).Denial;
}
