using System.Collections.Concurrent;

namespace Swarm.Tests.Faults;

/// <summary>A message that a sender set out to send; its content begins with the key, so that it is known wherever it turns up.</summary>
/// <param name="Recipients">Whose inboxes it must reach, once each.</param>
/// <param name="At">Before its first byte left.</param>
/// <param name="DueAt">Not to be delivered before; null for at once.</param>
/// <param name="ExpiresAt">Not to be delivered after; null for never.</param>
internal sealed record Offered(
    string Key, string Sender, IReadOnlyList<string> Recipients, string Priority, DateTimeOffset At, DateTimeOffset? DueAt, DateTimeOffset? ExpiresAt);

/// <summary>The node said 200: accepted, or a duplicate of what it had accepted.</summary>
internal sealed record Answered(string Key, string MessageId, DateTimeOffset At);

/// <summary>The node said that it will never take it (a 4xx).</summary>
internal sealed record Refused(string Key, int Status, DateTimeOffset At);

/// <summary>One delivery as a consumer or a reader saw it.</summary>
internal sealed record Item(long Seq, string Key, string Sender, string Priority);

/// <summary>A consumer holds these until it settles them or the lease ends. It was granted between <see cref="AskedAt"/> and <see cref="GotAt"/>.</summary>
internal sealed record Leased(
    string Recipient, string Consumer, Guid Lease, DateTimeOffset AskedAt, DateTimeOffset GotAt, DateTimeOffset ExpiresAt, IReadOnlyList<Item> Items);

/// <summary>The effect that a delivery had, numbered in the order of this process.</summary>
internal sealed record Processed(string Recipient, long Seq, string Key, long Order, DateTimeOffset At);

/// <summary>An acknowledgement or its opposite. <see cref="Updated"/> is null when its answer was lost or was no success.</summary>
internal sealed record Settled(
    string Recipient, Guid Lease, bool IsAck, IReadOnlyList<long> Seqs, DateTimeOffset AskedAt, DateTimeOffset AnsweredAt, int? Updated);

/// <summary>An event of a stream, as one follower saw it, numbered as it came.</summary>
internal sealed record Seen(string Follower, string Recipient, long Seq, string Key, long Order, DateTimeOffset At);

/// <summary>A message that a peer elsewhere was sent, and what it answered; null when the connection broke before its answer was out.</summary>
internal sealed record Pushed(string Recipient, string Key, long Order, DateTimeOffset At, int? Answer);

/// <summary>Something was broken on purpose in this time.</summary>
internal sealed record Broken(string What, DateTimeOffset From, DateTimeOffset Until);

/// <summary>What was observed of a node from outside, by many at once.</summary>
internal sealed class History(TimeProvider time)
{
    private long _order;

    public ConcurrentDictionary<string, Offered> Offered { get; } = new();

    public ConcurrentQueue<Answered> Answered { get; } = new();

    public ConcurrentQueue<Refused> Refused { get; } = new();

    public ConcurrentQueue<Leased> Leased { get; } = new();

    public ConcurrentQueue<Processed> Processed { get; } = new();

    public ConcurrentQueue<Settled> Settled { get; } = new();

    public ConcurrentQueue<Seen> Seen { get; } = new();

    public ConcurrentQueue<Pushed> Pushed { get; } = new();

    public ConcurrentQueue<Broken> Broken { get; } = new();

    /// <summary>Answers that nothing justifies.</summary>
    public ConcurrentQueue<string> Wrong { get; } = new();

    /// <summary>How many requests ended in anything but an answer of the node: broken connections, 503, no answer in time.</summary>
    public int Failures;

    public DateTimeOffset Now => time.GetUtcNow();

    public long NextOrder() => Interlocked.Increment(ref _order);

    public override string ToString() =>
        $"{Offered.Count} offered, {Answered.Count} answered, {Refused.Count} refused, {Leased.Sum(l => l.Items.Count)} leased, {Processed.Count} processed, " +
        $"{Settled.Count(s => s.IsAck && s.Updated is not null)} acks, {Seen.Count} seen, {Pushed.Count} pushed, {Broken.Count} faults, {Failures} failed requests";
}

/// <summary>How a recipient takes its messages, and so what the end must look like.</summary>
internal enum Reading
{
    /// <summary>Consumers lease and acknowledge.</summary>
    Queue,

    /// <summary>Nobody takes anything; it is only looked at.</summary>
    View,

    /// <summary>The node sends it to where the agent lives.</summary>
    Push,
}

/// <summary>A delivery as the database has it in the end. States are those of <see cref="Core.Delivery.DeliveryState"/>.</summary>
internal sealed record FinalRow(string Recipient, long Seq, string Key, string Sender, string Priority, int State, DateTimeOffset AcceptedAt);

/// <summary>What the database holds in the end, of the messages of the run.</summary>
/// <param name="Rows">All deliveries.</param>
/// <param name="Before">The number that each inbox had reached when the run began.</param>
/// <param name="LastSeq">The number that each inbox has reached.</param>
/// <param name="Bodies">How many bodies are stored under each key.</param>
/// <param name="Unexpanded">Keys of messages whose deliveries are still to be made.</param>
internal sealed record FinalState(
    IReadOnlyList<FinalRow> Rows, IReadOnlyDictionary<string, long> Before, IReadOnlyDictionary<string, long> LastSeq,
    IReadOnlyDictionary<string, int> Bodies, IReadOnlyList<string> Unexpanded);
