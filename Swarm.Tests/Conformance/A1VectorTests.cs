using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Hashing;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Capabilities.Members;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Core.Identity;

namespace Swarm.Tests.Conformance;

/// <summary>The A1 vectors but those that authorize: hashes, commitments, certificates, passports, tokens (A1 §1 to §13, §19).</summary>
[Shown(By.Vector)]
public sealed class A1VectorTests
{
    private static readonly PublicKeys PublicKeys = new();

    public static TheoryData<string, string> Hashes => VectorFile.Rows("blake3", "kdf");

    public static TheoryData<string, string> Intents => VectorFile.Rows("intent_hash", "legacy_intent_hash");

    public static TheoryData<string, string> Trees => VectorFile.Rows("merkle_tree");

    public static TheoryData<string, string> SubScopes => VectorFile.Rows("subscope_commitment");

    public static TheoryData<string, string> Masks => VectorFile.Rows("narrowing_bit", "narrowing_mask", "narrowing_collision");

    public static TheoryData<string, string> Extensions => VectorFile.Rows("extensions_commitment");

    public static TheoryData<string, string> Certificates => VectorFile.Rows("cert");

    public static TheoryData<string, string> Passports => VectorFile.Rows("passport_file");

    public static TheoryData<string, string> Members => VectorFile.Rows("swarm_member");

    public static TheoryData<string, string> Swarms => VectorFile.Rows("swarm_id");

    public static TheoryData<string, string> Namespaces => VectorFile.Rows("namespace_scope", "chain_fingerprint");

    public static TheoryData<string, string> Tokens => VectorFile.Rows("verified_token");

    public static TheoryData<string, string> Negotiations => VectorFile.Rows("negotiate_request", "negotiate_offer", "negotiate_acceptance");

    public static TheoryData<string, string> Webhooks => VectorFile.Rows("webhook_signature");

    [Theory]
    [MemberData(nameof(Hashes))]
    [Conforms("A1-01")]
    public void Hashes_and_derived_keys(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        if (vector.Kind == "kdf")
        {
            Assert.Equal(vector.Text("output"), SubKey.Derive(Convert.FromHexString(vector.Text("seed_hex")), vector.Text("info")).ToString());
            return;
        }

        var input = vector.OptionalText("input_hex") is { } hex
            ? Convert.FromHexString(hex)
            : [.. Enumerable.Range(0, int.Parse(vector.Text("input_rule").Split("length ")[1])).Select(i => (byte)(i % 251))];
        var made = new byte[vector.Text("output").Length / 2];
        switch (vector.Text("mode"))
        {
            case "hash":
                Blake3.Hash(input, made);
                break;
            case "derive_key":
                new DerivationContext(vector.Text("context")).Derive(input, made);
                break;
            default:
                Blake3.KeyedHash(Convert.FromHexString(vector.Text("key_hex")), input, made);
                break;
        }

        Assert.Equal(vector.Text("output"), Convert.ToHexStringLower(made));
    }

    [Theory]
    [MemberData(nameof(Intents))]
    [Conforms("A1-03", "A1-04", "A1-18")]
    public void Intents_are_normalised_and_hashed(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        if (vector.Kind == "legacy_intent_hash")
        {
            var legacy = Intent.DeprecatedHash(vector.Text("action"), Convert.FromHexString(vector.Text("params_hex")));
            Assert.Equal(vector.Text("intent_hash"), legacy.ToString());
            Assert.NotEqual(Intent.LeafOf(vector.Text("action")), legacy);
            return;
        }

        var intent = Intent.Create(vector.Text("action"), Pairs(vector.Json.GetProperty("params")));
        Assert.Equal(vector.Text("intent_hash"), intent.Hash.ToString());
        Assert.Equal(Pairs(vector.Json.GetProperty("normalized_params")).OrderBy(p => p.Key, StringComparer.Ordinal), intent.Parameters);
    }

    [Theory]
    [MemberData(nameof(Trees))]
    [Conforms("A1-05")]
    public void Trees_and_their_proofs(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var names = Texts(vector.Json.GetProperty("capabilities"));
        var tree = IntentTree.Of(names);
        Assert.Equal(vector.Text("root"), tree.Root.ToString());
        Assert.Equal(Texts(vector.Json.GetProperty("sorted_leaves")), tree.Leaves.Select(leaf => leaf.ToString()));
        Assert.Equal(tree.Root, IntentTree.RootOf([.. names.Select(Intent.LeafOf)]));
        foreach (var expected in vector.Json.GetProperty("proofs").EnumerateObject())
        {
            var leaf = Intent.LeafOf(expected.Name);
            Assert.Equal(Siblings(expected.Value), tree.Prove(leaf).Siblings);
            Assert.True(tree.Prove(leaf).Verifies(leaf, tree.Root));
            Assert.False(tree.Prove(leaf).Verifies(Intent.LeafOf("nobody.asked"), tree.Root));
        }
    }

