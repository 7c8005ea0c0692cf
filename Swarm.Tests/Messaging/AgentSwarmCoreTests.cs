using System.Text;
using System.Text.Json.Nodes;
using NSec.Cryptography;
using Swarm.Core;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;

namespace Swarm.Tests.Messaging;

/// <summary>The parts of the Agent Swarm Protocol that Core holds, beside what the vectors show.</summary>
[Shown(By.Unit)]
public sealed class AgentSwarmCoreTests
{
    private static readonly SwarmId Swarm = new(new Guid("550e8400-e29b-41d4-a716-446655440000"));

    [Fact]
    [Conforms("ASP-01")]
    public void A_seed_file_holds_32_bytes_that_only_its_owner_reads()
    {
        var path = Path.Combine(Directory.CreateTempSubdirectory("swarm-seed-").FullName, SeedFile.Name);
        using var created = SeedFile.LoadOrCreate(path);
        using var loaded = SeedFile.LoadOrCreate(path);
        Assert.Equal(created.PublicKey, loaded.PublicKey);
        Assert.Equal(32, new FileInfo(path).Length);
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        }

        Assert.Throws<IOException>(() => SeedFile.Create(path));
        Directory.Delete(Path.GetDirectoryName(path)!, recursive: true);
    }

    [Theory]
    [InlineData(31)]
    [InlineData(33)]
    [InlineData(0)]
    [Conforms("ASP-01")]
    public void A_seed_file_of_another_length_is_refused(int length)
    {
        var path = Path.GetTempFileName();
        File.WriteAllBytes(path, new byte[length]);
        Assert.Equal(SwarmError.InvalidKey, Assert.Throws<SwarmException>(() => SeedFile.Load(path)).Error);
        File.Delete(path);
    }

    [Fact]
    [Conforms("ASP-01")]
    public void The_published_seed_files_give_the_published_keys()
    {
        foreach (var name in new[] { "alice", "bob", "mallory" })
        {
            var expected = VectorFile.Published.Key(name);
            var path = Path.GetTempFileName();
            File.WriteAllBytes(path, expected.Seed);
            using var key = SeedFile.Load(path);
            Assert.Equal(expected.PublicKeyText, PublicKeyText.Format(key.PublicKey));
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData("2026-12-31T23:59:59.9999999Z", "2026-12-31T23:59:59.999Z")]
    [InlineData("2026-12-31T23:59:59Z", "2026-12-31T23:59:59.000Z")]
    [InlineData("2026-12-31T23:59:59.5+09:00", "2026-12-31T14:59:59.500Z")]
    [Conforms("ASP-06")]
    public void A_time_is_written_in_UTC_with_three_digits_truncated(string time, string expected) =>
        Assert.Equal(expected, AspTimestamp.Format(DateTimeOffset.Parse(time)));

    [Theory]
    [InlineData("2026-02-05T14:30:00.123Z", true)]
    [InlineData("2026-02-05T14:30:00.123z", false)]
    [InlineData("2026-02-05T14:30:00.12Z", false)]
    [InlineData("2026-02-05T14:30:00.1234Z", false)]
    [InlineData("2026-02-05T14:30:00.123+00:00", false)]
    [InlineData("2026-02-05 14:30:00.123Z", false)]
    [InlineData("2026-02-29T14:30:00.123Z", false)]
    [InlineData("2024-02-29T14:30:00.123Z", true)]
    [InlineData("2026-13-05T14:30:00.123Z", false)]
    [InlineData("2026-02-05T24:00:00.000Z", false)]
    [InlineData("2026-02-05T14:30:60.000Z", false)]
    [InlineData("0000-02-05T14:30:00.000Z", false)]
    [InlineData("２026-02-05T14:30:00.123Z", false)]
    [Conforms("ASP-06")]
    public void A_door_reads_the_24_character_form_alone(string text, bool isTime) => Assert.Equal(isTime, AspTimestamp.TryParse(text, out _));

    [Theory]
    [InlineData("2026-02-05T14:30:00.123999Z")]
    [InlineData("2026-02-05T14:30:00.123+09:00")]
    [Conforms("ASP-06", "ASP-10")]
    public void The_library_verifies_what_reference_verifiers_do_and_the_door_does_not(string timestamp)
    {
        using var key = VectorFile.Published.Key("alice").ToKey();
        var message = MessageParser.Parse(VectorFile.Published.Base("MSG-01").Wire()) with { Timestamp = timestamp };
        Assert.True(MessageSignature.VerifyLenient(key.PublicKey, message));
        Assert.False(MessageSignature.Verify(key.PublicKey, message));
    }

    [Theory]
    [InlineData("{0}\n", true)]
    [InlineData("\r\n {0}", true)]
    [InlineData("{0}=", true)]
    [InlineData("{0}AAAA", true)]
    [InlineData("-{0}_", true)]
    [InlineData("A{0}", false)]
    [InlineData("é{0}", false)]
    [Conforms("ASP-10")]
    public void A_signature_is_decoded_as_leniently_as_reference_peers_do(string form, bool verifies)
    {
        var alice = VectorFile.Published.Key("alice").ToPublicKey();
        var message = MessageParser.Parse(VectorFile.Published.Base("MSG-01").Wire());
        Assert.Equal(verifies, MessageSignature.Verify(alice, message with { Signature = string.Format(form, message.Signature) }));
    }

    [Fact]
    [Conforms("ASP-02")]
    public void A_public_key_text_is_canonical()
    {
        var alice = VectorFile.Published.Key("alice").PublicKeyText;
        Assert.True(PublicKeyText.TryParse(alice, out var key));
        Assert.Equal(alice, PublicKeyText.Format(key));

        // The last character's spare bits set; a line end; the URL-safe alphabet; 31 and 33 bytes.
        foreach (var other in new[]
                 {
                     alice[..^2] + "h=", alice + "\n", alice.Replace('/', '_'), Convert.ToBase64String(new byte[31]), Convert.ToBase64String(new byte[33]),
                 })
        {
            Assert.False(PublicKeyText.TryParse(other, out _), other);
        }
    }

    [Fact]
    [Conforms("ASP-15")]
    public void The_builder_refuses_a_message_without_recipient_swarm_or_content()
    {
        using var key = Key.Create(SignatureAlgorithm.Ed25519);
        Refuses(New().In(Swarm).Saying("x"), "recipient");
        Refuses(New().To("").In(Swarm).Saying("x"), "recipient");
        Refuses(New().ToEverybody().Saying("x"), "swarm");
        Refuses(New().ToEverybody().In(Swarm), "content");
        Refuses(New().ToEverybody().In(Swarm).Saying(""), "content");

        static MessageBuilder New() => new("bob", "https://bob.example.com/swarm", TimeProvider.System);

        void Refuses(MessageBuilder builder, string what) =>
            Assert.Contains(what, Assert.Throws<SwarmException>(() => builder.Sign(key)).Message, StringComparison.Ordinal);
    }

    [Fact]
    [Conforms("ASP-13", "ASP-14", "ASP-15")]
    public void The_builder_writes_every_optional_member_in_reference_order()
    {
        using var key = Key.Create(SignatureAlgorithm.Ed25519);
        var original = new MessageId(Guid.NewGuid());
        var message = new MessageBuilder("bob", "https://bob.example.com/swarm", new SettableTime(new(2026, 2, 5, 14, 30, 0, TimeSpan.Zero)))
            .To("alice").In(Swarm).Saying("naïve <b>", MessageKind.Notification)
            .InReplyTo(original).InThread("t-1").With(Priority.High).ExpiringAt(new(2026, 2, 6, 0, 0, 0, TimeSpan.Zero))
            .Attach("url", "text/plain", "https://x.example.com")
            .Refer("github_issue", repo: "o/r", number: 7, action: "claimed")
            .WithMetadata("k", JsonValue.Create(1)).WithMetadata("none", null)
            .Sign(key);
        Assert.True(MessageSignature.Verify(key.PublicKey, message));
        Assert.Equal(
            $$$"""
            {"protocol_version":"0.1.0","message_id":"{{{message.MessageId}}}","timestamp":"2026-02-05T14:30:00.000Z","sender":{"agent_id":"bob","endpoint":"https://bob.example.com/swarm"},"recipient":"alice","swarm_id":"{{{Swarm}}}","type":"notification","content":"naïve <b>","signature":"{{{message.Signature}}}","in_reply_to":"{{{original}}}","thread_id":"t-1","priority":"high","expires_at":"2026-02-06T00:00:00.000Z","attachments":[{"type":"url","mime_type":"text/plain","content":"https://x.example.com"}],"references":[{"type":"github_issue","repo":"o/r","number":7,"action":"claimed"}],"metadata":{"k":1,"none":null}}
            """,
            Encoding.UTF8.GetString(MessageWriter.Write(message)));
    }

    [Fact]
    [Conforms("ASP-14")]
    public void Unset_members_and_a_normal_priority_are_left_out()
    {
        using var key = Key.Create(SignatureAlgorithm.Ed25519);
        var wire = Encoding.UTF8.GetString(AspMessages.Signed(key, AspMessages.Make()));
        Assert.EndsWith("==\"}", wire, StringComparison.Ordinal);
        Assert.DoesNotContain("priority", wire, StringComparison.Ordinal);
    }
}
