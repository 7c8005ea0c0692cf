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
              floor --openssl --runs 1 --json
            """);
        var openSsl = new Option<bool>("--openssl")
        {
            Description = "Verify with OpenSSL's libcrypto, as the design's floor does, also where the node itself uses the faster libsodium.",
        };
        command.Options.Add(openSsl);
        LoadOptions.AddTo(command);
        ReportOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(LoadOptions.Of(result), result.GetValue(openSsl), ReportOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(LoadOptions options, bool openSsl, ReportOptions report, CancellationToken cancellation)
    {
        await using var node = await BenchNode.StartAsync(cancellation);
        var population = await Population.CreateAsync(node, hosted: false, cancellation);
        using var server = await OwnServer.StartAsync("floor-server", new() { ["SWARM_FLOOR_DATABASE"] = node.ConnectionString, ["SWARM_FLOOR_OPENSSL"] = openSsl ? "1" : "0" }, cancellation);
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

        return Report.Print(openSsl ? "floor-openssl" : "floor", IngestScenario.Settings(options), runs, node.Machine, report);
    }
}
