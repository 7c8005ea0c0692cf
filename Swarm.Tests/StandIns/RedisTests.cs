using System.Collections.Concurrent;
using System.Text;
using System.Threading.Channels;
using StackExchange.Redis;

namespace Swarm.Tests.StandIns;

/// <summary>What StackExchange.Redis does, against a real server.</summary>
public sealed class RedisTests
{
    private static readonly RedisChannel News = RedisChannel.Literal("news");

    [RedisFact]
    public async Task Keys_and_values_do_what_Redis_documents()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await using ConnectionMultiplexer client = await ConnectionMultiplexer.ConnectAsync(server.ConnectionString);
        IDatabase database = client.GetDatabase();
        byte[] bytes = [0, 13, 10, 255];

        Assert.True((await database.StringGetAsync("k")).IsNull);
        Assert.True(await database.StringSetAsync("k", bytes, null, When.NotExists));
        Assert.False(await database.StringSetAsync("k", "other", null, When.NotExists));
        Assert.Equal(bytes, (byte[]?)await database.StringGetAsync("k"));
        Assert.Equal(5, await database.StringIncrementAsync("n", 5));
        Assert.Equal(4, await database.StringIncrementAsync("n", -1));
        Assert.Equal(4, (long)await database.StringGetAsync("n"));
        Assert.True(await database.KeyDeleteAsync("k"));
        Assert.False(await database.KeyDeleteAsync("k"));
        Assert.True(await database.StringSetAsync("short", "x", TimeSpan.FromMilliseconds(50), When.Always));
        await Eventually.TrueAsync(async () => (await database.StringGetAsync("short")).IsNull, "the key expires");
        Assert.False(await database.KeyExpireAsync("short", TimeSpan.FromSeconds(1)));
        Assert.True(await database.KeyExpireAsync("n", TimeSpan.FromSeconds(100), ExpireWhen.HasNoExpiry));
        Assert.False(await database.KeyExpireAsync("n", TimeSpan.FromSeconds(100), ExpireWhen.HasNoExpiry));
        Assert.True(await database.PingAsync() > TimeSpan.Zero);
    }

    [RedisFact]
    public async Task Scripts_give_replies_of_every_shape()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await using ConnectionMultiplexer client = await ConnectionMultiplexer.ConnectAsync(server.ConnectionString);
        IDatabase database = client.GetDatabase();

        RedisResult result = await database.ScriptEvaluateAsync("return {KEYS[1], ARGV[1], 7, {1, 2}, false}", ["k"], ["v"]);

        Assert.Equal(5, result.Length);
        Assert.Equal("k", (string?)result[0]);
        Assert.Equal("v", (string?)result[1]);
        Assert.Equal(7, (int)result[2]);
        Assert.Equal(2, result[3].Length);
        Assert.True(result[4].IsNull);
        var error = await Assert.ThrowsAsync<RedisServerException>(() => database.ScriptEvaluateAsync("return redis.error_reply('MINE no')"));
        Assert.StartsWith("MINE no", error.Message, StringComparison.Ordinal);
    }

    [RedisFact]
    public async Task Databases_are_kept_apart_on_the_one_connection()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await using ConnectionMultiplexer client = await ConnectionMultiplexer.ConnectAsync($"{server.ConnectionString},defaultDatabase=2");

        await Task.WhenAll(Enumerable.Range(0, 200).Select(async i =>
        {
            IDatabase database = client.GetDatabase(i % 4);
            await database.StringSetAsync($"k{i}", i, null, When.Always);
        }));

        for (int i = 0; i < 200; i++)
        {
            Assert.Equal(i, (int)await client.GetDatabase(i % 4).StringGetAsync($"k{i}"));
            Assert.True((await client.GetDatabase((i + 1) % 4).StringGetAsync($"k{i}")).IsNull);
        }

        Assert.Equal(2, client.GetDatabase().Database);
    }

    [RedisFact]
    public async Task Many_callers_share_one_connection_and_each_gets_its_own_reply()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await using ConnectionMultiplexer client = await ConnectionMultiplexer.ConnectAsync(server.ConnectionString);
        IDatabase database = client.GetDatabase();

        await Parallel.ForAsync(0, 2_000, new ParallelOptions { MaxDegreeOfParallelism = 64 }, async (i, _) =>
        {
            string value = new((char)('a' + (i % 26)), i * 7 % 3000);
            await database.StringSetAsync($"k{i}", value, null, When.Always);
            Assert.Equal(value, (string?)await database.StringGetAsync($"k{i}"));
        });
    }

    [RedisFact]
    public async Task A_large_value_passes_whole()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await using ConnectionMultiplexer client = await ConnectionMultiplexer.ConnectAsync(server.ConnectionString);
        byte[] large = new byte[5_000_000];
        new Random(7).NextBytes(large);

        await client.GetDatabase().StringSetAsync("k", large, null, When.Always);

        Assert.Equal(large, (byte[]?)await client.GetDatabase().StringGetAsync("k"));
    }

    [RedisFact]
    public async Task Messages_arrive_in_order_until_unsubscribed()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await using ConnectionMultiplexer client = await ConnectionMultiplexer.ConnectAsync(server.ConnectionString);
        ISubscriber subscriber = client.GetSubscriber();
        var received = Channel.CreateUnbounded<int>();
        void Handler(RedisChannel channel, RedisValue value) => received.Writer.TryWrite((int)value);
        await subscriber.SubscribeAsync(News, Handler);

        for (int i = 0; i < 500; i++)
        {
            _ = subscriber.PublishAsync(News, i, CommandFlags.FireAndForget);
        }

        using var limit = new CancellationTokenSource(Eventually.Limit);
        for (int i = 0; i < 500; i++)
        {
            Assert.Equal(i, await received.Reader.ReadAsync(limit.Token));
        }

        Assert.Equal(1, await subscriber.PublishAsync(News, 500));
        await subscriber.UnsubscribeAsync(News, Handler);
        Assert.Equal(0, await subscriber.PublishAsync(News, 501));
    }

    [RedisFact]
    public async Task One_handler_of_two_can_leave_and_a_failing_one_harms_nobody()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await using ConnectionMultiplexer client = await ConnectionMultiplexer.ConnectAsync(server.ConnectionString);
        ISubscriber subscriber = client.GetSubscriber();
        var received = new ConcurrentQueue<string>();
        void First(RedisChannel channel, RedisValue value) => received.Enqueue($"first {value}");
        void Second(RedisChannel channel, RedisValue value) => received.Enqueue($"second {value}");
        void Failing(RedisChannel channel, RedisValue value) => throw new InvalidOperationException("on purpose");
        await subscriber.SubscribeAsync(News, First);
        await subscriber.SubscribeAsync(News, Second);
        await subscriber.SubscribeAsync(RedisChannel.Literal("bad"), Failing);

        await subscriber.PublishAsync(RedisChannel.Literal("bad"), "x");
        await subscriber.PublishAsync(News, "1");
        await Eventually.TrueAsync(() => received.Count == 2, "both heard it");
        await subscriber.UnsubscribeAsync(News, First);
        await subscriber.PublishAsync(News, "2");
        await Eventually.TrueAsync(() => received.Count == 3, "one heard it");

        Assert.Equal(["first 1", "second 1", "second 2"], received);
    }

    [RedisFact]
    public async Task After_a_kill_and_a_restart_subscriptions_and_commands_work_again()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await using ConnectionMultiplexer client = await ConnectionMultiplexer.ConnectAsync($"{server.ConnectionString},abortConnect=false");
        ISubscriber subscriber = client.GetSubscriber();
        var received = new ConcurrentQueue<string>();
        var events = new ConcurrentQueue<string>();
        client.ConnectionFailed += (_, e) => events.Enqueue($"failed {e.ConnectionType}");
        client.ConnectionRestored += (_, e) => events.Enqueue($"restored {e.ConnectionType}");
        await subscriber.SubscribeAsync(News, (_, value) => received.Enqueue(value.ToString()));
        await subscriber.PublishAsync(News, "before");
        await Eventually.TrueAsync(() => received.Count == 1, "the first is heard before the server dies with it");

        for (int round = 1; round <= 2; round++)
        {
            events.Clear();
            await server.KillAsync();
            await Eventually.TrueAsync(() => events.Count == 2 && !client.IsConnected && !subscriber.IsConnected(), "both losses are told");
            await server.StartAgainAsync();
            await Eventually.TrueAsync(() => events.Count == 4, "both returns are told");

            Assert.True(client.IsConnected);
            Assert.Equal(1, await subscriber.PublishAsync(News, $"after {round}"));
            Assert.Equal(
                ["failed Interactive", "failed Subscription", "restored Interactive", "restored Subscription"], events.Order());
            await Eventually.TrueAsync(() => received.Count == 1 + round, "the message of this round arrived");
        }

        Assert.Equal(["before", "after 1", "after 2"], received);
    }

    [RedisFact]
    public async Task A_command_in_an_outage_waits_for_the_server_or_times_out()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        await using ConnectionMultiplexer client = await ConnectionMultiplexer.ConnectAsync($"{server.ConnectionString},asyncTimeout=8000");
        await using ConnectionMultiplexer hasty = await ConnectionMultiplexer.ConnectAsync($"{server.ConnectionString},asyncTimeout=100");
        await server.KillAsync();
        await Eventually.TrueAsync(() => !client.IsConnected && !hasty.IsConnected, "the loss is seen");

        Task<long> waiting = client.GetDatabase().StringIncrementAsync("n");
        RedisTimeoutException timeout = await Assert.ThrowsAsync<RedisTimeoutException>(() => hasty.GetDatabase().StringIncrementAsync("n"));
        await server.StartAgainAsync();

        Assert.Equal(1, await waiting);
        Assert.Equal(CommandStatus.WaitingInBacklog, timeout.Commandstatus);
    }

    [Fact]
    public async Task Without_a_server_connecting_fails_or_goes_on_as_asked()
    {
        string nowhere = $"127.0.0.1:{RedisServer.FreePort()},connectTimeout=2000,asyncTimeout=200";

        RedisConnectionException error = await Assert.ThrowsAsync<RedisConnectionException>(() => ConnectionMultiplexer.ConnectAsync(nowhere));
        await using ConnectionMultiplexer client = await ConnectionMultiplexer.ConnectAsync($"{nowhere},abortConnect=false");

        Assert.Equal(ConnectionFailureType.UnableToConnect, error.FailureType);
        Assert.False(client.IsConnected);
        await Assert.ThrowsAsync<RedisTimeoutException>(() => client.GetDatabase().PingAsync());
    }

    [RedisFact]
    public async Task A_password_opens_the_door_and_a_wrong_one_says_so()
    {
        await using RedisServer server = await RedisServer.StartAsync("let me in");
        await using ConnectionMultiplexer client = await ConnectionMultiplexer.ConnectAsync(server.ConnectionString);
        Assert.True(client.IsConnected);

        foreach (string wrong in new[] { $"127.0.0.1:{server.Port}", $"127.0.0.1:{server.Port},password=wrong" })
        {
            RedisConnectionException error = await Assert.ThrowsAsync<RedisConnectionException>(() => ConnectionMultiplexer.ConnectAsync(wrong));
            Assert.Equal(ConnectionFailureType.AuthenticationFailure, error.FailureType);
            Assert.DoesNotContain("let me in", error.ToString(), StringComparison.Ordinal);
        }
    }

    [RedisFact]
    public async Task A_closed_client_refuses_commands()
    {
        await using RedisServer server = await RedisServer.StartAsync();
        ConnectionMultiplexer client = await ConnectionMultiplexer.ConnectAsync(server.ConnectionString);
        Task<long> last = client.GetDatabase().StringIncrementAsync("n");
        await client.CloseAsync();

        Assert.Equal(1, await last);
        await Assert.ThrowsAsync<ObjectDisposedException>(() => client.GetDatabase().PingAsync());
    }

    [Fact]
    public void Configuration_is_read_from_text()
    {
        ConfigurationOptions options = ConfigurationOptions.Parse(
            "localhost:1234,password=a=b,user=me,ssl=true,sslHost=h,abortConnect=false,connectTimeout=1,syncTimeout=2,asyncTimeout=3,defaultDatabase=4,name=n");

        Assert.Equal("Unspecified/localhost:1234", options.EndPoints.Single().ToString());
        Assert.Equal(("a=b", "me", "h", "n"), (options.Password, options.User, options.SslHost, options.ClientName));
        Assert.Equal((true, false), (options.Ssl, options.AbortOnConnectFail));
        Assert.Equal((1, 2, 3, (int?)4), (options.ConnectTimeout, options.SyncTimeout, options.AsyncTimeout, options.DefaultDatabase));
        Assert.Throws<ArgumentException>(() => ConfigurationOptions.Parse("localhost,colour=red"));
        Assert.Throws<ArgumentException>(() => ConfigurationOptions.Parse("localhost,ssl=maybe"));
        Assert.Throws<ArgumentException>(() => ConfigurationOptions.Parse("localhost:70000"));
        Assert.Single(ConfigurationOptions.Parse("localhost,colour=red", ignoreUnknown: true).EndPoints);
    }

    [Fact]
    public void Values_are_equal_when_Redis_would_store_the_same()
    {
        Assert.Equal((RedisValue)42, (RedisValue)"42");
        Assert.Equal(((RedisValue)42).GetHashCode(), ((RedisValue)Encoding.UTF8.GetBytes("42")).GetHashCode());
        Assert.NotEqual(RedisValue.Null, RedisValue.EmptyString);
        Assert.Equal(42, (long)(RedisValue)"42");
        Assert.Throws<InvalidCastException>(() => (long)(RedisValue)"4x");
        Assert.Equal("", (string?)RedisValue.EmptyString);
        Assert.Null((string?)RedisValue.Null);
    }
}
