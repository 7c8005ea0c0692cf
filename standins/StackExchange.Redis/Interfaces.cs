using System.ComponentModel;

namespace StackExchange.Redis;

/// <summary>What every view of a server offers, asynchronously.</summary>
public interface IRedisAsync
{
    IConnectionMultiplexer Multiplexer { get; }

    /// <summary>Asks the server whether it lives; gives the time that took.</summary>
    Task<TimeSpan> PingAsync(CommandFlags flags = CommandFlags.None);
}

/// <summary>What every view of a server offers.</summary>
public interface IRedis : IRedisAsync
{
    /// <inheritdoc cref="IRedisAsync.PingAsync"/>
    TimeSpan Ping(CommandFlags flags = CommandFlags.None);
}

/// <summary>Publish and subscribe. Messages are handed over one at a time, in the order of arrival; none are kept while disconnected.</summary>
public interface ISubscriber : IRedis
{
    /// <summary>True when the connection that carries subscriptions stands.</summary>
    bool IsConnected(RedisChannel channel = default);

    /// <summary>Publishes; gives how many clients got it.</summary>
    long Publish(RedisChannel channel, RedisValue message, CommandFlags flags = CommandFlags.None);

    /// <inheritdoc cref="Publish"/>
    Task<long> PublishAsync(RedisChannel channel, RedisValue message, CommandFlags flags = CommandFlags.None);

    /// <summary>Calls <paramref name="handler"/> for each message until unsubscribed; a reconnection restores it, also when this call fails.</summary>
    void Subscribe(RedisChannel channel, Action<RedisChannel, RedisValue> handler, CommandFlags flags = CommandFlags.None);

    /// <inheritdoc cref="Subscribe"/>
    Task SubscribeAsync(RedisChannel channel, Action<RedisChannel, RedisValue> handler, CommandFlags flags = CommandFlags.None);

    /// <summary>Ends the subscription of one handler, or of all when it is null.</summary>
    void Unsubscribe(RedisChannel channel, Action<RedisChannel, RedisValue>? handler = null, CommandFlags flags = CommandFlags.None);

    /// <inheritdoc cref="Unsubscribe"/>
    Task UnsubscribeAsync(RedisChannel channel, Action<RedisChannel, RedisValue>? handler = null, CommandFlags flags = CommandFlags.None);
}

/// <summary>Keys and values, asynchronously.</summary>
public interface IDatabaseAsync : IRedisAsync
{
    /// <summary>True when the connection that carries commands stands.</summary>
    bool IsConnected(RedisKey key, CommandFlags flags = CommandFlags.None);

    /// <summary>The value; <see cref="RedisValue.Null"/> when there is none.</summary>
    Task<RedisValue> StringGetAsync(RedisKey key, CommandFlags flags = CommandFlags.None);

    /// <summary>Sets a value; false when <paramref name="when"/> forbade it.</summary>
    [EditorBrowsable(EditorBrowsableState.Never)]
    Task<bool> StringSetAsync(RedisKey key, RedisValue value, TimeSpan? expiry, When when);

    /// <summary>Sets a value; false when <paramref name="when"/> forbade it.</summary>
    Task<bool> StringSetAsync(
        RedisKey key,
        RedisValue value,
        TimeSpan? expiry,
        bool keepTtl,
        When when = When.Always,
        CommandFlags flags = CommandFlags.None);

    /// <summary>Adds to an integer; gives the sum.</summary>
    Task<long> StringIncrementAsync(RedisKey key, long value = 1, CommandFlags flags = CommandFlags.None);

    /// <summary>Removes a key; false when there was none.</summary>
    Task<bool> KeyDeleteAsync(RedisKey key, CommandFlags flags = CommandFlags.None);

    /// <summary>Sets when a key expires, or never for null; false when there is no such key, or <paramref name="when"/> forbade it.</summary>
    Task<bool> KeyExpireAsync(RedisKey key, TimeSpan? expiry, ExpireWhen when = ExpireWhen.Always, CommandFlags flags = CommandFlags.None);

    /// <summary>Runs a Lua script.</summary>
    Task<RedisResult> ScriptEvaluateAsync(string script, RedisKey[]? keys = null, RedisValue[]? values = null, CommandFlags flags = CommandFlags.None);
}

/// <summary>Keys and values of one numbered database.</summary>
public interface IDatabase : IRedis, IDatabaseAsync
{
    int Database { get; }
}

/// <summary>One server, shared by all callers over one connection for commands and one for subscriptions.</summary>
public interface IConnectionMultiplexer : IDisposable, IAsyncDisposable
{
    /// <summary>A connection broke, or the first attempt failed; raised once an outage.</summary>
    event EventHandler<ConnectionFailedEventArgs> ConnectionFailed;

    /// <summary>A connection stands again; subscriptions are in place when the one that carries them says so.</summary>
    event EventHandler<ConnectionFailedEventArgs> ConnectionRestored;

    /// <summary>True when the connection that carries commands stands.</summary>
    bool IsConnected { get; }

    ISubscriber GetSubscriber(object? asyncState = null);

    /// <summary>A view of database <paramref name="db"/>; -1 for the configured one.</summary>
    IDatabase GetDatabase(int db = -1, object? asyncState = null);

    void Close(bool allowCommandsToComplete = true);

    Task CloseAsync(bool allowCommandsToComplete = true);
}