    [Theory]
    [MemberData(nameof(SubScopes))]
    [Conforms("A1-06")]
    public void Sub_scope_proofs(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var proof = new SubScopeProof(
            [.. Texts(vector.Json.GetProperty("subset_intents")).Select(hex => Bytes32.Parse(hex))],
            [.. vector.Json.GetProperty("proofs").EnumerateArray().Select(p => new MerkleProof(Siblings(p)))]);
        Assert.Equal(vector.Text("commitment"), proof.Commitment().ToString());
        if (vector.OptionalText("parent_root") is { } parent && vector.OptionalText("derived_root") is { } derived)
        {
            Assert.True(proof.Narrows(Bytes32.Parse(parent), Bytes32.Parse(derived)));
            Assert.False(proof.Narrows(Bytes32.Parse(derived), Bytes32.Parse(derived)));
            Assert.False(proof.Narrows(Bytes32.Parse(parent), Bytes32.Parse(parent)));
        }
    }

    [Theory]
    [MemberData(nameof(Masks))]
    [Conforms("A1-07")]
    public void Narrowing_masks(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        if (vector.Kind == "narrowing_bit")
        {
            var name = vector.Text("capability");
            Assert.Equal(vector.Text("hash"), NarrowingMask.HashOf(name).ToString());
            Assert.Equal((vector.Json.GetProperty("byte_index").GetInt32(), vector.Json.GetProperty("bit_index").GetInt32()), NarrowingMask.PlaceOf(name));
            Assert.Equal(vector.Text("mask"), NarrowingMask.Of([name]).ToString());
        }
        else if (vector.Kind == "narrowing_mask")
        {
            Assert.True(NarrowingMask.TryParse(vector.Text("mask"), out var mask));
            Assert.Equal(vector.Text("commitment"), mask.Commitment().ToString());
            if (vector.Json.TryGetProperty("capabilities", out var names))
            {
                Assert.Equal(mask, NarrowingMask.Of(Texts(names)));
            }
        }
        else
        {
            NarrowingMask a = NarrowingMask.Of([vector.Text("a")]), b = NarrowingMask.Of([vector.Text("b")]);
            Assert.Equal((vector.Text("mask_a"), vector.Text("mask_b")), (a.ToString(), b.ToString()));
            Assert.Equal(vector.Json.GetProperty("same_bit").GetBoolean(), a == b);
            Assert.Equal(vector.Json.GetProperty("subset_check_passes").GetBoolean(), b.IsWithin(a));
        }
    }

    [Theory]
    [MemberData(nameof(Extensions))]
    [Conforms("A1-08")]
    public void Extensions_are_read_and_committed_to(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var wire = $$"""{"fields":{{vector.Json.GetProperty("fields").GetRawText()}}}""";
        var extensions = A1Wire.Read(wire, (ref Utf8JsonReader reader) => CertificateJson.ReadExtensions(ref reader));
        Assert.Equal(vector.Text("commitment"), extensions.Commitment().ToString());
        Assert.True(JsonElement.DeepEquals(
            JsonElement.Parse(wire), JsonElement.Parse(A1Wire.Write(json => CertificateJson.WriteExtensions(json, extensions)))));
    }

    [Theory]
    [MemberData(nameof(Certificates))]
    [Conforms("A1-02", "A1-09", "A1-10", "A1-26")]
    public void Certificates_are_signed_named_and_written(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        CheckCertificate(vector.Json.GetProperty("cert"), vector.Json.GetProperty("derived"), vector.File.Key(vector.Text("signer")));
    }

    [Theory]
    [MemberData(nameof(Passports))]
    [Conforms("A1-02", "A1-09", "A1-10", "A1-25")]
    public void Passports_are_issued_byte_for_byte_and_checked_when_read(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var wire = vector.Json.GetProperty("passport");
        var passport = A1Wire.Read(wire.GetRawText(), (ref Utf8JsonReader reader) => Passport.Read(ref reader, PublicKeys));
        var now = vector.Json.GetProperty("issued_at").GetUInt64();
        Assert.Null(passport.Check(PublicKeys, now, 15));
        CheckCertificate(wire.GetProperty("cert"), vector.Json.GetProperty("derived"), vector.File.Key(vector.Text("seed")));

        using var key = vector.File.Key(vector.Text("seed")).ToKey();
        var issued = Passport.Issue(
            vector.Text("namespace"), Texts(vector.Json.GetProperty("capabilities")), key, now, vector.Json.GetProperty("ttl_seconds").GetUInt64(),
            passport.Root.Nonce);
        A1Wire.AssertSame(wire, A1Wire.Write(issued.Write));
    }

