using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Capabilities;

/// <summary>The order, the limits and the words of A1 §9, where the vectors leave room.</summary>
[Shown(By.Unit)]
public sealed class AuthorizerTests
{
    private static readonly string[] Names = ["a", "b", "c"];

    private readonly Chains _chains = new();

    /// <summary>A request, and everything around it that can be wrong.</summary>
    private sealed record Request(SignedChain Chain, Bytes32 Executor, string Action, TrustAnchor Anchor, LedgerAnswer Answer);

    /// <summary>One fault for each step of A1 §9, in its order; those of a hop are at the second.</summary>
    private static readonly (DenialKind Kind, Func<Request, Request> Spoil)[] Steps =
    [
        (DenialKind.PolicyViolation, r => r with { Anchor = TrustAnchor.Unknown }),
        (DenialKind.RootMismatch, r => r with { Chain = r.Chain with { Principal = r.Executor } }),
        (DenialKind.BrokenLinkage, r => Hop(r, 1, c => c with { Delegator = c.Delegate })),
        (DenialKind.UnsupportedVersion, r => Hop(r, 1, c => c with { Version = 2 })),
        (DenialKind.NotYetValid, r => Hop(r, 1, c => c with { IssuedAt = Chains.Now + 100 })),
        (DenialKind.Expired, r => Hop(r, 1, c => c with { ExpiresAt = Chains.Now - 100 })),
        (DenialKind.TemporalViolation, r => Hop(r, 1, c => c with { ExpiresAt = c.ExpiresAt < Chains.Now ? c.ExpiresAt : c.ExpiresAt + 1 })),
        (DenialKind.MaxDepthExceeded, r => Hop(r, 0, c => c with { MaxDepth = 1 })),
        (DenialKind.NonceReplay, r => Hop(r, 1, c => c with { Nonce = r.Chain.Certificates[0].Nonce })),
        (DenialKind.ScopeEscalation, r => Hop(r, 1, c => c with { ScopeRoot = Intent.LeafOf("z") })),
        (DenialKind.UnauthorizedLeaf, r => r with { Executor = r.Chain.Certificates[0].Delegate }),
        (DenialKind.InvalidSignature, r => Hop(r, 1, c => c with { Signature = r.Chain.Certificates[0].Signature })),
        (DenialKind.ScopeViolation, r => r with { Action = "z" }),
        (DenialKind.Revoked, r => r with { Answer = r.Answer with { IsRevoked = true } }),
        (DenialKind.NonceReplay, r => r with { Answer = r.Answer with { IsReplay = true } }),
    ];

    [Fact]
    [Conforms("A1-13")]
    public void Of_two_faults_the_one_of_the_earlier_step_is_reported()
    {
        Assert.Null(Decide(Sound()));
        for (var first = 0; first < Steps.Length; first++)
        {
            Assert.Equal(Steps[first].Kind, Decide(Steps[first].Spoil(Sound()))?.Kind);
            for (var second = first + 1; second < Steps.Length; second++)
            {
                Assert.Equal(Steps[first].Kind, Decide(Steps[first].Spoil(Steps[second].Spoil(Sound())))?.Kind);
            }
        }
    }

    [Fact]
    [Conforms("A1-13")]
    public void Every_refusal_has_A1s_code_and_words()
    {
        string[] expected =
        [
            "POLICY_VIOLATION: policy violation: principal public key is not in the trusted set",
            "AUTHORIZATION_FAILED: chain does not anchor to the declared principal",
            "CHAIN_BROKEN_LINKAGE: delegation linkage broken at hop 1",
            "AUTHORIZATION_FAILED: unsupported certificate version: expected 1, got 2",
            "AUTHORIZATION_FAILED: delegation at hop 1 not yet valid (issued_at=1700000100, now=1700000000)",
            "CERT_EXPIRED: delegation at hop 1 has expired (expiry=1699999900, now=1700000000)",
            "AUTHORIZATION_FAILED: temporal violation at hop 1: child expiry 1700003601 exceeds parent expiry 1700003600",
            "CHAIN_DEPTH_EXCEEDED: depth limit exceeded at hop 1 (limit=1)",
            "NONCE_REPLAY: nonce has already been consumed",
            "SCOPE_ESCALATION: scope escalation at hop 1: delegated scope is not within the delegator's authorization",
            "AUTHORIZATION_FAILED: executing agent is not the terminal delegate",
            "INVALID_SIGNATURE: invalid signature at hop 1",
            "SCOPE_VIOLATION: execution intent is not within the terminal scope",
            "CERT_REVOKED: delegation certificate has been revoked",
            "NONCE_REPLAY: nonce has already been consumed",
        ];
        Assert.Equal(expected, Steps.Select(step => Decide(step.Spoil(Sound()))!).Select(denial => $"{denial.Code}: {denial.Text}"));
        Assert.Equal("AUTHORIZATION_FAILED: delegation chain is empty", Words(Sound() with { Chain = Sound().Chain with { Certificates = [] } }));
        Assert.Equal(
            "STORAGE_ERROR: storage backend failure: transient storage error: asked in vain",
            Words(Sound() with { Answer = new(true, true, Denial.Storage("asked in vain", isTransient: true)) }));

        string Words(Request request) => $"{Decide(request)!.Code}: {Decide(request)!.Text}";
    }

