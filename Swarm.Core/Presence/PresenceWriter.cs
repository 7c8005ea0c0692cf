using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Swarm.Core.Storage;

namespace Swarm.Core.Presence;

/// <summary>Writes once a second who was seen.</summary>
public sealed partial class PresenceWriter(LastSeen seen, TimeProvider time, ILogger<PresenceWriter> logger) : BackgroundService
{
    /// <summary>The pause between two writes.</summary>
    public static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using var timer = new PeriodicTimer(Interval, time);
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                await WriteAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping.
        }
    }

    private async Task WriteAsync(CancellationToken cancellation)
    {
        try
        {
            while (await seen.FlushAsync(cancellation) == LastSeen.BatchMax)
            {
                // More waits.
            }
        }
        catch (Exception e) when (DatabaseFailure.Is(e))
        {
            LogAway(e.Message);
        }
    }

    [LoggerMessage(1601, LogLevel.Debug, "Presence is written later: {Reason}")]
    private partial void LogAway(string reason);
}
