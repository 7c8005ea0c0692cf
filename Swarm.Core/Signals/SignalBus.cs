using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Swarm.Core.Identity;

namespace Swarm.Core.Signals;

/// <summary>What the transports share: the queue, the loop that empties it, the receiving side, and one log line an outage.</summary>
public abstract partial class SignalBus : BackgroundService, ISignalBus
{
    private readonly Guid _replica = Guid.NewGuid();
    private readonly SignalQueue _queue;
    private readonly LocalSignals _signals;
    private readonly ControlEvents _control;
    private readonly ILogger _logger;
    private int _down;

    private protected SignalBus(LocalSignals signals, ControlEvents control, ILogger logger, int packetAgentsMax)
    {
        _queue = new SignalQueue(_replica, packetAgentsMax);
        _signals = signals;
        _control = control;
        _logger = logger;
    }

    public event Action? Reconnected;

    public abstract string Name { get; }

    public void Publish(ReadOnlySpan<AgentId> recipients)
    {
        if (!recipients.IsEmpty)
        {
            _signals.Notify(recipients);
            _queue.Add(recipients);
        }
    }

    public void PublishControl(ControlEvent change) => _queue.Add(change);

    protected sealed override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        // Connecting to a transport that is away takes time that the start of the node need not wait for.
        await Task.Yield();
        using var end = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        Task listening = ListenAsync(end.Token);
        Task sending = SendAllAsync(end.Token);
        try
        {
            // Neither ends by itself, so the first to end has failed, or the node is stopping.
            await await Task.WhenAny(listening, sending);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // What was not sent is found by the other replicas' watch.
        }
        finally
        {
            await end.CancelAsync();
            await Task.WhenAll(listening, sending).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Sends a packet, or drops it and calls <see cref="Lost"/>; throws only when cancelled.</summary>
    private protected abstract Task SendAsync(byte[] packet, CancellationToken cancellation);

    /// <summary>Receives until cancelled.</summary>
    private protected abstract Task ListenAsync(CancellationToken cancellation);

    private async Task SendAllAsync(CancellationToken cancellation)
    {
        while (true)
        {
            foreach (byte[] packet in await _queue.TakeAsync(cancellation))
            {
                await SendAsync(packet, cancellation);
            }
        }
    }

    private protected void Receive(ReadOnlySpan<byte> packet)
    {
        if (!SignalPacket.TryReceive(packet, _replica, _signals, _control))
        {
            LogMalformed(Name, packet.Length);
        }
    }

    /// <summary>The transport is away.</summary>
    private protected void Lost(string reason)
    {
        if (Interlocked.Exchange(ref _down, 1) == 0)
        {
            LogLost(Name, reason);
        }
    }

    /// <summary>The transport is there. After an outage everything may have been missed.</summary>
    private protected void Found(bool afterOutage)
    {
        if (Interlocked.Exchange(ref _down, 0) == 1)
        {
            LogFound(Name);
        }

        if (afterOutage)
        {
            Reconnected?.Invoke();
        }
    }

    [LoggerMessage(1110, LogLevel.Warning, "Signals by {Transport} are away; messages are found within a second instead: {Reason}")]
    private partial void LogLost(string transport, string reason);

    [LoggerMessage(1111, LogLevel.Information, "Signals by {Transport} are back")]
    private partial void LogFound(string transport);

    [LoggerMessage(1112, LogLevel.Warning, "A malformed signal of {Bytes} bytes came by {Transport}")]
    private partial void LogMalformed(string transport, int bytes);
}
