using System.Text.Json;

namespace Swarm.Client;

/// <summary>A message in an inbox.</summary>
/// <param name="Seq">Its number in this inbox: gapless, in the order of acceptance.</param>
/// <param name="Timestamp">The time that the sender signed, as it wrote it (RFC 3339, UTC).</param>
/// <param name="AcceptedAt">The time at which the node committed it.</param>
/// <param name="State"><c>pending</c>, <c>leased</c>, <c>delivered</c>, <c>read</c>, … (design §3, delivery states).</param>
/// <param name="Verified">True when the sender's signature was verified.</param>
public sealed record InboxMessage(
    long Seq, Guid MessageId, Guid SwarmId, string Sender, string Recipient, string Type, string Priority, string Content,
    string Timestamp, DateTimeOffset AcceptedAt, string State, bool Verified, string? InReplyTo, string? ThreadId,
    string? ExpiresAt, JsonElement? Attachments, JsonElement? References, JsonElement? Metadata)
{
    /// <summary>When it was marked as read; only lists know.</summary>
    public DateTimeOffset? ReadAt { get; init; }

    /// <summary>Put away, or ended by something else than reading; only lists know.</summary>
    [System.Text.Json.Serialization.JsonIgnore(Condition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingDefault)]
    public bool Archived { get; init; }
}

/// <summary>Which messages a list shows; oldest first.</summary>
public sealed record InboxQuery
{
    /// <summary>Only messages with a greater <see cref="InboxMessage.Seq"/>; null from the oldest on.</summary>
    public long? After { get; init; }

    /// <summary>1–100; null for the node's default (20).</summary>
    public int? Limit { get; init; }

    public Guid? SwarmId { get; init; }

    /// <summary><c>unread</c>, <c>read</c>, <c>archived</c> or <c>all</c>; null for the node's default.</summary>
    public string? State { get; init; }
}

/// <param name="NextCursor">Present when there are more; ask again with <see cref="InboxQuery.After"/> set to the last <c>Seq</c>.</param>
public sealed record InboxPage(IReadOnlyList<InboxMessage> Messages, string? NextCursor);

public sealed record InboxCounts(long Unread, long Read, long Total);

/// <summary>An inbox by the statuses of a mail program; <paramref name="Total"/> includes the deleted.</summary>
public sealed record MailboxCounts(long Unread, long Read, long Archived, long Deleted, long Total);

/// <summary>What a purge is to take; what is null or false stays.</summary>
/// <param name="RetentionHours">Only messages that were deleted longer ago; null for all.</param>
/// <param name="TimeoutMinutes">With <paramref name="Sessions"/>: those that were silent for longer.</param>
public sealed record PurgeOrder(bool Messages, bool IncludeArchived, double? RetentionHours, bool Sessions, double? TimeoutMinutes);

/// <summary>How much is gone; null for what was not asked for.</summary>
public sealed record PurgeResult(int? Messages, int? Archived, int? Sessions);

internal sealed record MailChange(string Status, string MessageId);

internal sealed record ArchiveOrder(Guid? SwarmId);

internal sealed record Archived(int Updated, bool Done);

internal sealed record SeqList(IReadOnlyList<long> Seqs);

internal sealed record UpdateCount(int Updated);