    [Fact]
    [Conforms("A1-26")]
    public void A_sub_certificate_of_a_passport_is_issued_byte_for_byte()
    {
        using var key = VectorFile.PublishedOfA1.Key("principal").ToKey();
        var passport = A1Wire.Read(
            VectorFile.PublishedOfA1.Base("a1-passport-01").Json.GetProperty("passport").GetRawText(),
            (ref Utf8JsonReader reader) => Passport.Read(ref reader, PublicKeys));
        var wire = VectorFile.PublishedOfA1.Base("a1-cert-02").Json.GetProperty("cert");
        var expected = ReadCertificate(wire);
        var issued = passport.IssueSub(
            expected.Delegate, ["trade.equity"], key, expected.IssuedAt, expected.ExpiresAt - expected.IssuedAt, expected.Nonce);
        A1Wire.AssertSame(wire, A1Wire.Write(json => CertificateJson.Write(json, issued)));
    }

    [Theory]
    [MemberData(nameof(Members))]
    [Conforms("A1-09", "A1-30")]
    public void Members_roles_and_certificates(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var role = A1Wire.Read(vector.Json.GetProperty("role_wire").GetRawText(), (ref Utf8JsonReader reader) => SwarmRole.Read(ref reader));
        Assert.Equal(vector.Text("role_name"), role.Name);
        Assert.Equal(vector.Json.GetProperty("can_delegate").GetBoolean(), role.CanDelegate);
        Assert.Equal(vector.Json.GetProperty("max_depth").GetUInt64(), role.MaxDepth);
        var issuedAt = vector.Json.GetProperty("member_native_json").GetProperty("issued_at_unix").GetUInt64();
        Assert.Equal(vector.Text("role_commitment"), role.Commitment(vector.Text("agent_did"), issuedAt).ToString());
        A1Wire.AssertSame(vector.Json.GetProperty("role_wire"), A1Wire.Write(role.Write));
        Assert.Equal(
            vector.Text("agent_did"),
            A1Swarm.DidOf(Bytes32.Parse(vector.Json.GetProperty("member_native_json").GetProperty("agent_pk_hex").GetString()!)));
        CheckCertificate(vector.Json.GetProperty("member_cert"), vector.Json.GetProperty("member_cert_derived"), signer: null);
    }

    [Theory]
    [MemberData(nameof(Swarms))]
    public void A_swarms_id_comes_from_its_name_and_mask(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var mask = NarrowingMask.Of(Texts(vector.Json.GetProperty("capabilities")));
        Assert.Equal(vector.Text("mask"), mask.ToString());
        Assert.Equal(vector.Text("swarm_id"), A1Swarm.IdOf(vector.Text("swarm_name"), mask).ToString());
    }

    [Theory]
    [MemberData(nameof(Namespaces))]
    [Conforms("A1-12", "A1-55")]
    public void Namespaces_of_scopes_and_chains(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        if (vector.Kind == "namespace_scope")
        {
            Assert.Equal(vector.Text("namespaced_scope"), SignedChain.ScopeIn(vector.Text("namespace"), Bytes32.Parse(vector.Text("scope"))).ToString());
            return;
        }

        Bytes32[] fingerprints = [.. Texts(vector.Json.GetProperty("cert_fingerprints")).Select(hex => Bytes32.Parse(hex))];
        string Of(string? name) => SignedChain.FingerprintOf(
            Bytes32.Parse(vector.Text("principal_pk")), Bytes32.Parse(vector.Text("principal_scope")), name, fingerprints).ToString();
        var named = vector.Json.GetProperty("with_namespace");
        Assert.Equal(vector.Text("without_namespace"), Of(null));
        Assert.Equal(vector.Text("without_namespace"), Of(""));
        Assert.Equal(named.GetProperty("fingerprint").GetString(), Of(named.GetProperty("namespace").GetString()));
    }

    [Theory]
    [MemberData(nameof(Tokens))]
    [Conforms("A1-01", "A1-23")]
    public void Tokens_carry_the_gateways_mac(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        // The vector gives the receipt only as the bytes under the MAC.
        var bytes = Convert.FromHexString(vector.Text("canonical_bytes_hex"));
        var rest = bytes.AsSpan("a1_dyolo_v2.8.0:".Length);
        var receipt = new VerificationReceipt(
            BinaryPrimitives.ReadUInt64BigEndian(rest), Bytes32.Read(rest[8..40]), Bytes32.Read(rest[40..72]),
            BinaryPrimitives.ReadUInt64BigEndian(rest[72..]), Bytes32.Read(rest[80..112]), Encoding.UTF8.GetString(rest[120..]));
        var key = Convert.FromHexString(vector.Text("mac_key_hex"));
        Assert.Equal(bytes, VerifiedToken.CanonicalBytes(receipt));
        Assert.Equal(vector.Text("mac"), VerifiedToken.Issue(receipt, key).Mac.ToString());
        Assert.Null(VerifiedToken.Issue(receipt, key).Check(key));
    }

