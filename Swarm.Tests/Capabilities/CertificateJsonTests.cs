using System.Text.Json;
using System.Text.Json.Nodes;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Core.Identity;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Xunit.Abstractions;

namespace Swarm.Tests.Capabilities;

/// <summary>What is read as a certificate or a chain, what is not, and what is written (A1 §6 to §8, §20).</summary>
[Shown(By.Unit)]
public sealed class CertificateJsonTests(ITestOutputHelper output)
{
    private static readonly Chains Chains = new();

    private static JsonObject Certificate => JsonNode.Parse(
        A1Wire.Write(json => CertificateJson.Write(json, Chains.Hop(0, ["a", "b", "c"], ["a", "b"]))))!.AsObject();

    [Fact]
    [Conforms("A1-10")]
    public void Bytes_are_read_as_integers_or_hex_and_written_as_integers()
    {
        var certificate = Certificate;
        var written = certificate.ToJsonString();
        foreach (var name in new[] { "delegator_pk", "delegate_pk", "scope_root", "nonce", "signature" })
        {
            certificate[name] = Hex(certificate[name]!, upper: name == "nonce");
        }

        var proof = certificate["scope_proof"]!;
        proof["subset_intents"]![0] = Hex(proof["subset_intents"]![0]!, upper: false);
        proof["proofs"]![0]!["siblings"]![0]!["hash"] = Hex(proof["proofs"]![0]!["siblings"]![0]!["hash"]!, upper: true);
        Assert.NotEqual(written, certificate.ToJsonString());
        Assert.Equal(written, A1Wire.Write(json => CertificateJson.Write(json, Read(certificate.ToJsonString()))));
    }

    [Theory]
    [InlineData("version", "256", "version: a whole number from 0 to 255 is needed")]
    [InlineData("version", "-1", "version: a whole number from 0 to 255 is needed")]
    [InlineData("version", "1.0", "version: a whole number from 0 to 255 is needed")]
    [InlineData("version", "\"1\"", "version: a whole number from 0 to 255 is needed")]
    [InlineData("max_depth", "256", "max_depth: a whole number from 0 to 255 is needed")]
    [InlineData("issued_at", "18446744073709551616", "issued_at: a whole number from 0 to 18446744073709551615 is needed")]
    [InlineData("expiration_unix", "null", "expiration_unix: a whole number from 0 to 18446744073709551615 is needed")]
    [InlineData("nonce", "[1,2,3]", "nonce: 16 bytes are needed, as integers from 0 to 255 or as hex text")]
    [InlineData("nonce", "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]", "nonce: 16 bytes are needed, as integers from 0 to 255 or as hex text")]
    [InlineData("nonce", "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,256]", "nonce: 16 bytes are needed, as integers from 0 to 255 or as hex text")]
    [InlineData("nonce", "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1.5]", "nonce: 16 bytes are needed, as integers from 0 to 255 or as hex text")]
    [InlineData("nonce", "[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,[]]", "nonce: 16 bytes are needed, as integers from 0 to 255 or as hex text")]
    [InlineData("nonce", "\"0011\"", "nonce: 16 bytes are needed, as integers from 0 to 255 or as hex text")]
    [InlineData("nonce", "\"0x112233445566778899aabbccddeeff\"", "nonce: 16 bytes are needed, as integers from 0 to 255 or as hex text")]
    [InlineData("nonce", "\"00112233445566778899aabbccddeeff0\"", "nonce: 16 bytes are needed, as integers from 0 to 255 or as hex text")]
    [InlineData("signature", "{}", "signature: 64 bytes are needed, as integers from 0 to 255 or as hex text")]
    [InlineData("delegate_pk", "\"0200000000000000000000000000000000000000000000000000000000000000\"", "delegate_pk: the bytes are no Ed25519 public key")]
    [InlineData("scope_proof", "[]", "scope_proof: an object is needed")]
    [InlineData("scope_proof", "{}", "subset_intents: the member is missing")]
    [InlineData("scope_proof", "{\"subset_intents\":{},\"proofs\":[]}", "subset_intents: an array is needed")]
    [InlineData("scope_proof", "{\"subset_intents\":[],\"proofs\":[[]]}", "proof: an object is needed")]
    [InlineData("scope_proof", "{\"subset_intents\":[],\"proofs\":[{\"siblings\":[{\"is_left\":true}]}]}", "hash: the member is missing")]
    [InlineData("extensions", "null", "extensions: an object is needed")]
    [InlineData("extensions", "{\"a\":\"b\"}", "fields: the member is missing")]
    [InlineData("extensions", "{\"fields\":{\"a\":-1}}", "fields: a whole number from 0 to 18446744073709551615 is needed")]
    [InlineData("extensions", "{\"fields\":{\"a\":1.5}}", "fields: a whole number from 0 to 18446744073709551615 is needed")]
    [InlineData("extensions", "{\"fields\":{\"a\":1e2}}", "fields: a whole number from 0 to 18446744073709551615 is needed")]
    [InlineData("extensions", "{\"fields\":{\"a\":true}}", "fields: a value is a text, a whole number from 0, or a list of texts")]
    [InlineData("extensions", "{\"fields\":{\"a\":null}}", "fields: a value is a text, a whole number from 0, or a list of texts")]
    [InlineData("extensions", "{\"fields\":{\"a\":{}}}", "fields: a value is a text, a whole number from 0, or a list of texts")]
    [InlineData("extensions", "{\"fields\":{\"a\":[\"b\",1]}}", "fields: a text is needed")]
    [InlineData("extensions", "{\"fields\":{\"a\":1,\"a\":1}}", "fields: a key repeats")]
    [InlineData("extensions", "{\"fields\":{\"a\":\"\\ud800\"}}", "fields: the text is not Unicode")]
    [InlineData("extensions", "{\"fields\":{\"\\udc00\":1}}", "fields: a key is not Unicode")]
    [Conforms("A1-08", "A1-10")]
    public void What_is_no_certificate_is_refused_with_the_member_and_what_it_needs(string member, string value, string message)
    {
        // As text: a node would drop what repeats.
        var certificate = Certificate;
        certificate[member] = "@";
        var json = certificate.ToJsonString().Replace("\"@\"", value, StringComparison.Ordinal);
        Assert.Equal(message, Assert.Throws<ShapeException>(() => Read(json)).Message);
        var chain = $$"""{"version":1,"principal_pk":"{{Chains.KeyOf(0)}}","principal_scope":"{{Chains.KeyOf(0)}}","certs":[{{Certificate.ToJsonString()}},{{json}}]}""";
        Assert.Equal("certs[1]." + message, Assert.Throws<ShapeException>(() => Chains.Read(chain)).Message);
    }

