using System.Globalization;
using Swarm.Tests.Infrastructure;
using Xunit.Abstractions;
using Seed = Swarm.Tests.Doors.Seed;

namespace Swarm.Tests.Faults;

/// <summary>
/// Everything that can break breaks, in an order and at times that come from a seed, while agents send and consume; then the checker reads
/// what was seen (design §3). <c>./test.sh --faults --seed N --minutes M</c> runs it large.
/// </summary>
[Collection("crashes")]
public sealed class FaultSuiteTests(ITestOutputHelper output)
{
    /// <summary>How many minutes of faults; without it every kind comes once.</summary>
    private const string MinutesVariable = "SWARM_FAULTS_MINUTES";

    /// <summary>The kinds of faults to break with, with commas between; without it all.</summary>
    private const string KindsVariable = "SWARM_FAULTS_KINDS";

    /// <summary>A file that the progress is written to as it happens.</summary>
    private const string LogVariable = "SWARM_FAULTS_LOG";

    private const int WarmMessages = 50;
    private const int MessagesAfter = 50;
    private static readonly TimeSpan StuckAfter = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Whatever_breaks_nothing_accepted_is_lost_disordered_repeated_or_stuck()
    {
        var seed = Seed.Take(output);
        var cast = new Cast();
        await using var node = await FaultNode.StartAsync();
        try
        {
            using var scene = await Scene.CreateAsync(node.Operator, cast.Hosted, cast.External);
            foreach (var peer in node.Peers)
            {
                await scene.AddRemoteAsync(node.Operator, peer.Name, peer.Endpoint);
            }

            await using var trial = new Trial(node.Doors, node.Database, scene, cast, seed, StuckAfter);
            Say($"seed {seed}; a full disk is {node.Disk}");
            foreach (var peer in node.Peers)
            {
                peer.RecordTo(trial.History);
            }

            await trial.StartAsync();
            await trial.AnsweredAsync(WarmMessages);
            foreach (var step in StepsOf(seed, node.HasRedis))
            {
                await FaultNode.WaitAsync(step.After);
                Say($"{step}; {trial.History}");
                var from = trial.History.Now;
                await node.BreakAsync(step, trial.History);
                trial.History.Broken.Enqueue(new(step.ToString(), from, trial.History.Now));
            }

            await trial.AnsweredAsync(MessagesAfter);
            var violations = await trial.EndAsync();
            Say($"{trial.History}\n{HistoryChecker.Describe(violations)}");
            Assert.True(violations.Count == 0, $"seed {seed}\n{HistoryChecker.Describe(violations)}");
            Assert.True(trial.History.Failures > 0, "No fault met anything that was under way.");
        }
        finally
        {
            output.WriteLine(node.Log);
        }
    }

    [Fact]
    public void The_same_seed_makes_the_same_plan_and_another_seed_another()
    {
        var kinds = Enum.GetValues<FaultKind>();
        var plan = FaultPlan.Short(7, kinds);
        Assert.Equal(plan.Steps, FaultPlan.Short(7, kinds).Steps);
        Assert.NotEqual(plan.Steps, FaultPlan.Short(8, kinds).Steps);
        Assert.Equal(kinds, plan.Steps.Select(s => s.Kind).Distinct().Order());
        Assert.Equal(plan.Steps, FaultPlan.Endless(7, kinds).Take(plan.Steps.Count));
        Assert.Equal(FaultPlan.Endless(7, kinds).Take(100), FaultPlan.Endless(7, kinds).Take(100));
    }

    private static IEnumerable<FaultStep> StepsOf(int seed, bool hasRedis)
    {
        var only = Environment.GetEnvironmentVariable(KindsVariable) is { Length: > 0 } names ? names.Split(',').Select(Enum.Parse<FaultKind>).ToArray() : null;
        var kinds = (only ?? Enum.GetValues<FaultKind>())
            .Where(k => hasRedis || k is not (FaultKind.KillRedis or FaultKind.CutRedis or FaultKind.StallRedisLink or FaultKind.FreezeRedis))
            .ToArray();
        if (!double.TryParse(Environment.GetEnvironmentVariable(MinutesVariable), CultureInfo.InvariantCulture, out var minutes))
        {
            return FaultPlan.Short(seed, kinds).Steps;
        }

        var startedAt = TimeProvider.System.GetTimestamp();
        return FaultPlan.Endless(seed, kinds).TakeWhile(_ => TimeProvider.System.GetElapsedTime(startedAt) < TimeSpan.FromMinutes(minutes));
    }

    private void Say(string line)
    {
        output.WriteLine(line);
        if (Environment.GetEnvironmentVariable(LogVariable) is { Length: > 0 } file)
        {
            File.AppendAllText(file, string.Create(CultureInfo.InvariantCulture, $"{TimeProvider.System.GetUtcNow():HH:mm:ss.fff} {line}\n"));
        }
    }
}
