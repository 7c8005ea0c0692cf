using System.Text.Json;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.Portability;

/// <summary>Writes an export (ASP §13), member for member in the reference's order.</summary>
public static class StateWriter
{
    public static void Write(Utf8JsonWriter json, AgentState state)
    {
        json.WriteStartObject();
        json.WriteString("schema_version"u8, state.SchemaVersion);
        json.WriteString("agent_id"u8, state.AgentId);
        json.WriteString("exported_at"u8, AspTimestamp.FormatLocal(state.ExportedAt));
        json.WriteStartObject("swarms"u8);
        foreach (var swarm in state.Swarms)
        {
            Write(json, swarm);
        }

        json.WriteEndObject();
        WriteTexts(json, "muted_swarms"u8, state.MutedSwarms.Select(id => id.ToString()));
        WriteTexts(json, "muted_agents"u8, state.MutedAgents);
        json.WriteStartObject("public_keys"u8);
        foreach (var key in state.PublicKeys)
        {
            json.WriteStartObject(key.Name);
            json.WriteString("public_key"u8, Convert.ToBase64String(key.PublicKey));
            json.WriteString("fetched_at"u8, AspTimestamp.FormatLocal(key.FetchedAt));
            if (key.Endpoint is { } endpoint)
            {
                json.WriteString("endpoint"u8, endpoint);
            }

            json.WriteEndObject();
        }

        json.WriteEndObject();
        json.WriteStartArray("inbox"u8);
        foreach (var message in state.Inbox)
        {
            Write(json, message);
        }

        json.WriteEndArray();
        json.WriteStartArray("outbox"u8);
        foreach (var message in state.Outbox)
        {
            Write(json, message);
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, StateSwarm swarm)
    {
        json.WriteStartObject(swarm.Id.ToString());
        json.WriteString("swarm_id"u8, swarm.Id.ToString());
        json.WriteString("name"u8, swarm.Name);
        json.WriteString("master"u8, swarm.Master);
        json.WriteStartArray("members"u8);
        foreach (var member in swarm.Members)
        {
            json.WriteStartObject();
            json.WriteString("agent_id"u8, member.Name);
            json.WriteString("endpoint"u8, member.Endpoint);
            json.WriteString("public_key"u8, Convert.ToBase64String(member.PublicKey));
            json.WriteString("joined_at"u8, AspTimestamp.FormatLocal(member.JoinedAt));
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteString("joined_at"u8, AspTimestamp.FormatLocal(swarm.JoinedAt));
        json.WriteStartObject("settings"u8);
        json.WriteBoolean("allow_member_invite"u8, swarm.Settings.AllowMemberInvite);
        json.WriteBoolean("require_approval"u8, swarm.Settings.RequireApproval);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, StateReceived message)
    {
        json.WriteStartObject();
        json.WriteString("message_id"u8, message.MessageId.ToString());
        json.WriteString("swarm_id"u8, message.SwarmId.ToString());
        json.WriteString("sender_id"u8, message.Sender);
        json.WriteString("recipient_id"u8, message.Recipient);
        json.WriteString("message_type"u8, AspWords.Of(message.Kind));
        json.WriteString("content"u8, message.Text);
        json.WriteString("received_at"u8, AspTimestamp.FormatLocal(message.ReceivedAt));
        json.WriteString("status"u8, message.Status switch
        {
            MailStatus.Unread => "unread", MailStatus.Read => "read", MailStatus.Archived => "archived", _ => "deleted",
        });
        WriteTime(json, "read_at"u8, message.ReadAt);
        WriteTime(json, "deleted_at"u8, message.DeletedAt);
        json.WriteEndObject();
    }

    private static void Write(Utf8JsonWriter json, StateSent message)
    {
        json.WriteStartObject();
        json.WriteString("message_id"u8, message.MessageId.ToString());
        json.WriteString("swarm_id"u8, message.SwarmId.ToString());
        json.WriteString("recipient_id"u8, message.Recipient);
        json.WriteString("message_type"u8, AspWords.Of(message.Kind));
        json.WriteString("content"u8, message.Content);
        json.WriteString("sent_at"u8, AspTimestamp.FormatLocal(message.SentAt));
        json.WriteString("status"u8, message.Status switch { SentStatus.Sent => "sent", SentStatus.Delivered => "delivered", _ => "failed" });
        json.WriteNull("delivered_at"u8); // The reference has no such column, and reads null (ASP §13, defects).
        json.WriteString("error"u8, message.Error);
        json.WriteEndObject();
    }

    private static void WriteTime(Utf8JsonWriter json, ReadOnlySpan<byte> name, DateTimeOffset? time) =>
        json.WriteString(name, time is { } at ? AspTimestamp.FormatLocal(at) : null);

    private static void WriteTexts(Utf8JsonWriter json, ReadOnlySpan<byte> name, IEnumerable<string> texts)
    {
        json.WriteStartArray(name);
        foreach (var text in texts)
        {
            json.WriteStringValue(text);
        }

        json.WriteEndArray();
    }
}
