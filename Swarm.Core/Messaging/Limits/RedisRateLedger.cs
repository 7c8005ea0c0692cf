using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace Swarm.Core.Messaging.Limits;

/// <summary>Counts in Redis: a key a budget and minute, which expires by itself. All of it can be lost.</summary>
public sealed partial class RedisRateLedger : IRateLedger
{
    /// <summary>After a failure Redis is not asked for so long.</summary>
    public static readonly TimeSpan AwayPause = TimeSpan.FromSeconds(1);

    /// <summary>How long one answer is awaited.</summary>
    public static readonly TimeSpan AnswerTimeMax = TimeSpan.FromMilliseconds(500);

    /// <summary>A key outlives its minute by as much as clocks may differ.</summary>
    private const int KeyLifeMs = 150_000;

    // One step, so that no key is left without an end when the node dies between two.
    private const string Take =
        "local n = redis.call('INCRBY', KEYS[1], ARGV[1]) if n == tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end return n";

    private readonly Task<IConnectionMultiplexer> _redis;
    private readonly TimeProvider _time;
    private readonly ILogger<RedisRateLedger> _logger;
    private long _awaySince;

    /// <param name="connect">Opens the connection; may block, and is called in the background.</param>
    public RedisRateLedger(Func<IConnectionMultiplexer> connect, TimeProvider time, ILogger<RedisRateLedger> logger)
    {
        _redis = Task.Run(connect);
        _time = time;
        _logger = logger;
    }

    public bool IsAvailable =>
        _redis.IsCompletedSuccessfully && _redis.Result.IsConnected
        && (Volatile.Read(ref _awaySince) is var since && (since == 0 || _time.GetElapsedTime(since) >= AwayPause));

    public async Task<long?> TakeAsync(RateKey key, long minute, long count)
    {
        try
        {
            var redis = await _redis;
            var name = $"swarm:limit:{(int)key.Scope}:{key.Id:x}:{minute}";
            var taken = await redis.GetDatabase().ScriptEvaluateAsync(Take, [name], [count, KeyLifeMs]).WaitAsync(AnswerTimeMax, _time);
            Volatile.Write(ref _awaySince, 0);
            return (long)taken;
        }
        catch (Exception e) when (e is RedisException or TimeoutException or InvalidCastException)
        {
            if (Interlocked.Exchange(ref _awaySince, Math.Max(1, _time.GetTimestamp())) == 0)
            {
                LogAway(e.Message);
            }

            return null;
        }
    }

    [LoggerMessage(1501, LogLevel.Warning, "Rate limits are counted by this replica alone while Redis does not answer: {Reason}")]
    private partial void LogAway(string reason);
}
