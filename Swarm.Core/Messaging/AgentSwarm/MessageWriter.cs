using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>Writes the v1 JSON of a message in the order in which reference clients write it (ASP §3).</summary>
public static class MessageWriter
{
    // Letters of every script stay as they are, like in what reference clients send; the text never lands in a web page.
    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private const int KeptBytesMax = 64 * 1024;

    [ThreadStatic]
    private static (ArrayBufferWriter<byte> Buffer, Utf8JsonWriter Json)? t_kept;

    /// <summary>The UTF-8 body of a POST to <c>/swarm/message</c>. Unset optional members and a normal priority are left out.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: a member holds a lone surrogate.</exception>
    public static byte[] Write(AspMessage message)
    {
        // Kept by the thread: a buffer that is as large as the message would be garbage as soon as the bytes are taken out of it.
        var (buffer, json) = t_kept ?? NewBuffer();
        t_kept = null;
        try
        {
            json.WriteStartObject();
            WriteText(json, "protocol_version"u8, message.ProtocolVersion);
            json.WriteString("message_id"u8, message.MessageId.Value);
            WriteText(json, "timestamp"u8, message.Timestamp);
            json.WriteStartObject("sender"u8);
            WriteText(json, "agent_id"u8, message.SenderId);
            WriteText(json, "endpoint"u8, message.SenderEndpoint);
            json.WriteEndObject();
            WriteText(json, "recipient"u8, message.Recipient);
            json.WriteString("swarm_id"u8, message.SwarmId.Value);
            json.WriteString("type"u8, AspWords.Utf8Of(message.Kind));
            WriteText(json, "content"u8, message.Content);
            WriteText(json, "signature"u8, message.Signature);
            WriteText(json, "in_reply_to"u8, message.InReplyTo);
            WriteText(json, "thread_id"u8, message.ThreadId);
            WriteText(json, "priority"u8, message.Priority == Priority.Normal ? null : AspWords.Of(message.Priority));
            WriteText(json, "expires_at"u8, message.ExpiresAt);
            WriteElement(json, "attachments"u8, message.Attachments);
            WriteElement(json, "references"u8, message.References);
            WriteElement(json, "metadata"u8, message.Metadata);
            json.WriteEndObject();
            json.Flush();
            return buffer.WrittenSpan.ToArray();
        }
        finally
        {
            if (buffer.Capacity <= KeptBytesMax)
            {
                buffer.ResetWrittenCount();
                json.Reset();
                t_kept = (buffer, json);
            }
        }
    }

    private static (ArrayBufferWriter<byte> Buffer, Utf8JsonWriter Json) NewBuffer()
    {
        var buffer = new ArrayBufferWriter<byte>(2048);
        return (buffer, new(buffer, Options));
    }

    private static void WriteText(Utf8JsonWriter json, ReadOnlySpan<byte> name, string? value)
    {
        if (value is null)
        {
            return;
        }

        // Through strict UTF-8: the writer itself would put U+FFFD for a lone surrogate.
        var utf8 = ArrayPool<byte>.Shared.Rent(StrictUtf8.GetByteCount(value));
        try
        {
            json.WriteString(name, utf8.AsSpan(0, StrictUtf8.GetBytes(value, utf8)));
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(utf8);
        }
    }

    private static void WriteElement(Utf8JsonWriter json, ReadOnlySpan<byte> name, JsonElement? value)
    {
        var isEmpty = value?.ValueKind switch
        {
            JsonValueKind.Array => value.Value.GetArrayLength() == 0,
            JsonValueKind.Object => value.Value.GetPropertyCount() == 0,
            _ => true,
        };
        if (!isEmpty)
        {
            json.WritePropertyName(name);
            value!.Value.WriteTo(json);
        }
    }
}
