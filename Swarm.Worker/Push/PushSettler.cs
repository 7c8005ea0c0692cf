using Npgsql;
using Swarm.Core.Delivery;

namespace Swarm.Worker.Push;

/// <summary>
/// The one writer of outcomes: it takes all that came while its last statement ran, and writes it in one. What belongs together (a lane
/// that is given back) is never split. It holds at most what is leased.
/// </summary>
internal sealed partial class PushSettler(PushQueue queue, TimeProvider time, Action<IReadOnlyList<Settlement>> settled, ILogger logger)
{
    private static readonly TimeSpan AwayPause = TimeSpan.FromMilliseconds(250);

    private readonly Lock _lock = new();
    private List<Settlement> _waiting = [];
    private TaskCompletionSource _some = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private bool _completed;

    public void Add(params ReadOnlySpan<Settlement> together)
    {
        lock (_lock)
        {
            _waiting.AddRange(together);
            _some.TrySetResult();
        }
    }

    /// <summary>Nothing is added any more; <see cref="RunAsync"/> ends when everything is written.</summary>
    public void Complete()
    {
        lock (_lock)
        {
            _completed = true;
            _some.TrySetResult();
        }
    }

    public async Task RunAsync(CancellationToken cancellation)
    {
        var spare = new List<Settlement>();
        while (true)
        {
            await _some.Task.WaitAsync(cancellation);
            List<Settlement> batch;
            lock (_lock)
            {
                (batch, _waiting) = (_waiting, spare);
                if (batch.Count == 0 && _completed)
                {
                    return;
                }

                if (!_completed)
                {
                    _some = new(TaskCreationOptions.RunContinuationsAsynchronously);
                }
            }

            if (batch.Count > 0)
            {
                await WriteAsync(batch, cancellation);
                settled(batch);
                batch.Clear();
            }

            spare = batch;
        }
    }

    /// <summary>Until it is written. A lease that ends meanwhile makes its rows stale, which the statement tells apart.</summary>
    private async Task WriteAsync(List<Settlement> batch, CancellationToken cancellation)
    {
        for (var away = false; ;)
        {
            try
            {
                DeliveryMeter.Count(await queue.SettleAsync(batch, cancellation));
                return;
            }
            catch (Exception e) when (e is TimeoutException or IOException or NpgsqlException && !IsOurFault(e))
            {
                if (!away)
                {
                    LogAway(e.Message);
                }

                away = true;
                await Task.Delay(AwayPause, time, cancellation);
            }
            catch (Exception e) when (e is not OperationCanceledException)
            {
                // A fault of ours: the leases run out, and everything is delivered again.
                LogFault(e, batch.Count);
                return;
            }
        }
    }

    private static bool IsOurFault(Exception e) => e is PostgresException { SqlState: [var a, var b, ..] } && (a, b) is ('2', '2' or '3') or ('4', '2');

    [LoggerMessage(3101, LogLevel.Warning, "Outcomes of pushes wait for the database: {Reason}")]
    private partial void LogAway(string reason);

    [LoggerMessage(3102, LogLevel.Error, "The outcomes of {Count} pushes could not be written; these messages are pushed again.")]
    private partial void LogFault(Exception e, int count);
}
