using Swarm.Tests.Infrastructure;
using Xunit.Abstractions;
using Seed = Swarm.Tests.Doors.Seed;

namespace Swarm.Tests.Faults;

/// <summary>
/// One replica's clock jumps to and fro under load. Leases, schedules and times to live mean what the clocks of the replicas say, so they
/// may be off by the jump; nothing else may.
/// </summary>
[Collection(PostgresCollection.Name)]
public sealed class ClockStepTests(PostgresFixture postgres, ITestOutputHelper output)
{
    private const int Steps = 6;
    private const int StepSecondsMax = 8;
    private const int MessagesBetween = 40;

    /// <summary>A lease that was given by a clock that was ahead lasts longer by that.</summary>
    private static readonly TimeSpan StuckAfter = TimeSpan.FromSeconds(15 + StepSecondsMax);

    /// <summary>Without times to live: what has expired for one clock and not for the other is overtaken at the one.</summary>
    private static readonly Cast Cast = new() { LeaseSeconds = 1, DiesEvery = 8, TimeToLive = null };

    /// <summary>Promises that are about time itself.</summary>
    private static readonly string[] ByTheClock = [HistoryChecker.Exclusive, HistoryChecker.EndedLease, HistoryChecker.TooEarly, HistoryChecker.TooLate];

    [Fact]
    public async Task A_clock_that_jumps_loses_nothing_keeps_every_order_and_leaves_nothing_stuck()
    {
        var seed = Seed.Take(output);
        var random = new Random(seed);
        var clock = new JumpingTime();
        await using var a = await NodeHost.StartAsync(postgres);
        await using var b = await a.StartReplicaAsync(clock);
        using var scene = await Scene.CreateAsync(a.Hub, Cast.Hosted, Cast.External);
        await using var worker = WorkerInProcess.Start(a);
        await using var trial = new Trial([Replica.In(a), Replica.In(b)], a.Database, scene, Cast, seed, StuckAfter);
        await trial.StartAsync();
        for (var step = 0; step < Steps; step++)
        {
            await trial.AnsweredAsync(MessagesBetween);
            clock.Offset = TimeSpan.FromSeconds(random.Next(-StepSecondsMax, StepSecondsMax + 1));
            output.WriteLine($"the clock of one replica is off by {clock.Offset.TotalSeconds} s");
        }

        await trial.AnsweredAsync(MessagesBetween);
        clock.Offset = TimeSpan.Zero;
        var violations = (await trial.EndAsync()).Where(v => !ByTheClock.Contains(v.Promise)).ToArray();
        output.WriteLine($"{trial.History}");
        Assert.True(violations.Length == 0, $"seed {seed}\n{HistoryChecker.Describe(violations)}");
    }

    /// <summary>The real time and an offset; elapsed time and timers stay real.</summary>
    private sealed class JumpingTime : TimeProvider
    {
        private long _offsetTicks;

        public TimeSpan Offset
        {
            get => TimeSpan.FromTicks(Volatile.Read(ref _offsetTicks));
            set => Volatile.Write(ref _offsetTicks, value.Ticks);
        }

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + Offset;
    }
}