    [Fact]
    [Conforms("A1-10")]
    public void Every_member_but_the_extensions_is_needed_once_and_others_are_passed_over()
    {
        var certificate = Certificate;
        foreach (var (name, value) in certificate.ToArray())
        {
            var without = JsonNode.Parse(certificate.ToJsonString())!.AsObject();
            without.Remove(name);
            if (name == "extensions")
            {
                Assert.Empty(Read(without.ToJsonString()).Extensions.Fields);
            }
            else
            {
                Assert.Equal($"{name}: the member is missing", Assert.Throws<ShapeException>(() => Read(without.ToJsonString())).Message);
            }

            var twice = certificate.ToJsonString()[..^1] + $",\"{name}\":{value!.ToJsonString()}}}";
            Assert.Equal($"{name}: the member repeats", Assert.Throws<ShapeException>(() => Read(twice)).Message);
        }

        var strange = "{\"x\":{\"version\":[1,{}]}," + certificate.ToJsonString()[1..^1] + ",\"x\":null,\"Version\":7}";
        Assert.Equal(certificate.ToJsonString(), A1Wire.Write(json => CertificateJson.Write(json, Read(strange))));
    }

    [Theory]
    [InlineData("{}", 0)]
    [InlineData("{\"fields\":{}}", 0)]
    [InlineData("{\"fields\":{\"a\":[]}}", 1)]
    [InlineData("{\"x\":1,\"fields\":{\"\":0,\"b\":18446744073709551615,\"c\":\"\",\"d\":[\"x\",\"x\"]}}", 4)]
    [Conforms("A1-08")]
    public void Extensions_take_three_kinds_of_values(string json, int count) =>
        Assert.Equal(count, A1Wire.Read(json, (ref Utf8JsonReader reader) => CertificateJson.ReadExtensions(ref reader)).Fields.Count);

    [Fact]
    [Conforms("A1-08")]
    public void Extensions_are_sorted_by_bytes_and_no_two_have_one_commitment()
    {
        var sorted = CertificateExtensions.Create([new("\U00010000", 1UL), new("\ufffd", 1UL), new("a", 1UL)]);
        Assert.Equal(["a", "\ufffd", "\U00010000"], sorted.Fields.Select(f => f.Key));

        KeyValuePair<string, ExtensionValue>[][] all =
        [
            [], [new("a", "")], [new("a", 0UL)], [new("a", ExtensionValue.Of([]))], [new("a", ExtensionValue.Of([""]))],
            [new("a", ExtensionValue.Of(["b", "c"]))], [new("a", ExtensionValue.Of(["bc"]))], [new("a", "bc")], [new("ab", "c")],
            [new("a", "b"), new("c", "")],
        ];
        Assert.Equal(all.Length, all.Select(fields => CertificateExtensions.Create(fields).Commitment()).Distinct().Count());
    }

