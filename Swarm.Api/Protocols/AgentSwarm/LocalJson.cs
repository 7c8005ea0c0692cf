using System.Globalization;
using System.Text.Json;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Api.Protocols.AgentSwarm;

/// <summary>The bodies of the local endpoints (ASP §9). Null members are present, as everywhere in this protocol.</summary>
internal static class LocalJson
{
    public static void WriteInbox(Utf8JsonWriter json, MailPage page)
    {
        json.WriteStartObject();
        json.WriteNumber("count"u8, page.Items.Count);
        json.WriteStartArray("messages"u8);
        foreach (var item in page.Items)
        {
            WriteItem(json, item);
        }

        WriteEnd(json, page.NextBefore);
    }

    public static void WriteItem(Utf8JsonWriter json, MailItem item)
    {
        json.WriteStartObject();
        json.WriteString("message_id"u8, item.MessageId.ToString());
        json.WriteString("swarm_id"u8, item.SwarmId.ToString());
        json.WriteString("sender_id"u8, item.Sender);
        json.WriteString("recipient_id"u8, item.Recipient);
        json.WriteString("message_type"u8, AspWords.Of(item.Kind));
        json.WriteString("status"u8, WordOf(item.Status));
        json.WriteString("received_at"u8, AspTimestamp.FormatLocal(item.ReceivedAt));
        json.WriteString("read_at"u8, item.ReadAt is { } at ? AspTimestamp.FormatLocal(at) : null);
        json.WriteString("content_preview"u8, item.Text);
        json.WriteEndObject();
    }

    public static void WriteCounts(Utf8JsonWriter json, MailCounts counts)
    {
        json.WriteStartObject();
        json.WriteNumber("unread"u8, counts.Unread);
        json.WriteNumber("read"u8, counts.Read);
        json.WriteNumber("archived"u8, counts.Archived);
        json.WriteNumber("deleted"u8, counts.Deleted);
        json.WriteNumber("total"u8, counts.Total);
        json.WriteEndObject();
    }

    public static void WriteOutbox(Utf8JsonWriter json, SentPage page)
    {
        json.WriteStartObject();
        json.WriteNumber("count"u8, page.Items.Count);
        json.WriteStartArray("messages"u8);
        foreach (var item in page.Items)
        {
            json.WriteStartObject();
            json.WriteString("message_id"u8, item.Message.MessageId.ToString());
            json.WriteString("swarm_id"u8, item.Message.SwarmId.ToString());
            json.WriteString("recipient_id"u8, item.Message.Recipient);
            json.WriteString("message_type"u8, AspWords.Of(item.Message.Kind));
            json.WriteString("status"u8, item.Status switch { SentStatus.Sent => "sent", SentStatus.Delivered => "delivered", _ => "failed" });
            json.WriteString("sent_at"u8, AspTimestamp.FormatLocal(item.AcceptedAt));
            json.WriteString("error"u8, item.Error);
            json.WriteString("content_preview"u8, item.Message.Content);
            json.WriteEndObject();
        }

        WriteEnd(json, page.NextBefore);
    }

    public static void WriteCounts(Utf8JsonWriter json, SentCounts counts)
    {
        json.WriteStartObject();
        json.WriteNumber("sent"u8, counts.Sent);
        json.WriteNumber("delivered"u8, counts.Delivered);
        json.WriteNumber("failed"u8, counts.Failed);
        json.WriteNumber("total"u8, counts.Total);
        json.WriteEndObject();
    }

    /// <summary>The error of a local route: a plain text (ASP §7.2).</summary>
    public static Task WriteErrorAsync(HttpResponse response, int status, string error) =>
        AgentSwarmErrors.WriteJsonAsync(response, status, error, static (json, text) =>
        {
            json.WriteStartObject();
            json.WriteString("error"u8, text);
            json.WriteEndObject();
        });

    public static string WordOf(MailStatus status) => status switch
    {
        MailStatus.Unread => "unread",
        MailStatus.Read => "read",
        MailStatus.Archived => "archived",
        _ => "deleted",
    };

    /// <summary>What an error repeats of somebody's input.</summary>
    public static string Shorten(string text)
    {
        var end = AgentSwarmLimits.EchoCharactersMax;
        return text.Length <= end ? text : text[..(char.IsHighSurrogate(text[end - 1]) ? end - 1 : end)];
    }

    private static void WriteEnd(Utf8JsonWriter json, long? next)
    {
        json.WriteEndArray();
        if (next is { } cursor)
        {
            json.WriteString("next_cursor"u8, cursor.ToString(CultureInfo.InvariantCulture));
        }

        json.WriteEndObject();
    }
}
