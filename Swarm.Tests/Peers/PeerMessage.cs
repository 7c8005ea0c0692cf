using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace Peers;

/// <summary>The message object of ASP §3, and what signs it (§4).</summary>
internal sealed record PeerMessage
{
    public const string Version = "0.1.0";
    public const string Broadcast = "broadcast";

    private static readonly UTF8Encoding Utf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    public string Id { get; init; } = Guid.NewGuid().ToString();

    public required string Timestamp { get; init; }

    public required string Sender { get; init; }

    public required string SenderEndpoint { get; init; }

    public string Recipient { get; init; } = Broadcast;

    public required string SwarmId { get; init; }

    public string Type { get; init; } = "message";

    public required string Content { get; init; }

    public string Signature { get; init; } = "";

    public string? InReplyTo { get; init; }

    public string? ThreadId { get; init; }

    public string? Priority { get; init; }

    public string? ExpiresAt { get; init; }

    public JsonArray? Attachments { get; init; }

    public JsonArray? References { get; init; }

    public JsonObject? Metadata { get; init; }

    /// <summary>Milliseconds are cut off, not rounded (§4.1).</summary>
    public static string Stamp(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);

    public static PeerMessage Read(JsonObject json) => new()
    {
        Id = json.Text("message_id")!,
        Timestamp = json.Text("timestamp")!,
        Sender = json["sender"].Text("agent_id")!,
        SenderEndpoint = json["sender"].Text("endpoint")!,
        Recipient = json.Text("recipient")!,
        SwarmId = json.Text("swarm_id")!,
        Type = json.Text("type")!,
        Content = json.Text("content")!,
        Signature = json.Text("signature")!,
        InReplyTo = json.Text("in_reply_to"),
        ThreadId = json.Text("thread_id"),
        Priority = json.Text("priority"),
        ExpiresAt = json.Text("expires_at"),
        Attachments = json["attachments"]?.DeepClone().AsArray(),
        References = json["references"]?.DeepClone().AsArray(),
        Metadata = json["metadata"]?.DeepClone().AsObject(),
    };

    /// <summary>The text that is hashed: six fields, nothing between them.</summary>
    /// <exception cref="EncoderFallbackException">A lone surrogate.</exception>
    public byte[] SignedText() => Utf8.GetBytes(
        Id.ToLowerInvariant() + TimeAsParsed(Timestamp) + SwarmId.ToLowerInvariant() + Recipient + Type + Content);

    public PeerMessage Signed(byte[] seed) => this with { Signature = Convert.ToBase64String(Ed25519.Sign(seed, SHA256.HashData(SignedText()))) };

    /// <summary>The verify helper that the reference's client library has and its server never calls (§4.4).</summary>
    public bool IsSignedBy(string publicKey)
    {
        try
        {
            return Ed25519.Verify(Decode(publicKey), SHA256.HashData(SignedText()), Decode(Signature));
        }
        catch (Exception e) when (e is FormatException or EncoderFallbackException)
        {
            return false;
        }
    }

    /// <summary>The members in the order in which reference clients write them; what is not set is left out, a normal priority too.</summary>
    public string ToJson()
    {
        var json = new JsonObject
        {
            ["protocol_version"] = Version,
            ["message_id"] = Id,
            ["timestamp"] = Timestamp,
            ["sender"] = new JsonObject { ["agent_id"] = Sender, ["endpoint"] = SenderEndpoint },
            ["recipient"] = Recipient,
            ["swarm_id"] = SwarmId,
            ["type"] = Type,
            ["content"] = Content,
            ["signature"] = Signature,
        };
        Add("in_reply_to", InReplyTo);
        Add("thread_id", ThreadId);
        Add("priority", Priority is "normal" ? null : Priority);
        Add("expires_at", ExpiresAt);
        Add("attachments", Attachments is { Count: > 0 } ? Attachments.DeepClone() : null);
        Add("references", References is { Count: > 0 } ? References.DeepClone() : null);
        Add("metadata", Metadata is { Count: > 0 } ? Metadata.DeepClone() : null);
        return Json.Compact(json);

        void Add(string name, JsonNode? value)
        {
            if (value is not null)
            {
                json[name] = value;
            }
        }
    }

    /// <summary>Standard base64; what is outside the alphabet is skipped (§2.1).</summary>
    public static byte[] Decode(string text) =>
        Convert.FromBase64String(new([.. text.Where(c => char.IsAsciiLetterOrDigit(c) || c is '+' or '/' or '=')]));

    /// <summary>
    /// A time as the reference prints it after it has parsed it: three digits, and an offset of any kind becomes <c>Z</c> without conversion. A text
    /// that it could not parse stays as it is.
    /// </summary>
    private static string TimeAsParsed(string text)
    {
        if (text.Length < 19 || !DateTime.TryParseExact(text[..19], "yyyy-MM-dd'T'HH:mm:ss", CultureInfo.InvariantCulture, DateTimeStyles.None, out _))
        {
            return text;
        }

        var digits = text.Length > 20 && text[19] == '.' ? new string([.. text.Skip(20).TakeWhile(char.IsAsciiDigit)]) : "";
        return $"{text[..19]}.{digits.PadRight(3, '0')[..3]}Z";
    }
}
