using System.Text.Json;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Capabilities.Members;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Core.Identity;

namespace Swarm.Tests.Conformance;

/// <summary>The A1 vectors that authorize or deny (A1 §9, §11), and what Swarm does beyond them (A1 §20).</summary>
[Shown(By.Vector)]
public sealed class A1AuthorizeVectorTests
{
    private static readonly PublicKeys PublicKeys = new();
    private static readonly Authorizer Authorizer = new(PublicKeys);

    public static TheoryData<string, string> Requests => VectorFile.Rows("authorize");

    [Theory]
    [MemberData(nameof(Requests))]
    [Conforms("A1-10", "A1-11", "A1-13", "A1-14", "A1-15", "A1-16", "A1-17", "A1-18", "A1-19", "A1-35")]
    public void A_request_is_answered_as_its_vector_says(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var result = Run(vector, TrustAnchor.Pinned, ProofOf(vector));
        if (!vector.Expect.GetProperty("authorized").GetBoolean())
        {
            var denial = Assert.IsType<Denial>(result.Denial);
            Assert.Equal(
                (vector.Expect.GetProperty("variant").GetString(), vector.Expect.GetProperty("error_code").GetString(), vector.Expect.GetProperty("error").GetString()),
                (denial.DetailCode, denial.Code, denial.Text));
            Assert.Null(result.Receipt);
            return;
        }

        Assert.Null(result.Denial);
        var receipt = result.Receipt!;
        Assert.Equal(vector.Expect.GetProperty("chain_depth").GetUInt64(), receipt.ChainDepth);
        Assert.Equal(vector.Expect.GetProperty("verified_scope_root").GetString(), receipt.VerifiedScopeRoot.ToString());
        Assert.Equal(vector.Expect.GetProperty("chain_fingerprint").GetString(), receipt.ChainFingerprint.ToString());
        Assert.Equal(vector.Expect.GetProperty("verified_at_unix").GetUInt64(), receipt.VerifiedAtUnix);
        A1Wire.AssertSame(vector.Expect.GetProperty("receipt"), A1Wire.Write(result.GatewayReceipt!.Write));
        if (vector.Expect.TryGetProperty("token", out var expected))
        {
            CheckToken(receipt, expected);
        }
    }

    [Theory]
    [MemberData(nameof(Requests))]
    [Conforms("A1-11")]
    public void A_chain_is_written_as_it_was_read(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var wire = vector.Json.GetProperty("chain");
        var chain = ReadChain(vector);
        A1Wire.AssertSame(wire, A1Wire.Write(json => ChainJson.Write(json, chain)));
        if (chain.Certificates.Count > 0 && vector.Expect.TryGetProperty("chain_fingerprint", out var fingerprint))
        {
            Assert.Equal(fingerprint.GetString(), chain.Fingerprint().ToString());
        }
    }

    [Theory]
    [MemberData(nameof(Requests))]
    public void Nobody_is_believed_who_is_not_known_here(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        Assert.Equal(
            ReadChain(vector).Fault ?? Denial.PolicyViolation("principal public key is not in the trusted set"),
            Run(vector, TrustAnchor.Unknown, ProofOf(vector)).Denial);
    }

    [Theory]
    [InlineData("a1-auth-09", "CERT_REVOKED")]
    [InlineData("a1-auth-10", "CERT_EXPIRED")]
    [InlineData("a1-auth-02", null)]
    public void What_A1_authorizes_is_denied_once_the_principals_passport_is_known_here_and_dead(string id, string? code)
    {
        var passport = PassportOf();
        var anchor = new TrustAnchor(false, [new(passport.Root.Fingerprint(), passport.Root.ScopeRoot, passport.Root.ExpiresAt, passport.Capabilities)]);
        Assert.Equal(code, Run(VectorFile.PublishedOfA1.Base(id), anchor, null).Denial?.Code);
        Assert.Equal(code, Run(VectorFile.PublishedOfA1.Base(id), anchor with { IsPinned = true }, null).Denial?.Code);
    }