    [Theory]
    [MemberData(nameof(Negotiations))]
    public void What_is_signed_in_a_negotiation(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var json = vector.Json;
        switch (vector.Kind)
        {
            case "negotiate_request":
                json = json.GetProperty("body");
                Check(json.GetProperty("requester_did"), Negotiation.RequestDigest(
                    json.GetProperty("requester_did").GetString()!, ReadNonce(json, "nonce"), json.GetProperty("timestamp_unix").GetUInt64(),
                    json.GetProperty("ttl_secs").GetUInt64(), json.GetProperty("intent_name").GetString()!,
                    Texts(json.GetProperty("requested_capabilities"))));
                break;
            case "negotiate_offer":
                Assert.Equal(vector.Text("cert_fingerprint"), ReadCertificate(json.GetProperty("cert")).Fingerprint().ToString());
                Check(json.GetProperty("offerer_did"), Negotiation.OfferDigest(
                    vector.Text("offerer_did"), ReadNonce(json, "request_nonce"), ReadNonce(json, "offer_nonce"),
                    json.GetProperty("timestamp_unix").GetUInt64(), Bytes32.Parse(vector.Text("cert_fingerprint"))));
                break;
            default:
                Check(json.GetProperty("acceptor_did"), Negotiation.AcceptanceDigest(
                    vector.Text("acceptor_did"), ReadNonce(json, "offer_nonce"), json.GetProperty("timestamp_unix").GetUInt64()));
                break;
        }

        void Check(JsonElement did, Bytes32 digest)
        {
            Assert.Equal(vector.Text("signed_digest"), digest.ToString());
            var key = PublicKeys.Get(Convert.FromHexString(did.GetString()!["did:a1:".Length..]));
            Assert.True(SignatureAlgorithm.Ed25519.Verify(key, digest.ToArray(), Convert.FromHexString(json.GetProperty("signature").GetString()!)));
        }
    }

    [Theory]
    [MemberData(nameof(Webhooks))]
    public void A_webhooks_signature_in_both_forms(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var body = Encoding.UTF8.GetBytes(vector.Text("body_utf8"));
        if (vector.OptionalText("blake3_header") is { } blake3)
        {
            Assert.Equal(blake3, WebhookSignature.Blake3(vector.OptionalText("secret"), body));
        }

        if (vector.OptionalText("ts_helper_header") is { } hmac)
        {
            Assert.Equal(hmac, WebhookSignature.Hmac(vector.OptionalText("secret"), body));
        }
    }

    private static void CheckCertificate(JsonElement wire, JsonElement derived, VectorKey? signer)
    {
        var certificate = ReadCertificate(wire);
        Assert.Equal(Text("subscope_commitment"), certificate.ScopeProof.Commitment().ToString());
        Assert.Equal(Text("ext_commitment"), certificate.Extensions.Commitment().ToString());
        Assert.Equal(Text("preimage_hex"), Convert.ToHexStringLower(certificate.SignedBytes()));
        Assert.Equal(Text("signed_digest"), certificate.Digest().ToString());
        Assert.Equal(Text("signature"), certificate.Signature.ToString());
        Assert.Equal(Text("fingerprint"), certificate.Fingerprint().ToString());
        Assert.True(certificate.IsSigned(PublicKeys));
        A1Wire.AssertSame(wire, A1Wire.Write(json => CertificateJson.Write(json, certificate)));
        if (signer is not null)
        {
            using var key = signer.ToKey();
            Assert.Equal(certificate, (certificate with { Delegator = default, Signature = default }).SignedBy(key));
        }

        string? Text(string name) => derived.GetProperty(name).GetString();
    }

    private static DelegationCertificate ReadCertificate(JsonElement wire) =>
        A1Wire.Read(wire.GetRawText(), (ref Utf8JsonReader reader) => CertificateJson.Read(ref reader, PublicKeys));

    private static Nonce ReadNonce(JsonElement json, string name) => Nonce.Read(Convert.FromHexString(json.GetProperty(name).GetString()!));

    private static KeyValuePair<string, string>[] Pairs(JsonElement map) =>
        [.. map.EnumerateObject().Select(member => KeyValuePair.Create(member.Name, member.Value.GetString()!))];

    private static string[] Texts(JsonElement list) => [.. list.EnumerateArray().Select(item => item.GetString()!)];

    private static Sibling[] Siblings(JsonElement list) => [.. list.EnumerateArray().Select(item =>
        new Sibling(Bytes32.Parse(item.GetProperty("hash").GetString()!), item.GetProperty("is_left").GetBoolean()))];
}
