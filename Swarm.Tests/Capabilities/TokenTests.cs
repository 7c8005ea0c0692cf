using System.Text.Json;
using System.Text.Json.Nodes;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Capabilities;

[Shown(By.Unit)]
public sealed class TokenTests
{
    private static readonly byte[] Key = [.. Enumerable.Repeat((byte)0x42, 32)];
    private static readonly VerificationReceipt Receipt = new(2, new(1, 2, 3, 4), new(5, 6, 7, 8), Chains.Now, new(9, 10, 11, 12), null);

    [Theory]
    [InlineData(TokenForm.Hex)]
    [InlineData(TokenForm.Native)]
    [InlineData(TokenForm.Go)]
    [Conforms("A1-23")]
    public void A_token_is_read_and_verified_in_every_form(TokenForm form)
    {
        foreach (var receipt in new[] { Receipt, Receipt with { Namespace = "acme \"ü\"" } })
        {
            var token = VerifiedToken.Issue(receipt, Key);
            var read = Read(A1Wire.Write(json => token.Write(json, form)));
            Assert.Equal((receipt, token.Mac, null), (read.Receipt, read.Mac, read.Check(Key)));
            Assert.Equal(Denial.MacVerificationFailed, read.Check(new byte[32]));
        }
    }

    [Fact]
    [Conforms("A1-23")]
    public void Each_SDK_gets_the_form_that_it_decodes()
    {
        var token = VerifiedToken.Issue(Receipt, Key);
        var hex = JsonNode.Parse(A1Wire.Write(json => token.Write(json, TokenForm.Hex)))!;
        Assert.Equal(["chain_depth", "verified_scope_root", "intent", "verified_at_unix", "chain_fingerprint"], hex["receipt"]!.AsObject().Select(m => m.Key));
        Assert.Equal(Receipt.VerifiedScopeRoot.ToString(), hex["receipt"]!["verified_scope_root"]!.GetValue<string>());
        Assert.Equal(token.Mac.ToString(), hex["mac"]!.GetValue<string>());

        var go = JsonNode.Parse(A1Wire.Write(json => token.Write(json, TokenForm.Go)))!;
        Assert.Equal(["receipt_json", "mac"], go.AsObject().Select(m => m.Key));
        Assert.Equal(32, go["mac"]!.AsArray().Count);
        Assert.Equal(2, JsonNode.Parse(go["receipt_json"]!.GetValue<string>())!["chain_depth"]!.GetValue<int>());
    }

    [Fact]
    [Conforms("A1-23")]
    public void Every_member_of_the_receipt_is_under_the_mac()
    {
        var token = VerifiedToken.Issue(Receipt, Key);
        foreach (var other in new[]
        {
            Receipt with { ChainDepth = 3 },
            Receipt with { VerifiedScopeRoot = Receipt.Intent },
            Receipt with { Intent = Receipt.ChainFingerprint },
            Receipt with { VerifiedAtUnix = Receipt.VerifiedAtUnix + 1 },
            Receipt with { ChainFingerprint = Receipt.Intent },
            Receipt with { Namespace = "x" },
        })
        {
            Assert.NotEqual(token.Mac, VerifiedToken.Issue(other, Key).Mac);
        }

        // The one exception is A1's: no namespace and an empty one are the same bytes.
        Assert.Equal(token.Mac, VerifiedToken.Issue(Receipt with { Namespace = "" }, Key).Mac);
    }

    [Theory]
    [InlineData("\"zz\"", "wire format error: invalid MAC hex")]
    [InlineData("\"123\"", "wire format error: invalid MAC hex")]
    [InlineData("\"\"", "wire format error: MAC must be 32 bytes")]
    [InlineData("\"1234\"", "wire format error: MAC must be 32 bytes")]
    [InlineData("\"0000000000000000000000000000000000000000000000000000000000000000\"", "MAC verification failed")]
    [Conforms("A1-23")]
    public void A_mac_that_is_none_is_denied_and_not_called_malformed(string mac, string text)
    {
        var token = JsonNode.Parse(A1Wire.Write(json => VerifiedToken.Issue(Receipt, Key).Write(json, TokenForm.Hex)))!;
        token["mac"] = JsonNode.Parse(mac);
        Assert.Equal(text, Read(token.ToJsonString()).Check(Key)!.Text);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"mac\":\"00\"}")]
    [InlineData("{\"receipt_json\":\"{\",\"mac\":\"00\"}")]
    [InlineData("{\"receipt_json\":\"[]\",\"mac\":\"00\"}")]
    [InlineData("{\"receipt_json\":\"\",\"mac\":\"00\"}")]
    [InlineData("{\"receipt\":null,\"mac\":\"00\"}")]
    [InlineData("{\"receipt\":{\"chain_depth\":1},\"mac\":\"00\"}")]
    [InlineData("{\"receipt\":{\"chain_depth\":-1},\"mac\":\"00\"}")]
    [Conforms("A1-23")]
    public void What_is_no_token_is_refused(string json) => Assert.Throws<ShapeException>(() => Read(json));

    [Fact]
    public void A_receipt_repeats_what_the_last_certificate_says_of_its_passport()
    {
        string Mask(CertificateExtensions extensions) => GatewayReceipt.Of(Receipt, extensions).CapabilityMaskHex;
        string Commitment(CertificateExtensions extensions) => GatewayReceipt.Of(Receipt, extensions).NarrowingCommitmentHex;
        const string EmptyCommitment = "80feed5ca5dec5e19e62894aa4984713d579516268f9763cb5aee2902764e136";
        var none = CertificateExtensions.Empty;
        Assert.Equal((new string('0', 64), EmptyCommitment, ""), (Mask(none), Commitment(none), GatewayReceipt.Of(Receipt, none).PassportNamespace));
        var text = With("no mask");
        Assert.Equal(("no mask", EmptyCommitment), (Mask(text), Commitment(text)));
        var number = With(7UL);
        Assert.Equal((new string('0', 64), EmptyCommitment), (Mask(number), Commitment(number)));
        var full = With(new string('F', 64));
        Assert.Equal((new string('F', 64), "274f10ff0e467a3d3221d7357caddc080ee72f65c72ebc1f5bd354f6b95110f8"), (Mask(full), Commitment(full)));

        static CertificateExtensions With(ExtensionValue mask) =>
            CertificateExtensions.Create([new("dyolo.passport.mask", mask), new("dyolo.passport.namespace", 1UL)]);
    }

    private static VerifiedToken Read(string json) => A1Wire.Read(json, (ref Utf8JsonReader reader) => VerifiedToken.Read(ref reader));
}
