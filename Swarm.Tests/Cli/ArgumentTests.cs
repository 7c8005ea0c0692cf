using System.Text;
using Swarm.Cli;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Cli;

[Shown(By.Unit)]
public sealed class ArgumentTests
{
    private static readonly DateTimeOffset Now = DateTimeOffset.Parse("2026-11-21T15:30:00Z");

    [Theory]
    [InlineData("  550E8400-e29b-41d4-a716-446655440000\n", true)]
    [InlineData("{550e8400e29b41d4a716446655440000}", true)]
    [InlineData("URN:UUID:550e8400e29b41d4a716446655440000", true)]
    [InlineData("550e8400-e29b41d4a716446655440000", false)]
    [InlineData("{550e8400-e29b-41d4-a716-446655440000", false)]
    [InlineData("(550e8400-e29b-41d4-a716-446655440000)", false)]
    [InlineData("0x550e8400e29b41d4a71644665544000", false)]
    [InlineData("", false)]
    [Conforms("ASP-04")]
    public void Swarm_ids_are_read_in_any_notation_of_a_uuid_and_in_no_other(string text, bool accepted) =>
        Assert.Equal(accepted, SwarmIdText.TryParse(text, out _));

    [Theory]
    [InlineData("90s", "2026-11-21T15:31:30Z")]
    [InlineData("30m", "2026-11-21T16:00:00Z")]
    [InlineData("2h", "2026-11-21T17:30:00Z")]
    [InlineData("7d", "2026-11-28T15:30:00Z")]
    [InlineData("2026-12-31T18:00:00Z", "2026-12-31T18:00:00Z")]
    [InlineData("2026-12-31T18:00:00.5+02:00", "2026-12-31T16:00:00.5Z")]
    public void An_expiry_is_a_duration_or_a_time(string text, string expected)
    {
        Assert.True(ExpiryText.TryParse(text, Now, out var time));
        Assert.Equal(DateTimeOffset.Parse(expected), time);
    }

    [Theory]
    [InlineData("")]
    [InlineData("h")]
    [InlineData("0h")]
    [InlineData("-1h")]
    [InlineData("1.5h")]
    [InlineData("3651d")]
    [InlineData("99999999999s")]
    [InlineData("tomorrow")]
    [InlineData("2026-12-31")]
    [InlineData("2026-12-31T18:00:00")]
    public void What_is_neither_is_no_expiry(string text) => Assert.False(ExpiryText.TryParse(text, Now, out _));

    [Fact]
    public void A_text_has_up_to_65536_characters_however_many_bytes_they_take()
    {
        var terminal = Terminal(null);
        var emoji = string.Concat(Enumerable.Repeat("🐝", MessageContent.TextCodePointsMax));
        Assert.Equal(emoji, MessageContent.Read(emoji, null, false, terminal));
        Refused(() => MessageContent.Read(emoji + "x", null, false, terminal), ExitCode.BadArguments);
    }

