using System.Text;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Core.Portability;

/// <summary>Reads the file of an export (ASP §13) and believes nothing in it: whatever is wrong is refused with its place, before anything changes.</summary>
public static class StateReader
{
    /// <summary>Objects and arrays within each other; an export has five.</summary>
    public const int DepthMax = 16;

    private const int ErrorBytesMax = 4_096;

    /// <param name="json">The whole file, UTF-8.</param>
    /// <param name="now">Stands for a time of joining that cannot be read: the reference kept whatever the network said there (ASP §20, W-05).</param>
    /// <exception cref="SwarmException">
    /// <see cref="SwarmError.UnsupportedVersion"/>, or <see cref="SwarmError.InvalidRequest"/> with the place of what is wrong.
    /// </exception>
    public static AgentState Read(ReadOnlyMemory<byte> json, DateTimeOffset now)
    {
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = DepthMax, AllowDuplicateProperties = false });
            return new Reader(now).State(document.RootElement);
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // A string of half a surrogate pair is an InvalidOperationException.
            throw new SwarmException(SwarmError.InvalidRequest, "The state is not sound JSON: an object without duplicate members, in valid UTF-8.");
        }
    }

    private sealed class Reader(DateTimeOffset now)
    {
        public AgentState State(JsonElement root)
        {
            Require(root.ValueKind == JsonValueKind.Object, "", "is an object");
            var version = Text(root, "schema_version", "", 64);
            if (version is not (AgentState.CurrentVersion or AgentState.LegacyVersion))
            {
                throw new SwarmException(SwarmError.UnsupportedVersion, $"Unsupported schema version: {version}");
            }

            var isLegacy = version == AgentState.LegacyVersion;
            return new()
            {
                SchemaVersion = version,
                AgentId = OptionalText(root, "agent_id", "", AgentName.LengthMax) ?? "",
                Swarms = [.. Members(root, "swarms", AgentState.SwarmsMax).Select(member => Swarm(member.Value, member.Name, $"swarms.{Short(member.Name)}"))],
                MutedSwarms = [.. Items(root, "muted_swarms", Mutes.PerAgentMax).Select(item => SwarmId(item.Value, item.Path))],
                MutedAgents = [.. Items(root, "muted_agents", Mutes.PerAgentMax).Select(item => Name(item.Value, item.Path))],
                PublicKeys = [.. Members(root, "public_keys", AgentState.KeysMax).Select(member => KnownKey(member.Value, member.Name))],
                Inbox = isLegacy
                    ? Unique([.. Items(root, "message_queue", AgentState.MessagesMax).Select(item => Queued(item.Value, item.Path))], m => m.MessageId, "message_queue")
                    : Unique([.. Items(root, "inbox", AgentState.MessagesMax).Select(item => Received(item.Value, item.Path))], m => m.MessageId, "inbox"),
                Outbox = isLegacy
                    ? []
                    : Unique([.. Items(root, "outbox", AgentState.MessagesMax).Select(item => Sent(item.Value, item.Path))], m => m.MessageId, "outbox"),
            };
        }

        private StateSwarm Swarm(JsonElement json, string key, string path)
        {
            Require(json.ValueKind == JsonValueKind.Object, path, "is an object");
            var id = SwarmId(Member(json, "swarm_id", path), path + ".swarm_id");
            Require(AspUuid.TryParse(key, out var keyed) && keyed == id.Value, path, "is keyed by its swarm_id");
            var name = Text(json, "name", path, 4 * SwarmLifecycle.NameLengthMax);
            Require(name.EnumerateRunes().Count() is > 0 and <= SwarmLifecycle.NameLengthMax && !name.Any(char.IsControl), path + ".name", "has 1 to 256 characters");
            var members = Items(json, "members", SwarmAdmission.MembersMax, path).Select(item => MemberOf(item.Value, item.Path)).ToList();
            Require(members.DistinctBy(m => m.Name).Count() == members.Count, path + ".members", "has each agent_id once");
            Require(
                members.DistinctBy(m => Convert.ToHexString(m.PublicKey)).Count() == members.Count, path + ".members", "has each public_key once");
            var settings = json.TryGetProperty("settings", out var found) && found.ValueKind != JsonValueKind.Null ? found : default;
            Require(settings.ValueKind is JsonValueKind.Object or JsonValueKind.Undefined, path + ".settings", "is an object");
            return new(
                id, name, Text(json, "master", path, AgentName.LengthMax), members, JoinTime(json),
                new(Flag(settings, "allow_member_invite", path), Flag(settings, "require_approval", path)));
        }

        private StateMember MemberOf(JsonElement json, string path) => new(
            Name(Member(json, "agent_id", path), path + ".agent_id"), Endpoint(Text(json, "endpoint", path, Agents.EndpointLengthMax), path),
            Key(json, path), JoinTime(json));

        private StateKey KnownKey(JsonElement json, string name)
        {
            var path = $"public_keys.{Short(name)}";
            Require(AgentName.IsValid(name), path, "is named by an agent id");
            Require(json.ValueKind == JsonValueKind.Object, path, "is an object");
            return new(
                name, Key(json, path), Time(json, "fetched_at", path),
                OptionalText(json, "endpoint", path, Agents.EndpointLengthMax) is { } endpoint ? Endpoint(endpoint, path) : null);
        }

        private StateReceived Received(JsonElement json, string path)
        {
            var status = Text(json, "status", path, 16) switch
            {
                "unread" => MailStatus.Unread,
                "read" => MailStatus.Read,
                "archived" => MailStatus.Archived,
                "deleted" => MailStatus.Deleted,
                _ => throw Wrong(path + ".status", "is unread, read, archived or deleted"),
            };
            return Received(json, path, OptionalText(json, "recipient_id", path, AgentName.LengthMax), status, "read_at") with
            {
                DeletedAt = OptionalTime(json, "deleted_at", path),
            };
        }

        /// <summary>A row of the old queue: what waited or was worked on is unread, everything else was handled.</summary>
        private StateReceived Queued(JsonElement json, string path) => Received(
            json, path, null,
            OptionalText(json, "status", path, 64) is null or "pending" or "processing" ? MailStatus.Unread : MailStatus.Read, "processed_at");

        private static StateReceived Received(JsonElement json, string path, string? recipient, MailStatus status, string readAt) => new(
            MessageId(json, path), SwarmId(Member(json, "swarm_id", path), path + ".swarm_id"), Name(Member(json, "sender_id", path), path + ".sender_id"),
            recipient, Kind(json, path), Text(json, "content", path, AgentState.TextBytesMax, mayHoldNul: true), Time(json, "received_at", path), status,
            OptionalTime(json, readAt, path), null);

        private static StateSent Sent(JsonElement json, string path)
        {
            var status = Text(json, "status", path, 16) switch
            {
                "sent" => SentStatus.Sent,
                "delivered" => SentStatus.Delivered,
                "failed" => SentStatus.Failed,
                _ => throw Wrong(path + ".status", "is sent, delivered or failed"),
            };
            return new(
                MessageId(json, path), SwarmId(Member(json, "swarm_id", path), path + ".swarm_id"), Name(Member(json, "recipient_id", path), path + ".recipient_id"),
                Kind(json, path), Text(json, "content", path, AgentState.TextBytesMax, mayHoldNul: true), Time(json, "sent_at", path), status,
                OptionalText(json, "error", path, ErrorBytesMax));
        }

        private static List<T> Unique<T>(List<T> rows, Func<T, MessageId> id, string path)
        {
            Require(rows.DistinctBy(id).Count() == rows.Count, path, "has each message_id once");
            return rows;
        }

        private static MessageKind Kind(JsonElement json, string path) =>
            AspWords.TryParseKind(Encoding.UTF8.GetBytes(Text(json, "message_type", path, 16)), out var kind)
                ? kind
                : throw Wrong(path + ".message_type", "is message, system or notification");

        private static MessageId MessageId(JsonElement json, string path) =>
            AspUuid.TryParse(Text(json, "message_id", path, AspUuid.Length), out var id) ? new(id) : throw Wrong(path + ".message_id", "is a UUID with hyphens");

        private static SwarmId SwarmId(JsonElement json, string path) =>
            json.ValueKind == JsonValueKind.String && AspUuid.TryParse(json.GetString(), out var id) ? new(id) : throw Wrong(path, "is a UUID with hyphens");

        private static string Name(JsonElement json, string path) =>
            json.ValueKind == JsonValueKind.String && json.GetString() is { } name && AgentName.IsValid(name)
                ? name
                : throw Wrong(path, "is an agent id: 1 to 256 letters, digits, '_', '.', '-'");

        private static string Endpoint(string text, string path) => Agents.IsValidEndpoint(text) ? text : throw Wrong(path + ".endpoint", "is an https URL");

        private static byte[] Key(JsonElement json, string path) =>
            PublicKeyText.TryParse(Text(json, "public_key", path, PublicKeyText.Length), out var key)
                ? key.Export(KeyBlobFormat.RawPublicKey)
                : throw Wrong(path + ".public_key", "is base64 of the 32 bytes of an Ed25519 key");

        private DateTimeOffset JoinTime(JsonElement json) =>
            json.TryGetProperty("joined_at", out var value) && value.ValueKind == JsonValueKind.String && AspTimestamp.TryParseAny(value.GetString()!, out var time)
                ? time.ToUniversalTime()
                : now;

        private static DateTimeOffset Time(JsonElement json, string name, string path) =>
            OptionalTime(json, name, path) ?? throw Wrong($"{path}.{name}", "is a time");

        private static DateTimeOffset? OptionalTime(JsonElement json, string name, string path) =>
            OptionalText(json, name, path, 64) is not { } text ? null
            : AspTimestamp.TryParseAny(text, out var time) ? time.ToUniversalTime()
            : throw Wrong($"{path}.{name}", "is a time like 2026-02-05T14:30:00+00:00");

        private static bool Flag(JsonElement json, string name, string path) =>
            json.ValueKind == JsonValueKind.Object && json.TryGetProperty(name, out var value) && value.ValueKind switch
            {
                JsonValueKind.True => true,
                JsonValueKind.False or JsonValueKind.Null => false,
                _ => throw Wrong($"{path}.settings.{name}", "is true or false"),
            };

        private static string Text(JsonElement json, string name, string path, int bytesMax, bool mayHoldNul = false) =>
            OptionalText(json, name, path, bytesMax, mayHoldNul) ?? throw Wrong(Join(path, name), "is missing");

        private static string? OptionalText(JsonElement json, string name, string path, int bytesMax, bool mayHoldNul = false)
        {
            Require(json.ValueKind == JsonValueKind.Object, path, "is an object");
            if (!json.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
            {
                return null;
            }

            Require(value.ValueKind == JsonValueKind.String, Join(path, name), "is a text");
            var text = value.GetString()!;
            Require(StrictUtf8.GetByteCount(text) <= bytesMax, Join(path, name), $"has at most {bytesMax} bytes");
            Require(mayHoldNul || !text.Contains('\0'), Join(path, name), "holds no U+0000");
            return text;
        }

        private static JsonElement Member(JsonElement json, string name, string path)
        {
            Require(json.ValueKind == JsonValueKind.Object, path, "is an object");
            return json.TryGetProperty(name, out var value) ? value : throw Wrong(Join(path, name), "is missing");
        }

        private static List<JsonProperty> Members(JsonElement root, string name, int max)
        {
            if (!root.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
            {
                return [];
            }

            Require(value.ValueKind == JsonValueKind.Object && value.GetPropertyCount() <= max, name, $"is an object of at most {max} members");
            return [.. value.EnumerateObject()];
        }

        private static IEnumerable<(JsonElement Value, string Path)> Items(JsonElement json, string name, int max, string path = "")
        {
            if (!json.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
            {
                return [];
            }

            var at = Join(path, name);
            Require(value.ValueKind == JsonValueKind.Array && value.GetArrayLength() <= max, at, $"is an array of at most {max} items");
            return value.EnumerateArray().Select((item, i) => (item, $"{at}[{i}]"));
        }

        private static string Join(string path, string name) => path.Length == 0 ? name : $"{path}.{name}";

        private static string Short(string text) => text.Length <= AspUuid.Length ? text : text[..AspUuid.Length] + "…";

        private static void Require(bool isRight, string path, string rule)
        {
            if (!isRight)
            {
                throw Wrong(path, rule);
            }
        }

        private static SwarmException Wrong(string path, string rule) =>
            new(SwarmError.InvalidRequest, $"The state is refused: {(path.Length == 0 ? "it" : path)} {rule}.");
    }
}
