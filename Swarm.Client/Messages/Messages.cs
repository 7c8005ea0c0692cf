using System.Text.Json;

namespace Swarm.Client;

/// <summary>A message to send. A hosted agent's is signed by the node; an external agent brings id, time and signature.</summary>
public sealed record OutgoingMessage
{
    /// <summary>The recipient that means every other member.</summary>
    public const string Broadcast = "broadcast";

    /// <summary>The sending agent.</summary>
    public required string From { get; init; }

    public required Guid SwarmId { get; init; }

    /// <summary>A member's text id; null for everybody.</summary>
    public string? To { get; init; }

    /// <summary><c>message</c> (when null), <c>notification</c> or <c>system</c>.</summary>
    public string? Type { get; init; }

    /// <summary>Up to 1 MiB of UTF-8; may be empty.</summary>
    public required string Content { get; init; }

    /// <summary><c>low</c>, <c>normal</c> (when null) or <c>high</c>.</summary>
    public string? Priority { get; init; }

    public string? InReplyTo { get; init; }

    public string? ThreadId { get; init; }

    /// <summary>When it loses its worth and is no longer delivered; null for never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>When it is to be delivered, at most 5 days ahead; null for at once.</summary>
    public DateTimeOffset? DeliverAt { get; init; }

    /// <summary>A JSON array of attachments (ASP §3); not signed.</summary>
    public JsonElement? Attachments { get; init; }

    /// <summary>A JSON array of references (ASP §3); not signed.</summary>
    public JsonElement? References { get; init; }

    /// <summary>A JSON object; not signed.</summary>
    public JsonElement? Metadata { get; init; }

    public Guid? MessageId { get; init; }

    /// <summary>The signed time, character for character (<see cref="SwarmTime.Format"/>); external agents only.</summary>
    public string? Timestamp { get; init; }

    /// <summary>Base64 of the 64-byte signature (ASP §4); external agents only.</summary>
    public string? Signature { get; init; }
}

/// <summary>
/// The node has committed the message. <see cref="Status"/> is <c>accepted</c>, or <c>duplicate</c> when it had it already.
/// </summary>
/// <param name="Recipients">How many inboxes this call reached.</param>
public sealed record SendResult(string Status, Guid MessageId, Guid SwarmId, string Recipient, int Recipients);

/// <summary>What became of one item of a batch: <c>accepted</c>, <c>duplicate</c>, or <c>refused</c> with <see cref="Error"/>.</summary>
public sealed record BatchItemResult(string Status, Guid? MessageId, BatchItemError? Error);

/// <param name="Id">The stable id of the error, as in <see cref="SwarmApiException.ErrorId"/>.</param>
public sealed record BatchItemError(string Id, string Message);

/// <summary>A sent message, and how many of its deliveries are in which state.</summary>
/// <param name="Recipients">Count by state: <c>pending</c>, <c>leased</c>, <c>delivered</c>, <c>read</c>, …</param>
public sealed record SentMessage(
    Guid MessageId, Guid SwarmId, string Recipient, string Type, string Content, DateTimeOffset AcceptedAt,
    IReadOnlyDictionary<string, long> Recipients, IReadOnlyList<SentRecipient>? Deliveries = null)
{
    /// <summary><c>sent</c>; <c>delivered</c> when every recipient has it; <c>failed</c> when one never will.</summary>
    public string Status { get; init; } = "sent";

    /// <summary>Why it failed, at the recipient that failed first.</summary>
    public string? Error { get; init; }
}

/// <summary>How many sent messages stand where.</summary>
public sealed record SentCounts(long Sent, long Delivered, long Failed, long Total);

/// <summary>One of the first recipients of a sent message, and why it has not got it, if it has not.</summary>
public sealed record SentRecipient(string Recipient, string State, int Attempts, string? Error);

internal sealed record MessageBatch(IReadOnlyList<OutgoingMessage> Messages);

internal sealed record BatchResults(IReadOnlyList<BatchItemResult> Results);

internal sealed record OutboxPage(IReadOnlyList<SentMessage> Messages, string? NextCursor);
