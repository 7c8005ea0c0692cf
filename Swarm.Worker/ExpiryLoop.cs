using Npgsql;
using Swarm.Core.Delivery;

namespace Swarm.Worker;

/// <summary>Expires deliveries once a second; several Workers share the work, because rows that another holds are skipped.</summary>
internal sealed partial class ExpiryLoop(Expiry expiry, TimeProvider time, ILogger<ExpiryLoop> logger) : BackgroundService
{
    /// <summary>The pause between two looks.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            do
            {
                await RunAsync(stoppingToken);
            }
            while (await timer.WaitForNextTickAsync(stoppingToken));
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping.
        }
    }

    private async Task RunAsync(CancellationToken cancellation)
    {
        try
        {
            var total = 0;
            int expired;
            do
            {
                expired = await expiry.RunOnceAsync(cancellation);
                total += expired;
            }
            while (expired == Expiry.ChunkMax);

            if (total > 0)
            {
                LogExpired(total);
            }
        }
        catch (NpgsqlException e)
        {
            LogAway(e.Message);
        }
    }

    [LoggerMessage(3001, LogLevel.Information, "{Count} deliveries expired.")]
    private partial void LogExpired(int count);

    [LoggerMessage(3002, LogLevel.Warning, "The database is away, expiry goes on later: {Reason}")]
    private partial void LogAway(string reason);
}
