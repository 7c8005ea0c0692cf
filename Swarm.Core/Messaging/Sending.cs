using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Core.Messaging;

/// <summary>What an agent of this node wants to say. The node signs it for a hosted agent; an external one brings id, time and signature.</summary>
public sealed record Draft(SwarmId SwarmId, string Content)
{
    public string To { get; init; } = AgentName.Broadcast;

    public MessageKind Kind { get; init; } = MessageKind.Message;

    public Priority Priority { get; init; } = Priority.Normal;

    public string? InReplyTo { get; init; }

    public string? ThreadId { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>When it is to be delivered; null for at once. At most <see cref="Intake.DeliverAtMax"/> ahead.</summary>
    public DateTimeOffset? DeliverAt { get; init; }

    public JsonElement? Attachments { get; init; }

    public JsonElement? References { get; init; }

    public JsonElement? Metadata { get; init; }

    /// <summary>The id to use; null for a new one, or the one that belongs to <see cref="IdempotencyKey"/>.</summary>
    public MessageId? MessageId { get; init; }

    /// <summary>The signed time of an external agent's message.</summary>
    public string? Timestamp { get; init; }

    /// <summary>The signature of an external agent's message, base64.</summary>
    public string? Signature { get; init; }

    /// <summary>The same key with the same draft is the same message, however often it is sent.</summary>
    public string? IdempotencyKey { get; init; }
}

/// <summary>Sends for the agents of this node: signs, or checks that the agent signed, and hands the message to the intake, which fans out.</summary>
public sealed class Sending(Intake intake, HostedKeys keys, Outbox outbox, TimeProvider time)
{
    /// <summary>The longest content, in bytes of UTF-8.</summary>
    public const int ContentBytesMax = 1024 * 1024;

    /// <summary>The longest idempotency key, in characters.</summary>
    public const int IdempotencyKeyLengthMax = 256;

    /// <summary>The longest reply or thread id, in characters.</summary>
    public const int ReferenceLengthMax = 256;

    /// <summary>The largest of attachments, references and metadata, in bytes of JSON.</summary>
    public const int ExtraBytesMax = 1024 * 1024;

    /// <summary>Sends one message; the receipt comes after the commit.</summary>
    public async Task<(MessageId Id, Receipt Receipt)> SendAsync(AgentProfile from, Draft draft, CancellationToken cancellation)
    {
        var outgoing = await SealAsync(from, draft, cancellation);
        return outgoing.Envelope is null
            ? (outgoing.Id, Receipt.Refuse(outgoing.Refusal!))
            : (outgoing.Id, await ReceiptAsync(outgoing, await intake.AcceptAsync(outgoing.Envelope, cancellation), cancellation));
    }

    /// <summary>Messages that are sent one after the other and waited for together.</summary>
    public SendingBatch Begin(int messages) => new(this, intake.Begin(messages), messages);

    /// <summary>Signs the draft, or takes the signature that its agent brought.</summary>
    internal async ValueTask<Outgoing> SealAsync(AgentProfile from, Draft draft, CancellationToken cancellation)
    {
        if (Check(draft) is { } refusal)
        {
            return new(from, draft.MessageId ?? default) { Refusal = refusal };
        }

        var id = draft.MessageId ?? (draft.IdempotencyKey is { } key ? Derive(from.Id, key) : new MessageId(Guid.CreateVersion7(time.GetUtcNow())));
        try
        {
            var (message, digest, signature) = draft.Signature is not null || from.Kind != AgentKind.Hosted
                ? Presigned(from, draft, id)
                : Sign(await keys.OpenAsync(from, cancellation), Unsigned(from, draft, id, AspTimestamp.Format(time.GetUtcNow())));
            return new(from, id)
            {
                Envelope = ToEnvelope(from, message, digest, signature, draft),
                Repeatable = draft.Signature is null && (draft.MessageId is not null || draft.IdempotencyKey is not null) ? message : null,
            };
        }
        catch (SwarmException e)
        {
            return new(from, id) { Refusal = e.Error };
        }
    }

    /// <summary>The node signs with the time of each try, so a repeated request has another fingerprint; it is the same message.</summary>
    internal async ValueTask<Receipt> ReceiptAsync(Outgoing outgoing, Receipt receipt, CancellationToken cancellation) =>
        receipt.Error == SwarmError.MessageIdReused && outgoing.Repeatable is { } again
        && await outbox.FindAsync(outgoing.From!.Id, outgoing.Id, cancellation) is { } first && IsSame(first, again)
            ? new(ReceiptStatus.Duplicate, 0, 0, null, 0)
            : receipt;

