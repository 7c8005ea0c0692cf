using Microsoft.Extensions.Logging;
using Npgsql;
using Swarm.Core.Storage;

namespace Swarm.Core.Signals;

/// <summary>
/// Signals by LISTEN/NOTIFY, for a node without Redis. It notifies from its own connection and never inside an accept: a commit that
/// notifies takes a lock of the whole server.
/// </summary>
public sealed class PostgresSignalBus(NpgsqlDataSource database, LocalSignals signals, ControlEvents control, ILogger<PostgresSignalBus> logger)
    : SignalBus(signals, control, logger, PacketAgentsMax)
{
    /// <summary>The most recipients of one message: in base64 it stays below the 8,000 bytes that a payload may have.</summary>
    public const int PacketAgentsMax = 700;

    internal const string Channel = "swarm_signals";
    private static readonly TimeSpan ReconnectDelay = TimeSpan.FromMilliseconds(250);

    private NpgsqlConnection? _sender;

    public override string Name => "postgres";

    public override async Task StopAsync(CancellationToken cancellationToken)
    {
        await base.StopAsync(cancellationToken);
        await DropSenderAsync();
    }

    private protected override async Task SendAsync(byte[] packet, CancellationToken cancellation)
    {
        // The kept connection may have died unnoticed in an outage that is over, so a new one is tried before the transport counts as lost.
        for (bool kept = _sender is not null; ; kept = false)
        {
            try
            {
                _sender ??= await database.OpenConnectionAsync(cancellation);

                // A notification is not durable anyway; with this, its commit does not wait for the disk. It holds for this transaction
                // alone: the session goes back to a pool from which messages are committed.
                await using var command = new NpgsqlCommand("select set_config('synchronous_commit', 'off', true), pg_notify($1, $2)", _sender);
                command.Parameters.Add(new() { Value = Channel });
                command.Parameters.Add(new() { Value = Convert.ToBase64String(packet) });
                _ = await command.ExecuteNonQueryAsync(cancellation);
                return;
            }
            catch (Exception e) when (DatabaseFailure.Is(e))
            {
                await DropSenderAsync();
                if (!kept)
                {
                    Lost(e.Message);
                    return;
                }
            }
        }
    }

    private protected override async Task ListenAsync(CancellationToken cancellation)
    {
        bool outage = false;
        while (!cancellation.IsCancellationRequested)
        {
            try
            {
                await using NpgsqlConnection connection = await database.OpenConnectionAsync(cancellation);
                connection.Notification += (_, e) => Receive(Decode(e.Payload));
                await using (var listen = new NpgsqlCommand($"listen {Channel}", connection))
                {
                    _ = await listen.ExecuteNonQueryAsync(cancellation);
                }

                Found(outage);
                while (true)
                {
                    await connection.WaitAsync(cancellation);
                }
            }
            catch (Exception e) when (DatabaseFailure.Is(e))
            {
                outage = true;
                Lost(e.Message);
                await Task.Delay(ReconnectDelay, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }
    }

    private static byte[] Decode(string payload)
    {
        byte[] packet = new byte[payload.Length];
        return Convert.TryFromBase64String(payload, packet, out int length) ? packet[..length] : [];
    }

    private async Task DropSenderAsync()
    {
        if (Interlocked.Exchange(ref _sender, null) is { } sender)
        {
            await sender.DisposeAsync();
        }
    }
}
