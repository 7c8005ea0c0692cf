using System.Text.Json;
using Swarm.Core.Swarms;

namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>Reads a message that a door accepted earlier, or that one of our own programs wrote. Doors validate with their own reader.</summary>
public static class MessageParser
{
    /// <summary>The message in <paramref name="wire"/>.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: it is not the v1 JSON of a message.</exception>
    public static AspMessage Parse(ReadOnlyMemory<byte> wire)
    {
        try
        {
            using var document = JsonDocument.Parse(wire, new JsonDocumentOptions { AllowDuplicateProperties = false });
            return Read(document.RootElement);
        }
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new SwarmException(SwarmError.InvalidRequest, "The bytes are not an Agent Swarm Protocol message.");
        }
    }

    private static AspMessage Read(JsonElement json)
    {
        var sender = json.GetProperty("sender"u8);
        if (!AspUuid.TryParse(Text(json, "message_id"u8), out var messageId) || !AspUuid.TryParse(Text(json, "swarm_id"u8), out var swarmId)
            || !AspWords.TryParseKind(StrictUtf8.GetBytes(Text(json, "type"u8)), out var kind)
            || !AspWords.TryParsePriority(StrictUtf8.GetBytes(OptionalText(json, "priority"u8) ?? "normal"), out var priority))
        {
            throw new JsonException();
        }

        return new AspMessage
        {
            ProtocolVersion = Text(json, "protocol_version"u8),
            MessageId = new MessageId(messageId),
            Timestamp = Text(json, "timestamp"u8),
            SenderId = Text(sender, "agent_id"u8),
            SenderEndpoint = Text(sender, "endpoint"u8),
            Recipient = Text(json, "recipient"u8),
            SwarmId = new SwarmId(swarmId),
            Kind = kind,
            Content = Text(json, "content"u8),
            Signature = Text(json, "signature"u8),
            InReplyTo = OptionalText(json, "in_reply_to"u8),
            ThreadId = OptionalText(json, "thread_id"u8),
            Priority = priority,
            ExpiresAt = OptionalText(json, "expires_at"u8),
            Attachments = Element(json, "attachments"u8),
            References = Element(json, "references"u8),
            Metadata = Element(json, "metadata"u8),
        };
    }

    private static string Text(JsonElement json, ReadOnlySpan<byte> name) => json.GetProperty(name).GetString() ?? throw new JsonException();

    private static string? OptionalText(JsonElement json, ReadOnlySpan<byte> name) =>
        json.TryGetProperty(name, out var value) ? value.GetString() : null;

    private static JsonElement? Element(JsonElement json, ReadOnlySpan<byte> name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value.Clone() : null;
}
