using Npgsql;
using Swarm.Core;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Messaging;

/// <summary>The group commit (design §3) on one replica and on two that write at once.</summary>
[Collection(PostgresCollection.Name)]
public sealed class GroupCommitTests(PostgresFixture postgres) : IAsyncLifetime
{
    private NodeHost _a = null!;
    private NodeHost _b = null!;
    private Scene _scene = null!;
    private readonly Dictionary<string, AgentId> _ids = [];
    private Roster _roster = null!;

    public async Task InitializeAsync()
    {
        _a = await NodeHost.StartAsync(postgres);
        _b = await _a.StartReplicaAsync();
        _scene = await Scene.CreateAsync(_a.Hub, ["alice", "bob", "carol", "dave"], ["eve", "frank", "grace", "heidi"]);
        _roster = (await _a.Get<Rosters>().GetFreshAsync(_scene.Swarm, default))!;
        foreach (var member in _roster.Members)
        {
            _ids[member.Name] = member.Agent;
        }

        Assert.NotNull(await _b.Get<Rosters>().GetFreshAsync(_scene.Swarm, default));
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _b.DisposeAsync();
        await _a.DisposeAsync();
    }

    [Fact]
    public async Task Copies_of_a_message_within_one_batch_become_one_message_with_one_delivery()
    {
        var message = _scene.Sign("eve", "bob");
        var receipts = await InOneBatchAsync([.. Enumerable.Repeat(Envelope(message, "bob"), 5)]);
        Assert.Equal(ReceiptStatus.Accepted, receipts[0].Status);
        Assert.All(receipts[1..], r => Assert.Equal(ReceiptStatus.Duplicate, r.Status));
        Assert.Equal((1, 1, 1), await CountAsync(message.MessageId));

        // And once more in a batch of its own, with the number of the first.
        var again = await AcceptAsync(_a, message, "bob");
        Assert.Equal((ReceiptStatus.Duplicate, receipts[0].Seq), (again.Status, again.Seq));
        Assert.Equal((1, 1, 1), await CountAsync(message.MessageId));
        await CheckGaplessAsync("bob");
    }

    [Fact]
    public async Task One_id_with_other_content_is_refused_within_a_batch_and_after_it()
    {
        var id = Guid.NewGuid();
        var first = _scene.Sign("eve", "bob", "first", id);
        var other = _scene.Sign("eve", "bob", "other", id);
        var receipts = await InOneBatchAsync([Envelope(first, "bob"), Envelope(other, "bob"), Envelope(first, "bob")]);
        Assert.Equal([ReceiptStatus.Accepted, ReceiptStatus.Refused, ReceiptStatus.Duplicate], receipts.Select(r => r.Status));
        Assert.Equal(SwarmError.MessageIdReused, receipts[1].Error);
        Assert.Equal(SwarmError.MessageIdReused, (await AcceptAsync(_b, other, "bob")).Error);
        Assert.Equal((1, 1, 1), await CountAsync(first.MessageId));

        // The id is the sender's own: nobody else is kept from using it.
        Assert.Equal(ReceiptStatus.Accepted, (await AcceptAsync(_a, _scene.Sign("frank", "bob", "mine", id), "bob")).Status);
        await CheckGaplessAsync("bob");
    }

    [Fact]
    public async Task The_same_broadcast_at_three_doors_is_one_body_with_three_deliveries()
    {
        string[] doors = ["bob", "carol", "dave"];
        var together = _scene.Sign("eve", AgentName.Broadcast, "together");
        var receipts = await InOneBatchAsync([.. doors.Select(d => Envelope(together, d))]);
        Assert.All(receipts, r => Assert.Equal(ReceiptStatus.Accepted, r.Status));
        Assert.Equal((1, 1, 3), await CountAsync(together.MessageId));

        var apart = _scene.Sign("eve", AgentName.Broadcast, "apart");
        foreach (var door in doors)
        {
            Assert.Equal(ReceiptStatus.Accepted, (await AcceptAsync(_a, apart, door)).Status);
            Assert.Equal(ReceiptStatus.Duplicate, (await AcceptAsync(_b, apart, door)).Status);
        }

        Assert.Equal((1, 1, 3), await CountAsync(apart.MessageId));
        foreach (var door in doors)
        {
            await CheckGaplessAsync(door);
        }
    }

