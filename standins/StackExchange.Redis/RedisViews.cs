using System.Diagnostics;
using System.Globalization;
using System.Text;
using StackExchange.Redis.Resp;

namespace StackExchange.Redis;

internal abstract class RedisView(ConnectionMultiplexer multiplexer)
{
    public IConnectionMultiplexer Multiplexer => multiplexer;

    private protected ConnectionMultiplexer Owner => multiplexer;

    public TimeSpan Ping(CommandFlags flags = CommandFlags.None) => Task.Run(() => PingAsync(flags)).GetAwaiter().GetResult();

    public async Task<TimeSpan> PingAsync(CommandFlags flags = CommandFlags.None)
    {
        long start = Stopwatch.GetTimestamp();
        _ = await AskAsync(-1, flags, "PING"u8.ToArray()).ConfigureAwait(false);
        return Stopwatch.GetElapsedTime(start);
    }

    private protected static bool WantsReply(CommandFlags flags) => !flags.HasFlag(CommandFlags.FireAndForget);

    private protected Task<RespNode> AskAsync(int database, CommandFlags flags, params ReadOnlyMemory<byte>[] words) =>
        multiplexer.Commands.AskAsync(new Command(database, WantsReply(flags), words));
}

internal sealed class RedisSubscriber(ConnectionMultiplexer multiplexer) : RedisView(multiplexer), ISubscriber
{
    public bool IsConnected(RedisChannel channel = default) => Owner.IsSubscriberConnected;

    public long Publish(RedisChannel channel, RedisValue message, CommandFlags flags = CommandFlags.None) =>
        Task.Run(() => PublishAsync(channel, message, flags)).GetAwaiter().GetResult();

    public async Task<long> PublishAsync(RedisChannel channel, RedisValue message, CommandFlags flags = CommandFlags.None) =>
        (await AskAsync(-1, flags, "PUBLISH"u8.ToArray(), channel.ToMemory(), message.ToMemory()).ConfigureAwait(false)).Number;

    public void Subscribe(RedisChannel channel, Action<RedisChannel, RedisValue> handler, CommandFlags flags = CommandFlags.None) =>
        Task.Run(() => SubscribeAsync(channel, handler, flags)).GetAwaiter().GetResult();

    public Task SubscribeAsync(RedisChannel channel, Action<RedisChannel, RedisValue> handler, CommandFlags flags = CommandFlags.None) =>
        Owner.SubscribeAsync(channel, handler, WantsReply(flags));

    public void Unsubscribe(RedisChannel channel, Action<RedisChannel, RedisValue>? handler = null, CommandFlags flags = CommandFlags.None) =>
        Task.Run(() => UnsubscribeAsync(channel, handler, flags)).GetAwaiter().GetResult();

    public Task UnsubscribeAsync(RedisChannel channel, Action<RedisChannel, RedisValue>? handler = null, CommandFlags flags = CommandFlags.None) =>
        Owner.UnsubscribeAsync(channel, handler, WantsReply(flags));
}

internal sealed class RedisDatabase(ConnectionMultiplexer multiplexer, int database) : RedisView(multiplexer), IDatabase
{
    public int Database => database;

    public bool IsConnected(RedisKey key, CommandFlags flags = CommandFlags.None) => Owner.IsConnected;

    public async Task<RedisValue> StringGetAsync(RedisKey key, CommandFlags flags = CommandFlags.None) =>
        (await AskAsync(database, flags, "GET"u8.ToArray(), key.ToMemory()).ConfigureAwait(false)).ToValue();

    public Task<bool> StringSetAsync(RedisKey key, RedisValue value, TimeSpan? expiry, When when) =>
        StringSetAsync(key, value, expiry, keepTtl: false, when);

    public async Task<bool> StringSetAsync(
        RedisKey key,
        RedisValue value,
        TimeSpan? expiry,
        bool keepTtl,
        When when = When.Always,
        CommandFlags flags = CommandFlags.None)
    {
        List<ReadOnlyMemory<byte>> words = ["SET"u8.ToArray(), key.ToMemory(), value.ToMemory()];
        if (expiry is { } time)
        {
            words.Add("PX"u8.ToArray());
            words.Add(Milliseconds(time));
        }
        else if (keepTtl)
        {
            words.Add("KEEPTTL"u8.ToArray());
        }

        if (when != When.Always)
        {
            words.Add(when == When.Exists ? "XX"u8.ToArray() : "NX"u8.ToArray());
        }

        RespNode reply = await AskAsync(database, flags, [.. words]).ConfigureAwait(false);
        return reply.IsText("OK"u8);
    }

    public async Task<long> StringIncrementAsync(RedisKey key, long value = 1, CommandFlags flags = CommandFlags.None) =>
        (await AskAsync(database, flags, "INCRBY"u8.ToArray(), key.ToMemory(), Number(value)).ConfigureAwait(false)).Number;

    public async Task<bool> KeyDeleteAsync(RedisKey key, CommandFlags flags = CommandFlags.None) =>
        (await AskAsync(database, flags, "DEL"u8.ToArray(), key.ToMemory()).ConfigureAwait(false)).Number > 0;

    public async Task<bool> KeyExpireAsync(RedisKey key, TimeSpan? expiry, ExpireWhen when = ExpireWhen.Always, CommandFlags flags = CommandFlags.None)
    {
        List<ReadOnlyMemory<byte>> words = expiry is { } time
            ? ["PEXPIRE"u8.ToArray(), key.ToMemory(), Milliseconds(time)]
            : ["PERSIST"u8.ToArray(), key.ToMemory()];
        if (expiry is not null && when != ExpireWhen.Always)
        {
            words.Add(when switch
            {
                ExpireWhen.GreaterThanCurrentExpiry => "GT"u8.ToArray(),
                ExpireWhen.HasExpiry => "XX"u8.ToArray(),
                ExpireWhen.HasNoExpiry => "NX"u8.ToArray(),
                ExpireWhen.LessThanCurrentExpiry => "LT"u8.ToArray(),
                _ => throw new ArgumentOutOfRangeException(nameof(when)),
            });
        }

        return (await AskAsync(database, flags, [.. words]).ConfigureAwait(false)).Number == 1;
    }

    public async Task<RedisResult> ScriptEvaluateAsync(
        string script,
        RedisKey[]? keys = null,
        RedisValue[]? values = null,
        CommandFlags flags = CommandFlags.None)
    {
        List<ReadOnlyMemory<byte>> words = ["EVAL"u8.ToArray(), Encoding.UTF8.GetBytes(script), Number(keys?.Length ?? 0)];
        words.AddRange((keys ?? []).Select(key => key.ToMemory()));
        words.AddRange((values ?? []).Select(value => value.ToMemory()));
        return RedisResult.From(await AskAsync(database, flags, [.. words]).ConfigureAwait(false));
    }

    private static ReadOnlyMemory<byte> Milliseconds(TimeSpan time) => Number((long)time.TotalMilliseconds);

    private static ReadOnlyMemory<byte> Number(long value) => Encoding.ASCII.GetBytes(value.ToString(CultureInfo.InvariantCulture));
}
