using System.Text;

namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>The forms in which a message may be written (ASP §5.2).</summary>
public enum MessageForm
{
    /// <summary>Neither: malformed.</summary>
    None,

    /// <summary>v1: a JSON object.</summary>
    Json,

    /// <summary>v2: headers, a delimiter line, the body.</summary>
    Text,
}

/// <summary>
/// The v2 text form of a message (ASP §5.2). It carries everything that is signed, so a v1 signature stays valid in it and back; the sender's
/// endpoint, attachments, references and metadata have no place in it.
/// </summary>
public static class TextForm
{
    /// <summary>The media type of the form on the wire.</summary>
    public const string MediaType = "text/x-swarm-message";

    /// <summary>The most bytes before the body.</summary>
    public const int HeaderBytesMax = 16 * 1024;

    /// <summary>The most header lines, unknown ones included.</summary>
    public const int HeadersMax = 64;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>Which form the bytes are in, by the first that is not white space: <c>{</c> begins JSON, a letter the text form.</summary>
    public static MessageForm Detect(ReadOnlySpan<byte> bytes)
    {
        var rest = bytes.TrimStart(" \t\r\n"u8);
        return rest.IsEmpty ? MessageForm.None
            : rest[0] == '{' ? MessageForm.Json
            : char.IsAsciiLetter((char)rest[0]) ? MessageForm.Text
            : MessageForm.None;
    }

    /// <summary>The text of a message. What has no header is left out, a normal priority too.</summary>
    /// <exception cref="SwarmException">
    /// <see cref="SwarmError.InvalidRequest"/>: a header's value is empty, begins or ends with a blank, or holds a control character (with a line
    /// feed it would be another header); or a member holds a lone surrogate.
    /// </exception>
    public static byte[] Write(AspMessage message)
    {
        var text = new StringBuilder(512 + message.Content.Length);
        Append(text, "v", message.ProtocolVersion);
        Append(text, "id", message.MessageId.ToString());
        Append(text, "ts", message.Timestamp);
        Append(text, "from", message.SenderId);
        Append(text, "to", message.Recipient);
        Append(text, "swarm", message.SwarmId.ToString());
        Append(text, "type", AspWords.Of(message.Kind));
        AppendIfSet(text, "reply_to", message.InReplyTo);
        AppendIfSet(text, "thread", message.ThreadId);
        AppendIfSet(text, "priority", message.Priority == Priority.Normal ? null : AspWords.Of(message.Priority));
        AppendIfSet(text, "expires", message.ExpiresAt);
        Append(text, "sig", message.Signature);
        return StrictUtf8.GetBytes(text.Append("---\n").Append(message.Content).ToString());
    }

    /// <summary>Reads the form.</summary>
    /// <param name="endpoint">The sender's endpoint: the roster knows it, the text does not.</param>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: malformed, and why.</exception>
    public static AspMessage Parse(ReadOnlySpan<byte> bytes, string endpoint)
    {
        if (Detect(bytes) != MessageForm.Text)
        {
            throw Malformed("a text begins with a header");
        }

        // The body is taken as it is; so the first delimiter line ends the headers, and one with a blank is none.
        var end = bytes.IndexOf("\n---\n"u8);
        if (end is < 0 or > HeaderBytesMax)
        {
            throw Malformed(end < 0 ? "there is no line ---" : $"the headers take more than {HeaderBytesMax} bytes");
        }

        var headers = ReadHeaders(Decode(bytes[..end]));
        if (!AspWords.TryParseKind(Encoding.UTF8.GetBytes(Required(headers, "type")), out var kind))
        {
            throw Malformed("type is message, system or notification");
        }

        var priority = headers.GetValueOrDefault("priority") switch
        {
            null => Priority.Normal,
            "low" => Priority.Low,
            "high" => Priority.High,
            _ => throw Malformed("priority is low or high, or is left out"),
        };
        return new()
        {
            ProtocolVersion = Required(headers, "v"),
            MessageId = new(Uuid(headers, "id")),
            Timestamp = Required(headers, "ts"),
            SenderId = Required(headers, "from"),
            SenderEndpoint = endpoint,
            Recipient = Required(headers, "to"),
            SwarmId = new(Uuid(headers, "swarm")),
            Kind = kind,
            Content = Decode(bytes[(end + 5)..]),
            Signature = Required(headers, "sig"),
            InReplyTo = headers.GetValueOrDefault("reply_to"),
            ThreadId = headers.GetValueOrDefault("thread"),
            Priority = priority,
            ExpiresAt = headers.GetValueOrDefault("expires"),
        };
    }

    private static Dictionary<string, string> ReadHeaders(string text)
    {
        var headers = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var line in text.Split('\n').Where(line => line.Length > 0))
        {
            var colon = line.IndexOf(": ", StringComparison.Ordinal);
            var (key, value) = colon < 0 ? (line, "") : (line[..colon], line[(colon + 2)..]);
            if (key.Length == 0 || !key.All(c => c is (>= 'a' and <= 'z') or (>= '0' and <= '9') or '_') || Fault(value) is not null)
            {
                throw Malformed("a header line is a key of small letters, a colon, one blank, and a value without blanks around it");
            }

            // Which of two values was meant, nobody can tell; what a reader drops, another may believe.
            if (!headers.TryAdd(key, value) || headers.Count > HeadersMax)
            {
                throw Malformed($"a header comes once, and there are at most {HeadersMax}");
            }
        }

        return headers;
    }

    private static void AppendIfSet(StringBuilder text, string key, string? value)
    {
        if (value is not null)
        {
            Append(text, key, value);
        }
    }

    private static void Append(StringBuilder text, string key, string value)
    {
        if (Fault(value) is { } fault)
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"The header {key} {fault}.");
        }

        text.Append(key).Append(": ").Append(value).Append('\n');
    }

    /// <summary>Why a header cannot have this value; null when it can.</summary>
    private static string? Fault(string value) =>
        value.Length == 0 ? "is empty"
        : value.Any(char.IsControl) ? "holds a control character"
        : value[0] == ' ' || value[^1] == ' ' ? "begins or ends with a blank"
        : null;

    private static string Required(Dictionary<string, string> headers, string key) =>
        headers.GetValueOrDefault(key) ?? throw Malformed($"the header {key} is missing");

    private static Guid Uuid(Dictionary<string, string> headers, string key) =>
        AspUuid.TryParse(Required(headers, key), out var id) ? id : throw Malformed($"{key} is a UUID with hyphens");

    private static string Decode(ReadOnlySpan<byte> bytes)
    {
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw Malformed("it is not valid UTF-8");
        }
    }

    private static SwarmException Malformed(string why) => new(SwarmError.InvalidRequest, $"The message is malformed: {why}.");
}
