using System.Collections.Concurrent;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;
using Xunit.Abstractions;

namespace Swarm.Tests.Delivery;

/// <summary>What every carrier does, whether it only shows messages or takes them (design §3). The recipient is <c>bob</c>.</summary>
public abstract class CarrierCompliance(PostgresFixture postgres) : IAsyncLifetime
{
    private protected static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private protected static readonly string[] Senders = ["alice", "eve", "frank"];

    private protected NodeHost Node { get; private set; } = null!;

    private protected Scene Scene { get; private set; } = null!;

    /// <summary>What arrived at the recipient, in order, repeats included.</summary>
    private protected ConcurrentQueue<(string Sender, string Content)> Received { get; } = new();

    public virtual async Task InitializeAsync()
    {
        Node = await NodeHost.StartAsync(postgres);
        Scene = await Scene.CreateAsync(Node.Hub, Senders, []);
        await AddRecipientAsync();
    }

    public virtual async Task DisposeAsync()
    {
        Scene.Dispose();
        await Node.DisposeAsync();
    }

    [Fact]
    public async Task Every_lane_arrives_in_order_and_nothing_twice()
    {
        const int PerSender = 30;
        await SendAllAsync(0, PerSender / 2);
        await StartAsync();
        await SendAllAsync(PerSender / 2, PerSender);
        await ReceivedAsync(Senders.Length * PerSender);
        foreach (var sender in Senders)
        {
            Assert.Equal(Enumerable.Range(0, PerSender).Select(n => $"{n:D3}"), ContentsOf(sender));
        }
    }

    private protected abstract Task AddRecipientAsync();

    /// <summary>Starts the carrier and its recipient.</summary>
    private protected abstract Task StartAsync();

    private protected async Task SendAsync(string from, string content, string priority = "normal") => (await Node.Hub.PostHubAsync(
        "/hub/v1/messages", new { from, swarm_id = Scene.Swarm.Value, to = "bob", content, priority })).Ok();

    private protected async Task SendAllAsync(int from, int to)
    {
        for (var n = from; n < to; n++)
        {
            foreach (var sender in Senders)
            {
                await SendAsync(sender, $"{n:D3}");
            }
        }
    }

    private protected Task ReceivedAsync(int count) => Eventually.TrueAsync(
        $"{count} messages arrive", () => Received.Count >= count, Limit);

    private protected string[] ContentsOf(string sender) => [.. Received.Where(r => r.Sender == sender).Select(r => r.Content)];
}

/// <summary>What every carrier does that takes deliveries from the queue: leases, acknowledgements, retries, dead letters.</summary>
public abstract class LeasingCarrierCompliance(PostgresFixture postgres, ITestOutputHelper output) : CarrierCompliance(postgres)
{
    private readonly ConcurrentDictionary<string, int> _tries = new();

    /// <summary>Tries after which a delivery is dead.</summary>
    private protected abstract int AttemptsMax { get; }

    /// <summary>Whether the recipient takes it; given how often it refused it before.</summary>
    private protected Func<string, int, bool> Takes { get; set; } = (_, _) => true;

    [Fact]
    public async Task What_was_acknowledged_is_finished_and_never_comes_again()
    {
        await StartAsync();
        await SendAllAsync(0, 5);
        await ReceivedAsync(15);
        await FinishedAsync(15, 2);
        await SendAsync("alice", "last");
        await ReceivedAsync(16);
        Assert.Equal(16, Received.Distinct().Count());
    }

    [Fact]
    public async Task A_refusal_holds_its_lane_and_no_other()
    {
        var let = new TaskCompletionSource();
        Takes = (content, _) => content != "stubborn" || let.Task.IsCompleted;
        await StartAsync();
        await SendAsync("eve", "stubborn");
        await SendAsync("eve", "behind");
        await SendAsync("frank", "other lane");
        await SendAsync("eve", "urgent", "high");
        await Eventually.TrueAsync(
            "the other lanes arrive and the stubborn one is tried again",
            () => ContentsOf("frank").Length == 1 && ContentsOf("eve").Contains("urgent") && ContentsOf("eve").Count(c => c == "stubborn") >= 3, Limit);
        Assert.DoesNotContain("behind", ContentsOf("eve"));
        let.SetResult();
        await FinishedAsync(4, 2);
        Assert.Equal("behind", ContentsOf("eve")[^1]);
    }

    [Fact]
    public async Task Random_refusals_lose_nothing_and_keep_the_order()
    {
        const int PerSender = 20;
        var random = new Random(Seed.Take(output));
        Takes = (_, refusals) =>
        {
            lock (random)
            {
                return refusals >= AttemptsMax - 2 || random.Next(3) > 0;
            }
        };
        await StartAsync();
        await SendAllAsync(0, PerSender);
        await FinishedAsync(Senders.Length * PerSender, 2);
        foreach (var sender in Senders)
        {
            // Repeats are refused tries; each number comes only after the one before it was taken.
            var contents = ContentsOf(sender);
            Assert.Equal(contents.Order(), contents);
            Assert.Equal(PerSender, contents.Distinct().Count());
        }
    }

    [Fact]
    public async Task A_lease_that_is_lost_brings_everything_back_in_order()
    {
        await SendAllAsync(0, 3);
        await LeaseAndDieAsync();
        await StartAsync();
        await FinishedAsync(9, 2);
        foreach (var sender in Senders)
        {
            Assert.Equal(["000", "001", "002"], ContentsOf(sender));
        }
    }

    [Fact]
    public async Task After_the_last_try_it_is_a_dead_letter_and_the_lane_goes_on()
    {
        Takes = (content, _) => content != "poison";
        await StartAsync();
        await SendAsync("eve", "poison");
        await SendAsync("eve", "behind");
        await FinishedAsync(1, 7);
        await FinishedAsync(1, 2);
        Assert.Equal([.. Enumerable.Repeat("poison", AttemptsMax), "behind"], ContentsOf("eve"));
        Assert.Equal(1, await Node.ScalarAsync<long>("select count(*) from dead_letters where reason <> ''"));
        Assert.Equal(AttemptsMax, await Node.ScalarAsync<long>("select count(*) from delivery_attempts where error <> ''"));
    }

    /// <summary>Leases everything, and never says anything again.</summary>
    private protected abstract Task LeaseAndDieAsync();

    private protected bool Receive(string sender, string content)
    {
        Received.Enqueue((sender, content));
        return Takes(content, _tries.AddOrUpdate(sender + content, 0, (_, n) => n + 1));
    }

    private protected Task FinishedAsync(int count, int state) => Eventually.TrueAsync(
        $"{count} deliveries reach state {state}",
        async () => await Node.ScalarAsync<long>($"select count(*) from deliveries where state = {state}") == count, Limit);
}