    private static SwarmError? Check(Draft draft)
    {
        try
        {
            if (StrictUtf8.GetByteCount(draft.Content) > ContentBytesMax)
            {
                return SwarmError.ContentTooLong;
            }
        }
        catch (SwarmException e)
        {
            return e.Error;
        }

        return !AgentName.IsValid(draft.To)
            || draft.InReplyTo?.Length > ReferenceLengthMax
            || draft.ThreadId?.Length > ReferenceLengthMax
            || draft.IdempotencyKey is { Length: 0 or > IdempotencyKeyLengthMax }
            || IsTooLarge(draft.Attachments) || IsTooLarge(draft.References) || IsTooLarge(draft.Metadata)
                ? SwarmError.InvalidRequest
                : null;
    }

    private static bool IsTooLarge(JsonElement? extra) => extra is { } json && json.GetRawText().Length > ExtraBytesMax;

    private static (AspMessage Message, byte[] Digest, byte[] Signature) Presigned(AgentProfile from, Draft draft, MessageId id)
    {
        if (draft is not { Signature: { } text, Timestamp: { } timestamp, MessageId: not null })
        {
            throw new SwarmException(SwarmError.KeyNotHeld);
        }

        var signature = new byte[MessageSignature.SizeBytes];
        if (!MessageSignature.TryDecode(Encoding.UTF8.GetBytes(text), signature))
        {
            throw new SwarmException(SwarmError.InvalidSignature);
        }

        var message = Unsigned(from, draft, id, timestamp) with { Signature = text };
        return (message, SignedDigest.Compute(message), signature);
    }

    private static (AspMessage Message, byte[] Digest, byte[] Signature) Sign(Key key, AspMessage unsigned)
    {
        var digest = SignedDigest.Compute(unsigned);
        var signature = SignatureAlgorithm.Ed25519.Sign(key, digest);
        return (unsigned with { Signature = Convert.ToBase64String(signature) }, digest, signature);
    }

    private static AspMessage Unsigned(AgentProfile from, Draft draft, MessageId id, string timestamp) => new()
    {
        MessageId = id,
        Timestamp = timestamp,
        SenderId = from.Name,
        SenderEndpoint = from.Endpoint,
        Recipient = draft.To,
        SwarmId = draft.SwarmId,
        Kind = draft.Kind,
        Content = draft.Content,
        InReplyTo = draft.InReplyTo,
        ThreadId = draft.ThreadId,
        Priority = draft.Priority,
        ExpiresAt = draft.ExpiresAt is { } expiry ? AspTimestamp.Format(expiry) : null,
        Attachments = draft.Attachments,
        References = draft.References,
        Metadata = draft.Metadata,
    };

    private static Envelope ToEnvelope(AgentProfile from, AspMessage message, byte[] digest, byte[] signature, Draft draft) => new()
    {
        Protocol = Protocol.AgentSwarm,
        MessageId = message.MessageId,
        IsIdMinted = draft.MessageId is null && draft.IdempotencyKey is null,
        SwarmId = message.SwarmId,
        Sender = message.SenderId,
        Recipient = message.Recipient,
        Kind = message.Kind,
        Priority = message.Priority,
        SentAt = AspTimestamp.TryParse(message.Timestamp, out var sentAt) ? sentAt : null,
        ExpiresAt = draft.ExpiresAt,
        DeliverAt = draft.DeliverAt,
        SignedBytes = digest,
        Event = message.Kind == MessageKind.System ? LifecycleEvent.Read(StrictUtf8.GetBytes(message.Content)) : null,
        Signature = signature,
        SignedHereWith = draft.Signature is null && from.Kind == AgentKind.Hosted ? from.PublicKey : null,
        Wire = MessageWriter.Write(message),
    };

    /// <summary>A stable UUID of an agent's idempotency key (version 8: made of a hash).</summary>
    private static MessageId Derive(AgentId agent, string key)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes($"swarm idempotency {agent} {key}"), hash);
        hash[6] = (byte)((hash[6] & 0x0f) | 0x80);
        hash[8] = (byte)((hash[8] & 0x3f) | 0x80);
        return new(new Guid(hash[..16], bigEndian: true));
    }

    private static bool IsSame(AspMessage first, AspMessage again) =>
        MessageWriter.Write(first with { Timestamp = "", Signature = "" }).AsSpan()
            .SequenceEqual(MessageWriter.Write(again with { Timestamp = "", Signature = "" }));

    /// <summary>A draft with all that the intake asks for.</summary>
    internal readonly record struct Outgoing(AgentProfile? From, MessageId Id)
    {
        /// <summary>Why it is not sent at all; null when it is.</summary>
        public SwarmError? Refusal { get; init; }

        public Envelope? Envelope { get; init; }

        /// <summary>The message, when the same request may come again; it is not held for longer than needed, because thousands may wait.</summary>
        public AspMessage? Repeatable { get; init; }
    }
}
