using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace Swarm.Core.Messaging;

/// <summary>What the intake counts: instruments of the meter <c>Swarm</c> (design §7), and the same sums for <c>/hub/v1/stats</c>.</summary>
public sealed class IntakeMeter
{
    /// <summary>The activity source of the product.</summary>
    public static readonly ActivitySource Activities = new("Swarm");

    private static readonly Meter Meter = new("Swarm");
    private static readonly Counter<long> AcceptedCounter = Meter.CreateCounter<long>("swarm.messages.accepted");
    private static readonly Counter<long> DuplicateCounter = Meter.CreateCounter<long>("swarm.messages.duplicate");
    private static readonly Counter<long> RefusedCounter = Meter.CreateCounter<long>("swarm.messages.refused");
    private static readonly Histogram<double> VerifyTime = Meter.CreateHistogram<double>("swarm.verify.duration", "s");
    private static readonly Histogram<int> BatchSize = Meter.CreateHistogram<int>("swarm.commit.batch_size");
    private static readonly Histogram<double> CommitTime = Meter.CreateHistogram<double>("swarm.commit.duration", "s");

    private readonly ConcurrentDictionary<string, long> _refused = new();
    private long _accepted;
    private long _duplicates;

    public long AcceptedTotal => Interlocked.Read(ref _accepted);

    public long DuplicateTotal => Interlocked.Read(ref _duplicates);

    /// <summary>Refusals by error id since the process started.</summary>
    public IReadOnlyDictionary<string, long> RefusedTotals => _refused;

    public void Count(in Receipt receipt)
    {
        switch (receipt.Status)
        {
            case ReceiptStatus.Accepted:
                Interlocked.Increment(ref _accepted);
                AcceptedCounter.Add(1);
                break;
            case ReceiptStatus.Duplicate:
                Interlocked.Increment(ref _duplicates);
                DuplicateCounter.Add(1);
                break;
            default:
                _refused.AddOrUpdate(receipt.Error!.Id, 1, static (_, n) => n + 1);
                RefusedCounter.Add(1, new KeyValuePair<string, object?>("reason", receipt.Error!.Id));
                break;
        }
    }

    public static void Verified(long startedAt)
    {
        if (VerifyTime.Enabled)
        {
            VerifyTime.Record(Stopwatch.GetElapsedTime(startedAt).TotalSeconds);
        }
    }

    public static void Committed(int messages, long startedAt)
    {
        if (BatchSize.Enabled)
        {
            BatchSize.Record(messages);
            CommitTime.Record(Stopwatch.GetElapsedTime(startedAt).TotalSeconds);
        }
    }
}
