using System.Diagnostics;
using System.Net;
using Swarm.Tests.Infrastructure;
using Swarm.Tests.StandIns;
using Xunit.Abstractions;
using Eventually = Swarm.Tests.Infrastructure.Eventually;

namespace Swarm.Tests.SignalBuses;

/// <summary>Promise 6 (design §3): what one replica accepts wakes the streams of another; without Redis it only takes longer.</summary>
[Collection(PostgresCollection.Name)]
public sealed class ReplicaSignalTests(PostgresFixture postgres, ITestOutputHelper output)
{
    private const int Tries = 9;

    /// <summary>A signal, as the middle of several tries; the look at the database that replaces a lost one comes once a second.</summary>
    private static readonly TimeSpan AtOnce = TimeSpan.FromMilliseconds(350);

    private static readonly TimeSpan WithoutSignals = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan ReconnectLimit = TimeSpan.FromSeconds(30);

    [RedisFact]
    public async Task With_Redis_a_message_wakes_another_replica_at_once_without_it_within_two_seconds_and_back_again()
    {
        await using var redis = await RedisServer.StartAsync();
        await using var a = await NodeHost.StartAsync(postgres, redis.ConnectionString);
        await using var b = await a.StartReplicaAsync();
        Assert.Equal("redis", (await b.Hub.GetHubAsync("/hub/v1/status")).Ok()["signals"].GetString());
        using var scene = await Scene.CreateAsync(a.Hub, ["alice", "bob"], ["eve"]);
        using var stream = await SseStream.OpenAsync(b.Hub, "bob");

        Assert.InRange(Middle(await MeasureAsync(a, scene, stream)), TimeSpan.Zero, AtOnce);

        await redis.KillAsync();
        Assert.All(await MeasureAsync(a, scene, stream), t => Assert.InRange(t, TimeSpan.Zero, WithoutSignals));

        await redis.StartAgainAsync();
        await Eventually.TrueAsync("signals come at once again", async () => Middle(await MeasureAsync(a, scene, stream)) < AtOnce, ReconnectLimit);
    }

    [Fact]
    public async Task Without_any_Redis_a_message_wakes_another_replica_at_once_by_Postgres()
    {
        await using var a = await NodeHost.StartAsync(postgres);
        await using var b = await a.StartReplicaAsync();
        Assert.Equal("postgres", (await b.Hub.GetHubAsync("/hub/v1/status")).Ok()["signals"].GetString());
        using var scene = await Scene.CreateAsync(a.Hub, ["alice", "bob"], ["eve"]);
        using var stream = await SseStream.OpenAsync(b.Hub, "bob");
        Assert.InRange(Middle(await MeasureAsync(a, scene, stream)), TimeSpan.Zero, AtOnce);
    }

    [Fact]
    public async Task A_message_whose_signal_is_lost_is_found_within_two_seconds()
    {
        await using var a = await NodeHost.StartAsync(postgres);
        using var scene = await Scene.CreateAsync(a.Hub, ["alice", "bob"], ["eve"]);
        using var stream = await SseStream.OpenAsync(a.Hub, "bob");
        Assert.Equal(HttpStatusCode.OK, (await a.Http.PostMessageAsync("bob", scene.Signed("eve", "bob", "with a signal"))).Status);
        Assert.Equal("with a signal", await stream.NextContentAsync());

        // A copy of that delivery, put there as a replica would that died between its commit and its signal.
        var startedAt = Stopwatch.GetTimestamp();
        await a.ExecuteAsync(
            """
            update mailboxes set last_seq = 2 where last_seq = 1;
            insert into messages select message_no + 1000000, sender_no, swarm_no, gen_random_uuid(), protocol, kind, priority, verified, sent_at, accepted_at,
                expires_at, trace, wire from messages;
            insert into deliveries (message_no, recipient_no, seq, sender_no, swarm_no, priority)
                select message_no + 1000000, recipient_no, 2, sender_no, swarm_no, priority from deliveries;
            insert into audit_entries (writer_id, entry_no, at, kind, root, messages, recipients, previous, hash)
                select gen_random_uuid(), 1, now(), 1, '\x00', 1, array(select distinct recipient_no from deliveries), '\x00', '\x00';
            """);
        Assert.Equal("with a signal", await stream.NextContentAsync());
        Assert.InRange(Stopwatch.GetElapsedTime(startedAt), TimeSpan.Zero, WithoutSignals);
    }

    private async Task<TimeSpan[]> MeasureAsync(NodeHost from, Scene scene, SseStream stream)
    {
        var times = new TimeSpan[Tries];
        for (var n = 0; n < Tries; n++)
        {
            var content = $"{Guid.NewGuid()}";
            var startedAt = Stopwatch.GetTimestamp();
            Assert.Equal(HttpStatusCode.OK, (await from.Http.PostMessageAsync("bob", scene.Signed("eve", "bob", content))).Status);
            Assert.Equal(content, await stream.NextContentAsync());
            times[n] = Stopwatch.GetElapsedTime(startedAt);
        }

        output.WriteLine(string.Join(", ", times.Select(t => $"{t.TotalMilliseconds:F0} ms")));
        return times;
    }

    private static TimeSpan Middle(TimeSpan[] times) => times.Order().ElementAt(times.Length / 2);
}
