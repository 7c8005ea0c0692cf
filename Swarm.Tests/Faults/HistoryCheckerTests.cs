using Swarm.Core.Delivery;

namespace Swarm.Tests.Faults;

/// <summary>The checker finds nothing in a good history, and in one that is changed in one place exactly what is broken there.</summary>
public sealed class HistoryCheckerTests
{
    private static readonly DateTimeOffset Start = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);
    private static readonly Guid FirstLease = new("00000000-0000-0000-0000-000000000001");
    private static readonly Guid SecondLease = new("00000000-0000-0000-0000-000000000002");

    [Fact]
    public void A_good_history_breaks_no_promise() => Assert.Empty(new Story().Check());

    [Fact]
    public void What_is_missing_from_an_inbox_is_lost_and_leaves_a_gap() =>
        Breaks([HistoryChecker.Lost, HistoryChecker.Gapless, HistoryChecker.Invented], s => s.Rows.RemoveAll(r => r is { Recipient: "bob", Key: "m2" }));

    [Fact]
    public void What_is_missing_from_one_of_the_inboxes_of_a_broadcast_is_lost() =>
        Breaks([HistoryChecker.Lost, HistoryChecker.Gapless], s => s.Rows.RemoveAll(r => r.Recipient == "carol"));

    [Fact]
    public void A_body_that_is_gone_is_lost() => Breaks([HistoryChecker.Lost], s => s.Bodies.Remove("m1"));

    [Fact]
    public void A_second_body_is_found() => Breaks([HistoryChecker.Once], s => s.Bodies["m1"] = 2);

    [Fact]
    public void A_second_copy_in_an_inbox_is_found() =>
        Breaks([HistoryChecker.Once], s =>
        {
            s.Add(new("bob", 14, "m3", "alice", "normal", (int)DeliveryState.Delivered, At(1.05)));
            s.LastSeq["bob"] = 14;
        });

    [Fact]
    public void What_was_refused_may_not_be_stored() => Breaks([HistoryChecker.Invented], s => s.History.Refused.Enqueue(new("m3", 401, At(1))));

    [Fact]
    public void What_nobody_sent_may_not_be_stored() =>
        Breaks([HistoryChecker.Invented], s => s.Bodies["m9"] = 1);

    [Fact]
    public void An_id_that_changes_between_two_answers_is_found() =>
        Breaks([HistoryChecker.OneAnswer], s => s.History.Answered.Enqueue(new("m1", "another", At(9))));

    [Fact]
    public void Numbers_against_the_order_of_sending_are_found() =>
        Breaks([HistoryChecker.LaneOrder], s => s.History.Offered["m1"] = s.History.Offered["m1"] with { At = At(3.5) });

    [Fact]
    public void Effects_against_the_order_of_the_numbers_are_found() => Breaks([HistoryChecker.LaneOrder], s => s.SwapProcessed("m1", "m2"));

    [Fact]
    public void What_counts_as_acknowledged_and_was_never_given_to_anybody_is_found() =>
        Breaks([HistoryChecker.Unsent], s => s.Forget(p => p is { Recipient: "bob", Key: "m2" }));

    [Fact]
    public void A_delivery_after_its_acknowledgement_is_found() =>
        Breaks([HistoryChecker.AfterAck], s => s.Lease(SecondLease, 6, 6.1, 9, s.Item("m1")));

    [Fact]
    public void An_acknowledgement_that_is_gone_is_found() =>
        Breaks([HistoryChecker.Forgotten, HistoryChecker.Stuck], s => s.Change("m1", r => r with { State = (int)DeliveryState.Pending }));

    [Fact]
    public void An_acknowledgement_that_did_less_than_was_asked_is_found() =>
        Breaks([HistoryChecker.Forgotten], s => s.Settle(x => x with { Updated = 1 }));

    [Fact]
    public void Two_consumers_of_one_lane_are_found() =>
        Breaks([HistoryChecker.Exclusive], s => s.Lease(SecondLease, 3.3, 3.4, 9, s.Item("m2")));

    [Fact]
    public void A_lease_that_settles_after_its_end_is_found() =>
        Breaks([HistoryChecker.EndedLease], s => s.Settle(x => x with { AskedAt = At(8.1), AnsweredAt = At(8.2) }));

    [Fact]
    public void What_is_leased_in_the_end_is_stuck() =>
        Breaks([HistoryChecker.Stuck], s => s.Leave("m3", DeliveryState.Leased));

    [Fact]
    public void What_came_too_late_without_a_fault_was_stuck() =>
        Breaks([HistoryChecker.Stuck], s => s.Late("m3", At(40)), alsoAllowed: HistoryChecker.LaneOrder);

    [Fact]
    public void What_came_late_because_of_a_fault_was_not_stuck() =>
        Breaks([], s =>
        {
            s.Late("m3", At(40));
            s.History.Broken.Enqueue(new("everything", At(2), At(35)));
        });

    [Fact]
    public void Deliveries_that_were_never_made_are_stuck() => Breaks([HistoryChecker.Stuck], s => s.Unexpanded.Add("m3"));

    [Fact]
    public void A_delivery_before_it_is_due_is_found() =>
        Breaks([HistoryChecker.TooEarly], s => s.History.Offered["m3"] = s.History.Offered["m3"] with { DueAt = At(5) });

    [Fact]
    public void A_delivery_after_its_time_to_live_is_found() =>
        Breaks([HistoryChecker.TooLate], s => s.History.Offered["m3"] = s.History.Offered["m3"] with { ExpiresAt = At(2.5) });

    [Fact]
    public void A_stream_that_leaves_something_out_is_found() => Breaks([HistoryChecker.Stream], s => s.Unsee(12));

    [Fact]
    public void A_stream_that_ends_early_is_found() => Breaks([HistoryChecker.Stream], s => s.Unsee(13));

    [Fact]
    public void A_stream_that_repeats_something_is_found() =>
        Breaks([HistoryChecker.Stream], s => s.History.Seen.Enqueue(new("follower", "bob", 13, "m3", s.History.NextOrder(), At(5))));

    [Fact]
    public void An_answer_that_nothing_justifies_is_found() => Breaks([HistoryChecker.NoSurprise], s => s.History.Wrong.Enqueue("500"));

    [Fact]
    public void A_push_that_counts_as_delivered_and_was_never_taken_is_found() =>
        Breaks([HistoryChecker.Unsent], s => s.Pushed.RemoveAll(p => p.Key == "m4"));

    [Fact]
    public void A_push_that_was_answered_with_an_error_does_not_count_as_delivered() =>
        Breaks([HistoryChecker.Unsent], s => s.Pushed[0] = s.Pushed[0] with { Answer = 500 });

    [Fact]
    public void Pushes_out_of_order_are_found() =>
        Breaks([HistoryChecker.LaneOrder], s => (s.Pushed[0], s.Pushed[1]) = (s.Pushed[0] with { Order = 2 }, s.Pushed[1] with { Order = 1 }));

    [Fact]
    public void A_push_that_was_taken_and_comes_again_without_need_is_found() =>
        Breaks([HistoryChecker.Exclusive], s => s.Pushed.Add(s.Pushed[1] with { Order = 3, At = s.Pushed[1].At + TimeSpan.FromSeconds(1) }));

    [Fact]
    public void A_push_that_comes_again_after_a_fault_is_none() =>
        Breaks([], s =>
        {
            s.Pushed.Add(s.Pushed[1] with { Order = 3, At = s.Pushed[1].At + TimeSpan.FromSeconds(1) });
            s.History.Broken.Enqueue(new("the Worker", s.Pushed[1].At, At(3)));
        });

    [Fact]
    public void What_is_dead_although_its_peer_never_refused_it_is_lost() =>
        Breaks([HistoryChecker.Lost], s =>
        {
            var at = s.Rows.FindIndex(r => r.Key == "m5");
            s.Rows[at] = s.Rows[at] with { State = (int)DeliveryState.Dead };
            s.Pushed[1] = s.Pushed[1] with { Answer = 500 };
        });

    [Fact]
    public void A_push_to_the_wrong_peer_is_found() => Breaks([HistoryChecker.Invented], s => s.Pushed.Add(s.Pushed[0] with { Key = "m1" }));

    private static void Breaks(string[] promises, Action<Story> change, string? alsoAllowed = null)
    {
        var story = new Story();
        change(story);
        var violations = story.Check();
        var found = violations.Select(v => v.Promise).Distinct().Where(p => p != alsoAllowed || promises.Contains(p)).Order();
        Assert.True(found.SequenceEqual(promises.Order()), HistoryChecker.Describe(violations));
    }

    private static DateTimeOffset At(double seconds) => Start + TimeSpan.FromSeconds(seconds);

    /// <summary>
    /// Eve sends m1 and m2 to bob and alice broadcasts m3 to bob and carol; one consumer of bob leases all three and acknowledges; a
    /// follower sees them. m4 and m5 go to the remote zed.
    /// </summary>
    private sealed class Story
    {
        private readonly List<Processed> _processed = [];
        private readonly List<Seen> _seen = [];
        private readonly List<Leased> _leased = [];
        private Settled _settled = new("bob", FirstLease, true, [11, 12, 13], At(5), At(5.1), 3);

        public Story()
        {
            Offer("m1", "eve", ["bob"], 1);
            Offer("m2", "eve", ["bob"], 2);
            Offer("m3", "alice", ["bob", "carol"], 1);
            Offer("m4", "alice", ["zed"], 1);
            Offer("m5", "alice", ["zed"], 2);
            Add(new("bob", 11, "m1", "eve", "normal", (int)DeliveryState.Delivered, At(1.05)));
            Add(new("bob", 12, "m2", "eve", "normal", (int)DeliveryState.Delivered, At(2.05)));
            Add(new("bob", 13, "m3", "alice", "normal", (int)DeliveryState.Delivered, At(1.05)));
            Rows.Add(new("carol", 1, "m3", "alice", "normal", (int)DeliveryState.Pending, At(1.05)));
            Rows.Add(new("zed", 1, "m4", "alice", "normal", (int)DeliveryState.Delivered, At(1.05)));
            Rows.Add(new("zed", 2, "m5", "alice", "normal", (int)DeliveryState.Delivered, At(2.05)));
            Pushed = [new("zed", "m4", 1, At(1.2), 200), new("zed", "m5", 2, At(2.2), 200)];
            Lease(FirstLease, 3, 3.1, 8, [.. Rows.Where(r => r.Recipient == "bob").Select(r => Item(r.Key))]);
        }

        public History History { get; } = new(TimeProvider.System);

        public List<FinalRow> Rows { get; } = [];

        public Dictionary<string, int> Bodies { get; } = new() { ["m1"] = 1, ["m2"] = 1, ["m3"] = 1, ["m4"] = 1, ["m5"] = 1 };

        public Dictionary<string, long> LastSeq { get; } = new() { ["bob"] = 13, ["carol"] = 1, ["zed"] = 2 };

        public List<string> Unexpanded { get; } = [];

        public List<Pushed> Pushed { get; }

        /// <summary>A row that was processed and seen.</summary>
        public void Add(FinalRow row)
        {
            Rows.Add(row);
            _processed.Add(new(row.Recipient, row.Seq, row.Key, History.NextOrder(), At(4)));
            _seen.Add(new("follower", row.Recipient, row.Seq, row.Key, History.NextOrder(), At(4)));
        }

        public Item Item(string key)
        {
            var row = Rows.First(r => r.Recipient == "bob" && r.Key == key);
            return new(row.Seq, key, row.Sender, row.Priority);
        }

        public void Lease(Guid id, double asked, double got, double expires, params Item[] items) =>
            _leased.Add(new("bob", $"consumer {id}", id, At(asked), At(got), At(expires), items));

        public void Settle(Func<Settled, Settled> change) => _settled = change(_settled);

        public void Change(string key, Func<FinalRow, FinalRow> change)
        {
            var at = Rows.FindIndex(r => r.Recipient == "bob" && r.Key == key);
            Rows[at] = change(Rows[at]);
        }

        /// <summary>Nobody ever settled or processed it, and it is in that state.</summary>
        public void Leave(string key, DeliveryState state)
        {
            Change(key, r => r with { State = (int)state });
            Forget(p => p.Key == key);
            var seq = Item(key).Seq;
            Settle(s => s with { Seqs = [.. s.Seqs.Where(x => x != seq)], Updated = s.Updated - 1 });
        }

        public void Late(string key, DateTimeOffset at)
        {
            var index = _processed.FindIndex(p => p.Key == key);
            _processed[index] = _processed[index] with { At = at };
        }

        public void Forget(Predicate<Processed> which) => _processed.RemoveAll(which);

        public void Unsee(long seq) => _seen.RemoveAll(s => s.Seq == seq);

        public void SwapProcessed(string one, string other)
        {
            var (a, b) = (_processed.FindIndex(p => p.Key == one), _processed.FindIndex(p => p.Key == other));
            (_processed[a], _processed[b]) = (_processed[a] with { Order = _processed[b].Order }, _processed[b] with { Order = _processed[a].Order });
        }

        public IReadOnlyList<Violation> Check()
        {
            _processed.ForEach(History.Processed.Enqueue);
            var more = History.Seen.ToArray();
            History.Seen.Clear();
            _seen.Concat(more).ToList().ForEach(History.Seen.Enqueue);
            _leased.ForEach(History.Leased.Enqueue);
            Pushed.ForEach(History.Pushed.Enqueue);
            History.Settled.Enqueue(_settled);
            var readings = new Dictionary<string, Reading> { ["bob"] = Reading.Queue, ["carol"] = Reading.View, ["zed"] = Reading.Push };
            return new HistoryChecker(
                History, new(Rows, new Dictionary<string, long> { ["bob"] = 10 }, LastSeq, Bodies, Unexpanded), readings,
                new Dictionary<string, string> { ["follower"] = "bob" }, TimeSpan.FromSeconds(20)).Check();
        }

        private void Offer(string key, string sender, string[] recipients, double at)
        {
            History.Offered[key] = new(key, sender, recipients, "normal", At(at), null, null);
            History.Answered.Enqueue(new(key, $"id of {key}", At(at + 0.1)));
        }
    }
}
