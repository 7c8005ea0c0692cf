using System.Threading.Tasks.Sources;

namespace Swarm.Core.Signals;

/// <summary>
/// A signal that one waiter at a time waits for. Signals coalesce, and one that comes between two waits completes the next at once. It is
/// used again and again without allocating, because ten thousand idle streams wait on one each.
/// </summary>
internal sealed class Wakeup : IValueTaskSource<bool>, IDisposable
{
    private readonly Lock _lock = new();
    private ManualResetValueTaskSourceCore<bool> _wait = new() { RunContinuationsAsynchronously = true };
    private CancellationTokenRegistration _cancelled;
    private ITimer? _timer;
    private bool _signalled;
    private bool _waiting;

    /// <summary>Completes the wait, or else the next one.</summary>
    public void Signal()
    {
        lock (_lock)
        {
            _signalled = !TryComplete(true);
        }
    }

    /// <summary>
    /// True when it was signalled; false when <paramref name="limit"/> passed first. A limit that ends together with a signal may cut the
    /// next wait short, so false says only that it is time to do what is done from time to time.
    /// </summary>
    /// <param name="limit">How long to wait: zero only asks, <see cref="Timeout.InfiniteTimeSpan"/> waits for ever.</param>
    /// <param name="time">The clock; always the same.</param>
    /// <param name="cancellation">Ends the wait with an <see cref="OperationCanceledException"/>.</param>
    /// <exception cref="InvalidOperationException">Somebody waits already.</exception>
    public ValueTask<bool> WaitAsync(TimeSpan limit, TimeProvider time, CancellationToken cancellation)
    {
        lock (_lock)
        {
            if (_waiting)
            {
                throw new InvalidOperationException("One waiter at a time.");
            }

            if (_signalled || limit == TimeSpan.Zero)
            {
                var signalled = _signalled;
                _signalled = false;
                return new(signalled);
            }

            _wait.Reset();
            _waiting = true;
        }

        // Outside of the lock: a token that is cancelled already calls back at once.
        _cancelled = cancellation.UnsafeRegister(static (state, token) => ((Wakeup)state!).Cancel(token), this);
        if (limit != Timeout.InfiniteTimeSpan)
        {
            _timer ??= time.CreateTimer(static state => ((Wakeup)state!).TimeOut(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            _timer.Change(limit, Timeout.InfiniteTimeSpan);
        }

        return new(this, _wait.Version);
    }

    bool IValueTaskSource<bool>.GetResult(short token)
    {
        _cancelled.Dispose();
        _timer?.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        return _wait.GetResult(token);
    }

    ValueTaskSourceStatus IValueTaskSource<bool>.GetStatus(short token) => _wait.GetStatus(token);

    void IValueTaskSource<bool>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) =>
        _wait.OnCompleted(continuation, state, token, flags);

    public void Dispose() => _timer?.Dispose();

    private void TimeOut()
    {
        lock (_lock)
        {
            TryComplete(false);
        }
    }

    private void Cancel(CancellationToken cancellation)
    {
        lock (_lock)
        {
            if (_waiting)
            {
                _waiting = false;
                _wait.SetException(new OperationCanceledException(cancellation));
            }
        }
    }

    private bool TryComplete(bool signalled)
    {
        if (!_waiting)
        {
            return false;
        }

        _waiting = false;
        _wait.SetResult(signalled);
        return true;
    }
}