    [Fact]
    public async Task Messages_with_ids_of_the_nodes_own_are_found_again_when_their_commit_is_tried_again()
    {
        var batch = Enumerable.Range(0, 20).Select(n => _scene.Sign("eve", "bob", $"{n}")).Select(m => Pending.Of(
            m, _ids["eve"], _roster.SwarmNo, _roster.Version, _ids["bob"], isIdMinted: true)).ToArray();
        var (first, again) = (new CommitResult[batch.Length], new CommitResult[batch.Length]);
        await using var command = await AcceptCommand.OpenAsync(_a.Database, default);
        var chain = await command.ExecuteAsync(batch, first, mayRepeat: false, AuditChain.Start(), TimeProvider.System.GetUtcNow(), default);
        chain = await command.ExecuteAsync(batch, again, mayRepeat: true, chain, TimeProvider.System.GetUtcNow(), default);

        Assert.Equal(Enumerable.Range(1, 20).Select(n => (CommitStatus.Accepted, (long)n)), first.Select(r => (r.Status, r.Seq)));
        Assert.Equal(Enumerable.Range(1, 20).Select(n => (CommitStatus.Duplicate, (long)n)), again.Select(r => (r.Status, r.Seq)));

        // Who wrongly says that it cannot be there changes nothing.
        var error = await Assert.ThrowsAsync<PostgresException>(() =>
            command.ExecuteAsync(batch, again, mayRepeat: false, chain, TimeProvider.System.GetUtcNow(), default));
        Assert.Equal(PostgresErrorCodes.UniqueViolation, error.SqlState);
        Assert.Equal(20, await _a.ScalarAsync<long>("select count(*) from messages"));
        Assert.Equal(20, await CheckGaplessAsync("bob"));
    }

    [Fact]
    public async Task Two_replicas_that_are_given_the_same_messages_at_once_accept_each_once()
    {
        var messages = Enumerable.Range(0, 200).Select(n => _scene.Sign("eve", "bob", $"{n}")).ToArray();
        var receipts = await Task.WhenAll(messages.SelectMany(m => new[] { AcceptAsync(_a, m, "bob"), AcceptAsync(_b, m, "bob") }));
        Assert.Equal(200, receipts.Count(r => r.Status == ReceiptStatus.Accepted));
        Assert.Equal(200, receipts.Count(r => r.Status == ReceiptStatus.Duplicate));
        Assert.Equal(200, await _a.ScalarAsync<long>("select count(*) from messages"));
        Assert.Equal(200, await CheckGaplessAsync("bob"));
    }

    [Fact]
    public async Task Messages_that_are_waited_for_together_are_each_accepted_or_refused_by_their_own_right()
    {
        var good = Enumerable.Range(0, 40).Select(n => _scene.Sign("eve", "bob", $"{n}")).ToArray();
        var forged = _scene.Sign("eve", "bob", "forged") with { Content = "another" };
        var meter = _a.Get<IntakeMeter>();
        var (accepted, duplicates) = (meter.AcceptedTotal, meter.DuplicateTotal);
        var receipts = await TogetherAsync(
            [.. good[..20].Select(Own), Own(forged), Own(_scene.Sign("eve", "nobody")), Own(good[0]), .. good[20..].Select(Own)]);

        Assert.Equal(SwarmError.InvalidSignature, receipts[20].Error);
        Assert.Equal(SwarmError.WrongRecipient, receipts[21].Error);
        Assert.Equal(ReceiptStatus.Duplicate, receipts[22].Status);
        Receipt[] ofGood = [.. receipts[..20], .. receipts[23..]];
        Assert.Equal(Enumerable.Range(1, 40).Select(n => (ReceiptStatus.Accepted, (long)n)), ofGood.Select(r => (r.Status, r.Seq)));
        Assert.Equal(Enumerable.Range(0, 40).Select(n => $"{n}"), (await _a.Get<Inbox>().ReadAllAsync(_ids["bob"])).Select(i => i.Message.Content));
        Assert.Equal((40, 1), (meter.AcceptedTotal - accepted, meter.DuplicateTotal - duplicates));
        Assert.Equal((1, 1), (meter.RefusedTotals[SwarmError.InvalidSignature.Id], meter.RefusedTotals[SwarmError.WrongRecipient.Id]));

        // Each took one of its sender's budget, whatever way it went; what was refused before it was counted took none.
        Assert.Equal(41, receipts[0].Budget.Limit - receipts.Where(r => r.Budget.Limit > 0).Min(r => r.Budget.Remaining));
        Assert.Equal(40, await CheckGaplessAsync("bob"));
    }

