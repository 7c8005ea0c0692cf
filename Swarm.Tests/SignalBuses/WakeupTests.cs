using Swarm.Core.Signals;
using Swarm.Tests.StandIns;

namespace Swarm.Tests.SignalBuses;

public sealed class WakeupTests
{
    [Fact]
    public async Task Signals_between_two_waits_complete_one_wait()
    {
        using var wakeup = new Wakeup();
        wakeup.Signal();
        wakeup.Signal();

        Assert.True(await Ask(wakeup));
        Assert.False(await Ask(wakeup));
    }

    [Fact]
    public async Task A_wait_ends_by_its_limit_and_the_next_one_by_a_signal()
    {
        using var wakeup = new Wakeup();
        Assert.False(await wakeup.WaitAsync(TimeSpan.FromMilliseconds(20), TimeProvider.System, default));

        var wait = wakeup.WaitAsync(Eventually.Limit, TimeProvider.System, default);
        Assert.False(wait.IsCompleted);
        wakeup.Signal();
        Assert.True(await wait);
    }

    [Fact]
    public async Task A_cancelled_wait_throws_and_takes_no_signal_with_it()
    {
        using var wakeup = new Wakeup();
        using var cancelled = new CancellationTokenSource();
        var wait = wakeup.WaitAsync(Timeout.InfiniteTimeSpan, TimeProvider.System, cancelled.Token).AsTask();
        await cancelled.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => wait);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => wakeup.WaitAsync(Timeout.InfiniteTimeSpan, TimeProvider.System, cancelled.Token).AsTask());

        wakeup.Signal();
        Assert.True(await Ask(wakeup));
    }

    [Fact]
    public async Task Two_waiters_at_a_time_are_refused()
    {
        using var wakeup = new Wakeup();
        var first = wakeup.WaitAsync(Eventually.Limit, TimeProvider.System, default);
        await Assert.ThrowsAsync<InvalidOperationException>(() => wakeup.WaitAsync(Eventually.Limit, TimeProvider.System, default).AsTask());
        wakeup.Signal();
        Assert.True(await first);
    }

    /// <summary>Limits of a millisecond race with the signals: whatever wins, the waiter sees the last number.</summary>
    [Fact]
    public async Task No_signal_is_lost_between_threads()
    {
        const int Last = 20_000;
        using var wakeup = new Wakeup();
        var number = 0;
        var seen = 0;
        var waiter = Task.Run(async () =>
        {
            for (var round = 0; seen < Last; round++)
            {
                if (await wakeup.WaitAsync(round % 3 == 0 ? TimeSpan.FromMilliseconds(1) : Eventually.Limit, TimeProvider.System, default))
                {
                    seen = Volatile.Read(ref number);
                }
                else
                {
                    // A short limit, or what was left of it in the round after.
                    Assert.NotEqual(2, round % 3);
                }
            }
        });
        while (number < Last)
        {
            Volatile.Write(ref number, number + 1);
            wakeup.Signal();
            if (number % 100 == 0)
            {
                await Task.Yield();
            }
        }

        await waiter.WaitAsync(Eventually.Limit);
        Assert.Equal(Last, seen);
    }

    private static ValueTask<bool> Ask(Wakeup wakeup) => wakeup.WaitAsync(TimeSpan.Zero, TimeProvider.System, default);
}
