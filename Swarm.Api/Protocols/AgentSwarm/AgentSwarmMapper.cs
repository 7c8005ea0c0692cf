using System.Buffers;
using System.Text;
using System.Text.Json;
using Swarm.Api.Protocols.AgentSwarm.Wire;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Api.Protocols.AgentSwarm;

/// <summary>Wire ↔ core: the message into an <see cref="Envelope"/>, Core's answers into the protocol's bodies (ASP §8).</summary>
internal static class AgentSwarmMapper
{
    private const int ScratchBytes = AgentSwarmLimits.AgentIdBytesMax;

    /// <summary>The envelope of a message that was posted to <paramref name="door"/>. The wire bytes stay the caller's.</summary>
    public static Envelope ToEnvelope(in WireMessage message, ReadOnlyMemory<byte> wire, AgentProfile door, bool isUnchecked)
    {
        var body = wire.Span;
        Span<byte> scratch = stackalloc byte[ScratchBytes];
        var recipient = message.Recipient.Decode(body, scratch);
        var envelope = new Envelope
        {
            Protocol = Protocol.AgentSwarm,
            MessageId = new MessageId(message.MessageId),
            SwarmId = new SwarmId(message.SwarmId),
            Recipient = NameOf(recipient, door),
            Sender = Encoding.UTF8.GetString(message.SenderId.Decode(body, stackalloc byte[ScratchBytes])),
            Door = door.Id,
            Kind = message.Kind,
            Priority = message.Priority,
            SentAt = ReadTimestamp(message, body),
            ExpiresAt = ReadExpiry(message, body),
            Event = isUnchecked || message.Kind != MessageKind.System ? null : ReadEvent(message, body),
            SignedBytes = Digest(message, body, recipient),
            Signature = ReadSignature(message, body),
            Wire = wire,
            Unchecked = isUnchecked,
        };
        return envelope;
    }

    /// <summary>200 with the id as it was sent (ASP §8.1).</summary>
    public static void WriteQueued(IBufferWriter<byte> output, in WireMessage message, ReadOnlySpan<byte> body)
    {
        var start = "{\"status\":\"queued\",\"message_id\":\""u8;
        var end = "\"}"u8;
        var answer = output.GetSpan(QueuedLength);
        start.CopyTo(answer);
        message.MessageIdText.Decode(body, stackalloc byte[AspUuid.Length]).CopyTo(answer[start.Length..]);
        end.CopyTo(answer[(start.Length + AspUuid.Length)..]);
        output.Advance(QueuedLength);
    }

    /// <summary>The answer to an offer that is taken (ASP §10.6).</summary>
    public static void WriteAccepted(Utf8JsonWriter json, string messageId)
    {
        json.WriteStartObject();
        json.WriteString("status"u8, "accepted"u8);
        json.WriteString("message_id"u8, messageId);
        json.WriteEndObject();
    }

    /// <summary>Bytes of every such answer.</summary>
    public const int QueuedLength = 33 + AspUuid.Length + 2;

    /// <summary>200 with the roster, or 202 (ASP §8.2).</summary>
    public static void WriteJoin(Utf8JsonWriter json, JoinOutcome outcome)
    {
        json.WriteStartObject();
        json.WriteString("status"u8, outcome.Pending ? "pending"u8 : "accepted"u8);
        json.WriteString("swarm_id"u8, outcome.SwarmId.Value);
        if (outcome.Pending)
        {
            json.WriteString("message"u8, "The swarm's master has to approve the request."u8);
        }
        else
        {
            json.WriteString("swarm_name"u8, outcome.SwarmName);
            json.WriteStartArray("members"u8);
            foreach (var member in outcome.Roster)
            {
                json.WriteStartObject();
                json.WriteString("agent_id"u8, member.Name);
                json.WriteString("endpoint"u8, member.Endpoint);
                json.WriteString("public_key"u8, member.PublicKey);
                json.WriteEndObject();
            }

            json.WriteEndArray();
            if (outcome.MasterChanges.Count > 0)
            {
                json.WriteStartArray("master_changes"u8);
                foreach (var change in outcome.MasterChanges)
                {
                    json.WriteRawValue(change);
                }

                json.WriteEndArray();
            }
        }

        json.WriteEndObject();
    }