    [Fact]
    public async Task Messages_that_are_waited_for_together_are_checked_again_when_their_swarm_changed_and_keep_their_order()
    {
        Assert.Equal(ReceiptStatus.Accepted, (await AcceptAsync(_a, _scene.Sign("eve", "bob", "before"), "bob")).Status);

        // Nobody is told, so the roster that the replica holds stays old until the commit says so.
        await _a.ExecuteAsync($"update swarms set version = version + 1 where swarm_no = {_roster.SwarmNo}");
        var receipts = await TogetherAsync([.. Enumerable.Range(0, 100).Select(n => Own(_scene.Sign("eve", "bob", $"{n}")))]);
        Assert.All(receipts, r => Assert.Equal(ReceiptStatus.Accepted, r.Status));
        Assert.Equal(Enumerable.Range(2, 100).Select(n => (long)n), receipts.Select(r => r.Seq));
        Assert.Equal(101, receipts[0].Budget.Limit - receipts.Min(r => r.Budget.Remaining));
        Assert.Equal(101, await CheckGaplessAsync("bob"));
    }

    [Fact]
    public async Task A_batch_with_one_row_that_the_database_refuses_accepts_all_the_others()
    {
        await using var held = await HeldRow.MailboxAsync(_a.Database, "bob");
        var gate = AcceptAsync(_a, _scene.Sign("eve", "bob", "gate"), "bob");
        await held.WaitersAsync(1);

        // PostgreSQL holds no U+0000 in a text, and a trace is one.
        const int Bad = 13;
        var pending = Enumerable.Range(0, 30)
            .Select(n => Pending.Of(_scene.Sign("eve", "bob", $"{n}"), _ids["eve"], _roster.SwarmNo, _roster.Version, _ids["bob"], n == Bad ? "\0" : null))
            .ToArray();
        var commits = pending.Select(p => _a.Get<GroupCommit>().CommitAsync(p, default).AsTask()).ToArray();
        await held.DisposeAsync();

        var results = await Task.WhenAll(commits);
        Assert.Equal(ReceiptStatus.Accepted, (await gate).Status);
        Assert.Equal(CommitStatus.BadData, results[Bad].Status);
        Assert.All(results.Where((_, n) => n != Bad), r => Assert.Equal(CommitStatus.Accepted, r.Status));
        Assert.Equal(30, await CheckGaplessAsync("bob"));
        Assert.Equal(results.Where((_, n) => n != Bad).Select(r => r.Seq).Order(), results.Where((_, n) => n != Bad).Select(r => r.Seq));
    }

