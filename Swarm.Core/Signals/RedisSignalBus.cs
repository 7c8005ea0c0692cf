using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace Swarm.Core.Signals;

/// <summary>Signals by Redis publish/subscribe, on one channel. Everything in Redis can be lost.</summary>
public sealed class RedisSignalBus(Func<IConnectionMultiplexer> connect, LocalSignals signals, ControlEvents control, ILogger<RedisSignalBus> logger)
    : SignalBus(signals, control, logger, PacketAgentsMax)
{
    /// <summary>The most recipients of one message: 32 KiB.</summary>
    public const int PacketAgentsMax = 4096;

    private static readonly RedisChannel Channel = RedisChannel.Literal("swarm:signals");

    private readonly TaskCompletionSource<IConnectionMultiplexer> _redis = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public override string Name => "redis";

    private protected override async Task SendAsync(byte[] packet, CancellationToken cancellation)
    {
        IConnectionMultiplexer redis = await _redis.Task.WaitAsync(cancellation);
        if (!redis.IsConnected)
        {
            // What waited for a connection would be stale when it comes. OnFailed has told of it: the connection that subscribes may be back already,
            // and one outage is told once.
            return;
        }

        try
        {
            _ = await redis.GetSubscriber().PublishAsync(Channel, packet);
        }
        catch (Exception e) when (e is RedisException or RedisTimeoutException)
        {
            Lost(e.Message);
        }
    }

    private protected override async Task ListenAsync(CancellationToken cancellation)
    {
        IConnectionMultiplexer redis = await Task.Run(connect, cancellation);
        redis.ConnectionFailed += OnFailed;
        redis.ConnectionRestored += OnRestored;
        ISubscriber subscriber = redis.GetSubscriber();
        try
        {
            await SubscribeAsync(subscriber);
            _redis.SetResult(redis);
            await Task.Delay(Timeout.InfiniteTimeSpan, cancellation).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        finally
        {
            redis.ConnectionFailed -= OnFailed;
            redis.ConnectionRestored -= OnRestored;
            await subscriber.UnsubscribeAsync(Channel, OnMessage, CommandFlags.FireAndForget);
        }
    }

    // The client remembers a subscription that failed and makes it when there is a connection.
    private async Task SubscribeAsync(ISubscriber subscriber)
    {
        try
        {
            await subscriber.SubscribeAsync(Channel, OnMessage);
        }
        catch (Exception e) when (e is RedisException or RedisTimeoutException)
        {
            Lost(e.Message);
        }
    }

    private void OnMessage(RedisChannel channel, RedisValue message) => Receive(((ReadOnlyMemory<byte>)message).Span);

    private void OnFailed(object? sender, ConnectionFailedEventArgs e) => Lost(e.Exception?.Message ?? e.FailureType.ToString());

    private void OnRestored(object? sender, ConnectionFailedEventArgs e) => Found(afterOutage: e.ConnectionType == ConnectionType.Subscription);
}
