using Npgsql;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Faults;

/// <summary>
/// A run of senders, consumers and followers against a node, while somebody may break it; in the end everything must have arrived, and
/// the checker says what did not.
/// </summary>
internal sealed class Trial(IReadOnlyList<Replica> replicas, NpgsqlDataSource database, Scene scene, Cast cast, int seed, TimeSpan stuckAfter)
    : IAsyncDisposable
{
    private static readonly TimeSpan StopLimit = TimeSpan.FromSeconds(30);

    private readonly CancellationTokenSource _stopLoad = new();
    private readonly CancellationTokenSource _giveUp = new();
    private readonly CancellationTokenSource _stopReaders = new();
    private readonly Dictionary<string, string> _followers = [];
    private IReadOnlyDictionary<string, long> _before = new Dictionary<string, long>();
    private long _messagesBefore;
    private Task _load = Task.CompletedTask;
    private Task _readers = Task.CompletedTask;

    public History History { get; } = new(TimeProvider.System);

    public async Task StartAsync()
    {
        // The swarm was formed before, and its events are messages too.
        _before = await ReadLastSeqAsync();
        await ReadAsync("select coalesce(max(message_no), 0) from messages", r => _messagesBefore = r.GetInt64(0));
        var random = new Random(seed);
        var readers = new List<Task>();
        foreach (var recipient in cast.Queues)
        {
            for (var n = 0; n < cast.ConsumersPerQueue; n++)
            {
                var consumer = new QueueConsumer(replicas, recipient, $"{recipient}'s consumer {n}", cast, History, new(random.Next()));
                readers.Add(consumer.RunAsync(_stopReaders.Token));
            }
        }

        foreach (var recipient in cast.Hosted.Skip(1))
        {
            var name = $"follower of {recipient} {readers.Count}";
            _followers[name] = recipient;
            readers.Add(new Follower(replicas, recipient, name, _before[recipient], History).RunAsync(_stopReaders.Token));
        }

        _readers = Task.WhenAll(readers);
        _load = new Load(replicas, scene, cast, History, seed).RunAsync(_stopLoad.Token, _giveUp.Token);
    }

    /// <summary>Returns when so many more messages have been answered.</summary>
    public Task AnsweredAsync(int count)
    {
        var before = History.Answered.Count;
        return Eventually.TrueAsync($"{count} messages are answered", () => History.Answered.Count >= before + count, StopLimit);
    }

    /// <summary>Ends the load, waits until everything has arrived or is late, and checks.</summary>
    public async Task<IReadOnlyList<Violation>> EndAsync()
    {
        await _stopLoad.CancelAsync();
        _giveUp.CancelAfter(StopLimit);
        await _load;
        try
        {
            await Eventually.TrueAsync("everything has arrived", IsDrainedAsync, stuckAfter);
        }
        catch (TimeoutException)
        {
            // The checker says what is missing.
        }

        await _stopReaders.CancelAsync();
        await _readers;
        var readings = cast.Hosted.Concat(cast.External).ToDictionary(a => a, a => cast.Queues.Contains(a) ? Reading.Queue : Reading.View);
        foreach (var remote in scene.Remote)
        {
            readings[remote] = Reading.Push;
        }

        return new HistoryChecker(History, await ReadFinalAsync(), readings, _followers, stuckAfter).Check();
    }

    public async ValueTask DisposeAsync()
    {
        await _stopLoad.CancelAsync();
        await _giveUp.CancelAsync();
        await _stopReaders.CancelAsync();
        await Task.WhenAll(_load, _readers).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _stopLoad.Dispose();
        _giveUp.Dispose();
        _stopReaders.Dispose();
    }

    private async Task<bool> IsDrainedAsync()
    {
        await using var command = database.CreateCommand(
            """
            select not exists (select 1 from expansions) and not exists (
                select 1 from deliveries d join members m on m.agent_no = d.recipient_no where m.name = any ($1) and d.state in (0, 1))
            """);
        command.Parameters.Add(new() { Value = cast.Queues.Concat(scene.Remote).ToArray() });
        if (!(bool)(await command.ExecuteScalarAsync())!)
        {
            return false;
        }

        var last = await ReadLastSeqAsync();
        var seen = History.Seen.GroupBy(s => s.Follower).ToDictionary(g => g.Key, g => g.Max(s => s.Seq));
        return _followers.All(f => seen.GetValueOrDefault(f.Key) == last[f.Value] || last[f.Value] == _before[f.Value]);
    }

    private async Task<IReadOnlyDictionary<string, long>> ReadLastSeqAsync()
    {
        await using var command = database.CreateCommand("select m.name, b.last_seq from mailboxes b join members m on m.agent_no = b.recipient_no");
        await using var reader = await command.ExecuteReaderAsync();
        var last = new Dictionary<string, long>();
        while (await reader.ReadAsync())
        {
            last[reader.GetString(0)] = reader.GetInt64(1);
        }

        return last;
    }

    private async Task<FinalState> ReadFinalAsync()
    {
        var rows = new List<FinalRow>();
        await ReadAsync(
            """
            select r.name, d.seq, split_part(convert_from(m.wire, 'UTF8')::jsonb ->> 'content', ' ', 1), s.name, d.priority, d.state, m.accepted_at
            from deliveries d join messages m on m.message_no = d.message_no
            join members r on r.agent_no = d.recipient_no join members s on s.agent_no = d.sender_no
            """,
            r => rows.Add(new(
                r.GetString(0), r.GetInt64(1), r.GetString(2), r.GetString(3), ((string[])["low", "normal", "high"])[r.GetInt16(4)], r.GetInt16(5),
                r.GetFieldValue<DateTimeOffset>(6))));
        var bodies = new Dictionary<string, int>();
        await ReadAsync(
            $"select split_part(convert_from(wire, 'UTF8')::jsonb ->> 'content', ' ', 1), count(*)::integer from messages where message_no > {_messagesBefore} group by 1",
            r => bodies[r.GetString(0)] = r.GetInt32(1));
        var unexpanded = new List<string>();
        await ReadAsync(
            "select split_part(convert_from(m.wire, 'UTF8')::jsonb ->> 'content', ' ', 1) from expansions e join messages m on m.message_no = e.message_no",
            r => unexpanded.Add(r.GetString(0)));
        return new([.. rows.Where(r => r.Seq > _before[r.Recipient])], _before, await ReadLastSeqAsync(), bodies, unexpanded);
    }

    private async Task ReadAsync(string sql, Action<NpgsqlDataReader> read)
    {
        await using var command = database.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            read(reader);
        }
    }
}