    [Fact]
    public async Task When_as_much_waits_as_may_wait_the_next_is_told_to_come_back_and_none_is_lost()
    {
        await using var held = await HeldRow.MailboxAsync(_a.Database, "bob");
        var gate = AcceptAsync(_a, _scene.Sign("eve", "bob", "gate"), "bob");
        await held.WaitersAsync(1);

        var signed = _scene.Sign("eve", "bob", "one of many");
        var commit = _a.Get<GroupCommit>();
        var waiting = Enumerable.Range(0, GroupCommit.WaitingMax).Select(_ => commit.CommitAsync(Another(signed), default).AsTask()).ToArray();
        Assert.DoesNotContain(waiting, w => w.IsCompleted);
        Assert.Equal(CommitStatus.Busy, (await commit.CommitAsync(Another(signed), default)).Status);
        Assert.Equal(SwarmError.TooBusy, (await AcceptAsync(_a, _scene.Sign("eve", "bob", "too much"), "bob")).Error);

        await held.DisposeAsync();
        Assert.All(await Task.WhenAll(waiting), r => Assert.Equal(CommitStatus.Accepted, r.Status));
        Assert.Equal(ReceiptStatus.Accepted, (await gate).Status);
        Assert.Equal(GroupCommit.WaitingMax + 1, await CheckGaplessAsync("bob"));
        Assert.Equal(ReceiptStatus.Accepted, (await AcceptAsync(_a, _scene.Sign("eve", "bob", "now there is room"), "bob")).Status);
    }

    [Fact]
    public async Task A_thousand_concurrent_accepts_on_two_replicas_leave_no_gap()
    {
        string[] senders = ["eve", "frank", "grace", "heidi"];
        string[] recipients = ["bob", "carol"];
        var receipts = await Task.WhenAll(Enumerable.Range(0, 1_000).Select(n => Task.Run(() =>
        {
            var recipient = recipients[n % 2];
            return AcceptAsync(n % 3 == 0 ? _a : _b, _scene.Sign(senders[n % 4], recipient, $"{n}"), recipient);
        })));

        Assert.All(receipts, r => Assert.Equal(ReceiptStatus.Accepted, r.Status));
        foreach (var recipient in recipients)
        {
            Assert.Equal(500, await CheckGaplessAsync(recipient));
        }
    }

    [Fact]
    public async Task A_batch_keeps_the_order_of_its_sender_on_a_replica_that_knows_nothing_yet()
    {
        await using var cold = await _a.StartReplicaAsync();
        var messages = Enumerable.Range(0, 512)
            .Select(n => new { from = n % 2 == 0 ? "alice" : "dave", swarm_id = _scene.Swarm.Value, to = "bob", content = $"{n:D3}" });
        var answer = (await cold.Hub.PostHubAsync("/hub/v1/messages/batch", new { messages })).Ok();
        Assert.All(answer["results"].EnumerateArray(), r => Assert.Equal("accepted", r.GetProperty("status").GetString()));
        var inbox = await _b.Get<Inbox>().ReadAllAsync(_ids["bob"]);
        Assert.Equal(Enumerable.Range(0, 512).Select(n => $"{n:D3}"), inbox.Select(i => i.Message.Content));
        Assert.Equal(512, await CheckGaplessAsync("bob"));
    }

    [Fact]
    public async Task Everybody_who_waits_is_answered_when_the_node_stops()
    {
        await using var held = await HeldRow.MailboxAsync(_a.Database, "bob");
        var gate = AcceptAsync(_a, _scene.Sign("eve", "bob", "gate"), "bob");
        await held.WaitersAsync(1);

        // Two large messages, of which the second does not fit into the first one's batch, and others behind them.
        var commit = _a.Get<GroupCommit>();
        var large = _scene.Sign("eve", "bob", new string('x', (GroupCommit.BatchBytesMax / 2) + 1));
        var waiting = new[] { large, large, _scene.Sign("eve", "bob"), _scene.Sign("eve", "bob") }
            .Select(m => commit.CommitAsync(Another(m), default).AsTask()).ToArray();
        var stopping = commit.StopAsync(default);
        await held.DisposeAsync();
        await stopping;

        Assert.Equal(ReceiptStatus.Accepted, (await gate).Status);
        var results = await Task.WhenAll(waiting).WaitAsync(TimeSpan.FromSeconds(20));
        Assert.All(results, r => Assert.True(r.Status is CommitStatus.Accepted or CommitStatus.Unavailable, $"{r.Status}"));
        Assert.Equal(1 + results.Count(r => r.Status == CommitStatus.Accepted), await CheckGaplessAsync("bob"));
        Assert.Equal(CommitStatus.Unavailable, (await commit.CommitAsync(Another(_scene.Sign("eve", "bob")), default)).Status);
    }