    [Fact]
    [Conforms("A1-19")]
    public void A_scope_of_several_capabilities_needs_no_proof_where_its_names_are_known()
    {
        var vector = VectorFile.PublishedOfA1.Base("a1-auth-04");
        Assert.Equal("SCOPE_VIOLATION", Run(vector, TrustAnchor.Pinned, null).Denial!.Code);
        var passport = PassportOf();
        var anchor = new TrustAnchor(true, [new(passport.Root.Fingerprint(), passport.Root.ScopeRoot, passport.Root.ExpiresAt, passport.Capabilities)]);
        Assert.Null(Run(vector, anchor, null).Denial);
        Assert.Null(Run(vector, anchor, ProofOf(vector)).Denial);
    }

    [Fact]
    public void A_members_chain_is_issued_byte_for_byte()
    {
        var wire = VectorFile.PublishedOfA1.Base("a1-swarm-08").Json.GetProperty("chain");
        var expected = ReadChain(VectorFile.PublishedOfA1.Base("a1-swarm-08")).Certificates[0];
        using var owner = VectorFile.PublishedOfA1.Key("principal").ToKey();
        var issued = A1Swarm.IssueChain(
            owner, PassportOf(), SwarmRole.Worker(["trade.equity"]), expected.Delegate, expected.IssuedAt, 7200, expected.ExpiresAt, expected.Nonce);
        A1Wire.AssertSame(wire, A1Wire.Write(json => ChainJson.Write(json, issued)));
    }

    private static void CheckToken(VerificationReceipt receipt, JsonElement expected)
    {
        var key = Convert.FromHexString(expected.GetProperty("mac_key_hex").GetString()!);
        Assert.Equal(expected.GetProperty("canonical_bytes_hex").GetString(), Convert.ToHexStringLower(VerifiedToken.CanonicalBytes(receipt)));
        var token = VerifiedToken.Issue(receipt, key);
        Assert.Equal(expected.GetProperty("mac").GetString(), token.Mac.ToString());
        A1Wire.AssertSame(expected.GetProperty("native_json"), A1Wire.Write(json => token.Write(json, TokenForm.Native)));
        var read = A1Wire.Read(expected.GetProperty("native_json").GetRawText(), (ref Utf8JsonReader reader) => VerifiedToken.Read(ref reader));
        Assert.Null(read.Check(key));
    }

    private static AuthorizationResult Run(Vector vector, TrustAnchor anchor, MerkleProof? proof)
    {
        var chain = ReadChain(vector);
        Assert.True(Authorizer.TryReadExecutor(vector.Text("executor_pk_hex"), out var executor, out _));
        var intent = Intent.Create(
            vector.Text("intent_name"),
            [.. vector.Json.GetProperty("intent_params").EnumerateObject().Select(p => KeyValuePair.Create(p.Name, p.Value.GetString()!))]);
        Assert.Equal(vector.Text("intent_hash"), intent.Hash.ToString());
        var validation = Authorizer.Validate(
            chain, executor, new(intent, proof), anchor, vector.Json.GetProperty("now").GetUInt64(),
            new() { ToleranceSeconds = vector.Json.GetProperty("drift_tolerance_secs").GetUInt64() });
        return validation.Conclude(validation.Query is { } query ? Answer(query, vector) : default);
    }

    private static LedgerAnswer Answer(LedgerQuery query, Vector vector)
    {
        string[] revoked = Texts("revoked_fingerprints"), consumed = Texts("consumed_nonces");
        return new(
            query.Certificates.Any(f => revoked.Contains(f.ToString()))
                || (query.Passports.Count > 0 && query.Passports.All(f => revoked.Contains(f.ToString()))),
            query.Nonces.Any(n => consumed.Contains(n.Nonce.ToString())));

        string[] Texts(string name) => [.. vector.Json.GetProperty(name).EnumerateArray().Select(item => item.GetString()!)];
    }

    private static MerkleProof? ProofOf(Vector vector) => vector.Json.TryGetProperty("merkle_proof", out var proof)
        ? A1Wire.Read(proof.GetRawText(), (ref Utf8JsonReader reader) => CertificateJson.ReadProof(ref reader))
        : null;

    private static SignedChain ReadChain(Vector vector) =>
        A1Wire.Read(vector.Json.GetProperty("chain").GetRawText(), (ref Utf8JsonReader reader) => ChainJson.Read(ref reader, PublicKeys));

    private static Passport PassportOf() => A1Wire.Read(
        VectorFile.PublishedOfA1.Base("a1-passport-01").Json.GetProperty("passport").GetRawText(),
        (ref Utf8JsonReader reader) => Passport.Read(ref reader, PublicKeys));
}
