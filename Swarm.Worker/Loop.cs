using Swarm.Core.Storage;

namespace Swarm.Worker;

/// <summary>
/// Work that is done again and again: at every tick and at every wake, until there is none. A database that is away is waited for; any
/// other fault is one of ours, is logged, and does not end the loop.
/// </summary>
internal abstract partial class Loop(TimeProvider time, ILogger logger) : BackgroundService
{
    protected TimeProvider Time { get; } = time;

    /// <summary>The longest pause between two looks.</summary>
    protected abstract TimeSpan Interval { get; }

    /// <summary>Does a piece of work; true when there may be more at once.</summary>
    protected abstract Task<bool> RunOnceAsync(CancellationToken cancellation);

    /// <summary>Waits for a reason to look, at most <paramref name="limit"/>.</summary>
    protected virtual Task WaitAsync(TimeSpan limit, CancellationToken cancellation) => Task.Delay(limit, Time, cancellation);

    protected sealed override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        var away = false;
        while (!stoppingToken.IsCancellationRequested)
        {
            var more = false;
            try
            {
                more = await RunOnceAsync(stoppingToken);
                away = false;
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (DatabaseFailure.Is(e))
            {
                if (!away)
                {
                    LogAway(GetType().Name, e.Message);
                }

                away = true;
            }
            catch (Exception e)
            {
                LogFault(e, GetType().Name);
            }

            if (!more)
            {
                await WaitAsync(Interval, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    [LoggerMessage(3001, LogLevel.Warning, "{Loop}: the database is away, the work goes on when it is back: {Reason}")]
    private partial void LogAway(string loop, string reason);

    [LoggerMessage(3002, LogLevel.Error, "{Loop} failed and goes on.")]
    private partial void LogFault(Exception e, string loop);
}
