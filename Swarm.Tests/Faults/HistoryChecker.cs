using System.Text;
using Swarm.Core.Delivery;

namespace Swarm.Tests.Faults;

/// <summary>One broken promise.</summary>
internal sealed record Violation(string Promise, string Detail);

/// <summary>
/// Compares what was observed from outside with what the database holds in the end, and finds every broken promise (design §3). It knows
/// nothing of how the node works, and counts only what is certain: what happened between a question and its answer may have happened at
/// any instant between.
/// </summary>
/// <param name="history">What was observed.</param>
/// <param name="final">What is left.</param>
/// <param name="readings">Every recipient, with how it takes its messages.</param>
/// <param name="followers">Who follows which inbox from its start to the end of the run.</param>
/// <param name="stuckAfter">How long after a message is due, or after the last fault that concerns it, it must have arrived.</param>
internal sealed class HistoryChecker(
    History history, FinalState final, IReadOnlyDictionary<string, Reading> readings, IReadOnlyDictionary<string, string> followers, TimeSpan stuckAfter)
{
    public const string Lost = "nothing accepted is lost";
    public const string Once = "everything is in its inbox once";
    public const string Invented = "nothing is stored that was refused or never sent";
    public const string OneAnswer = "a message has one id";
    public const string Gapless = "numbers have no gap";
    public const string LaneOrder = "order is kept within a lane";
    public const string Unsent = "nothing counts as acknowledged that nobody was given";
    public const string AfterAck = "nothing is delivered after its acknowledgement";
    public const string Forgotten = "an acknowledgement is never lost";
    public const string Exclusive = "a lane has one consumer at a time, and nothing comes twice without need";
    public const string EndedLease = "a lease that has ended settles nothing";
    public const string Stuck = "nothing is stuck longer than its schedule";
    public const string TooLate = "nothing is delivered after its time to live";
    public const string TooEarly = "nothing is delivered before it is due";
    public const string NoSurprise = "no input and no fault makes anything but 503";
    public const string Stream = "a stream shows every number once, in order";

    /// <summary>The longest that a push may take in these tests: until then nobody has reason to send it again.</summary>
    public static readonly TimeSpan PushTimeMax = TimeSpan.FromSeconds(2);

    /// <summary>How many violations of one promise a report shows.</summary>
    private const int ShownMax = 8;

    /// <summary>Times on the wire are cut to milliseconds.</summary>
    private static readonly TimeSpan ClockGrain = TimeSpan.FromMilliseconds(2);

    private readonly List<Violation> _violations = [];
    private readonly Dictionary<(string Recipient, long Seq), FinalRow> _rows = [];
    private readonly Dictionary<string, Answered> _answered = [];
    private readonly Dictionary<(string Recipient, long Seq), Processed> _processed = [];
    private readonly Broken[] _broken = [.. history.Broken.OrderBy(b => b.From)];

    public IReadOnlyList<Violation> Check()
    {
        _violations.AddRange(history.Wrong.Select(w => new Violation(NoSurprise, w)));
        foreach (var answer in history.Answered.OrderBy(a => a.At))
        {
            if (!_answered.TryAdd(answer.Key, answer) && _answered[answer.Key].MessageId != answer.MessageId)
            {
                Report(OneAnswer, $"{answer.Key} was answered as {_answered[answer.Key].MessageId} and then as {answer.MessageId}");
            }
        }

        foreach (var effect in history.Processed.OrderBy(p => p.Order))
        {
            _processed.TryAdd((effect.Recipient, effect.Seq), effect);
        }

        CheckInboxes();
        CheckBodies();
        CheckAcceptedOrder();
        CheckProcessedOrder();
        CheckAcknowledgements();
        CheckLeases();
        CheckEnds();
        CheckPushes();
        CheckStreams();
        return _violations;
    }

    /// <summary>The violations by promise, with the first few of each.</summary>
    public static string Describe(IReadOnlyList<Violation> violations)
    {
        var text = new StringBuilder();
        foreach (var promise in violations.GroupBy(v => v.Promise))
        {
            text.AppendLine($"BROKEN: {promise.Key} ({promise.Count()} times)");
            foreach (var violation in promise.Take(ShownMax))
            {
                text.AppendLine($"  {violation.Detail}");
            }
        }

        return text.ToString();
    }

    /// <summary>Every 200 is in exactly the right inboxes exactly once; numbers go up by one.</summary>
    private void CheckInboxes()
    {
        var copies = new Dictionary<(string Key, string Recipient), int>();
        foreach (var row in final.Rows)
        {
            copies[(row.Key, row.Recipient)] = copies.GetValueOrDefault((row.Key, row.Recipient)) + 1;
            if (!_rows.TryAdd((row.Recipient, row.Seq), row))
            {
                Report(Gapless, $"{row.Recipient} has two messages with number {row.Seq}: {_rows[(row.Recipient, row.Seq)].Key} and {row.Key}");
            }

            if (!history.Offered.TryGetValue(row.Key, out var offer) || !offer.Recipients.Contains(row.Recipient))
            {
                Report(Invented, $"{row.Recipient} has {row.Key} (number {row.Seq}), which nobody sent there");
            }
        }

        foreach (var ((key, recipient), count) in copies.Where(c => c.Value > 1))
        {
            Report(Once, $"{recipient} has {key} {count} times");
        }

        foreach (var refused in history.Refused.Where(r => final.Bodies.ContainsKey(r.Key)))
        {
            Report(Invented, $"{refused.Key} was refused with {refused.Status} and is stored");
        }

        foreach (var key in _answered.Keys)
        {
            foreach (var recipient in history.Offered[key].Recipients.Where(r => !copies.ContainsKey((key, r))))
            {
                Report(
                    final.Unexpanded.Contains(key) ? Stuck : Lost,
                    $"{key} of {history.Offered[key].Sender} was answered at {_answered[key].At:HH:mm:ss.fff} and is not in the inbox of {recipient}");
            }
        }

        foreach (var (recipient, last) in final.LastSeq)
        {
            var before = final.Before.GetValueOrDefault(recipient);
            for (var seq = before + 1; seq <= last; seq++)
            {
                if (!_rows.ContainsKey((recipient, seq)))
                {
                    Report(Gapless, $"{recipient} has no message with number {seq} of {before + 1} to {last}");
                }
            }
        }

        foreach (var row in final.Rows.Where(r => r.Seq > final.LastSeq.GetValueOrDefault(r.Recipient)))
        {
            Report(Gapless, $"{row.Recipient} has number {row.Seq}, past the last one");
        }
    }

    private void CheckBodies()
    {
        foreach (var (key, count) in final.Bodies)
        {
            if (count != 1)
            {
                Report(Once, $"the body of {key} is stored {count} times");
            }

            if (!history.Offered.ContainsKey(key))
            {
                Report(Invented, $"{key} is stored, which nobody sent");
            }
        }

        foreach (var key in _answered.Keys.Where(k => !final.Bodies.ContainsKey(k)))
        {
            Report(Lost, $"the body of {key} is gone");
        }
    }

    /// <summary>What was answered (and due) before another of its lane was first sent (or due) has the lower number.</summary>
    private void CheckAcceptedOrder()
    {
        foreach (var lane in final.Rows.Where(r => history.Offered.ContainsKey(r.Key)).GroupBy(r => (r.Recipient, r.Sender, r.Priority)))
        {
            var ready = lane.Where(r => _answered.ContainsKey(r.Key)).OrderBy(r => ReadyAt(r.Key)).ToArray();
            var (next, highest) = (0, (FinalRow?)null);
            foreach (var row in lane.OrderBy(r => StartOf(r.Key)))
            {
                for (; next < ready.Length && ReadyAt(ready[next].Key) + ClockGrain < StartOf(row.Key); next++)
                {
                    highest = highest is null || ready[next].Seq > highest.Seq ? ready[next] : highest;
                }

                if (highest?.Seq > row.Seq)
                {
                    Report(
                        LaneOrder,
                        $"{lane.Key}: {highest.Key} was ready at {ReadyAt(highest.Key):HH:mm:ss.fff} and got number {highest.Seq}; " +
                        $"{row.Key} began at {StartOf(row.Key):HH:mm:ss.fff} and got {row.Seq}");
                }
            }
        }
    }

    private DateTimeOffset ReadyAt(string key) => Later(_answered[key].At, history.Offered[key].DueAt);

    private DateTimeOffset StartOf(string key) => Later(history.Offered[key].At, history.Offered[key].DueAt);

    private static DateTimeOffset Later(DateTimeOffset at, DateTimeOffset? due) => due > at ? due.Value : at;

    /// <summary>Within a lane, first effects come in the order of the numbers.</summary>
    private void CheckProcessedOrder()
    {
        foreach (var lane in final.Rows.GroupBy(r => (r.Recipient, r.Sender, r.Priority)))
        {
            Processed? last = null;
            foreach (var row in lane.OrderBy(r => r.Seq))
            {
                if (!_processed.TryGetValue((row.Recipient, row.Seq), out var effect))
                {
                    continue;
                }

                if (effect.Order < last?.Order)
                {
                    Report(LaneOrder, $"{lane.Key}: number {row.Seq} was processed before {last.Seq}");
                }

                last = effect;
            }
        }
    }

    private void CheckAcknowledgements()
    {
        var leases = history.Leased.DistinctBy(l => (l.Recipient, l.Lease)).ToDictionary(l => (l.Recipient, l.Lease));
        var acknowledged = new Dictionary<(string, long), DateTimeOffset>();
        foreach (var settled in history.Settled.Where(s => s.Updated is not null))
        {
            if (leases.TryGetValue((settled.Recipient, settled.Lease), out var lease) && settled.AskedAt > lease.ExpiresAt + ClockGrain)
            {
                Report(EndedLease, $"{settled.Recipient}: lease {settled.Lease} ended at {lease.ExpiresAt:HH:mm:ss.fff} and settled {settled.Seqs.Count} at {settled.AskedAt:HH:mm:ss.fff}");
            }

            if (!settled.IsAck)
            {
                continue;
            }

            // Fewer than asked for: some had expired meanwhile, and those must be found as such.
            var expired = settled.Seqs.Where(s => _rows.GetValueOrDefault((settled.Recipient, s))?.State == (int)DeliveryState.Expired).ToArray();
            if (settled.Updated + expired.Length < settled.Seqs.Count)
            {
                Report(Forgotten, $"{settled.Recipient}: of {settled.Seqs.Count} only {settled.Updated} were acknowledged under lease {settled.Lease}");
            }

            foreach (var seq in settled.Updated == settled.Seqs.Count ? settled.Seqs : settled.Seqs.Except(expired))
            {
                acknowledged.TryAdd((settled.Recipient, seq), settled.AnsweredAt);
                if (_rows.TryGetValue((settled.Recipient, seq), out var row) && row.State != (int)DeliveryState.Delivered)
                {
                    Report(Forgotten, $"{settled.Recipient}: {row.Key} (number {seq}) was acknowledged and is {(DeliveryState)row.State}");
                }
            }
        }

        foreach (var lease in history.Leased)
        {
            foreach (var item in lease.Items)
            {
                if (acknowledged.TryGetValue((lease.Recipient, item.Seq), out var at) && lease.AskedAt > at)
                {
                    Report(AfterAck, $"{lease.Recipient}: {item.Key} (number {item.Seq}) was acknowledged at {at:HH:mm:ss.fff} and leased again after {lease.AskedAt:HH:mm:ss.fff}");
                }
            }
        }
    }

    private void CheckLeases()
    {
        // By settling a lease's items one after the other its lane becomes free at the last; who settles, settles from the first attempt on.
        var settledFrom = history.Settled.GroupBy(s => (s.Recipient, s.Lease)).ToDictionary(g => g.Key, g => g.Min(s => s.AskedAt));
        var holds = history.Leased
            .SelectMany(l => l.Items.Select(i => (i.Sender, i.Priority)).Distinct().Select(lane => (Lane: (l.Recipient, lane.Sender, lane.Priority), Lease: l)))
            .GroupBy(h => h.Lane);
        foreach (var lane in holds)
        {
            var inOrder = lane.Select(h => h.Lease).OrderBy(l => l.GotAt).ToArray();
            for (var i = 0; i < inOrder.Length; i++)
            {
                var held = inOrder[i];
                var until = settledFrom.TryGetValue((held.Recipient, held.Lease), out var settling) && settling < held.ExpiresAt ? settling : held.ExpiresAt;
                for (var j = i + 1; j < inOrder.Length && inOrder[j].GotAt < until; j++)
                {
                    if (inOrder[j].AskedAt > held.GotAt)
                    {
                        Report(Exclusive, $"{lane.Key}: {held.Consumer} held it from {held.GotAt:HH:mm:ss.fff} to {until:HH:mm:ss.fff}, {inOrder[j].Consumer} got it by {inOrder[j].GotAt:HH:mm:ss.fff}");
                    }
                }
            }
        }

        foreach (var lease in history.Leased)
        {
            foreach (var item in lease.Items)
            {
                CheckItem(lease, item);
            }
        }
    }

    private void CheckItem(Leased lease, Item item)
    {
        if (!_rows.TryGetValue((lease.Recipient, item.Seq), out var row) || row.Key != item.Key)
        {
            Report(Invented, $"{lease.Recipient} was given {item.Key} as number {item.Seq}, which is {row?.Key ?? "nothing"}");
            return;
        }

        if (!history.Offered.TryGetValue(item.Key, out var offer))
        {
            return;
        }

        if (lease.AskedAt > offer.ExpiresAt + ClockGrain)
        {
            Report(TooLate, $"{lease.Recipient}: {item.Key} expired at {offer.ExpiresAt:HH:mm:ss.fff} and was leased after {lease.AskedAt:HH:mm:ss.fff}");
        }

        if (lease.GotAt + ClockGrain < offer.DueAt)
        {
            Report(TooEarly, $"{lease.Recipient}: {item.Key} is due at {offer.DueAt:HH:mm:ss.fff} and was leased by {lease.GotAt:HH:mm:ss.fff}");
        }
    }

    /// <summary>Everything reaches its consumer, in time, or has expired.</summary>
    private void CheckEnds()
    {
        foreach (var row in final.Rows.Where(r => readings[r.Recipient] == Reading.Queue && history.Offered.ContainsKey(r.Key)))
        {
            var offer = history.Offered[row.Key];
            var mayExpire = offer.ExpiresAt is not null;
            if (_processed.TryGetValue((row.Recipient, row.Seq), out var effect))
            {
                if (effect.At > Deadline(Later(row.AcceptedAt, offer.DueAt)))
                {
                    Report(Stuck, $"{Of(row)} was ready at {Later(row.AcceptedAt, offer.DueAt):HH:mm:ss.fff} and was processed at {effect.At:HH:mm:ss.fff}");
                }
            }
            else if (row.State == (int)DeliveryState.Delivered)
            {
                Report(Unsent, $"{Of(row)} counts as acknowledged, and no consumer ever processed it");
            }

            var ended = row.State == (int)DeliveryState.Delivered || (row.State == (int)DeliveryState.Expired && mayExpire);
            if (!ended)
            {
                Report(row.State is (int)DeliveryState.Pending or (int)DeliveryState.Leased ? Stuck : Lost, $"{Of(row)} is {(DeliveryState)row.State} in the end");
            }
        }

        foreach (var key in final.Unexpanded)
        {
            Report(Stuck, $"the deliveries of {key} were never made");
        }
    }

    /// <summary>Every push reached its peer and was answered well by it, in order within the lane.</summary>
    private void CheckPushes()
    {
        var good = history.Pushed.Where(p => p.Answer is >= 200 and < 300).GroupBy(p => (p.Recipient, p.Key))
            .ToDictionary(g => g.Key, g => g.MinBy(p => p.Order)!);
        var refused = history.Pushed.Where(p => p.Answer is >= 400 and < 500).Select(p => (p.Recipient, p.Key)).ToHashSet();
        foreach (var push in history.Pushed.Where(p => !history.Offered.TryGetValue(p.Key, out var offer) || !offer.Recipients.Contains(p.Recipient)))
        {
            Report(Invented, $"{push.Recipient} was sent {push.Key}, which is not for it");
        }

        foreach (var again in history.Pushed.Where(p => good.TryGetValue((p.Recipient, p.Key), out var first) && p.Order > first.Order))
        {
            var first = good[(again.Recipient, again.Key)];
            if (again.At < first.At + PushTimeMax && !_broken.Any(b => b.From < again.At && b.Until > first.At))
            {
                Report(Exclusive, $"{again.Recipient} was sent {again.Key} at {first.At:HH:mm:ss.fff}, took it, and was sent it again at {again.At:HH:mm:ss.fff}");
            }
        }

        foreach (var lane in final.Rows.Where(r => readings[r.Recipient] == Reading.Push && history.Offered.ContainsKey(r.Key))
            .GroupBy(r => (r.Recipient, r.Sender, r.Priority)))
        {
            Pushed? last = null;
            foreach (var row in lane.OrderBy(r => r.Seq))
            {
                var isGood = good.TryGetValue((row.Recipient, row.Key), out var push);
                if (row.State == (int)DeliveryState.Delivered && !isGood)
                {
                    Report(Unsent, $"{Of(row)} counts as delivered, and its peer never said so");
                }
                else if (row.State is (int)DeliveryState.Pending or (int)DeliveryState.Leased)
                {
                    Report(Stuck, $"{Of(row)} is {(DeliveryState)row.State} in the end");
                }

                else if (row.State == (int)DeliveryState.Dead && !refused.Contains((row.Recipient, row.Key)))
                {
                    Report(Lost, $"{Of(row)} is dead, and its peer never refused it");
                }

                if (isGood && push!.Order < last?.Order)
                {
                    Report(LaneOrder, $"{lane.Key}: {push.Key} arrived before {last.Key}");
                }

                last = isGood ? push : last;
            }
        }
    }

    private void CheckStreams()
    {
        foreach (var (follower, recipient) in followers)
        {
            var expected = final.Before.GetValueOrDefault(recipient) + 1;
            foreach (var seen in history.Seen.Where(s => s.Follower == follower).OrderBy(s => s.Order))
            {
                if (seen.Seq != expected)
                {
                    Report(Stream, $"{follower}: number {seen.Seq} came where {expected} was due");
                }

                if (_rows.TryGetValue((recipient, seen.Seq), out var row))
                {
                    CheckSeen(seen, row);
                }
                else
                {
                    Report(Lost, $"{follower} saw {seen.Key} as number {seen.Seq} of {recipient}, which is gone");
                }

                expected = seen.Seq + 1;
            }

            if (expected <= final.LastSeq.GetValueOrDefault(recipient))
            {
                Report(Stream, $"{follower} stopped before number {expected} of {final.LastSeq[recipient]}");
            }
        }
    }

    private void CheckSeen(Seen seen, FinalRow row)
    {
        if (row.Key != seen.Key)
        {
            Report(Stream, $"{seen.Follower}: number {seen.Seq} was {seen.Key} and is {row.Key}");
        }

        var ready = Later(row.AcceptedAt, history.Offered.GetValueOrDefault(row.Key)?.DueAt);
        if (seen.At > Deadline(ready))
        {
            Report(Stuck, $"{seen.Follower}: {row.Key} was ready at {ready:HH:mm:ss.fff} and was seen at {seen.At:HH:mm:ss.fff}");
        }
    }

    /// <summary>When what became ready then must have arrived; each fault that falls into the wait prolongs it.</summary>
    private DateTimeOffset Deadline(DateTimeOffset ready)
    {
        var deadline = ready + stuckAfter;
        foreach (var broken in _broken)
        {
            if (broken.From < deadline && broken.Until > ready && broken.Until + stuckAfter > deadline)
            {
                deadline = broken.Until + stuckAfter;
            }
        }

        return deadline;
    }

    private static string Of(FinalRow row) => $"{row.Recipient}: {row.Key} of {row.Sender} (number {row.Seq}, {row.Priority})";

    private void Report(string promise, string detail) => _violations.Add(new(promise, detail));
}
