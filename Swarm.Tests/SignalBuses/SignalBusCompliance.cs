using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;
using Swarm.Core.Identity;
using Swarm.Core.Signals;
using Swarm.Tests.StandIns;

namespace Swarm.Tests.SignalBuses;

/// <summary>What every transport of signals does. Each replica has its own registry, as in its own process.</summary>
public abstract class SignalBusCompliance : IAsyncDisposable
{
    private readonly List<Replica> _replicas = [];

    /// <summary>Ends the connections of all replicas so that they must be made anew.</summary>
    private protected abstract Task BreakAsync();

    /// <summary>Lets connections be made again.</summary>
    private protected abstract Task MendAsync();

    private protected abstract SignalBus Create(LocalSignals signals, ControlEvents control, ILoggerFactory logs);

    public virtual async ValueTask DisposeAsync()
    {
        foreach (Replica replica in _replicas)
        {
            await replica.Bus.StopAsync(CancellationToken.None);
            replica.Bus.Dispose();
        }

        GC.SuppressFinalize(this);
    }

    private protected async Task WakesWaitersOfOtherReplicasAsync()
    {
        (Replica one, Replica two) = await StartTwoAsync();
        using InboxSubscription here = one.Signals.Subscribe(new AgentId(7));
        using InboxSubscription there = two.Signals.Subscribe(new AgentId(7));
        using InboxSubscription other = two.Signals.Subscribe(new AgentId(8));

        one.Bus.Publish([new AgentId(7)]);

        Assert.True(await IsSignalledAsync(here), "the waiter in the same process is woken at once");
        await WaitAsync(there);

        // What another replica publishes afterwards arrives here after our own message did, if that came back at all.
        using InboxSubscription back = one.Signals.Subscribe(new AgentId(9));
        two.Bus.Publish([new AgentId(9)]);
        await WaitAsync(back);
        Assert.False(await IsSignalledAsync(here), "the own message is ignored");
        Assert.False(await IsSignalledAsync(other), "nobody else is woken");
    }

    private protected async Task CarriesControlEventsAsync()
    {
        (Replica one, Replica two) = await StartTwoAsync();
        two.Control.Clear();
        var change = new ControlEvent(ControlKind.Swarm, long.MaxValue);

        one.Bus.PublishControl(change);

        await Eventually.TrueAsync(() => two.Control.Contains(change), "the event arrives");
        Assert.DoesNotContain(change, one.Control);
    }

    private protected async Task ABurstReachesEverybodyAsync()
    {
        (Replica one, Replica two) = await StartTwoAsync();
        InboxSubscription[] waiting = [.. Enumerable.Range(1, 3000).Select(i => two.Signals.Subscribe(new AgentId(i)))];

        Parallel.For(0, 30_000, i => one.Bus.Publish([new AgentId((i % 3000) + 1), new AgentId((i * 7 % 3000) + 1)]));

        foreach (InboxSubscription subscription in waiting)
        {
            await WaitAsync(subscription);
        }
    }

    private protected async Task AnOutageIsSurvivedAndToldOnceAsync()
    {
        (Replica one, Replica two) = await StartTwoAsync();
        int before = two.Reconnections;
        await BreakAsync();
        await Eventually.TrueAsync(() => one.Warnings == 1 && two.Warnings == 1, "the outage is logged");
        for (int i = 0; i < 100; i++)
        {
            one.Bus.Publish([new AgentId(1)]);
        }

        await MendAsync();
        await Eventually.TrueAsync(() => two.Reconnections > before && one.Reconnections > 0, "the return is told");
        await ConnectAsync(one, two);

        Assert.Equal((1, 1), (one.Warnings, two.Warnings));
    }

    private protected async Task<(Replica One, Replica Two)> StartTwoAsync()
    {
        Replica one = await StartAsync();
        Replica two = await StartAsync();
        await ConnectAsync(one, two);
        return (one, two);
    }

    private protected async Task<Replica> StartAsync()
    {
        var replica = new Replica();
        replica.Bus = Create(replica.Signals, replica.Events, replica);
        replica.Bus.Reconnected += () => Interlocked.Increment(ref replica.Reconnections);
        _replicas.Add(replica);
        await replica.Bus.StartAsync(CancellationToken.None);
        return replica;
    }

    /// <summary>Waits until each hears the other.</summary>
    private protected static async Task ConnectAsync(Replica one, Replica two)
    {
        foreach ((Replica from, Replica to) in new[] { (one, two), (two, one) })
        {
            var probe = new ControlEvent(ControlKind.Agent, Random.Shared.NextInt64());
            await Eventually.TrueAsync(
                () =>
                {
                    from.Bus.PublishControl(probe);
                    return to.Control.Contains(probe);
                },
                "the replicas hear each other");
        }
    }

    private static async Task WaitAsync(InboxSubscription subscription)
    {
        Assert.True(await subscription.WaitAsync(Eventually.Limit, TimeProvider.System, default));
    }

    private static ValueTask<bool> IsSignalledAsync(InboxSubscription subscription) =>
        subscription.WaitAsync(TimeSpan.Zero, TimeProvider.System, default);

    private protected sealed class Replica : ILoggerFactory, ILogger
    {
        public int Reconnections;
        private int _warnings;

        public Replica() => Events.Changed += Control.Enqueue;

        public LocalSignals Signals { get; } = new();

        public ControlEvents Events { get; } = new();

        public ConcurrentQueue<ControlEvent> Control { get; } = new();

        public SignalBus Bus { get; set; } = null!;

        public int Warnings => Volatile.Read(ref _warnings);

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (logLevel >= LogLevel.Warning)
            {
                Interlocked.Increment(ref _warnings);
            }
        }

        public bool IsEnabled(LogLevel logLevel) => true;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public ILogger CreateLogger(string categoryName) => this;

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public void Dispose()
        {
        }
    }
}