    [Theory]
    [InlineData(-16, "NotYetValid")]
    [InlineData(-15, null)]
    [InlineData(3615, null)]
    [InlineData(3616, "Expired")]
    [Conforms("A1-14")]
    public void The_tolerance_reaches_to_the_second_and_is_the_nodes_choice(int after, string? kind)
    {
        var chain = _chains.Chain(["a"], [null]);
        var now = (ulong)((long)Chains.Now + after);
        Assert.Equal(kind, At(15)?.Kind.ToString());
        Assert.Equal(after is < 0 or > 3600 ? after < 0 ? "NotYetValid" : "Expired" : null, At(0)?.Kind.ToString());
        Assert.Null(At(16));

        Denial? At(ulong tolerance) => _chains.Authorizer.Validate(
            chain, _chains.KeyOf(1), new(Intent.Create("a")), TrustAnchor.Pinned, now, new() { ToleranceSeconds = tolerance }).Denial;
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(5UL)]
    [InlineData(ulong.MaxValue - 5)]
    [InlineData(ulong.MaxValue)]
    [Conforms("A1-14")]
    public void Times_at_the_ends_of_what_can_be_written_do_not_wrap(ulong now)
    {
        var certificate = (_chains.Hop(0, ["a"]) with { IssuedAt = 0, ExpiresAt = ulong.MaxValue }).SignedBy(_chains.Key(0));
        var chain = _chains.Of(["a"], [certificate]);
        foreach (var tolerance in new[] { 0UL, 15UL, ulong.MaxValue })
        {
            var validation = _chains.Authorizer.Validate(
                chain, _chains.KeyOf(1), new(Intent.Create("a")), TrustAnchor.Pinned, now, new() { ToleranceSeconds = tolerance });
            Assert.Null(validation.Denial);
            Assert.Equal(ulong.MaxValue, validation.Query!.Nonces[0].KeepUntil);
        }
    }

    [Fact]
    [Conforms("A1-15")]
    public void A_child_lives_as_long_as_its_parent_and_no_second_longer()
    {
        var parent = _chains.Hop(0, ["a"]);
        Assert.Null(Of(parent.ExpiresAt));
        Assert.Equal(DenialKind.TemporalViolation, Of(parent.ExpiresAt + 1)?.Kind);

        Denial? Of(ulong expiry) => _chains.Ask(
            _chains.Of(["a"], [parent, (_chains.Hop(1, ["a"]) with { ExpiresAt = expiry }).SignedBy(_chains.Key(1))]), "a");
    }

    [Theory]
    [InlineData(new byte[] { 0 }, 1)]
    [InlineData(new byte[] { 1 }, 1)]
    [InlineData(new byte[] { 2 }, 2)]
    [InlineData(new byte[] { 5 }, 5)]
    [InlineData(new byte[] { 255, 3 }, 3)]
    [InlineData(new byte[] { 4, 255 }, 4)]
    [InlineData(new byte[] { 6, 0 }, 2)]
    [Conforms("A1-16")]
    public void The_strictest_earlier_certificate_limits_the_whole_length(byte[] depths, int lengthMax)
    {
        var certificates = Enumerable.Range(0, 8).Select(hop => _chains.Hop(hop, ["a"], maxDepth: hop < depths.Length ? depths[hop] : (byte)255)).ToArray();
        for (var length = 1; length <= certificates.Length; length++)
        {
            var denial = _chains.Ask(_chains.Of(["a"], certificates[..length]), "a");
            Assert.Equal(length > lengthMax ? $"depth limit exceeded at hop {lengthMax} (limit={depths.Min()})" : null, denial?.Text);
        }
    }

