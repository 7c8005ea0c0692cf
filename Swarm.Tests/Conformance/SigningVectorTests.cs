using System.Text.Json;
using System.Text.RegularExpressions;
using Swarm.Core;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Tests.Conformance;

/// <summary>The vectors that need no server: what is signed, what verifies, which keys are keys (ASP §4, §23).</summary>
[Shown(By.Vector)]
public sealed class SigningVectorTests
{
    public static TheoryData<string, string> Signed => VectorFile.Rows("message-sign");

    public static TheoryData<string, string> Changed => VectorFile.Rows("message-tamper", "message-unsigned-change");

    public static TheoryData<string, string> Collisions => VectorFile.Rows("message-collision");

    public static TheoryData<string, string> Unsignable => VectorFile.Rows("sign-error");

    public static TheoryData<string, string> Keys => VectorFile.Rows("public-key-reject");

    [Theory]
    [MemberData(nameof(Signed))]
    [Conforms("ASP-01", "ASP-05", "ASP-06", "ASP-07", "ASP-08", "ASP-13", "ASP-14")]
    public void A_message_is_signed_and_verified_byte_for_byte(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var key = vector.File.Key(vector.Text("signer"));
        var message = MessageParser.Parse(vector.Wire());
        if (vector.OptionalText("canonical_utf8_hex") is { } canonical)
        {
            Assert.Equal(canonical, Convert.ToHexStringLower(SignedDigest.CanonicalBytes(message)));
        }

        Assert.Equal(vector.Text("sha256_hex"), Convert.ToHexStringLower(SignedDigest.Compute(message)));
        using var signer = key.ToKey();
        Assert.Equal(vector.Text("signature_b64"), MessageSignature.Sign(signer, message with { Signature = "" }).Signature);
        Assert.True(MessageSignature.Verify(key.ToPublicKey(), message));
        Assert.True(MessageSignature.VerifyLenient(key.ToPublicKey(), message));
    }

    [Theory]
    [MemberData(nameof(Signed))]
    [Conforms("ASP-12", "ASP-13", "ASP-14")]
    public void A_message_is_written_with_the_members_and_the_order_of_its_vector(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var wire = vector.Wire();
        using var expected = JsonDocument.Parse(wire);
        using var written = JsonDocument.Parse(MessageWriter.Write(MessageParser.Parse(wire)));
        Assert.True(JsonElement.DeepEquals(expected.RootElement, written.RootElement), written.RootElement.GetRawText());
        Assert.Equal(Names(expected.RootElement), Names(written.RootElement));

        static IEnumerable<string> Names(JsonElement json) => json.EnumerateObject().Select(member => member.Name);
    }

    [Theory]
    [MemberData(nameof(Changed))]
    [Conforms("ASP-05", "ASP-09", "ASP-10")]
    public void A_changed_message_verifies_exactly_when_its_vector_says_so(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var key = vector.File.Key(vector.Text("verify_with")).ToPublicKey();
        Assert.Equal(vector.Expect.GetProperty("verify").GetBoolean(), Verifies(vector.ChangedWire()));

        bool Verifies(byte[] wire)
        {
            try
            {
                return MessageSignature.VerifyLenient(key, MessageParser.Parse(wire));
            }
            catch (SwarmException refused) when (refused.Error == SwarmError.InvalidRequest)
            {
                return false;
            }
        }
    }

    [Theory]
    [MemberData(nameof(Collisions))]
    [Conforms("ASP-11")]
    public void Two_messages_may_share_the_signed_bytes_and_only_one_has_a_possible_recipient(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var key = vector.File.Key(vector.Text("signer")).ToPublicKey();
        AspMessage original = MessageParser.Parse(vector.Wire()), forged = MessageParser.Parse(vector.Wire("forged_wire"));
        Assert.Equal(SignedDigest.CanonicalBytes(original), SignedDigest.CanonicalBytes(forged));
        Assert.True(MessageSignature.Verify(key, original));
        Assert.True(MessageSignature.Verify(key, forged));
        Assert.True(Core.Identity.AgentName.IsValid(original.Recipient));
        Assert.False(Core.Identity.AgentName.IsValid(forged.Recipient));
    }

    [Theory]
    [MemberData(nameof(Unsignable))]
    [Conforms("ASP-07")]
    public void A_lone_surrogate_cannot_be_signed_written_or_verified(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var content = Regex.Unescape(vector.Text("content_json").Trim('"'));
        var message = MessageParser.Parse(VectorFile.Published.Base("MSG-01").Wire()) with { Content = content };
        using var key = VectorFile.Published.Key("alice").ToKey();
        Assert.Throws<SwarmException>(() => MessageSignature.Sign(key, message));
        Assert.Throws<SwarmException>(() => MessageWriter.Write(message));
        Assert.False(MessageSignature.VerifyLenient(key.PublicKey, message));
    }

    [Theory]
    [MemberData(nameof(Keys))]
    [Conforms("ASP-02")]
    public void What_is_not_32_raw_bytes_in_base64_is_no_public_key(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        Assert.False(PublicKeyText.TryParse(vector.Text("public_key_b64"), out _));
        Assert.Throws<SwarmException>(() => PublicKeyText.Parse(vector.Text("public_key_b64")));
    }
}
