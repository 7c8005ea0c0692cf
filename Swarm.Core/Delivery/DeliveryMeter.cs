using System.Diagnostics;
using System.Diagnostics.Metrics;
using Swarm.Core.Messaging;

namespace Swarm.Core.Delivery;

/// <summary>What happens to deliveries, as instruments of the meter <c>Swarm</c> (design §7).</summary>
public sealed class DeliveryMeter
{
    private static readonly Meter Meter = new("Swarm");
    private static readonly Counter<long> Settled = Meter.CreateCounter<long>("swarm.deliveries");
    private static readonly Counter<long> Timeouts = Meter.CreateCounter<long>("swarm.lease.timeouts");
    private static readonly Histogram<double> PushTime = Meter.CreateHistogram<double>("swarm.push.duration", "s");

    private PushBacklog _backlog = new([], 0, null);
    private TimeProvider? _time;

    /// <summary>Called once, by the process that pushes: it alone knows the backlog.</summary>
    public void ObserveBacklog(TimeProvider time)
    {
        _time = time;
        Meter.CreateObservableGauge("swarm.push.queue.depth", () => Volatile.Read(ref _backlog).Depth);
        Meter.CreateObservableGauge(
            "swarm.push.queue.oldest_age",
            () => Volatile.Read(ref _backlog).Oldest is { } oldest ? (_time.GetUtcNow() - oldest).TotalSeconds : 0,
            "s");
    }

    public void Backlog(PushBacklog backlog) => Volatile.Write(ref _backlog, backlog);

    public static void Count(SettleCounts counts)
    {
        Count(counts.Delivered, "delivered");
        Count(counts.Retried, "retried");
        Count(counts.Dead, "dead");
        Count(counts.Stale, "stale");
    }

    public static void CountDead(int count) => Count(count, "dead");

    public static void LeasesEnded(int lanes)
    {
        if (lanes > 0)
        {
            Timeouts.Add(lanes);
        }
    }

    public static void Pushed(long startedAt)
    {
        if (PushTime.Enabled)
        {
            PushTime.Record(Stopwatch.GetElapsedTime(startedAt).TotalSeconds);
        }
    }

    /// <summary>Somebody listens to spans: only then is it worth reading what they link to.</summary>
    public static bool IsTraced => IntakeMeter.Activities.HasListeners();

    /// <summary>A lease of the work queue: a span linked to the accepts of all that it holds, whichever process they were in.</summary>
    public static void Leased(Guid lease, int count, IReadOnlyList<string>? traces)
    {
        if (count > 0)
        {
            Count(count, "leased");
            Record("lease", ActivityKind.Consumer, lease, count, traces);
        }
    }

    /// <summary>An acknowledgement (or what was given back), linked in the same way: it ends the way of its messages.</summary>
    public static void Settle(Guid lease, bool acknowledged, int count, IReadOnlyList<string>? traces)
    {
        Count(count, acknowledged ? "delivered" : "returned");
        Record(acknowledged ? "acknowledge" : "return", ActivityKind.Consumer, lease, count, traces);
    }

    /// <summary>A span of one try, linked to the accept of its message, whichever process that was in. Null when nobody listens.</summary>
    public static Activity? StartPush(PushItem item, string destination)
    {
        if (!IntakeMeter.Activities.HasListeners())
        {
            return null;
        }

        ActivityLink[] links = ActivityContext.TryParse(item.Trace, null, isRemote: true, out var accept) ? [new(accept)] : [];
        var activity = IntakeMeter.Activities.StartActivity("push", ActivityKind.Producer, default(ActivityContext), links: links);
        activity?.SetTag("server.address", destination).SetTag("swarm.message_no", item.MessageNo).SetTag("swarm.attempt", item.Attempts + 1);
        return activity;
    }

    private static void Record(string name, ActivityKind kind, Guid lease, int count, IReadOnlyList<string>? traces)
    {
        if (traces is null)
        {
            return;
        }

        var links = new List<ActivityLink>(traces.Count);
        foreach (var trace in traces)
        {
            if (ActivityContext.TryParse(trace, null, isRemote: true, out var accept))
            {
                links.Add(new(accept));
            }
        }

        using var activity = IntakeMeter.Activities.StartActivity(name, kind, Activity.Current?.Context ?? default, links: links);
        activity?.SetTag("swarm.lease_id", lease).SetTag("messaging.batch.message_count", count);
    }

    private static void Count(int count, string state)
    {
        if (count > 0)
        {
            Settled.Add(count, new KeyValuePair<string, object?>("state", state));
        }
    }
}