    /// <summary>ASP §8.3.</summary>
    public static void WriteHealth(Utf8JsonWriter json, AgentProfile agent, DateTimeOffset now)
    {
        json.WriteStartObject();
        json.WriteString("status"u8, "healthy"u8);
        json.WriteString("agent_id"u8, agent.Name);
        json.WriteString("protocol_version"u8, AspMessage.CurrentVersion);
        json.WriteString("timestamp"u8, AspTimestamp.Format(now));
        json.WriteNull("message"u8);
        json.WriteEndObject();
    }

    /// <summary>ASP §8.4.</summary>
    public static void WriteInfo(Utf8JsonWriter json, AgentProfile agent)
    {
        json.WriteStartObject();
        json.WriteString("agent_id"u8, agent.Name);
        json.WriteString("endpoint"u8, agent.Endpoint);
        json.WriteString("public_key"u8, PublicKeyText.Format(agent.PublicKey));
        json.WriteString("protocol_version"u8, AspMessage.CurrentVersion);
        json.WriteStartArray("capabilities"u8);
        json.WriteStringValue("message"u8);
        json.WriteStringValue("system"u8);
        json.WriteStringValue("notification"u8);
        json.WriteEndArray();
        if (agent.DisplayName is null && agent.Description is null)
        {
            json.WriteNull("metadata"u8);
        }
        else
        {
            json.WriteStartObject("metadata"u8);
            WriteIfSet(json, "name"u8, agent.DisplayName);
            WriteIfSet(json, "description"u8, agent.Description);
            json.WriteEndObject();
        }

        json.WriteEndObject();
    }

    private static void WriteIfSet(Utf8JsonWriter json, ReadOnlySpan<byte> name, string? value)
    {
        if (value is not null)
        {
            json.WriteString(name, value);
        }
    }

    /// <summary>The two recipients of nearly every message need no new string.</summary>
    private static string NameOf(ReadOnlySpan<byte> recipient, AgentProfile door) =>
        recipient.SequenceEqual("broadcast"u8) ? AgentName.Broadcast
        : Ascii.Equals(recipient, door.Name) ? door.Name
        : Encoding.UTF8.GetString(recipient);

    private static DateTimeOffset? ReadTimestamp(in WireMessage message, ReadOnlySpan<byte> body) =>
        message.Timestamp.DecodedLength == AspTimestamp.Length
            && AspTimestamp.TryParse(message.Timestamp.Decode(body, stackalloc byte[AspTimestamp.Length]), out var time)
            ? time
            : null;

    /// <summary>Any text may stand there (ASP §3); one that is no time sets no limit.</summary>
    private static DateTimeOffset? ReadExpiry(in WireMessage message, ReadOnlySpan<byte> body) =>
        message.ExpiresAt.IsSet
            && AspTimestamp.TryParseAny(
                Encoding.UTF8.GetString(message.ExpiresAt.Decode(body, stackalloc byte[AgentSwarmLimits.TimeBytesMax])), out var time)
            ? time
            : null;

    private static LifecycleEvent? ReadEvent(in WireMessage message, ReadOnlySpan<byte> body)
    {
        var content = message.Content;
        return content.DecodedLength > LifecycleEvent.ContentBytesMax
            ? null
            : LifecycleEvent.Read(content.Decode(body, new byte[content.IsEscaped ? content.Length : 0]).ToArray());
    }

    private static byte[] Digest(in WireMessage message, ReadOnlySpan<byte> body, ReadOnlySpan<byte> recipient)
    {
        var digest = new byte[SignedDigest.SizeBytes];
        var content = message.Content;
        var rented = content.IsEscaped ? ArrayPool<byte>.Shared.Rent(content.Length) : null;
        try
        {
            SignedDigest.Compute(
                message.MessageId,
                message.Timestamp.Decode(body, message.Timestamp.IsEscaped ? stackalloc byte[message.Timestamp.Length] : []),
                message.SwarmId,
                recipient,
                AspWords.Utf8Of(message.Kind),
                content.Decode(body, rented),
                digest);
        }
        finally
        {
            if (rented is not null)
            {
                ArrayPool<byte>.Shared.Return(rented);
            }
        }

        return digest;
    }

    /// <summary>The 64 bytes; empty when the text is no signature, which does not verify.</summary>
    private static byte[] ReadSignature(in WireMessage message, ReadOnlySpan<byte> body)
    {
        var signature = new byte[MessageSignature.SizeBytes];
        var text = message.Signature.Decode(body, message.Signature.IsEscaped ? stackalloc byte[AgentSwarmLimits.KeyTextBytesMax] : []);
        return MessageSignature.TryDecode(text, signature) ? signature : [];
    }
}
