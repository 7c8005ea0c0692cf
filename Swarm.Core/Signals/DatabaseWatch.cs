using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Swarm.Core.Identity;
using Swarm.Core.Storage;

namespace Swarm.Core.Signals;

/// <summary>
/// What keeps the promises when every signal is lost: on one connection it listens for control events, reads the control epoch every
/// 500 ms, and asks once a second what was committed since the last horizon (design §3 promises 6 and 7). After a reconnect both run at once.
/// </summary>
public sealed partial class DatabaseWatch(
    NpgsqlDataSource database, LocalSignals signals, ControlEvents control, ILogger<DatabaseWatch> logger) : BackgroundService
{
    /// <summary>How often the control epoch is read, in milliseconds.</summary>
    public const int EpochIntervalMs = 500;

    /// <summary>How many epoch reads make one horizon query: two are one second.</summary>
    public const int EpochsPerHorizon = 2;

    private static readonly TimeSpan ReconnectDelay = TimeSpan.FromMilliseconds(250);

    private ulong _horizon;
    private long _epoch = -1;

    /// <summary>Wakes everybody to ask the database at once, because a transport was away.</summary>
    public void WakeAll()
    {
        signals.NotifyAll();
        control.RaiseMissed();
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await WatchAsync(stoppingToken);
            }
            catch (Exception e) when (DatabaseFailure.Is(e))
            {
                LogLost(e.Message);
                await Task.Delay(ReconnectDelay, CancellationToken.None).WaitAsync(stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                return;
            }
        }
    }

    private async Task WatchAsync(CancellationToken stopping)
    {
        await using var connection = await database.OpenConnectionAsync(stopping);
        connection.Notification += (_, e) =>
        {
            if (ControlEvent.TryParse(e.Payload, out var change))
            {
                control.Raise(change);
            }
            else if (e.Payload.StartsWith(ControlEvent.EpochPrefix, StringComparison.Ordinal)
                && long.TryParse(e.Payload.AsSpan(ControlEvent.EpochPrefix.Length), out var epoch) && epoch == _epoch + 1)
            {
                // Heard in full; the next look need not suspect that anything was missed.
                _epoch = epoch;
            }
        };
        await using (var listen = new NpgsqlCommand($"listen {ControlEvent.Channel}", connection))
        {
            await listen.ExecuteNonQueryAsync(stopping);
        }

        // Whatever happened while nobody listened is unknown.
        WakeAll();
        for (var tick = 0; ; tick++)
        {
            await ReadEpochAsync(connection, stopping);
            if (tick % EpochsPerHorizon == 0)
            {
                await ReadHorizonAsync(connection, stopping);
            }

            await connection.WaitAsync(EpochIntervalMs, stopping);
        }
    }

    private async Task ReadEpochAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand("select control_epoch from node", connection);
        var epoch = await command.ExecuteScalarAsync(cancellation) as long? ?? 0;
        if (epoch > _epoch)
        {
            var first = _epoch == -1;
            _epoch = epoch;
            if (!first)
            {
                control.RaiseMissed();
            }
        }
    }

    /// <summary>
    /// Wakes the recipients of every batch that committed since the last call. The horizon is the oldest transaction that was still
    /// running then, so a batch that began earlier and committed later is found; some are seen twice, which is harmless.
    /// </summary>
    private async Task ReadHorizonAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            """
            select pg_snapshot_xmin(pg_current_snapshot()), null::bigint[]
            union all
            select null, recipients from audit_entries where xid >= $1 and recipients is not null and $2
            """,
            connection);
        command.Parameters.Add(new() { Value = _horizon, NpgsqlDbType = NpgsqlTypes.NpgsqlDbType.Xid8 });
        command.Parameters.Add(new() { Value = _horizon != 0 && signals.Count > 0 });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            if (!reader.IsDBNull(0))
            {
                _horizon = reader.GetFieldValue<ulong>(0);
                continue;
            }

            foreach (var recipient in reader.GetFieldValue<long[]>(1))
            {
                signals.Notify(new AgentId(recipient));
            }
        }
    }

    [LoggerMessage(1101, LogLevel.Warning, "The watch on the database was lost and is taken up again: {Reason}")]
    private partial void LogLost(string reason);
}
