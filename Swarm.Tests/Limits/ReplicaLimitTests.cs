using Microsoft.Extensions.Logging.Abstractions;
using StackExchange.Redis;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.Limits;
using Swarm.Tests.Doors;
using Swarm.Tests.StandIns;

namespace Swarm.Tests.Limits;

/// <summary>Limiters as two replicas have them, over one real Redis.</summary>
public sealed class ReplicaLimitTests : IAsyncLifetime
{
    private const int Limit = 1_000;
    private const int Block = Limit / RateLimiter.BlocksPerLimit;

    private static readonly RateKey Alice = RateKey.Sender(new AgentId(1));

    private readonly SettableTime _time = new(new(2026, 11, 21, 12, 0, 20, TimeSpan.Zero));
    private readonly List<ConnectionMultiplexer> _connections = [];
    private RedisServer _redis = null!;

    public async Task InitializeAsync() => _redis = RedisServer.Program is null ? null! : await RedisServer.StartAsync();

    public async Task DisposeAsync()
    {
        foreach (var connection in _connections)
        {
            await connection.DisposeAsync();
        }

        await (_redis?.DisposeAsync() ?? ValueTask.CompletedTask);
    }

    [RedisFact]
    public async Task Two_replicas_together_hold_the_limit_but_for_a_block_each()
    {
        Replica[] replicas = [await ReplicaAsync(), await ReplicaAsync()];

        var allowed = await DriveAsync(replicas, Limit * 2);

        Assert.InRange(allowed, Limit - (2 * Block), Limit + (2 * Block));
        Assert.All(replicas, replica => Assert.Equal((false, 40), replica.Limiter.Take(Alice) is var d ? (d.IsAllowed, d.RetryAfterSeconds) : default));
        _time.Now += TimeSpan.FromMinutes(1);
        Assert.All(replicas, replica => Assert.True(replica.Limiter.Take(Alice).IsAllowed));
    }

    [RedisFact]
    public async Task A_busy_replica_may_use_what_an_idle_one_does_not()
    {
        Replica[] replicas = [await ReplicaAsync(), await ReplicaAsync()];
        await DriveAsync(replicas, 2);

        Assert.InRange(await DriveAsync(replicas[..1], Limit * 2), Limit - (2 * Block), Limit);
    }

    [RedisFact]
    public async Task Budgets_in_Redis_end_by_themselves_and_are_leased_in_blocks()
    {
        var replica = await ReplicaAsync();
        await DriveAsync([replica], Limit);

        var minute = _time.Now.ToUnixTimeSeconds() / 60;
        var database = replica.Connection.GetDatabase();
        var left = (long)await database.ScriptEvaluateAsync("return redis.call('PTTL', KEYS[1])", [$"swarm:limit:1:1:{minute}"]);
        Assert.InRange(left, 1, 150_000);
        var calls = (string?)await database.ScriptEvaluateAsync("return redis.call('INFO', 'commandstats')");
        var scripts = int.Parse(calls!.Split("cmdstat_incrby:calls=")[1].Split(',')[0]);
        Assert.InRange(scripts, 1, 2 * RateLimiter.BlocksPerLimit);
    }

    [RedisFact]
    public async Task Losing_Redis_neither_blocks_nor_lifts_the_limit()
    {
        var replica = await ReplicaAsync();
        var before = await DriveAsync([replica], Limit / 4);
        await _redis.KillAsync();

        // Nothing is awaited here: a limiter that waited for Redis would not be finished.
        var after = Enumerable.Range(0, Limit * 2).Count(_ => replica.Limiter.Take(Alice).IsAllowed);

        Assert.Equal((Limit / 4, Limit), (before, before + after));
        _time.Now += TimeSpan.FromMinutes(1);
        Assert.Equal(Limit, Enumerable.Range(0, Limit * 2).Count(_ => replica.Limiter.Take(Alice).IsAllowed));
    }

    [RedisFact]
    public async Task A_Redis_that_comes_back_is_asked_again()
    {
        Replica[] replicas = [await ReplicaAsync(), await ReplicaAsync()];
        await _redis.KillAsync();
        await Infrastructure.Eventually.TrueAsync("the connection is lost", () => !replicas.Any(r => r.Ledger.IsAvailable), TimeSpan.FromSeconds(30));
        await _redis.StartAgainAsync();
        await Infrastructure.Eventually.TrueAsync("the connection is back", () => replicas.All(r => r.Ledger.IsAvailable), TimeSpan.FromSeconds(20));

        Assert.InRange(await DriveAsync(replicas, Limit * 2), Limit - (2 * Block), Limit + (2 * Block));
    }

    /// <summary>Takes in turn, at the pace of a replica that verifies: an answer of Redis arrives within a few takes.</summary>
    private static async Task<int> DriveAsync(Replica[] replicas, int times)
    {
        var allowed = 0;
        for (var i = 0; i < times; i++)
        {
            var replica = replicas[i % replicas.Length];
            allowed += replica.Limiter.Take(Alice).IsAllowed ? 1 : 0;
            await replica.Connection.GetDatabase().PingAsync();
        }

        return allowed;
    }

    private async Task<Replica> ReplicaAsync()
    {
        var options = ConfigurationOptions.Parse(_redis.ConnectionString);
        options.AbortOnConnectFail = false;
        var connection = await ConnectionMultiplexer.ConnectAsync(options);
        _connections.Add(connection);
        var ledger = new RedisRateLedger(() => connection, TimeProvider.System, NullLogger<RedisRateLedger>.Instance);
        await Infrastructure.Eventually.TrueAsync("the ledger is there", () => ledger.IsAvailable, TimeSpan.FromSeconds(30));
        return new(new(new() { SenderPerMinute = Limit }, _time, ledger), ledger, connection);
    }

    private sealed record Replica(RateLimiter Limiter, RedisRateLedger Ledger, ConnectionMultiplexer Connection);
}
