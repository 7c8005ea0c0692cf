using System.Text.Json;
using System.Text.Json.Nodes;
using NSec.Cryptography;
using Swarm.Core.Swarms;

namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>
/// Builds a message step by step and signs it. Like the reference's builder it refuses a missing recipient, swarm or content (ASP §3);
/// who means an empty content fills <see cref="AspMessage"/> directly.
/// </summary>
public sealed class MessageBuilder(string senderId, string senderEndpoint, TimeProvider time)
{
    private readonly JsonArray _attachments = [];
    private readonly JsonArray _references = [];
    private readonly JsonObject _metadata = [];
    private string? _recipient;
    private SwarmId? _swarm;
    private string? _content;
    private string? _inReplyTo;
    private string? _threadId;
    private DateTimeOffset? _expiresAt;
    private MessageKind _kind = MessageKind.Message;
    private Priority _priority = Priority.Normal;

    public MessageBuilder To(string recipient)
    {
        _recipient = recipient;
        return this;
    }

    public MessageBuilder ToEverybody() => To(Identity.AgentName.Broadcast);

    public MessageBuilder In(SwarmId swarm)
    {
        _swarm = swarm;
        return this;
    }

    public MessageBuilder Saying(string content, MessageKind kind = MessageKind.Message)
    {
        (_content, _kind) = (content, kind);
        return this;
    }

    public MessageBuilder InReplyTo(MessageId message)
    {
        _inReplyTo = message.ToString();
        return this;
    }

    public MessageBuilder InThread(string threadId)
    {
        _threadId = threadId;
        return this;
    }

    public MessageBuilder With(Priority priority)
    {
        _priority = priority;
        return this;
    }

    public MessageBuilder ExpiringAt(DateTimeOffset time)
    {
        _expiresAt = time;
        return this;
    }

    /// <param name="type"><c>url</c> or <c>inline</c>.</param>
    /// <param name="mimeType">The media type of what is attached.</param>
    /// <param name="content">The URL, or base64.</param>
    public MessageBuilder Attach(string type, string mimeType, string content)
    {
        _attachments.Add(new JsonObject { ["type"] = type, ["mime_type"] = mimeType, ["content"] = content });
        return this;
    }

    /// <summary>Adds a reference; members are written in the order of ASP §3, unset ones left out.</summary>
    public MessageBuilder Refer(
        string type, string? repo = null, long? number = null, string? sha = null, string? url = null, string? action = null)
    {
        var reference = new JsonObject { ["type"] = type };
        Set(reference, "repo", repo);
        Set(reference, "number", number);
        Set(reference, "sha", sha);
        Set(reference, "url", url);
        Set(reference, "action", action);
        _references.Add(reference);
        return this;

        static void Set(JsonObject json, string name, JsonNode? value)
        {
            if (value is not null)
            {
                json[name] = value;
            }
        }
    }

    /// <param name="name">The key.</param>
    /// <param name="value">A string, integer, boolean or null, which is what client libraries allow.</param>
    public MessageBuilder WithMetadata(string name, JsonValue? value)
    {
        _metadata[name] = value;
        return this;
    }

    /// <summary>The signed message with a new random id and the time of now.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: recipient, swarm or content is missing, or is not Unicode text.</exception>
    public AspMessage Sign(Key key)
    {
        if (string.IsNullOrEmpty(_recipient))
        {
            throw Missing("recipient");
        }

        if (_swarm is not { } swarm)
        {
            throw Missing("swarm");
        }

        if (string.IsNullOrEmpty(_content))
        {
            throw Missing("content");
        }

        return MessageSignature.Sign(key, new AspMessage
        {
            MessageId = new MessageId(Guid.NewGuid()),
            Timestamp = AspTimestamp.Format(time.GetUtcNow()),
            SenderId = senderId,
            SenderEndpoint = senderEndpoint,
            Recipient = _recipient,
            SwarmId = swarm,
            Kind = _kind,
            Content = _content,
            InReplyTo = _inReplyTo,
            ThreadId = _threadId,
            Priority = _priority,
            ExpiresAt = _expiresAt is { } expiry ? AspTimestamp.Format(expiry) : null,
            Attachments = Element(_attachments, _attachments.Count),
            References = Element(_references, _references.Count),
            Metadata = Element(_metadata, _metadata.Count),
        });
    }

    private static JsonElement? Element(JsonNode node, int count) => count == 0 ? null : JsonSerializer.SerializeToElement(node, JsonNodes.Default.JsonNode);

    private static SwarmException Missing(string what) => new(SwarmError.InvalidRequest, $"The message has no {what}.");
}

[System.Text.Json.Serialization.JsonSerializable(typeof(JsonNode))]
internal sealed partial class JsonNodes : System.Text.Json.Serialization.JsonSerializerContext;
