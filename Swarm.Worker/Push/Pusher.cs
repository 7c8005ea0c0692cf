using System.Diagnostics;
using System.Threading.Channels;
using Swarm.Core.Delivery;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Signals;
using Swarm.ServiceDefaults.Egress;

namespace Swarm.Worker.Push;

/// <summary>
/// Pushes deliveries to remote agents: learns of work by signals and by a sweep, leases lanes of many recipients in one round trip, sends
/// lanes side by side and strictly in order within each, and settles in batches. Several Workers share the work by leases; a Worker that
/// dies loses nothing, its leases return (design §3).
/// </summary>
internal sealed partial class Pusher : Loop
{
    /// <summary>Remote agents that are remembered between two looks; above it idle ones are forgotten.</summary>
    public const int RecipientsMax = 100_000;

    /// <summary>How long a stop waits until what was sent is written down.</summary>
    public static readonly TimeSpan StopTimeMax = TimeSpan.FromSeconds(10);

    /// <summary>Between two looks for what is too old, which are dear.</summary>
    private static readonly TimeSpan BuryInterval = TimeSpan.FromMinutes(1);

    /// <summary>Before the database is asked again after a failure.</summary>
    private static readonly TimeSpan AwayPause = TimeSpan.FromMilliseconds(250);

    private readonly PushQueue _queue;
    private readonly PushOptions _options;
    private readonly PushRules _rules;
    private readonly DestinationBreaker _breaker;
    private readonly DeliveryMeter _meter;
    private readonly Dictionary<Protocol, IPushCarrier> _carriers;
    private readonly PushDestinations _destinations;
    private readonly PushSettler _settler;
    private readonly SignalObserver _observer;
    private readonly ILogger<Pusher> _logger;
    private readonly Channel<bool> _wake = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly CancellationTokenSource _stop = new();
    private readonly CancellationTokenSource _abandon = new();
    private readonly Task _settling;

    private readonly Lock _lock = new();
    private readonly Dictionary<long, PeerState> _recipients = [];
    private readonly Queue<PeerState> _ready = new();
    private readonly PriorityQueue<PeerState, DateTimeOffset> _timers = new();
    private readonly HashSet<Lane> _running = [];
    private readonly Dictionary<AgentId, bool> _isRemote = [];
    private HashSet<AgentId> _spare = [];
    private DateTimeOffset _sweepAt;
    private DateTimeOffset _buryAt;
    private bool _failed;

    public Pusher(
        PushQueue queue, PushOptions options, DestinationBreaker breaker, DeliveryMeter meter, IEnumerable<IPushCarrier> carriers, LocalSignals signals,
        TimeProvider time, ILogger<Pusher> logger)
        : base(time, logger)
    {
        (_queue, _options, _breaker, _meter, _logger) = (queue, options, breaker, meter, logger);
        _rules = new(options);
        _carriers = carriers.ToDictionary(c => c.Protocol);
        _destinations = new(time, lane => Task.Run(() => RunAsync(lane)));
        _settler = new(queue, time, OnSettled, logger);
        _settling = _settler.RunAsync(_abandon.Token);
        _observer = signals.Observe(Wake);
        meter.ObserveBacklog(time);
    }

    protected override TimeSpan Interval => _options.SweepInterval;

