namespace Swarm.Tests.Infrastructure;

/// <summary>Waits for a condition that nothing signals, such as the end of somebody else's process.</summary>
internal static class Eventually
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(25);

    /// <summary>Asks until the answer is true.</summary>
    /// <exception cref="TimeoutException">It was not within <paramref name="limit"/>.</exception>
    public static async Task TrueAsync(string what, Func<Task<bool>> condition, TimeSpan limit)
    {
        using var timer = new PeriodicTimer(Interval);
        using var end = new CancellationTokenSource(limit);
        while (!await condition())
        {
            try
            {
                await timer.WaitForNextTickAsync(end.Token);
            }
            catch (OperationCanceledException)
            {
                throw new TimeoutException($"Not within {limit.TotalSeconds} s: {what}");
            }
        }
    }

    public static Task TrueAsync(string what, Func<bool> condition, TimeSpan limit) => TrueAsync(what, () => Task.FromResult(condition()), limit);
}