    [Fact]
    [Conforms("A1-08")]
    public void Extensions_made_here_have_a_limit_and_a_key_each()
    {
        CertificateExtensions.Create([new("k", new string('v', CertificateExtensions.BytesMax - 1))]);
        CertificateExtensions.Create([new("k", 1UL), new("l", new string('v', CertificateExtensions.BytesMax - 10))]);
        foreach (var wrong in new KeyValuePair<string, ExtensionValue>[][]
        {
            [new("k", new string('v', CertificateExtensions.BytesMax))],
            [new("k", 1UL), new("l", new string('v', CertificateExtensions.BytesMax - 9))],
            [new("k", ExtensionValue.Of([new string('v', 9_000), new string('v', 9_000)]))],
            [new("", 1UL)],
            [new("a", 1UL), new("a", 2UL)],
            [new("a", "\ud800")],
        })
        {
            Assert.Equal(DenialKind.WireFormatError, Assert.Throws<DenialException>(() => CertificateExtensions.Create(wrong)).Denial.Kind);
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(64)]
    [InlineData(65)]
    [Conforms("A1-10")]
    public void A_proof_has_at_most_64_siblings(int count)
    {
        var hash = $"\"{Chains.KeyOf(0)}\"";
        var json = $"{{\"siblings\":[{string.Join(',', Enumerable.Repeat($"{{\"hash\":{hash},\"is_left\":false}}", count))}]}}";
        if (count <= 64)
        {
            Assert.Equal(count, A1Wire.Read(json, (ref Utf8JsonReader reader) => CertificateJson.ReadProof(ref reader)).Siblings.Count);
        }
        else
        {
            Assert.Throws<ShapeException>(() => A1Wire.Read(json, (ref Utf8JsonReader reader) => CertificateJson.ReadProof(ref reader)));
        }
    }

    [Theory]
    [InlineData(4096, true)]
    [InlineData(4097, false)]
    [Conforms("A1-10")]
    public void A_scope_proof_has_at_most_4096_leaves_and_proofs(int count, bool isRead)
    {
        var leaves = string.Join(',', Enumerable.Repeat($"\"{Chains.KeyOf(0)}\"", count));
        var proofs = string.Join(',', Enumerable.Repeat("{\"siblings\":[]}", count));
        foreach (var json in new[] { $"{{\"subset_intents\":[{leaves}],\"proofs\":[]}}", $"{{\"subset_intents\":[],\"proofs\":[{proofs}]}}" })
        {
            void Do() => A1Wire.Read(json, (ref Utf8JsonReader reader) => CertificateJson.ReadScopeProof(ref reader));
            Assert.Equal(isRead, Record.Exception(Do) is null);
        }
    }

    [Theory]
    [InlineData("version", "2", "UnsupportedVersion", "unsupported certificate version: expected 1, got 2")]
    [InlineData("version", "300", "UnsupportedVersion", "unsupported certificate version: expected 1, got 300")]
    [InlineData("principal_pk", "\"zz\"", "WireFormatError", "wire format error: principal_pk: the text is not hex")]
    [InlineData("principal_pk", "\"0x00\"", "WireFormatError", "wire format error: principal_pk: the text is not hex")]
    [InlineData("principal_pk", "\"123\"", "WireFormatError", "wire format error: principal_pk: the text is not hex")]
    [InlineData("principal_pk", "\"1234\"", "WireFormatError", "wire format error: principal_pk must be 32 bytes")]
    [InlineData("principal_pk", "\"0200000000000000000000000000000000000000000000000000000000000000\"", "WireFormatError", "wire format error: invalid principal_pk: the bytes are no Ed25519 public key")]
    [InlineData("principal_scope", "\"\"", "WireFormatError", "wire format error: principal_scope must be 32 bytes")]
    [InlineData("principal_scope", "\"-1\"", "WireFormatError", "wire format error: principal_scope: the text is not hex")]
    [Conforms("A1-11", "A1-13")]
    public void A_chains_outer_members_are_denied_before_all_else(string member, string value, string kind, string text)
    {
        var json = JsonNode.Parse(Chains.Write(Chains.Chain(["a"], [null])))!.AsObject();
        json[member] = JsonNode.Parse(value);
        var chain = Chains.Read(json.ToJsonString());
        var denial = Chains.Authorizer.Validate(chain, default, new(Intent.Create("b")), TrustAnchor.Unknown, 0, new()).Denial!;
        Assert.Equal((kind, text, "AUTHORIZATION_FAILED"), (denial.DetailCode, denial.Text, denial.Code));
        Assert.Equal(denial, chain.Fault);
    }

    [Fact]
    [Conforms("A1-11")]
    public void A_chain_is_read_in_either_case_and_with_its_outer_members_as_integers()
    {
        var chain = Chains.Chain(["a", "b"], ["a"], null);
        var json = JsonNode.Parse(Chains.Write(chain))!.AsObject();
        Assert.Equal(["version", "principal_pk", "principal_scope", "certs"], json.Select(m => m.Key));
        json["principal_pk"] = chain.Principal.ToString().ToUpperInvariant();
        json["principal_scope"] = new JsonArray([.. chain.PrincipalScope.ToArray().Select(b => JsonValue.Create(b))]);
        json["namespace"] = "lost";
        var read = Chains.Read(json.ToJsonString());
        Assert.Equal((chain.Principal, chain.PrincipalScope, null, null), (read.Principal, read.PrincipalScope, read.Namespace, read.Fault));
        Assert.Equal(Chains.Write(chain), Chains.Write(read));
        Assert.Equal(chain.Fingerprint(), read.Fingerprint());
        Assert.NotEqual(chain.Fingerprint(), (chain with { Namespace = "x" }).Fingerprint());
    }

    [Fact]
    [Conforms("A1-10")]
    public void Whatever_is_done_to_a_chain_only_our_own_errors_come_out()
    {
        var random = new Random(Seed.Take(output));
        var json = Chains.Write(Chains.Chain(["a", "b"], ["a"], null));
        for (var i = 0; i < 20_000; i++)
        {
            var text = new System.Text.StringBuilder(json);
            for (var edits = random.Next(1, 4); edits > 0; edits--)
            {
                var at = random.Next(text.Length);
                _ = random.Next(3) switch
                {
                    0 => text.Remove(at, Math.Min(random.Next(1, 9), text.Length - at)),
                    1 => text.Insert(at, (char)random.Next(1, 0x3FF)),
                    _ => text.Insert(at, "[]{}\",:0"[random.Next(8)]),
                };
            }

            var reader = new Utf8JsonReader(System.Text.Encoding.UTF8.GetBytes(text.ToString()));
            try
            {
                if (reader.Read())
                {
                    ChainJson.Read(ref reader, Chains.PublicKeys);
                }
            }
            catch (Exception own) when (own is ShapeException or JsonException)
            {
                // As it must be.
            }
        }
    }

    [Fact]
    [Conforms("A1-02")]
    public void Points_are_told_from_other_bytes_as_RFC_8032_decodes_them()
    {
        var keys = new PublicKeys();
        var random = new Random(Seed.Take(output));
        var points = 0;
        for (var i = 0; i < 400; i++)
        {
            var raw = new byte[32];
            random.NextBytes(raw);
            points += keys.IsPoint(raw) ? 1 : 0;
            Assert.Equal(keys.IsPoint(raw), keys.IsPoint(raw));
        }

        // Half of all y have an x.
        Assert.InRange(points, 140, 260);
        for (var i = 0; i < 12; i++)
        {
            Assert.True(keys.IsPoint(Chains.KeyOf(i).AsSpan()));
        }

        // Which of the smallest y have an x, as computed by another program.
        int[] small = [0, 1, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 19, 21, 23, 24, 25, 26, 27, 28, 29, 30, 32, 33, 35, 37, 39];
        for (byte y = 0; y < 40; y++)
        {
            var raw = new byte[32];
            raw[0] = y;
            Assert.Equal(small.Contains(y), keys.IsPoint(raw));
            raw[31] = 0x80;
            Assert.Equal(small.Contains(y), keys.IsPoint(raw));
        }

        Assert.False(keys.IsPoint(new byte[31]));
        Assert.False(keys.IsPoint(new byte[33]));
    }

    private static JsonValue Hex(JsonNode bytes, bool upper)
    {
        var raw = bytes.AsArray().Select(b => b!.GetValue<byte>()).ToArray();
        return JsonValue.Create(upper ? Convert.ToHexString(raw) : Convert.ToHexStringLower(raw));
    }

    private static DelegationCertificate Read(string json) =>
        A1Wire.Read(json, (ref Utf8JsonReader reader) => CertificateJson.Read(ref reader, Chains.PublicKeys));
}