    [Fact]
    [Conforms("ASP-90")]
    public void Standard_input_is_trimmed_and_has_the_same_limit()
    {
        Assert.Equal("hello\nthere", MessageContent.Read(null, null, false, Terminal("\n  hello\nthere \n"u8.ToArray())));
        var longest = Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("🐝", MessageContent.TextCodePointsMax)) + "\n");
        Assert.Equal(2 * MessageContent.TextCodePointsMax, MessageContent.Read(null, null, false, Terminal(longest)).Length);
        Refused(() => MessageContent.Read(null, null, false, Terminal([.. "x"u8, .. longest])), ExitCode.BadArguments);
        Refused(() => MessageContent.Read(null, null, false, Terminal(new byte[10_000_000])), ExitCode.BadArguments);
    }

    [Fact]
    public void An_empty_message_must_be_meant()
    {
        Refused(() => MessageContent.Read("", null, false, Terminal(null)), ExitCode.BadArguments);
        Refused(() => MessageContent.Read(null, null, false, Terminal(" \n"u8.ToArray())), ExitCode.BadArguments);
        Refused(() => MessageContent.Read(null, null, false, Terminal(null)), ExitCode.BadArguments);
        Assert.Equal("", MessageContent.Read("", null, true, Terminal(null)));
        Assert.Equal("", MessageContent.Read(null, null, true, Terminal(null)));
        Assert.Equal("", MessageContent.Read(null, null, true, Terminal([])));
    }

    [Fact]
    public void A_file_is_sent_as_it_is_up_to_a_mebibyte()
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllText(path, "  kept as it is \r\n");
            Assert.Equal("  kept as it is \r\n", MessageContent.Read(null, path, false, Terminal(null)));
            File.WriteAllBytes(path, Enumerable.Repeat((byte)'x', MessageContent.FileBytesMax).ToArray());
            Assert.Equal(MessageContent.FileBytesMax, MessageContent.Read(null, path, false, Terminal(null)).Length);
            File.AppendAllText(path, "x");
            Refused(() => MessageContent.Read(null, path, false, Terminal(null)), ExitCode.BadArguments);
            File.WriteAllBytes(path, [0x61, 0xFF]);
            Refused(() => MessageContent.Read(null, path, false, Terminal(null)), ExitCode.BadArguments);
            Refused(() => MessageContent.Read("text", path, false, Terminal(null)), ExitCode.BadArguments);
            Refused(() => MessageContent.Read(null, path + ".none", false, Terminal(null)), ExitCode.NotFound);
            Assert.Equal(" in \n", MessageContent.Read(null, "-", false, Terminal(" in \n"u8.ToArray())));
        }
        finally
        {
            File.Delete(path);
        }
    }

    [Theory]
    [InlineData("https://alice.example.com/swarm", true)]
    [InlineData("  https://h \n", true)]
    [InlineData("http://alice.example.com/swarm", false)]
    [InlineData("HTTPS://alice.example.com/swarm", false)]
    [InlineData("https://", false)]
    [InlineData("alice.example.com", false)]
    [Conforms("ASP-03")]
    public void An_endpoint_begins_with_https(string text, bool accepted)
    {
        if (accepted)
        {
            Assert.Equal(text.Trim(), EndpointText.Parse(text));
        }
        else
        {
            Refused(() => EndpointText.Parse(text), ExitCode.BadArguments);
        }
    }

    [Fact]
    [Conforms("ASP-03")]
    public void An_endpoint_has_up_to_2048_characters()
    {
        var longest = "https://h/" + new string('x', EndpointText.LengthMax - "https://h/".Length);
        Assert.Equal(longest, EndpointText.Parse(longest));
        Refused(() => EndpointText.Parse(longest + "x"), ExitCode.BadArguments);
    }

    [Theory]
    [InlineData("swarm://550e8400-e29b-41d4-a716-446655440000@h?token=")]
    [InlineData("")]
    [Conforms("ASP-96")]
    public void An_invitation_is_known_by_the_hash_of_its_token(string before)
    {
        // echo -n eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJzd2FybV9pZCI6IjU1MGU4NDAwLWUyOWItNDFkNC1hNzE2LTQ0NjY1NTQ0MDAwMCJ9.c2ln | sha256sum
        const string Jwt = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJzd2FybV9pZCI6IjU1MGU4NDAwLWUyOWItNDFkNC1hNzE2LTQ0NjY1NTQ0MDAwMCJ9.c2ln";
        Assert.Equal(
            (Guid.Parse("550e8400-e29b-41d4-a716-446655440000"), "0a0ba444e9577d98deb337e9ddb352f371147021c86e5ae514808bde684f706c"), InviteText.Identify(before + Jwt));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a.b")]
    [InlineData("a.b.c")]
    [InlineData("a.e30.c")]
    [InlineData("a.WzFd.c")]
    [InlineData("swarm://x@h")]
    [InlineData("swarm://x@h?other=a.b.c")]
    [Conforms("ASP-96")]
    public void What_is_no_invitation_is_not_revoked(string text) => Refused(() => InviteText.Identify(text), ExitCode.Permission);

    private static void Refused(Action action, int exitCode) => Assert.Equal(exitCode, Assert.Throws<CliException>(action).ExitCode);

    private static Terminal Terminal(byte[]? input) =>
        new(new MemoryStream(input ?? []), TextWriter.Null, TextWriter.Null) { InIsTerminal = input is null };
}