    [Fact]
    [Conforms("A1-13", "A1-16")]
    public void A_chain_has_at_most_255_certificates()
    {
        // Two keys hand the scope to and fro.
        var certificates = Enumerable.Range(0, 256).Select(hop =>
            (_chains.Hop(0, ["a"]) with { Delegate = _chains.KeyOf((hop + 1) % 2) }).SignedBy(_chains.Key(hop % 2))).ToArray();
        Assert.Null(Of(255));
        Assert.Equal("depth limit exceeded at hop 255 (limit=255)", Of(256)?.Text);
        Assert.Equal(1024, _chains.Read(Chains.Write(_chains.Of(["a"], Repeated(1024)))).Certificates.Count);
        Assert.Throws<ShapeException>(() => _chains.Read(Chains.Write(_chains.Of(["a"], Repeated(1025)))));

        Denial? Of(int count) => _chains.Authorizer.Validate(
            _chains.Of(["a"], certificates[..count]), _chains.KeyOf(count % 2), new(Intent.Create("a")), TrustAnchor.Pinned, Chains.Now, new()).Denial;
        DelegationCertificate[] Repeated(int count) => [.. Enumerable.Repeat(certificates[0], count)];
    }

    [Fact]
    [Conforms("A1-19")]
    public void A_scope_of_several_is_opened_by_a_proof_or_by_its_signed_names()
    {
        var chain = _chains.Chain(Names, ["a", "b"]);
        Assert.Equal(["a", "b"], chain.Certificates[0].Extensions.Capabilities!);
        Assert.Null(_chains.Ask(chain, "a"));
        Assert.Null(_chains.Ask(chain, "b"));
        Assert.Null(_chains.Ask(chain, "a", IntentTree.Of(["a", "b"]).Prove(Intent.LeafOf("a"))));
        Assert.Equal(DenialKind.ScopeViolation, _chains.Ask(chain, "c")?.Kind);
        Assert.Equal(DenialKind.ScopeViolation, _chains.Ask(chain, "c", IntentTree.Of(Names).Prove(Intent.LeafOf("c")))?.Kind);
        Assert.Equal(DenialKind.ScopeViolation, _chains.Ask(chain, "a", IntentTree.Of(Names).Prove(Intent.LeafOf("a")))?.Kind);

        // Names that are not the scope's open nothing, however they are signed; nor do they close what a proof opens.
        foreach (var names in new IReadOnlyList<string>[] { ["a", "b", "c"], ["a"], [], ["a", ""], [.. Enumerable.Repeat("a", 5000)] })
        {
            var lying = _chains.Of(Names, [(chain.Certificates[0] with
            {
                Extensions = CertificateExtensions.Create([new(CertificateExtensions.CapabilitiesKey, ExtensionValue.Of(names))]),
            }).SignedBy(_chains.Key(0))]);
            Assert.Equal(DenialKind.ScopeViolation, _chains.Ask(lying, "a")?.Kind);
            Assert.Equal(DenialKind.ScopeViolation, _chains.Ask(lying, "c")?.Kind);
            Assert.Null(_chains.Ask(lying, "a", IntentTree.Of(["a", "b"]).Prove(Intent.LeafOf("a"))));
        }

        // Repeated and differently ordered names give the same tree.
        var repeated = _chains.Of(Names, [(chain.Certificates[0] with
        {
            Extensions = CertificateExtensions.Create([new(CertificateExtensions.CapabilitiesKey, ExtensionValue.Of(["b", "a", "b"]))]),
        }).SignedBy(_chains.Key(0))]);
        Assert.Null(_chains.Ask(repeated, "a"));
    }

    [Fact]
    [Conforms("A1-18")]
    public void Parameters_make_another_intent_also_where_names_are_known()
    {
        var chain = _chains.Chain(Names, ["a", "b"]);
        var validation = _chains.Authorizer.Validate(
            chain, _chains.KeyOf(1), new(Intent.Create("a", [new("symbol", "x")])), TrustAnchor.Pinned, Chains.Now, new());
        Assert.Equal(DenialKind.ScopeViolation, validation.Denial?.Kind);
    }

