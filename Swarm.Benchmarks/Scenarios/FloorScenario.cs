using System.CommandLine;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>
/// The same load against a bare prototype on the same Postgres: Kestrel, one verification, one writer with <c>unnest</c>, no other
/// check. What the machine could do; <c>ingest</c> is measured against it.
/// </summary>
internal static class FloorScenario
{
    public static Command Command()
    {
        var command = new Command(
            "floor",
            """
            The same load against a bare prototype: what this machine could do at best.

            Examples:
              floor --connections 64 --seconds 60
              floor --runs 1 --json
            """);
        LoadOptions.AddTo(command);
        ReportOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(LoadOptions.Of(result), ReportOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(LoadOptions options, ReportOptions report, CancellationToken cancellation)
    {
        await using var node = await BenchNode.StartAsync(cancellation);
        var population = await Population.CreateAsync(node, hosted: false, cancellation);
        using var server = await OwnServer.StartAsync("floor-server", new() { ["SWARM_FLOOR_DATABASE"] = node.ConnectionString }, cancellation);
        var runs = new List<Run>();
        while (runs.Count < report.Runs)
        {
            var ofRun = options.OfRun(runs.Count);
            var messages = IngestScenario.Prepare(population, ofRun);
            var before = await DatabaseFigures.ReadAsync(node.ConnectionString, "floor_messages", "floor_deliveries", cancellation);
            var idle = server.Figures();
            var load = await Progress.RunAsync("Loading", ofRun.WarmUpSeconds + ofRun.Seconds, tick =>
                HttpLoad.RunAsync(new(server.Urls[0], null), messages, ofRun, tick, cancellation));
            var after = await DatabaseFigures.ReadAsync(node.ConnectionString, "floor_messages", "floor_deliveries", cancellation);
            runs.Add(IngestScenario.Describe(load, before, after, idle, server.Figures()));
        }

        return Report.Print("floor", IngestScenario.Settings(options), runs, node.Machine, report);
    }
}
