using System.Threading.Tasks.Sources;
using Swarm.Core.Identity;

namespace Swarm.Core.Messaging;

/// <summary>The outcome of one message in a batch, as <c>accept_batch</c> reports it.</summary>
public enum CommitStatus : short
{
    Accepted = 1,
    Duplicate = 2,
    IdReused = 3,

    /// <summary>The swarm changed since the authority check: check again.</summary>
    Stale = 4,

    /// <summary>The database refused this message's data.</summary>
    BadData = 5,

    /// <summary>The database cannot be reached, or is full.</summary>
    Unavailable = 6,

    /// <summary>Too much waits already.</summary>
    Busy = 7,

    /// <summary>The sender's earlier message is still being expanded: this one must queue behind it.</summary>
    Behind = 8,
}

/// <param name="Status">What became of it.</param>
/// <param name="Seq">The lowest sequence number that it got or has among the recipients asked for.</param>
/// <param name="Recipients">How many new deliveries it got, or will get.</param>
/// <param name="Queued">Its deliveries are still to be made.</param>
public readonly record struct CommitResult(CommitStatus Status, long Seq, int Recipients, bool Queued = false);

/// <summary>A checked message that waits for its commit. Awaited exactly once, or with all others of its <see cref="Group"/>.</summary>
public sealed class PendingMessage : IValueTaskSource<CommitResult>
{
    private ManualResetValueTaskSourceCore<CommitResult> _source = new() { RunContinuationsAsynchronously = true };

    public required Envelope Envelope { get; init; }

    /// <summary>0 for an unchecked message, whose sender is nobody we know.</summary>
    public required AgentId Sender { get; init; }

    public required byte[] Fingerprint { get; init; }

    /// <summary>Null only for an unchecked message of a swarm that is not held.</summary>
    public required long? SwarmNo { get; init; }

    /// <summary>The version of the swarm that the authority check saw.</summary>
    public required long SwarmVersion { get; init; }

    public required AgentId[] Recipients { get; init; }

    public required DateTimeOffset SentAt { get; init; }

    public required string? Trace { get; init; }

    /// <summary>Who waits for this message and others at once; null when it is awaited by itself.</summary>
    internal CommitGroup? Group { get; init; }

    /// <summary>Its deliveries are not made by the accept: it has many recipients, or its time has not come.</summary>
    public bool Later => Recipients.Length > GroupCommit.ExpandAbove || Envelope.DeliverAt is not null;

    /// <summary>The same, checked against a later version of its swarm.</summary>
    internal PendingMessage At(long swarmVersion) => new()
    {
        Envelope = Envelope, Sender = Sender, Fingerprint = Fingerprint, SwarmNo = SwarmNo, SwarmVersion = swarmVersion,
        Recipients = Recipients, SentAt = SentAt, Trace = Trace,
    };

    internal ValueTask<CommitResult> Completion => new(this, _source.Version);

    internal void Complete(CommitResult result)
    {
        _source.SetResult(result);
        Group?.Signal();
    }

    CommitResult IValueTaskSource<CommitResult>.GetResult(short token) => _source.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<CommitResult>.GetStatus(short token) => _source.GetStatus(token);

    void IValueTaskSource<CommitResult>.OnCompleted(
        Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _source.OnCompleted(continuation, state, token, flags);
}