    [Fact]
    public void The_storage_is_asked_for_every_certificate_and_nonce_until_the_tolerance_is_over()
    {
        var chain = _chains.Chain(Names, ["a", "b"], ["a"]);
        var query = _chains.Validate(chain, "a").Query!;
        Assert.Equal(chain.Certificates.Select(c => c.Fingerprint()), query.Certificates);
        Assert.Equal(chain.Certificates.Select(c => new NonceUse(c.Nonce, c.ExpiresAt + 15)), query.Nonces);
        Assert.Empty(query.Passports);
        Assert.Null(_chains.Validate(chain, "z").Query);
    }

    [Fact]
    public void A_principals_passports_of_the_same_scope_count_and_one_alive_is_enough()
    {
        var chain = _chains.Chain(Names, ["a"]);
        var root = IntentTree.Of(Names).Root;
        var other = IntentTree.Of(["x"]).Root;
        KnownPassport Passport(byte number, Bytes32 scope, ulong expiresAt) => new(new(number, 0, 0, 0), scope, expiresAt, []);
        KnownPassport alive = Passport(1, root, Chains.Now), dead = Passport(2, root, Chains.Now - 16), elsewhere = Passport(3, other, Chains.Now);

        Assert.Equal([alive.Fingerprint], Ask(false, alive).Query!.Passports);
        Assert.Equal([alive.Fingerprint], Ask(true, dead, alive, elsewhere).Query!.Passports);
        Assert.Equal("CERT_EXPIRED", Ask(true, dead, elsewhere).Denial!.Code);
        Assert.Null(Ask(false, dead with { ExpiresAt = Chains.Now - 15 }).Denial);

        // Of another scope: a pinned key needs none, any other key any.
        Assert.Empty(Ask(true, elsewhere).Query!.Passports);
        Assert.Equal([elsewhere.Fingerprint], Ask(false, elsewhere).Query!.Passports);
        Assert.Equal("CERT_EXPIRED", Ask(false, elsewhere with { ExpiresAt = 0 }).Denial!.Code);

        // Step 16: a worse fault is reported first.
        Assert.Equal("SCOPE_VIOLATION", _chains.Authorizer.Validate(
            chain, _chains.KeyOf(1), new(Intent.Create("z")), new(false, [dead]), Chains.Now, new()).Denial!.Code);

        Validation Ask(bool isPinned, params KnownPassport[] passports) => _chains.Authorizer.Validate(
            chain, _chains.KeyOf(1), new(Intent.Create("a")), new(isPinned, passports), Chains.Now, new());
    }

    [Theory]
    [InlineData("", "invalid_")]
    [InlineData("zz", "invalid executor_pk_hex")]
    [InlineData("123", "invalid executor_pk_hex")]
    [InlineData("0x11", "invalid executor_pk_hex")]
    [InlineData("1234", "executor_pk must be 32 bytes")]
    [InlineData("0200000000000000000000000000000000000000000000000000000000000000", "invalid executor Ed25519 key")]
    [Conforms("A1-13")]
    public void An_executor_is_a_key_in_hex(string hex, string reason)
    {
        Assert.False(_chains.Authorizer.TryReadExecutor(hex, out _, out var denial));
        Assert.Equal($"wire format error: {(hex.Length == 0 ? "executor_pk must be 32 bytes" : reason)}", denial!.Text);
        Assert.True(_chains.Authorizer.TryReadExecutor(_chains.KeyOf(3).ToString().ToUpperInvariant(), out var key, out _));
        Assert.Equal(_chains.KeyOf(3), key);
    }

    private Request Sound() => new(_chains.Chain(Names, ["a", "b"], ["a"]), _chains.KeyOf(2), "a", TrustAnchor.Pinned, LedgerAnswer.Clear);

    private Denial? Decide(Request request) => _chains.Authorizer
        .Validate(request.Chain, request.Executor, new(Intent.Create(request.Action)), request.Anchor, Chains.Now, new())
        .Conclude(request.Answer).Denial;

    private static Request Hop(Request request, int hop, Func<DelegationCertificate, DelegationCertificate> change)
    {
        var certificates = request.Chain.Certificates.ToArray();
        certificates[hop] = change(certificates[hop]);
        return request with { Chain = request.Chain with { Certificates = certificates } };
    }
}
