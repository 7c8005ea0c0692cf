using System.Collections.Concurrent;
using System.Diagnostics;
using System.Threading.Channels;
using StackExchange.Redis.Resp;

namespace StackExchange.Redis;

/// <inheritdoc cref="IConnectionMultiplexer"/>
public sealed class ConnectionMultiplexer : IConnectionMultiplexer
{
    /// <summary>Most messages and events that wait for their handlers. When handlers fall that far behind, the subscription is taken
    /// up anew, which <see cref="ConnectionRestored"/> tells, as after any other loss.</summary>
    private const int DispatchMax = 16 * 1024;

    private readonly Channel<Action> _dispatch = Channel.CreateBounded<Action>(new BoundedChannelOptions(DispatchMax) { SingleReader = true });
    private readonly ConcurrentDictionary<RedisChannel, Action<RedisChannel, RedisValue>> _handlers = new();
    private readonly Task _dispatching;
    private readonly Line _subscriptions;
    private int _closed;

    private ConnectionMultiplexer(ConfigurationOptions options)
    {
        Options = options.Clone();
        System.Net.EndPoint server = Options.Server();
        Commands = new Line(Options)
        {
            Failed = error => Raise(() => ConnectionFailed, Event(ConnectionType.Interactive, error)),
            Restored = () => Raise(() => ConnectionRestored, Event(ConnectionType.Interactive, null)),
        };
        _subscriptions = new Line(Options)
        {
            OnPush = OnPush,
            Greeting = () => [.. _handlers.Keys.Select(channel => Subscription("SUBSCRIBE"u8, channel, wantsReply: true))],
            Failed = error => Raise(() => ConnectionFailed, Event(ConnectionType.Subscription, error)),
            Restored = () => Raise(() => ConnectionRestored, Event(ConnectionType.Subscription, null)),
        };
        _dispatching = Task.Run(DispatchAsync);
        Commands.Start();
        _subscriptions.Start();

        ConnectionFailedEventArgs Event(ConnectionType type, RedisConnectionException? error) =>
            new(server, type, error?.FailureType ?? ConnectionFailureType.None, error);
    }

    public event EventHandler<ConnectionFailedEventArgs>? ConnectionFailed;

    public event EventHandler<ConnectionFailedEventArgs>? ConnectionRestored;

    public bool IsConnected => Commands.IsConnected;

    internal ConfigurationOptions Options { get; }

    internal Line Commands { get; }

    internal bool IsSubscriberConnected => _subscriptions.IsConnected;

    /// <summary>Connects to <c>host:port,…</c>.</summary>
    /// <exception cref="RedisConnectionException">No server answers, and the options say that this is an error.</exception>
    public static ConnectionMultiplexer Connect(string configuration, TextWriter? log = null) =>
        Connect(ConfigurationOptions.Parse(configuration), log);

    /// <inheritdoc cref="Connect(string, TextWriter?)"/>
    public static ConnectionMultiplexer Connect(ConfigurationOptions configuration, TextWriter? log = null) =>
        Task.Run(() => ConnectAsync(configuration, log)).GetAwaiter().GetResult();

    /// <inheritdoc cref="Connect(string, TextWriter?)"/>
    public static Task<ConnectionMultiplexer> ConnectAsync(string configuration, TextWriter? log = null) =>
        ConnectAsync(ConfigurationOptions.Parse(configuration), log);

    /// <inheritdoc cref="Connect(string, TextWriter?)"/>
    public static async Task<ConnectionMultiplexer> ConnectAsync(ConfigurationOptions configuration, TextWriter? log = null)
    {
        ArgumentNullException.ThrowIfNull(configuration);
        var multiplexer = new ConnectionMultiplexer(configuration);
        Task<bool[]> settled = Task.WhenAll(multiplexer.Commands.Settled, multiplexer._subscriptions.Settled);
        _ = await Task.WhenAny(settled, Task.Delay(configuration.ConnectTimeout)).ConfigureAwait(false);
        if (configuration.AbortOnConnectFail && !(settled.IsCompletedSuccessfully && settled.Result.All(connected => connected)))
        {
            RedisConnectionException? cause = multiplexer.Commands.LastError ?? multiplexer._subscriptions.LastError;
            await multiplexer.DisposeAsync().ConfigureAwait(false);
            throw new RedisConnectionException(
                cause?.FailureType ?? ConnectionFailureType.UnableToConnect,
                $"It was not possible to connect to the Redis server: {cause?.Message ?? "no answer in time"} "
                + "(abortConnect=false would go on trying in the background).",
                cause);
        }

        if (log is not null)
        {
            await log.WriteLineAsync(multiplexer.IsConnected ? "Connected." : $"Not connected: {multiplexer.Commands.LastError?.Message}").ConfigureAwait(false);
        }

        return multiplexer;
    }

