using NSec.Cryptography;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.Limits;
using Swarm.Core.Swarms;

namespace Swarm.Core.Messaging;

/// <summary>The one internal message, as a door hands it to <see cref="Intake"/>: parsed, mapped, not yet believed.</summary>
public sealed class Envelope
{
    public required Protocol Protocol { get; init; }

    public required MessageId MessageId { get; init; }

    /// <summary>The node made the id itself, at random and for this message: no other message has it.</summary>
    public bool IsIdMinted { get; init; }

    public required SwarmId SwarmId { get; init; }

    /// <summary>The sender's text id on the wire; resolved through the swarm's roster.</summary>
    public required string Sender { get; init; }

    /// <summary>The recipient's text id on the wire, or <see cref="AgentName.Broadcast"/>.</summary>
    public required string Recipient { get; init; }

    /// <summary>
    /// The agent whose door it came through: the message is delivered to it and to nobody else. Null only from the Hub API, which fans out.
    /// </summary>
    public AgentId? Door { get; init; }

    public required MessageKind Kind { get; init; }

    public Priority Priority { get; init; } = Priority.Normal;

    /// <summary>The signed time; null when it could not be read, which is refused (<see cref="SwarmError.InvalidTimestamp"/>).</summary>
    public required DateTimeOffset? SentAt { get; init; }

    /// <summary>When the message loses its worth; null for never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>When its deliveries are to be made; null for at once. Only the Hub API sets it.</summary>
    public DateTimeOffset? DeliverAt { get; init; }

    /// <summary>The protocol's signed bytes (ASP §4.1: the 32-byte digest).</summary>
    public required ReadOnlyMemory<byte> SignedBytes { get; init; }

    /// <summary>The signature as decoded; any length, what is not 64 bytes does not verify.</summary>
    public required ReadOnlyMemory<byte> Signature { get; init; }

    /// <summary>The key with which this node itself signed the message just now; null when somebody else did. It need not be verified then.</summary>
    public PublicKey? SignedHereWith { get; init; }

    /// <summary>What the content of a system message asks for; null for every other message. Ignored when <see cref="Unchecked"/>.</summary>
    public LifecycleEvent? Event { get; init; }

    /// <summary>The bytes that arrived. Must stay untouched until <see cref="Intake.AcceptAsync"/> has completed.</summary>
    public required ReadOnlyMemory<byte> Wire { get; init; }

    /// <summary>
    /// Set only by a door that runs in its named reference-compatible mode: sender, signature, time and recipient are not
    /// checked, the message is stored as unsigned, and a reused id answers like a duplicate.
    /// </summary>
    public bool Unchecked { get; init; }
}

/// <summary>What became of an envelope.</summary>
public enum ReceiptStatus
{
    /// <summary>Committed, with at least one new delivery (or, for a broadcast into an otherwise empty swarm, none to make).</summary>
    Accepted,

    /// <summary>The same message again: the first copy is kept and nothing happened.</summary>
    Duplicate,

    /// <summary>Nothing was stored; <see cref="Receipt.Error"/> says why.</summary>
    Refused,
}

/// <summary>The answer of <see cref="Intake.AcceptAsync"/>; success is given only after the commit.</summary>
/// <param name="Status">What became of it.</param>
/// <param name="Seq">The recipient's sequence number when there is exactly one recipient, else 0.</param>
/// <param name="Recipients">How many deliveries the message has got by this call.</param>
/// <param name="Error">The refusal, or null.</param>
/// <param name="RetryAfterSeconds">With <see cref="SwarmError.TooBusy"/> and its like: whole seconds to wait, else 0.</param>
public readonly record struct Receipt(ReceiptStatus Status, long Seq, int Recipients, SwarmError? Error, int RetryAfterSeconds)
{
    /// <summary>The message is the master's offer to make its receiver the master, and the receiver takes it (ASP §10.6).</summary>
    public bool IsOfferTaken { get; init; }

    /// <summary>The sender's budget after this message; default when it was refused before it was counted.</summary>
    public RateDecision Budget { get; init; }

    public static Receipt Refuse(SwarmError error, int retryAfterSeconds = 0) => new(ReceiptStatus.Refused, 0, 0, error, retryAfterSeconds);
}
