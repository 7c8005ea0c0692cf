namespace Swarm.Client;

/// <summary>One failed try to deliver.</summary>
public sealed record DeliveryAttempt(int Attempt, DateTimeOffset At, string Error);

/// <summary>A recipient of a message.</summary>
/// <param name="State"><c>pending</c>, <c>leased</c>, <c>delivered</c>, <c>read</c>, <c>dead</c>, <c>expired</c> …</param>
/// <param name="DueAt">When the next try is planned, after a failed one.</param>
public sealed record TracedRecipient(
    string Recipient, long Seq, string State, int Attempts, string? Error, DateTimeOffset? DueAt, DateTimeOffset? ReadAt,
    IReadOnlyList<DeliveryAttempt> Tries);

/// <summary>The life of one message.</summary>
/// <param name="Remaining">Recipients whose deliveries are still to be made.</param>
public sealed record TracedMessage(
    Guid MessageId, Guid? SwarmId, string Sender, bool Verified, DateTimeOffset SentAt, DateTimeOffset AcceptedAt, DateTimeOffset? ExpiresAt,
    int Remaining, string? Trace, IReadOnlyList<TracedRecipient> Recipients, string? NextCursor);

internal sealed record TracePage(IReadOnlyList<TracedMessage> Messages);

/// <summary>What could not be delivered. Type, timestamp, content and tries are only there when one is asked for.</summary>
public sealed record DeadLetter(
    string Id, Guid MessageId, Guid? SwarmId, string Sender, string Recipient, int Attempts, DateTimeOffset DiedAt, string Reason, string? Type,
    string? Timestamp, string? Content, IReadOnlyList<DeliveryAttempt>? Tries);

internal sealed record DeadLetterPage(IReadOnlyList<DeadLetter> DeadLetters, string? NextCursor);

/// <summary>Which dead letters are meant; what is null does not matter.</summary>
public sealed record DeadLetterFilter
{
    public string? Recipient { get; init; }

    public string? Sender { get; init; }

    public Guid? SwarmId { get; init; }

    /// <summary>A part of the reason, whatever the case.</summary>
    public string? Reason { get; init; }

    /// <summary>Died at that time or later.</summary>
    public DateTimeOffset? From { get; init; }

    /// <summary>Died before that time.</summary>
    public DateTimeOffset? Until { get; init; }
}

internal sealed record DeadLetterOrder(IReadOnlyList<string>? Ids, DeadLetterFilter? Filter);

internal sealed record DeadLetterChange(int Changed, bool Done, DateTimeOffset? Until);