    public ISubscriber GetSubscriber(object? asyncState = null) => new RedisSubscriber(this);

    public IDatabase GetDatabase(int db = -1, object? asyncState = null) => new RedisDatabase(this, db < 0 ? Options.DefaultDatabase ?? 0 : db);

    public void Close(bool allowCommandsToComplete = true) => Task.Run(() => CloseAsync(allowCommandsToComplete)).GetAwaiter().GetResult();

    public async Task CloseAsync(bool allowCommandsToComplete = true)
    {
        if (Interlocked.Exchange(ref _closed, 1) != 0)
        {
            return;
        }

        await Commands.CloseAsync(allowCommandsToComplete).ConfigureAwait(false);
        await _subscriptions.CloseAsync(drain: false).ConfigureAwait(false);
        _ = _dispatch.Writer.TryComplete();
    }

    public void Dispose() => Close();

    public async ValueTask DisposeAsync() => await CloseAsync().ConfigureAwait(false);

    internal Task SubscribeAsync(RedisChannel channel, Action<RedisChannel, RedisValue> handler, bool wantsReply)
    {
        ArgumentNullException.ThrowIfNull(handler);
        Command command = Subscription("SUBSCRIBE"u8, channel, wantsReply);
        _ = _handlers.AddOrUpdate(channel, handler, (_, others) => others + handler);
        return _subscriptions.AskAsync(command);
    }

    internal Task UnsubscribeAsync(RedisChannel channel, Action<RedisChannel, RedisValue>? handler, bool wantsReply)
    {
        Command command = Subscription("UNSUBSCRIBE"u8, channel, wantsReply);
        while (handler is not null && _handlers.TryGetValue(channel, out Action<RedisChannel, RedisValue>? before))
        {
            if (Delegate.Remove(before, handler) is Action<RedisChannel, RedisValue> rest)
            {
                if (_handlers.TryUpdate(channel, rest, before))
                {
                    return Task.CompletedTask;
                }
            }
            else if (_handlers.TryRemove(KeyValuePair.Create(channel, before)))
            {
                return _subscriptions.AskAsync(command);
            }
        }

        return _handlers.TryRemove(channel, out _) ? _subscriptions.AskAsync(command) : Task.CompletedTask;
    }

    private static Command Subscription(ReadOnlySpan<byte> verb, RedisChannel channel, bool wantsReply) =>
        new(-1, wantsReply, verb.ToArray(), channel.ToMemory());

    private bool OnPush(RespNode node)
    {
        if (node is not { Kind: RespKind.Array, Items: [var kind, var name, var payload] } || !kind.IsText("message"u8))
        {
            return false;
        }

        RedisChannel channel = RedisChannel.Literal(name.Bytes ?? []);
        if (_handlers.TryGetValue(channel, out Action<RedisChannel, RedisValue>? handler)
            && !_dispatch.Writer.TryWrite(() => handler(channel, payload.ToValue())))
        {
            throw new RedisConnectionException(ConnectionFailureType.InternalFailure, $"Handlers are {DispatchMax} messages behind.");
        }

        return true;
    }

    private void Raise(Func<EventHandler<ConnectionFailedEventArgs>?> handler, ConnectionFailedEventArgs args)
    {
        Action raise = () => handler()?.Invoke(this, args);
        if (!_dispatch.Writer.TryWrite(raise))
        {
            // An event is never lost, though it may then come late.
            _ = _dispatch.Writer.WriteAsync(raise).AsTask();
        }
    }

    private async Task DispatchAsync()
    {
        await foreach (Action action in _dispatch.Reader.ReadAllAsync().ConfigureAwait(false))
        {
            try
            {
                action();
            }
#pragma warning disable CA1031 // a handler's failure must not end the others' messages
            catch (Exception error)
#pragma warning restore CA1031
            {
                Trace.TraceError($"A Redis handler failed: {error}");
            }
        }
    }
}
