using System.Collections.Concurrent;

namespace Swarm.Core.Messaging.Limits;

/// <summary>
/// Budgets of a minute each, by sender (messages and bytes), swarm, address and destination (ASP §7.3). Never waits: a replica leases its share of a budget from the
/// ledger in blocks of a twentieth, in the background, and goes on meanwhile; what it took too early is settled with the next block.
/// So a limit holds over all replicas but for one block, and the calls of one answer's time, a replica. Without a ledger, or while it
/// does not answer, every replica enforces the whole limit by itself.
/// </summary>
public sealed class RateLimiter(LimitOptions options, TimeProvider time, IRateLedger? ledger = null)
{
    /// <summary>Budgets that are remembered at a time; past it, one gives way to each new one.</summary>
    public const int BudgetsMax = 100_000;

    /// <summary>A block is this part of the limit, and 1 at least.</summary>
    public const int BlocksPerLimit = 20;

    private const int WindowSeconds = 60;

    private Window _window = new(long.MinValue);

    /// <summary>Budgets that are remembered now.</summary>
    public int Count => Volatile.Read(ref _window).Count;

    /// <summary>Takes one, or as many as <paramref name="count"/> says: that is allowed while anything is left.</summary>
    public RateDecision Take(RateKey key, int count = 1)
    {
        var limit = LimitOf(key.Scope);
        var now = time.GetUtcNow().ToUnixTimeSeconds();
        if (limit <= 0)
        {
            return Unlimited(now);
        }

        var window = At(now);
        var budget = window.Get(key, limit);
        var (allowed, remaining, ask) = budget.Take(count, ledger is { IsAvailable: true });
        if (ask > 0)
        {
            _ = LeaseAsync(key, window.Minute, budget, ask);
        }

        return Decide(allowed, limit, remaining, now);
    }

    /// <summary>What a <see cref="Take"/> would say, taking nothing.</summary>
    public RateDecision Peek(RateKey key)
    {
        var limit = LimitOf(key.Scope);
        var now = time.GetUtcNow().ToUnixTimeSeconds();
        if (limit <= 0)
        {
            return Unlimited(now);
        }

        var remaining = At(now).Find(key)?.Remaining ?? limit;
        return Decide(remaining > 0, limit, remaining, now);
    }

    /// <summary>A budget of which nothing is taken.</summary>
    public RateDecision Full(RateScope scope)
    {
        var (limit, now) = (LimitOf(scope), time.GetUtcNow().ToUnixTimeSeconds());
        return limit <= 0 ? Unlimited(now) : Decide(allowed: true, limit, limit, now);
    }

    private int LimitOf(RateScope scope) => scope switch
    {
        RateScope.Sender => options.SenderPerMinute,
        RateScope.Swarm => options.SwarmPerMinute,
        RateScope.Address => options.RefusedPerAddressPerMinute,
        RateScope.SenderVolume => (int)Math.Min(options.SenderMegabytesPerMinute * 1024L, int.MaxValue / 2),
        _ => options.DestinationPerMinute,
    };

    private static long ResetOf(long now) => ((now / WindowSeconds) + 1) * WindowSeconds;

    private static RateDecision Unlimited(long now) => new(true, 0, 0, ResetOf(now), 0);

    private static RateDecision Decide(bool allowed, int limit, int remaining, long now) =>
        new(allowed, limit, remaining, ResetOf(now), allowed ? 0 : (int)(ResetOf(now) - now));

    /// <summary>The minute that runs. All that was counted in another is dropped with it, so nothing has to be swept.</summary>
    private Window At(long now)
    {
        var minute = now / WindowSeconds;
        while (true)
        {
            var window = Volatile.Read(ref _window);
            if (window.Minute == minute)
            {
                return window;
            }

            Interlocked.CompareExchange(ref _window, new Window(minute), window);
        }
    }

    private async Task LeaseAsync(RateKey key, long minute, Budget budget, int ask)
    {
        while (ask > 0)
        {
            ask = budget.Settle(ask, await ledger!.TakeAsync(key, minute, ask), ledger.IsAvailable);
        }
    }

    private sealed class Window(long minute)
    {
        private readonly ConcurrentDictionary<RateKey, Budget> _budgets = new();
        private int _count;

        public long Minute => minute;

        public int Count => Volatile.Read(ref _count);

        public Budget? Find(RateKey key) => _budgets.GetValueOrDefault(key);

        public Budget Get(RateKey key, int limit)
        {
            if (_budgets.TryGetValue(key, out var known))
            {
                return known;
            }

            var budget = new Budget(limit);
            if (!_budgets.TryAdd(key, budget))
            {
                return _budgets.GetValueOrDefault(key, budget);
            }

            if (Interlocked.Increment(ref _count) > BudgetsMax)
            {
                Evict(key);
            }

            return budget;
        }

        private void Evict(RateKey newest)
        {
            foreach (var (key, _) in _budgets)
            {
                if (key != newest && _budgets.TryRemove(key, out _))
                {
                    Interlocked.Decrement(ref _count);
                    return;
                }
            }
        }
    }

    /// <summary>One key's minute as this replica knows it.</summary>
    private sealed class Budget(int limit)
    {
        private readonly Lock _lock = new();
        private readonly int _limit = limit;
        private readonly int _block = Math.Max(1, limit / BlocksPerLimit);

        /// <summary>Taken here; the bound that holds whatever the ledger says.</summary>
        private int _taken;

        /// <summary>Leased and not taken; below zero it is taken and not leased yet.</summary>
        private int _tokens;

        /// <summary>What the ledger had left for everybody when it was last asked.</summary>
        private int _elsewhere = limit;

        private bool _isAsking;
        private bool _isExhausted;

        public int Remaining
        {
            get
            {
                lock (_lock)
                {
                    return RemainingNow;
                }
            }
        }

        private int RemainingNow => Math.Max(0, Math.Min(_limit - _taken, (_isExhausted ? 0 : _elsewhere) + _tokens));

        /// <summary>Takes them if there is one, and says how much to ask the ledger for (0: nothing).</summary>
        public (bool Allowed, int Remaining, int Ask) Take(int count, bool canAsk)
        {
            lock (_lock)
            {
                if (_taken >= _limit || (_isExhausted && _tokens <= 0))
                {
                    return (false, 0, 0);
                }

                _taken += count;
                _tokens -= count;
                return (true, RemainingNow, canAsk && !_isAsking ? Ask() : 0);
            }
        }

        /// <summary>Books the ledger's answer, and says how much to ask for next (0: nothing).</summary>
        public int Settle(int asked, long? total, bool canAsk)
        {
            lock (_lock)
            {
                _isAsking = false;
                if (total is not { } all)
                {
                    return 0;
                }

                var granted = (int)Math.Clamp(_limit - (all - asked), 0, asked);
                _tokens += granted;
                _elsewhere = (int)Math.Clamp(_limit - all, 0, _limit);
                _isExhausted = granted < asked;
                return canAsk ? Ask() : 0;
            }
        }

        // At half a block the next is asked for, so that it is here before this one is used up.
        private int Ask()
        {
            if (_isExhausted || _tokens > _block / 2)
            {
                return 0;
            }

            _isAsking = true;
            return _block + Math.Max(0, -_tokens);
        }
    }
}
