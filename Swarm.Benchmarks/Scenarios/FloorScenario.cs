using System.CommandLine;
using System.Diagnostics;
using Spectre.Console;
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
        var command = new Command("floor", "The same load against a bare prototype: what this machine could do at best.");
        LoadOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(LoadOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(LoadOptions options, CancellationToken cancellation)
    {
        AnsiConsole.MarkupLine("Starting Postgres, Redis, the node (idle) and the prototype …");
        await using var node = await BenchNode.StartAsync(cancellation);
        var population = await Population.CreateAsync(node.ConnectionString, cancellation);
        var messages = IngestScenario.Prepare(population, options);
        var marker = Guid.NewGuid().ToString();
        using var server = Start(node.ConnectionString, marker);
        try
        {
            var url = new Uri((await server.StandardOutput.ReadLineAsync(cancellation))!);
            var before = await DatabaseFigures.ReadAsync(node.ConnectionString, "floor_messages", "floor_deliveries", cancellation);
            var idle = ProcessFigures.Find("floor-server", marker);
            var load = await Progress.RunAsync("Loading", options.WarmUpSeconds + options.Seconds, tick =>
                HttpLoad.RunAsync(url, messages, options, tick, cancellation));
            var after = await DatabaseFigures.ReadAsync(node.ConnectionString, "floor_messages", "floor_deliveries", cancellation);
            return Report.Print("floor", options, load, before, after, idle, ProcessFigures.Find("floor-server", marker));
        }
        finally
        {
            server.Kill();
            await server.WaitForExitAsync(CancellationToken.None);
        }
    }

    private static Process Start(string connectionString, string marker)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true };
        start.ArgumentList.Add(typeof(FloorScenario).Assembly.Location);
        start.ArgumentList.Add("floor-server");
        start.Environment["SWARM_FLOOR_DATABASE"] = connectionString;
        start.Environment["SWARM_FLOOR_MARKER"] = marker;
        return Process.Start(start)!;
    }
}
