using System.Text.Json;
using System.Text.Unicode;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Api.Protocols.AgentSwarm.Wire;

/// <summary>
/// Reads a message in one pass over the body and allocates nothing for what honest peers send. It only says yes or no:
/// <see cref="MessageShape"/> explains a no, and the two agree on every input (a test says so).
/// </summary>
internal static class MessageReader
{
    private const int EndpointBytesMax = AgentSwarmLimits.EndpointCharactersMax * 4;

    private static readonly JsonReaderOptions Options = new() { MaxDepth = AgentSwarmLimits.JsonDepthMax };

    /// <summary>True when the body is a message whose every member has the right shape.</summary>
    public static bool TryRead(ReadOnlySpan<byte> body, out WireMessage message)
    {
        message = new WireMessage { Priority = Priority.Normal };
        if (!Utf8.IsValid(body))
        {
            return false;
        }

        var reader = new Utf8JsonReader(body, Options);
        try
        {
            // The last Read of three throws when something follows the object.
            return reader.Read() && reader.TokenType == JsonTokenType.StartObject && ReadMembers(ref reader, body, ref message) && !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static bool ReadMembers(ref Utf8JsonReader reader, ReadOnlySpan<byte> body, ref WireMessage message)
    {
        var seen = 0;
        HashSet<string>? strangers = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var member = FindMember(ref reader);
            if (!IsFirst(ref reader, member, ref seen, ref strangers))
            {
                return false;
            }

            reader.Read();
            if (!ReadMember(ref reader, body, member, ref message))
            {
                return false;
            }
        }

        return (seen & Required) == Required;
    }

    private static bool ReadMember(ref Utf8JsonReader reader, ReadOnlySpan<byte> body, Member member, ref WireMessage message)
    {
        switch (member)
        {
            case Member.ProtocolVersion:
                return ReadText(ref reader, AgentSwarmLimits.VersionBytesMax, out message.ProtocolVersion)
                    && MessageRules.IsVersion(Plain(body, message.ProtocolVersion, stackalloc byte[AgentSwarmLimits.VersionBytesMax]));
            case Member.MessageId:
                return ReadText(ref reader, AspUuid.Length, out message.MessageIdText)
                    && AspUuid.TryParse(Plain(body, message.MessageIdText, stackalloc byte[AspUuid.Length]), out message.MessageId);
            case Member.SwarmId:
                return ReadText(ref reader, AspUuid.Length, out message.SwarmIdText)
                    && AspUuid.TryParse(Plain(body, message.SwarmIdText, stackalloc byte[AspUuid.Length]), out message.SwarmId);
            case Member.Timestamp:
                return ReadText(ref reader, AgentSwarmLimits.TimeBytesMax, out message.Timestamp);
            case Member.Sender:
                return ReadSender(ref reader, body, ref message);
            case Member.Recipient:
                return ReadText(ref reader, AgentSwarmLimits.AgentIdBytesMax, out message.Recipient);
            case Member.Type:
                return ReadText(ref reader, MessageRules.WordBytesMax, out message.Type)
                    && AspWords.TryParseKind(Plain(body, message.Type, stackalloc byte[MessageRules.WordBytesMax]), out message.Kind);
            case Member.Content:
                return ReadText(ref reader, AgentSwarmLimits.ContentBytesMax, out message.Content, mayHoldNul: true);
            case Member.Signature:
                return ReadText(ref reader, AgentSwarmLimits.KeyTextBytesMax, out message.Signature);
            case Member.InReplyTo or Member.ThreadId:
                return reader.TokenType == JsonTokenType.Null || ReadText(ref reader, AgentSwarmLimits.ReferenceIdBytesMax, out _);
            case Member.ExpiresAt:
                return reader.TokenType == JsonTokenType.Null || ReadText(ref reader, AgentSwarmLimits.TimeBytesMax, out message.ExpiresAt);
            case Member.Priority:
                return ReadText(ref reader, MessageRules.WordBytesMax, out var priority)
                    && AspWords.TryParsePriority(Plain(body, priority, stackalloc byte[MessageRules.WordBytesMax]), out message.Priority);
            case Member.Attachments or Member.References:
                return reader.TokenType == JsonTokenType.Null || ReadObjects(ref reader, body);
            case Member.Metadata:
                return reader.TokenType == JsonTokenType.Null
                    || (reader.TokenType == JsonTokenType.StartObject && ReadAnything(ref reader, body, depth: 1));
            default:
                return ReadAnything(ref reader, body, depth: 1);
        }
    }

    private static bool ReadSender(ref Utf8JsonReader reader, ReadOnlySpan<byte> body, ref WireMessage message)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }

        var seen = 0;
        HashSet<string>? strangers = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var member = NameIs(ref reader, "agent_id"u8) ? Member.AgentId : NameIs(ref reader, "endpoint"u8) ? Member.Endpoint : Member.None;
            if (!IsFirst(ref reader, member, ref seen, ref strangers))
            {
                return false;
            }

