using System.Text;
using System.Text.Json;
using Swarm.Core;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Tests.Conformance;

/// <summary>The v2 text form (ASP §5.2): the vectors, and the rules that they leave out.</summary>
[Shown(By.Vector)]
public sealed class TextFormVectorTests
{
    private const string Endpoint = "https://roster.example.com/swarm";

    private const string Headers =
        """
        v: 0.1.0
        id: 00000000-0000-4000-8000-000000000001
        ts: 2026-02-05T14:30:00.123Z
        from: alice
        to: broadcast
        swarm: 550e8400-e29b-41d4-a716-446655440000
        type: message
        sig: d3+XglyriuPzKDgayEe+EcI8PzEndxCyz//3YOrA+g5dZ2mHnNl6DbaMKpbHdqn8DZigvIuDx2YXOGcg05LECQ==

        """;

    public static TheoryData<string, string> Vectors => VectorFile.Rows("message-v2-text");

    [Theory]
    [MemberData(nameof(Vectors))]
    [Conforms("ASP-16")]
    public void A_text_is_read_verified_and_written_back_as_its_vector_says(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var text = vector.Text("text");
        if (vector.Expect.TryGetProperty("error", out _))
        {
            Assert.Throws<SwarmException>(() => Parse(text));
            return;
        }

        var message = Parse(text);
        Assert.Equal(vector.Text("body"), message.Content);
        foreach (var header in vector.Json.GetProperty("headers").EnumerateObject())
        {
            Assert.Equal(header.Value.GetString(), HeaderOf(message, header.Name));
        }

        Assert.Equal(text, Encoding.UTF8.GetString(TextForm.Write(message)));
        Assert.Equal(vector.Expect.GetProperty("verify").GetBoolean(), MessageSignature.Verify(vector.File.Key(message.SenderId).ToPublicKey(), message));
        if (vector.OptionalText("base") is { } other && vector.File.FindBase(other) is { } origin)
        {
            // The same signature in both forms.
            Assert.Equal(text, Encoding.UTF8.GetString(TextForm.Write(MessageParser.Parse(origin.Wire()))));
            Assert.True(MessageSignature.Verify(
                vector.File.Key(message.SenderId).ToPublicKey(), MessageParser.Parse(MessageWriter.Write(message))));
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("body\n---\n---\n")]
    [InlineData("\nbegins with a line feed")]
    [InlineData("ends with one\n")]
    [InlineData("from: mallory\n---\nv: 0.1.0")]
    [InlineData("\0\u001b[2J\r\n")]
    [Conforms("ASP-16")]
    public void A_body_is_anything_and_stays_as_it_is(string body)
    {
        var message = Parse(Headers + "---\n" + body);
        Assert.Equal((body, Endpoint), (message.Content, message.SenderEndpoint));
        Assert.Equal(Headers + "---\n" + body, Encoding.UTF8.GetString(TextForm.Write(message)));
    }

    [Theory]
    [InlineData("unknown: what it says", true)]
    [InlineData("x_9: a: b", true)]
    [InlineData("", true)]
    [InlineData("priority: low", true)]
    [InlineData("priority: normal", false)]
    [InlineData("priority: urgent", false)]
    [InlineData("thread: ", false)]
    [InlineData("thread:x", false)]
    [InlineData("thread:  x", false)]
    [InlineData("thread: x ", false)]
    [InlineData(" thread: x", false)]
    [InlineData("Thread: x", false)]
    [InlineData("thread: x\r", false)]
    [InlineData("thread: a\u0085b", false)]
    [InlineData("from: mallory", false)]
    [InlineData("just words", false)]
    [InlineData("--- ", false)]
    [InlineData(": x", false)]
    [Conforms("ASP-16")]
    public void A_header_line_is_a_key_a_colon_a_blank_and_a_value(string line, bool isRead)
    {
        var text = Headers + line + "\n---\nbody";
        if (isRead)
        {
            Assert.Equal("body", Parse(text).Content);
        }
        else
        {
            Assert.Equal(SwarmError.InvalidRequest, Assert.Throws<SwarmException>(() => Parse(text)).Error);
        }
    }

    [Theory]
    [InlineData("v: 0.1.0")]
    [InlineData("id: 00000000-0000-4000-8000-000000000001")]
    [InlineData("ts: 2026-02-05T14:30:00.123Z")]
    [InlineData("from: alice")]
    [InlineData("to: broadcast")]
    [InlineData("swarm: 550e8400-e29b-41d4-a716-446655440000")]
    [InlineData("type: message")]
    [InlineData("sig: d3+XglyriuPzKDgayEe+EcI8PzEndxCyz//3YOrA+g5dZ2mHnNl6DbaMKpbHdqn8DZigvIuDx2YXOGcg05LECQ==")]
    [Conforms("ASP-16")]
    public void Nothing_that_is_required_may_be_missing_and_the_order_is_free(string line)
    {
        var without = Headers.Replace(line + "\n", "", StringComparison.Ordinal);
        Assert.Throws<SwarmException>(() => Parse(without + "---\n"));
        Assert.Equal(Parse(Headers + "---\nx"), Parse((line + "\n" + without) + "---\nx"));
    }

    [Theory]
    [InlineData("---\nbody")]
    [InlineData("v: 0.1.0")]
    [InlineData("")]
    [InlineData(" \n")]
    [InlineData("{\"v\": 1}\n---\n")]
    [InlineData("é: x\n---\n")]
    [Conforms("ASP-16")]
    public void What_has_no_headers_or_no_delimiter_is_malformed(string text) => Assert.Throws<SwarmException>(() => Parse(text));

    [Fact]
    [Conforms("ASP-16")]
    public void Headers_have_a_limit_and_the_body_has_none_here()
    {
        var room = TextForm.HeaderBytesMax - Encoding.UTF8.GetByteCount(Headers) - "x: ".Length;
        var body = new string('b', 100_000);
        Assert.Equal(body, Parse($"{Headers}x: {new string('y', room)}\n---\n{body}").Content);
        Assert.Throws<SwarmException>(() => Parse($"{Headers}x: {new string('y', room + 1)}\n---\n{body}"));
        var lines = Enumerable.Range(0, TextForm.HeadersMax - 8).Select(i => $"h{i}: x\n");
        Assert.Equal("", Parse($"{Headers}{string.Concat(lines)}---\n").Content);
        Assert.Throws<SwarmException>(() => Parse($"{Headers}{string.Concat(lines)}more: x\n---\n"));
        Assert.Throws<SwarmException>(() => TextForm.Parse([.. Encoding.UTF8.GetBytes(Headers + "---\n"), 0xFF], Endpoint));
        Assert.Throws<SwarmException>(() => TextForm.Parse([(byte)'v', (byte)':', (byte)' ', 0xFF, .. Encoding.UTF8.GetBytes("\n" + Headers + "---\n")], Endpoint));
    }

    public static TheoryData<Func<AspMessage, string, AspMessage>> HeaderValues =>
    [
        (message, value) => message with { ProtocolVersion = value },
        (message, value) => message with { Timestamp = value },
        (message, value) => message with { SenderId = value },
        (message, value) => message with { Recipient = value },
        (message, value) => message with { InReplyTo = value },
        (message, value) => message with { ThreadId = value },
        (message, value) => message with { ExpiresAt = value },
        (message, value) => message with { Signature = value },
    ];

    [Theory]
    [MemberData(nameof(HeaderValues))]
    [Conforms("ASP-16")]
    public void No_value_can_smuggle_a_line_into_the_headers(Func<AspMessage, string, AspMessage> set)
    {
        var message = Parse(Headers + "---\nbody");
        Assert.NotEmpty(TextForm.Write(set(message, "alice")));
        foreach (var value in new[] { "x\nfrom: mallory", "x\rfrom: mallory", "x\r\n---\nbody", "\n", "x\u0085y", "x\0", "", " x", "x ", "\ud800" })
        {
            Assert.Equal(SwarmError.InvalidRequest, Assert.Throws<SwarmException>(() => TextForm.Write(set(message, value))).Error);
        }
    }

    [Theory]
    [InlineData("{}", MessageForm.Json)]
    [InlineData(" \r\n\t{", MessageForm.Json)]
    [InlineData("v: 0.1.0", MessageForm.Text)]
    [InlineData("\n\nfrom: alice", MessageForm.Text)]
    [InlineData("X", MessageForm.Text)]
    [InlineData("", MessageForm.None)]
    [InlineData("  ", MessageForm.None)]
    [InlineData("[1]", MessageForm.None)]
    [InlineData("---\n", MessageForm.None)]
    [InlineData("é", MessageForm.None)]
    [InlineData("1: x", MessageForm.None)]
    [Conforms("ASP-16")]
    public void The_first_character_tells_the_form(string text, MessageForm form) => Assert.Equal(form, TextForm.Detect(Encoding.UTF8.GetBytes(text)));

    private static AspMessage Parse(string text) => TextForm.Parse(Encoding.UTF8.GetBytes(text), Endpoint);

    private static string? HeaderOf(AspMessage message, string name) => name switch
    {
        "v" => message.ProtocolVersion,
        "id" => message.MessageId.ToString(),
        "ts" => message.Timestamp,
        "from" => message.SenderId,
        "to" => message.Recipient,
        "swarm" => message.SwarmId.ToString(),
        "type" => AspWords.Of(message.Kind),
        "reply_to" => message.InReplyTo,
        "thread" => message.ThreadId,
        "priority" => AspWords.Of(message.Priority),
        "expires" => message.ExpiresAt,
        "sig" => message.Signature,
        _ => throw new JsonException($"There is no header {name}."),
    };
}
