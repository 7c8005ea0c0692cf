using System.Text;
using Swarm.Core.Swarms;

namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>
/// Reads a message back from the text that the reference stored (ASP §5.3): the members that are signed, and what belongs to them.
/// Attachments, references and metadata are not read.
/// </summary>
public static class ToonReader
{
    /// <summary>The message in a stored text; null when it is none, such as a notice or a text of another program.</summary>
    public static AspMessage? ReadMessage(string text)
    {
        var members = new Dictionary<string, string>(StringComparer.Ordinal);
        var prefix = "";
        foreach (var line in text.Split('\n'))
        {
            var isNested = line.StartsWith("  ", StringComparison.Ordinal);
            if (line == "sender:")
            {
                prefix = "sender.";
                continue;
            }

            prefix = isNested ? prefix : "";
            var colon = line.IndexOf(": ", StringComparison.Ordinal);
            if (colon < 0 || (isNested && prefix.Length == 0))
            {
                continue; // A structure, or something within one.
            }

            if (Value(line[(colon + 2)..]) is not { } value || !members.TryAdd(prefix + line[..colon].Trim(), value))
            {
                return null;
            }
        }

        return members.TryGetValue("protocol_version", out var version) && members.TryGetValue("message_id", out var id) && AspUuid.TryParse(id, out var messageId)
            && members.TryGetValue("swarm_id", out var swarm) && AspUuid.TryParse(swarm, out var swarmId)
            && members.TryGetValue("timestamp", out var timestamp) && members.TryGetValue("sender.agent_id", out var sender)
            && members.TryGetValue("sender.endpoint", out var endpoint) && members.TryGetValue("recipient", out var recipient)
            && members.TryGetValue("type", out var type) && AspWords.TryParseKind(Encoding.UTF8.GetBytes(type), out var kind)
            && members.TryGetValue("content", out var content) && members.TryGetValue("signature", out var signature)
            && AspWords.TryParsePriority(Encoding.UTF8.GetBytes(members.GetValueOrDefault("priority", "normal")), out var priority)
            ? new()
            {
                ProtocolVersion = version,
                MessageId = new(messageId),
                Timestamp = timestamp,
                SenderId = sender,
                SenderEndpoint = endpoint,
                Recipient = recipient,
                SwarmId = new SwarmId(swarmId),
                Kind = kind,
                Content = content,
                Signature = signature,
                InReplyTo = members.GetValueOrDefault("in_reply_to"),
                ThreadId = members.GetValueOrDefault("thread_id"),
                Priority = priority,
                ExpiresAt = members.GetValueOrDefault("expires_at"),
            }
            : null;
    }

    /// <summary>A primitive; null when its quotes are wrong.</summary>
    private static string? Value(string text)
    {
        if (!text.StartsWith('"'))
        {
            return text;
        }

        var value = new StringBuilder(text.Length);
        for (var i = 1; i < text.Length; i++)
        {
            switch (text[i])
            {
                case '"':
                    return i == text.Length - 1 ? value.ToString() : null;
                case '\\' when ++i < text.Length && "\\\"nrt".IndexOf(text[i], StringComparison.Ordinal) is var escape and >= 0:
                    value.Append("\\\"\n\r\t"[escape]);
                    break;
                case '\\':
                    return null;
                default:
                    value.Append(text[i]);
                    break;
            }
        }

        return null;
    }
}