    /// <summary>Stops sending, gives back what is leased, and waits for the last outcomes to be written.</summary>
    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await _stop.CancelAsync();
        using var limit = new CancellationTokenSource(StopTimeMax, Time);
        try
        {
            while (_destinations.Active > 0)
            {
                await _wake.Reader.ReadAsync(limit.Token);
            }

            _settler.Complete();
            await _settling.WaitAsync(limit.Token);
        }
        catch (OperationCanceledException)
        {
            // What is left returns when its leases end.
        }
    }

    public override void Dispose()
    {
        _observer.Dispose();
        _stop.Cancel();
        _abandon.Cancel();
        base.Dispose();
    }

    protected override async Task<bool> RunOnceAsync(CancellationToken cancellation)
    {
        _failed = true;
        var missed = _observer.Take(_spare, out var signalled);
        _spare = [];
        try
        {
            await MarkSignalledAsync(signalled, cancellation);
        }
        catch
        {
            // Forgotten signals are found by the sweep.
            _sweepAt = default;
            throw;
        }

        if (missed || Time.GetUtcNow() >= _sweepAt)
        {
            await SweepAsync(cancellation);
            _sweepAt = Time.GetUtcNow() + _options.SweepInterval;
        }

        lock (_lock)
        {
            if (_running.Count > 0)
            {
                _destinations.DemoteSilent(_running);
            }
        }

        var more = await LeaseAsync(cancellation);
        _failed = false;
        return more;
    }

    protected override async Task WaitAsync(TimeSpan limit, CancellationToken cancellation)
    {
        if (_failed)
        {
            await Task.Delay(AwayPause, Time, cancellation);
            return;
        }

        lock (_lock)
        {
            var now = Time.GetUtcNow();
            var until = _sweepAt - now;
            if (_timers.TryPeek(out _, out var due) && due - now < until)
            {
                until = due - now;
            }

            // Somebody looks after those that hang, while anything runs.
            limit = _running.Count > 0 && until > PushDestinations.SilenceMax ? PushDestinations.SilenceMax : until;
        }

        if (limit > TimeSpan.Zero)
        {
            using var timeout = new CancellationTokenSource(limit, Time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellation);
            await ((Task)_wake.Reader.WaitToReadAsync(either.Token).AsTask()).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            _wake.Reader.TryRead(out _);
        }
    }

    private void Wake() => _wake.Writer.TryWrite(true);

    private async Task MarkSignalledAsync(HashSet<AgentId> signalled, CancellationToken cancellation)
    {
        var unknown = signalled.Where(a => !_isRemote.ContainsKey(a)).Select(a => a.Value).ToArray();
        if (unknown.Length > 0)
        {
            if (_isRemote.Count + unknown.Length > RecipientsMax * 2)
            {
                _isRemote.Clear();
            }

            // What kind an agent is never changes.
            var remote = (await _queue.RemoteAmongAsync(unknown, cancellation)).ToHashSet();
            foreach (var no in unknown)
            {
                _isRemote[new(no)] = remote.Contains(no);
            }
        }

        lock (_lock)
        {
            foreach (var agent in signalled)
            {
                if (_isRemote.TryGetValue(agent, out var remote) ? remote : true)
                {
                    Mark(Get(agent.Value));
                }
            }
        }
    }

    /// <summary>Finds what no signal told of.</summary>
    private async Task SweepAsync(CancellationToken cancellation)
    {
        var now = Time.GetUtcNow();
        var bury = now >= _buryAt;
        long after = 0;
        PushBacklog page, sum = new([], 0, null);
        do
        {
            page = await _queue.BacklogAsync(after, cancellation);
            if (page.Recipients.Count == 0)
            {
                break;
            }

            after = page.Recipients[^1];
            sum = new([], sum.Depth + page.Depth, page.Oldest is { } oldest && !(oldest > sum.Oldest) ? oldest : sum.Oldest);
            long[] recipients = [.. page.Recipients];
            DeliveryMeter.LeasesEnded(await _queue.EndLeasesAsync(recipients, cancellation));
            if (bury)
            {
                DeliveryMeter.CountDead(await _queue.BuryOldAsync(recipients, now - _options.AgeMax, cancellation));
            }

            lock (_lock)
            {
                foreach (var no in recipients)
                {
                    var recipient = Get(no);
                    recipient.IsDeep = true;
                    Mark(recipient);
                }
            }
        }
        while (page.Recipients.Count == PushQueue.PageMax);

        _meter.Backlog(sum);
        if (bury)
        {
            _buryAt = now + BuryInterval;
        }
    }

    private PeerState Get(long no)
    {
        if (!_recipients.TryGetValue(no, out var recipient))
        {
            if (_recipients.Count >= RecipientsMax)
            {
                foreach (var idle in _recipients.Values.Where(r => r is { Lanes: 0, IsQueued: false, IsParked: false }).ToList())
                {
                    _recipients.Remove(idle.No);
                }
            }

            _recipients.Add(no, recipient = new(no));
        }

        return recipient;
    }

    private void Mark(PeerState recipient)
    {
        if (!recipient.IsQueued && !recipient.IsParked && recipient.NotBefore <= Time.GetUtcNow())
        {
            recipient.IsQueued = true;
            _ready.Enqueue(recipient);
        }
    }

    /// <summary>Leases for some of those that are ready; false when nobody is.</summary>
    private async Task<bool> LeaseAsync(CancellationToken cancellation)
    {
        var chosen = Choose();
        foreach (var group in chosen.GroupBy(c => (c.Each, c.Recipient.IsDeep)))
        {
            await LeaseAsync(
                [.. group.Select(c => c.Recipient)], group.Key.Each, group.Key.IsDeep ? PushOptions.ScanMax : PushOptions.ScanFirst, cancellation);
        }

        return chosen.Count > 0;
    }

    private List<(PeerState Recipient, int Each)> Choose()
    {
        var chosen = new List<(PeerState, int)>();
        var probed = new HashSet<Destination>();
        lock (_lock)
        {
            var now = Time.GetUtcNow();
            while (_timers.TryPeek(out var due, out var at) && at <= now)
            {
                _timers.Dequeue();
                Mark(due);
            }

            while (chosen.Count < PushOptions.LeaseRecipientsMax && _ready.TryDequeue(out var recipient))
            {
                recipient.IsQueued = false;
                var destination = recipient.Destination;
                if (destination is not null && SilentUntil(destination, now) is { } until)
                {
                    recipient.NotBefore = until;
                    _timers.Enqueue(recipient, until);
                    continue;
                }

                var each = _destinations.Room(destination);
                if (each == 0 || (each == 1 && !probed.Add(destination!)))
                {
                    recipient.IsParked = true;
                    destination!.Parked.Enqueue(recipient);
                    continue;
                }

                recipient.LookAgain = recipient.Lanes > 0;
                chosen.Add((recipient, each));
            }
        }

        return chosen;
    }

    /// <summary>When its destination may be called again; null for now.</summary>
    private DateTimeOffset? SilentUntil(Destination destination, DateTimeOffset now) =>
        destination.PausedUntil > now ? destination.PausedUntil
        : _breaker.OpenFor(destination.Key) is { Ticks: > 0 } open ? now + open
        : null;

    private async Task LeaseAsync(PeerState[] recipients, int each, int scan, CancellationToken cancellation)
    {
        var lease = Guid.CreateVersion7();
        var until = Time.GetUtcNow() + _options.LeaseTime;
        IReadOnlyList<PushItem> items;
        try
        {
            items = await _queue.LeaseAsync(Array.ConvertAll(recipients, r => r.No), lease, until, each, scan, cancellation);
        }
        catch
        {
            lock (_lock)
            {
                // Nothing is forgotten because the database is away; whether something was leased is unknown, its lease then ends.
                foreach (var recipient in recipients)
                {
                    Mark(recipient);
                }
            }

            throw;
        }

        var lanes = new List<Lane>();
        lock (_lock)
        {
            if (scan == PushOptions.ScanMax)
            {
                var found = items.Select(i => i.Recipient).ToHashSet();
                foreach (var recipient in recipients)
                {
                    recipient.IsDeep = found.Contains(recipient.No);
                }
            }

            foreach (var ofRecipient in items.GroupBy(i => i.Recipient))
            {
                var recipient = Get(ofRecipient.Key);
                var all = ofRecipient.ToList();
                recipient.LookAgain |= all.Count >= each;
                foreach (var ofLane in all.GroupBy(i => (i.SenderNo, i.Priority)))
                {
                    lanes.Add(MakeLane(recipient, ofLane, lease, until));
                }

                if (all.Count >= each && each > 1)
                {
                    Mark(recipient);
                }
            }
        }

        foreach (var lane in lanes)
        {
            _destinations.Add(lane);
        }
    }

    private Lane MakeLane(PeerState recipient, IEnumerable<PushItem> items, Guid lease, DateTimeOffset until)
    {
        Lane? lane = null;
        foreach (var item in items)
        {
            if (lane is null)
            {
                var carrier = _carriers.GetValueOrDefault(item.Protocol);
                recipient.Destination = _destinations.Get(carrier?.DestinationOf(item.Endpoint) ?? "");
                recipient.Lanes++;
                lane = new(recipient, recipient.Destination, carrier, lease, until);
                _running.Add(lane);
            }

            lane.Items.Add(item);
        }

        return lane!;
    }

    private async Task RunAsync(Lane lane)
    {
        try
        {
            await SendAsync(lane);
        }
        catch (Exception e)
        {
            // A fault of ours: the lease runs out, and the lane is tried again.
            LogFault(e, lane.Recipient.No);
            lock (_lock)
            {
                lane.Recipient.Lanes--;
            }
        }

        lock (_lock)
        {
            _running.Remove(lane);
        }

        _destinations.Ended(lane);
        lock (_lock)
        {
            // A place is free: the next who waits for one of this destination is looked at, and all when nothing will free another.
            var idle = _destinations.IsIdle(lane.Destination);
            while (lane.Destination.Parked.TryDequeue(out var parked))
            {
                parked.IsParked = false;
                Mark(parked);
                if (!idle)
                {
                    break;
                }
            }
        }

        Wake();
    }

    /// <summary>Sends in order, until the lane is empty, fails, or its time is up. Every leased delivery gets exactly one outcome.</summary>
    private async Task SendAsync(Lane lane)
    {
        var items = lane.Items;
        for (var i = 0; i < items.Count; i++)
        {
            var (item, last) = (items[i], i == items.Count - 1);
            var now = Time.GetUtcNow();
            if (lane.Carrier is not { } carrier)
            {
                _settler.Add(new Settlement(item, lane.Lease, PushOutcome.Dead, last, Error: $"No carrier speaks {item.Protocol}."));
                continue;
            }

            if (_rules.TooOld(item, now))
            {
                _settler.Add(new Settlement(item, lane.Lease, PushOutcome.Dead, last, Error: "It is too old for its receiver."));
                continue;
            }

            if (item.ExpiresAt <= now || lane.Until - now < _options.CallTimeMax || _stop.IsCancellationRequested)
            {
                GiveBack(lane, i, null);
                return;
            }

            // A lane may hold messages of several swarms, in which its recipient has several endpoints.
            var key = carrier.DestinationOf(item.Endpoint);
            var destination = key is null || key == lane.Destination.Key ? lane.Destination : _destinations.Get(key);
            if (destination.PausedUntil > now)
            {
                GiveBack(lane, i, destination.PausedUntil);
                return;
            }

            if (key is not null && !_breaker.TryEnter(key, out var closedFor))
            {
                GiveBack(lane, i, now + closedFor);
                return;
            }

            PushAnswer answer;
            try
            {
                answer = await PushAsync(carrier, item, key ?? "");
            }
            catch (OperationCanceledException)
            {
                GiveBack(lane, i, null);
                return;
            }

            if (key is not null && !answer.IsForbidden)
            {
                _breaker.Report(key, answer.IsAlive);
                _destinations.Heard(destination, answer.IsAlive);
            }

            now = Time.GetUtcNow();
            var verdict = _rules.Judge(item, answer, now, Random.Shared.NextDouble());
            if (verdict.Pause > TimeSpan.Zero)
            {
                destination.PausedUntil = now + verdict.Pause;
            }

            switch (verdict.Outcome)
            {
                case PushOutcome.Retry:
                    GiveBack(lane, i, now + verdict.Delay, verdict.Reason);
                    return;
                default:
                    _settler.Add(new Settlement(item, lane.Lease, verdict.Outcome, last, Error: verdict.Reason));
                    break;
            }
        }
    }

    private async Task<PushAnswer> PushAsync(IPushCarrier carrier, PushItem item, string destination)
    {
        var startedAt = Stopwatch.GetTimestamp();
        using var activity = DeliveryMeter.StartPush(item, destination);
        var answer = await carrier.PushAsync(item, _options.CallTimeMax, _stop.Token);
        DeliveryMeter.Pushed(startedAt);
        activity?.SetTag("http.response.status_code", answer.Status);
        if (!answer.IsSuccess)
        {
            activity?.SetStatus(ActivityStatusCode.Error, answer.Reason);
        }

        return answer;
    }

    /// <summary>Ends the lane at one of its deliveries: that one has failed (with a reason) or was not tried, what is behind it goes back too.</summary>
    private void GiveBack(Lane lane, int from, DateTimeOffset? until, string? failure = null)
    {
        var all = new Settlement[lane.Items.Count - from];
        for (var i = 0; i < all.Length; i++)
        {
            all[i] = new(
                lane.Items[from + i], lane.Lease, i == 0 && failure is not null ? PushOutcome.Retry : PushOutcome.GivenBack, i == all.Length - 1, until,
                i == 0 ? failure : null);
        }

        _settler.Add(all);
    }

    /// <summary>Lanes whose leases have ended may be leased again: by what held them, or by what came meanwhile.</summary>
    private void OnSettled(IReadOnlyList<Settlement> settled)
    {
        lock (_lock)
        {
            foreach (var settlement in settled)
            {
                if (!settlement.Last)
                {
                    continue;
                }

                var recipient = Get(settlement.Item.Recipient);
                recipient.Lanes--;
                if (settlement.Until is { } until)
                {
                    _timers.Enqueue(recipient, until);
                }

                if (recipient.LookAgain || (settlement.Outcome == PushOutcome.GivenBack && settlement.Until is null))
                {
                    Mark(recipient);
                }
            }
        }

        Wake();
    }

    [LoggerMessage(3103, LogLevel.Error, "A lane to agent {Recipient} ended unexpectedly; it is tried again when its lease has run out.")]
    private partial void LogFault(Exception e, long recipient);
}
