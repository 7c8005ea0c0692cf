using System.Collections.Concurrent;
using Swarm.Core.Identity;

namespace Swarm.Core.Signals;

/// <summary>Who waits, within this process, for something new in which inbox. Signals carry no data: a woken waiter reads the database.</summary>
public sealed class LocalSignals
{
    /// <summary>No agent has this number: whoever makes the deliveries of large and scheduled messages subscribes to it.</summary>
    public static readonly AgentId Expansions = new(0);

    /// <summary>No agent has this number: whoever fetches the keys of announced members subscribes to it.</summary>
    public static readonly AgentId Introductions = new(-1);

    private readonly ConcurrentDictionary<AgentId, InboxSubscription[]> _waiting = new();

    private volatile SignalObserver[] _observers = [];

    /// <summary>How many subscriptions are open, observers included.</summary>
    public int Count => _waiting.Values.Sum(s => s.Length) + _observers.Length;

    /// <summary>Starts observing every signal of this process, whomever it is for.</summary>
    /// <param name="wake">Called after each addition; cheap, never throws.</param>
    public SignalObserver Observe(Action wake)
    {
        var observer = new SignalObserver(this, wake);
        lock (_waiting)
        {
            _observers = [.. _observers, observer];
        }

        return observer;
    }

    /// <summary>Starts listening: every signal after this call completes a wait, also one that comes between two waits.</summary>
    public InboxSubscription Subscribe(AgentId agent)
    {
        var subscription = new InboxSubscription(this, agent, new());
        Add(subscription);
        return subscription;
    }

    /// <summary>Listens for a changing set of agents as one waiter; empty at first.</summary>
    public InboxSubscriptions SubscribeMany() => new(this);

    public void Notify(ReadOnlySpan<AgentId> agents)
    {
        foreach (var observer in _observers)
        {
            observer.Add(agents);
        }

        if (_waiting.IsEmpty)
        {
            return;
        }

        foreach (var agent in agents)
        {
            Wake(agent);
        }
    }

    public void Notify(AgentId agent) => Notify([agent]);

    /// <summary>Wakes everybody: signals may have been missed.</summary>
    public void NotifyAll()
    {
        foreach (var observer in _observers)
        {
            observer.AddAll();
        }

        foreach (var agent in _waiting.Keys)
        {
            Wake(agent);
        }
    }

    private void Wake(AgentId agent)
    {
        if (_waiting.TryGetValue(agent, out var subscriptions))
        {
            foreach (var subscription in subscriptions)
            {
                subscription.Signal();
            }
        }
    }

    internal void Remove(SignalObserver observer)
    {
        lock (_waiting)
        {
            _observers = Array.FindAll(_observers, o => o != observer);
        }
    }

    internal void Add(InboxSubscription subscription) =>
        _waiting.AddOrUpdate(subscription.Agent, static (_, s) => [s], static (_, old, s) => [.. old, s], subscription);

    internal void Remove(InboxSubscription subscription)
    {
        while (_waiting.TryGetValue(subscription.Agent, out var old))
        {
            var rest = Array.FindAll(old, s => s != subscription);
            if (rest.Length == 0
                ? _waiting.TryRemove(new(subscription.Agent, old))
                : _waiting.TryUpdate(subscription.Agent, rest, old))
            {
                return;
            }
        }
    }
}

/// <summary>One waiter. Signals coalesce: any number of them between two waits complete one wait.</summary>
public sealed class InboxSubscription : IDisposable
{
    private readonly LocalSignals _owner;
    private readonly Wakeup _wakeup;

    internal InboxSubscription(LocalSignals owner, AgentId agent, Wakeup wakeup) => (_owner, Agent, _wakeup) = (owner, agent, wakeup);

    public AgentId Agent { get; }

    /// <summary>Completes when something may be new, at once when it became so since the last wait; false when <paramref name="limit"/> passed first.</summary>
    /// <param name="limit">How long to wait: zero only asks, <see cref="Timeout.InfiniteTimeSpan"/> waits for ever.</param>
    /// <param name="time">The clock; always the same.</param>
    /// <param name="cancellation">Ends the wait with an <see cref="OperationCanceledException"/>.</param>
    public ValueTask<bool> WaitAsync(TimeSpan limit, TimeProvider time, CancellationToken cancellation) => _wakeup.WaitAsync(limit, time, cancellation);

    public void Dispose()
    {
        _owner.Remove(this);
        _wakeup.Dispose();
    }

    internal void Signal() => _wakeup.Signal();
}

/// <summary>One waiter for many inboxes: a signal of any of them completes its wait. Belongs to one loop.</summary>
public sealed class InboxSubscriptions : IDisposable
{
    private readonly LocalSignals _owner;
    private readonly Wakeup _any = new();
    private readonly Dictionary<AgentId, InboxSubscription> _each = [];

    internal InboxSubscriptions(LocalSignals owner) => _owner = owner;

    /// <summary>From now on listens for these, and no others.</summary>
    public void Follow(IReadOnlySet<AgentId> agents)
    {
        foreach (var agent in _each.Keys.Where(a => !agents.Contains(a)).ToArray())
        {
            _each.Remove(agent, out var gone);
            _owner.Remove(gone!);
        }

        foreach (var agent in agents.Where(a => !_each.ContainsKey(a)))
        {
            _owner.Add(_each[agent] = new(_owner, agent, _any));
        }
    }

    /// <summary>Completes the wait, as a signal does.</summary>
    public void Wake() => _any.Signal();

    /// <summary>As <see cref="InboxSubscription.WaitAsync(TimeSpan, TimeProvider, CancellationToken)"/>.</summary>
    public ValueTask<bool> WaitAsync(TimeSpan limit, TimeProvider time, CancellationToken cancellation) => _any.WaitAsync(limit, time, cancellation);

    public void Dispose()
    {
        Follow(new HashSet<AgentId>());
        _any.Dispose();
    }
}

/// <summary>Collects the agents of all signals; the same agent once, too many as "everybody".</summary>
public sealed class SignalObserver : IDisposable
{
    /// <summary>The most agents that are kept apart.</summary>
    public const int AgentsMax = 64 * 1024;

    private readonly LocalSignals _owner;
    private readonly Action _wake;
    private readonly Lock _lock = new();
    private HashSet<AgentId> _agents = [];
    private bool _all;

    internal SignalObserver(LocalSignals owner, Action wake) => (_owner, _wake) = (owner, wake);

    /// <summary>Takes what was signalled since the last call. True: signals may have been missed, so look at everybody.</summary>
    /// <param name="spare">Empty; is filled from now on, so that two sets do for ever.</param>
    public bool Take(HashSet<AgentId> spare, out HashSet<AgentId> agents)
    {
        lock (_lock)
        {
            (agents, _agents) = (_agents, spare);
            (var all, _all) = (_all, false);
            return all;
        }
    }

    public void Dispose() => _owner.Remove(this);

    internal void Add(ReadOnlySpan<AgentId> agents)
    {
        lock (_lock)
        {
            foreach (var agent in agents)
            {
                _all |= _agents.Count >= AgentsMax && !_agents.Contains(agent);
                if (_agents.Count < AgentsMax)
                {
                    _agents.Add(agent);
                }
            }
        }

        _wake();
    }

    internal void AddAll()
    {
        lock (_lock)
        {
            _all = true;
        }

        _wake();
    }
}