    /// <summary>Hands the envelopes in while the writer is held up, so that it takes them as one batch.</summary>
    private async Task<Receipt[]> InOneBatchAsync(Envelope[] envelopes)
    {
        var entries = "select count(*) from audit_entries where kind = 1";
        var before = await _a.ScalarAsync<long>(entries);
        await using var held = await HeldRow.MailboxAsync(_a.Database, "alice");
        var gate = AcceptAsync(_a, _scene.Sign("heidi", "alice", "gate"), "alice");
        await held.WaitersAsync(1);
        var receipts = envelopes.Select(e => _a.Get<Intake>().AcceptAsync(e, default).AsTask()).ToArray();
        await held.DisposeAsync();
        Assert.Equal(ReceiptStatus.Accepted, (await gate).Status);
        var all = await Task.WhenAll(receipts);
        Assert.Equal(before + 2, await _a.ScalarAsync<long>(entries));
        return all;
    }

    /// <summary>As the Hub API hands in the items of a batch.</summary>
    private async Task<Receipt[]> TogetherAsync(Envelope[] envelopes)
    {
        var batch = _a.Get<Intake>().Begin(envelopes.Length);
        foreach (var envelope in envelopes)
        {
            await batch.AddAsync(envelope, default);
        }

        await batch.CommitAsync(default);
        var receipts = new Receipt[envelopes.Length];
        for (var i = 0; i < receipts.Length; i++)
        {
            receipts[i] = await batch.ReceiptAsync(i);
        }

        return receipts;
    }

    /// <summary>The envelope of what came through no agent's door.</summary>
    private static Envelope Own(AspMessage message) => Pending.Envelope(message, null);

    private PendingMessage Another(AspMessage signed) => Pending.Of(
        signed with { MessageId = new(Guid.NewGuid()) }, _ids["eve"], _roster.SwarmNo, _roster.Version, _ids["bob"]);

    private Envelope Envelope(AspMessage message, string door) => Pending.Envelope(message, _ids[door]);

    private Task<Receipt> AcceptAsync(NodeHost replica, AspMessage message, string door) =>
        replica.Get<Intake>().AcceptAsync(Envelope(message, door), default).AsTask();

    /// <summary>Ids, bodies and deliveries of a message of eve.</summary>
    private async Task<(long Ids, long Bodies, long Deliveries)> CountAsync(MessageId id) => (
        await _a.ScalarAsync<long>($"select count(*) from message_ids where message_id = '{id}' and sender_no = {_ids["eve"]}"),
        await _a.ScalarAsync<long>($"select count(*) from messages where message_id = '{id}' and sender_no = {_ids["eve"]}"),
        await _a.ScalarAsync<long>(
            $"select count(*) from deliveries d join messages m using (message_no) where m.message_id = '{id}' and m.sender_no = {_ids["eve"]}"));

    /// <summary>The numbers of an inbox are 1, 2, 3 … up to its counter; says how many.</summary>
    private async Task<long> CheckGaplessAsync(string recipient)
    {
        var no = _ids[recipient];
        var last = await _a.ScalarAsync<long>($"select last_seq from mailboxes where recipient_no = {no}");
        Assert.Equal(last, await _a.ScalarAsync<long>($"select count(*) from deliveries where recipient_no = {no}"));
        Assert.Equal(last, await _a.ScalarAsync<long>($"select count(distinct seq) from deliveries where recipient_no = {no} and seq between 1 and {last}"));
        return last;
    }
}

/// <summary>Reading a whole inbox.</summary>
internal static class WholeInbox
{
    public static async Task<List<InboxItem>> ReadAllAsync(this Inbox inbox, AgentId recipient)
    {
        var all = new List<InboxItem>();
        while (await inbox.ListAsync(recipient, all.Count == 0 ? 0 : all[^1].Seq, Inbox.PageItemsMax, InboxFilter.All, null, default) is { Count: > 0 } page)
        {
            all.AddRange(page);
        }

        return all;
    }
}
