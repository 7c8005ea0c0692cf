using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using NSec.Cryptography;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Tests.Infrastructure;
using Swarm.Tests.Messaging;

namespace Swarm.Tests.Faults;

/// <summary>During an upgrade a replica of the first release goes on working beside today's, on today's schema (design §4).</summary>
[Collection(PostgresCollection.Name)]
public sealed class SideBySideTests(PostgresFixture postgres) : IAsyncLifetime
{
    private const int Rounds = 40;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private NodeHost _node = null!;
    private Scene _scene = null!;
    private OldRelease _old = null!;
    private Dictionary<string, long> _numbers = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob", "carol"], ["eve", "frank", "grace", "mallory"]);
        _old = new(_node.Database, TimeProvider.System);
        _numbers = [];
        await using var command = _node.Database.CreateCommand("select name, agent_no from agents where name is not null");
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            _numbers[reader.GetString(0)] = reader.GetInt64(1);
        }
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    public async Task Both_accept_duplicates_broadcasts_and_changing_fences_at_once_and_see_the_same_inboxes()
    {
        var horizon = (await _old.WatchAsync(0)).Next;
        var both = Enumerable.Range(0, Rounds).Select(n => _scene.Sign("eve", "bob", $"eve {n:D3}")).ToArray();
        var shared = new int[Rounds];
        await Task.WhenAll(
            Task.Run(async () =>
            {
                // The new one: the messages that both get, its own, and broadcasts.
                for (var n = 0; n < Rounds; n++)
                {
                    var own = _scene.Signed("grace", "bob", $"grace {n:D3}");
                    var broadcast = new { from = "alice", swarm_id = _scene.Swarm.Value, content = $"alice {n:D3}" };
                    await TakenAsync(() => _node.Http.PostMessageAsync("bob", MessageWriter.Write(both[n])));
                    await TakenAsync(() => _node.Http.PostMessageAsync("bob", own));
                    await TakenAsync(() => _node.Hub.PostHubAsync("/hub/v1/messages", broadcast, broadcast.content));
                }
            }),
            Task.Run(async () =>
            {
                // The old one: the same messages, its own, and a broadcast.
                for (var n = 0; n < Rounds; n++)
                {
                    var batch = new[]
                    {
                        (both[n], new[] { "bob" }), (_scene.Sign("frank", "bob", $"frank {n:D3}"), ["bob"]),
                        (_scene.Sign("frank", AgentName.Broadcast, $"frank to all {n:D3}"), ["alice", "bob", "carol", "eve", "grace"]),
                    };
                    var results = await AcceptOldAsync(batch);
                    Assert.Contains(results[0].Status, new short[] { 1, 2 });
                    Assert.Equal([1, 1], results.Skip(1).Select(r => (int)r.Status));
                    shared[n] = results[0].Status;
                }
            }),
            Task.Run(async () =>
            {
                // Fences move all the time.
                for (var n = 0; n < Rounds / 4; n++)
                {
                    (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/kick", new { agent = "alice", target = "mallory" })).Ok();
                    await _scene.JoinAsync(_node.Hub, "mallory");
                }
            }));

        // Who came first is chance; whoever came second was told that it is a duplicate.
        Assert.All(shared, s => Assert.InRange(s, 1, 2));
        foreach (var (agent, expected) in new Dictionary<string, string[]>
            {
                ["bob"] = ["eve", "grace", "frank", "frank to all", "alice"], ["carol"] = ["frank to all", "alice"],
            })
        {
            var seenByOld = (await _old.ListAsync(_numbers[agent])).Select(i => (i.Seq, i.Message.Content)).ToArray();
            Assert.Equal(await InboxAsync(agent), seenByOld);
            Assert.Equal(Enumerable.Range(1, expected.Length * Rounds).Select(n => (long)n), seenByOld.Select(i => i.Seq));
            foreach (var who in expected)
            {
                // Each once, in the order of its sender.
                Assert.Equal(
                    Enumerable.Range(0, Rounds).Select(n => $"{who} {n:D3}"), seenByOld.Where(i => i.Content[..^4] == who).Select(i => i.Content));
            }
        }

        Assert.Equal(Rounds * 5, await _node.ScalarAsync<long>("select count(*) from messages"));
        var woken = (await _old.WatchAsync(horizon)).Recipients;
        Assert.Superset(new HashSet<long> { _numbers["bob"], _numbers["carol"] }, woken.ToHashSet());
    }

    [Fact]
    public async Task A_message_of_the_one_wakes_a_stream_of_the_other()
    {
        using var stream = await SseStream.OpenAsync(_node.Hub, "bob");
        await AcceptOldAsync([(_scene.Sign("eve", "bob", "from the old one"), ["bob"])]);
        Assert.Equal("from the old one", await stream.NextContentAsync());

        var before = (await _old.WatchAsync(0)).Next;
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("carol", _scene.Signed("eve", "carol", "from the new one"))).Status);
        Assert.Contains(_numbers["carol"], (await _old.WatchAsync(before)).Recipients);
    }

    [Fact]
    public async Task An_id_that_the_one_accepted_cannot_be_used_for_another_message_at_the_other()
    {
        var id = Guid.NewGuid();
        await AcceptOldAsync([(_scene.Sign("eve", "bob", "first", id), ["bob"])]);
        Assert.Equal(HttpStatusCode.Conflict, (await _node.Http.PostMessageAsync("bob", _scene.Signed("eve", "bob", "second", id))).Status);

        var other = Guid.NewGuid();
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("bob", _scene.Signed("eve", "bob", "third", other))).Status);
        Assert.Equal(3, (await AcceptOldAsync([(_scene.Sign("eve", "bob", "fourth", other), ["bob"])])).Single().Status);
        Assert.Equal(["first", "third"], (await InboxAsync("bob")).Select(i => i.Content));
    }

    [Fact]
    public async Task What_must_queue_behind_a_broadcast_of_the_new_one_is_not_accepted_by_the_old_one_and_nothing_overtakes()
    {
        await _node.ExecuteAsync(
            $"""
            with m as (insert into messages select next_message_no(), {_numbers["eve"]}, swarm_no, gen_random_uuid(), 1, 1, 1, true, now(), now(), null, null, '', true
                       from swarms returning message_no, sender_no, swarm_no)
            insert into expansions select message_no, sender_no, swarm_no, 1, false, now(), null, '{"{}"}', 0 from m
            """);
        var result = (await AcceptOldAsync([(_scene.Sign("eve", "bob", "too early"), ["bob"])])).Single();

        // No status that the old one knows: it answers 503, and its caller comes again.
        Assert.Equal(8, result.Status);
        Assert.Empty(await InboxAsync("bob"));
    }

    [Fact]
    public async Task Consumers_of_both_compete_without_sharing_a_lane_and_do_everything_once_in_order()
    {
        string[] senders = ["eve", "frank", "grace"];
        for (var n = 0; n < Rounds; n++)
        {
            foreach (var sender in senders)
            {
                Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("bob", _scene.Signed(sender, "bob", $"{sender} {n:D3}"))).Status);
            }
        }

        var active = new ConcurrentDictionary<string, bool>();
        var done = new ConcurrentQueue<string>();
        var byOld = 0;
        using var end = new CancellationTokenSource(Limit);

        void Take(string[] contents)
        {
            var lanes = contents.Select(c => c.Split(' ')[0]).Distinct().ToArray();
            Assert.All(lanes, lane => Assert.True(active.TryAdd(lane, true), $"Two consumers hold the lane of {lane}."));
            Array.ForEach(contents, done.Enqueue);
            Assert.All(lanes, lane => active.TryRemove(lane, out _));
        }

        await Task.WhenAll(
            Task.Run(async () =>
            {
                while (done.Count < senders.Length * Rounds && !end.IsCancellationRequested)
                {
                    var (lease, items) = await _old.LeaseAsync(_numbers["bob"], 3, TimeSpan.FromSeconds(30));
                    Take([.. items.Select(i => i.Message.Content)]);
                    if (items.Count > 0)
                    {
                        Assert.Equal(items.Count, await _old.AckAsync(_numbers["bob"], lease, [.. items.Select(i => i.Seq)]));
                        byOld += items.Count;
                    }
                }
            }),
            Task.Run(async () =>
            {
                while (done.Count < senders.Length * Rounds && !end.IsCancellationRequested)
                {
                    var lease = (await _node.Hub.PostHubAsync("/hub/v1/agents/bob/inbox/lease", new { max = 3, lease_seconds = 30 })).Ok();
                    var items = lease["messages"].EnumerateArray().ToArray();
                    Take([.. items.Select(i => i.GetProperty("content").GetString()!)]);
                    if (items.Length > 0)
                    {
                        var acked = await _node.Hub.PostHubAsync(
                            "/hub/v1/agents/bob/inbox/ack", new { lease_id = lease["lease_id"].GetString(), seqs = items.Select(i => i.GetProperty("seq").GetInt64()) });
                        Assert.Equal(items.Length, acked.Ok()["updated"].GetInt32());
                    }
                }
            }));

        foreach (var sender in senders)
        {
            Assert.Equal(Enumerable.Range(0, Rounds).Select(n => $"{sender} {n:D3}"), done.Where(d => d.StartsWith(sender, StringComparison.Ordinal)));
        }

        Assert.InRange(byOld, 1, (senders.Length * Rounds) - 1);
        Assert.Equal(senders.Length * Rounds, await _node.ScalarAsync<long>("select count(*) from deliveries where state = 2"));
    }

    /// <summary>Sent again while it is told to come back, which it is when its swarm changes too often between check and commit.</summary>
    private static Task TakenAsync(Func<Task<Answer>> send) => Eventually.TrueAsync(
        "it is taken",
        async () =>
        {
            var answer = await send();
            Assert.True(answer.Status is HttpStatusCode.OK or HttpStatusCode.ServiceUnavailable, answer.Text);
            return answer.Status == HttpStatusCode.OK;
        },
        Limit);

    /// <summary>As the old intake: checks against the swarm's version, commits, and checks again when the version has moved.</summary>
    private async Task<IReadOnlyList<(short Status, long Seq, int Recipients)>> AcceptOldAsync((AspMessage Message, string[] To)[] batch)
    {
        var results = new (short Status, long Seq, int Recipients)[batch.Length];
        var open = Enumerable.Range(0, batch.Length).ToList();
        while (open.Count > 0)
        {
            var version = await _node.ScalarAsync<long>("select version from swarms");
            var swarm = await _node.ScalarAsync<long>("select swarm_no from swarms");
            var answers = await _old.AcceptAsync([.. open.Select(i => Pend(batch[i].Message, batch[i].To, swarm, version))]);
            for (var i = 0; i < answers.Count; i++)
            {
                results[open[i]] = answers[i];
            }

            open = [.. open.Where(i => results[i].Status == 4)];
        }

        return results;
    }

    private PendingMessage Pend(AspMessage message, string[] to, long swarm, long version)
    {
        var envelope = Pending.Envelope(message, to.Length == 1 ? new AgentId(_numbers[to[0]]) : null);
        return new()
        {
            Envelope = envelope,
            Sender = new(_numbers[message.SenderId]),
            Fingerprint = SHA256.HashData(
                [.. envelope.SignedBytes.ToArray(), .. _scene.KeyOf(message.SenderId).PublicKey.Export(KeyBlobFormat.RawPublicKey)]),
            SwarmNo = swarm,
            SwarmVersion = version,
            Recipients = [.. to.Select(t => new AgentId(_numbers[t]))],
            SentAt = envelope.SentAt!.Value,
            Trace = null,
        };
    }

    private async Task<(long Seq, string Content)[]> InboxAsync(string agent)
    {
        var items = new List<(long, string)>();
        for (var cursor = "0"; cursor is not null;)
        {
            var page = (await _node.Hub.GetHubAsync($"/hub/v1/agents/{agent}/inbox?limit=100&cursor={cursor}")).Ok();
            items.AddRange(page["messages"].EnumerateArray().Select(m => (m.GetProperty("seq").GetInt64(), m.GetProperty("content").GetString()!)));
            cursor = page.Json.TryGetProperty("next_cursor", out var next) ? next.GetString() : null;
        }

        return [.. items];
    }
}