            reader.Read();
            var isRight = member switch
            {
                Member.AgentId => ReadText(ref reader, AgentSwarmLimits.AgentIdBytesMax, out message.SenderId) && message.SenderId.Length > 0,
                Member.Endpoint => ReadText(ref reader, EndpointBytesMax, out message.SenderEndpoint) && IsEndpoint(body, message.SenderEndpoint),
                _ => ReadAnything(ref reader, body, depth: 2),
            };
            if (!isRight)
            {
                return false;
            }
        }

        return (seen & RequiredOfSender) == RequiredOfSender;
    }

    /// <summary>An array of objects; what is in them is not our business, but it must be sound JSON.</summary>
    private static bool ReadObjects(ref Utf8JsonReader reader, ReadOnlySpan<byte> body)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            return false;
        }

        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject || !ReadAnything(ref reader, body, depth: 2))
            {
                return false;
            }
        }

        return true;
    }

    private static bool ReadAnything(ref Utf8JsonReader reader, ReadOnlySpan<byte> body, int depth)
    {
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return JsonFault.Find(body[start..(int)reader.BytesConsumed], depth) is null;
    }

    private static bool ReadText(ref Utf8JsonReader reader, int bytesMax, out JsonText text, bool mayHoldNul = false)
    {
        text = default;
        if (reader.TokenType != JsonTokenType.String)
        {
            return false;
        }

        int length = reader.ValueSpan.Length, decoded = length;
        if (reader.ValueIsEscaped
            && (!JsonStrings.TryMeasure(reader.ValueSpan, out decoded, out var holdsNul) || (holdsNul && !mayHoldNul)))
        {
            return false;
        }

        text = new JsonText((int)reader.TokenStartIndex + 1, length, decoded);
        return decoded <= bytesMax;
    }

    private static bool IsEndpoint(ReadOnlySpan<byte> body, JsonText text) =>
        MessageRules.IsEndpoint(Plain(body, text, text.IsEscaped ? stackalloc byte[EndpointBytesMax] : []));

    /// <summary>A member that was read, decoded; the scratch is as large as the member may be.</summary>
    private static ReadOnlySpan<byte> Plain(ReadOnlySpan<byte> body, JsonText text, Span<byte> scratch) => text.Decode(body, scratch);

    private static bool IsFirst(ref Utf8JsonReader reader, Member member, ref int seen, ref HashSet<string>? strangers)
    {
        if (member != Member.None)
        {
            var bit = 1 << (int)member;
            var isFirst = (seen & bit) == 0;
            seen |= bit;
            return isFirst;
        }

        if (reader.ValueIsEscaped && !JsonStrings.TryMeasure(reader.ValueSpan, out _, out _))
        {
            return false;
        }

        strangers ??= new HashSet<string>(StringComparer.Ordinal);
        return strangers.Add(JsonStrings.Decode(reader.ValueSpan))
            && strangers.Count + int.PopCount(seen) <= AgentSwarmLimits.JsonMembersMax;
    }

    private static bool NameIs(ref Utf8JsonReader reader, ReadOnlySpan<byte> name)
    {
        if (!reader.ValueIsEscaped)
        {
            return reader.ValueSpan.SequenceEqual(name);
        }

        Span<byte> decoded = stackalloc byte[NameBytesMax * 6];
        if (reader.ValueSpan.Length > decoded.Length || !JsonStrings.TryMeasure(reader.ValueSpan, out var length, out _))
        {
            return false;
        }

        JsonStrings.Unescape(reader.ValueSpan, decoded);
        return decoded[..length].SequenceEqual(name);
    }

    private static Member FindMember(ref Utf8JsonReader reader)
    {
        if (!reader.ValueIsEscaped)
        {
            return Find(reader.ValueSpan);
        }

        Span<byte> decoded = stackalloc byte[NameBytesMax * 6];
        if (reader.ValueSpan.Length > decoded.Length || !JsonStrings.TryMeasure(reader.ValueSpan, out var length, out _))
        {
            return Member.None;
        }

        JsonStrings.Unescape(reader.ValueSpan, decoded);
        return Find(decoded[..length]);
    }

    private static Member Find(ReadOnlySpan<byte> name) => name.Length switch
    {
        4 when name.SequenceEqual("type"u8) => Member.Type,
        6 when name.SequenceEqual("sender"u8) => Member.Sender,
        7 when name.SequenceEqual("content"u8) => Member.Content,
        8 when name.SequenceEqual("swarm_id"u8) => Member.SwarmId,
        8 when name.SequenceEqual("priority"u8) => Member.Priority,
        8 when name.SequenceEqual("metadata"u8) => Member.Metadata,
        9 when name.SequenceEqual("timestamp"u8) => Member.Timestamp,
        9 when name.SequenceEqual("recipient"u8) => Member.Recipient,
        9 when name.SequenceEqual("signature"u8) => Member.Signature,
        9 when name.SequenceEqual("thread_id"u8) => Member.ThreadId,
        10 when name.SequenceEqual("message_id"u8) => Member.MessageId,
        10 when name.SequenceEqual("expires_at"u8) => Member.ExpiresAt,
        10 when name.SequenceEqual("references"u8) => Member.References,
        11 when name.SequenceEqual("in_reply_to"u8) => Member.InReplyTo,
        11 when name.SequenceEqual("attachments"u8) => Member.Attachments,
        NameBytesMax when name.SequenceEqual("protocol_version"u8) => Member.ProtocolVersion,
        _ => Member.None,
    };

    private const int NameBytesMax = 16;

    private const int Required = (1 << (int)Member.ProtocolVersion) | (1 << (int)Member.MessageId) | (1 << (int)Member.Timestamp)
        | (1 << (int)Member.Sender) | (1 << (int)Member.Recipient) | (1 << (int)Member.SwarmId) | (1 << (int)Member.Type)
        | (1 << (int)Member.Content) | (1 << (int)Member.Signature);

    private const int RequiredOfSender = (1 << (int)Member.AgentId) | (1 << (int)Member.Endpoint);

    private enum Member
    {
        None, ProtocolVersion, MessageId, Timestamp, Sender, Recipient, SwarmId, Type, Content, Signature, InReplyTo, ThreadId, Priority,
        ExpiresAt, Attachments, References, Metadata, AgentId, Endpoint,
    }
}
