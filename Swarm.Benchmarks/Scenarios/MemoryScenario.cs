using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>Memory of the processes when nobody asks them for anything (design §9, memory).</summary>
internal static class MemoryScenario
{
    private static readonly Option<int> WaitOption = Options.Number("--wait", "How long to leave the node alone before the second look, in seconds.", 30);

    public static Command Command()
    {
        var command = new Command(
            "memory",
            """
            Idle memory of Api and Worker, after the start and some time later. Every run starts a node of its own.

            Examples:
              memory
              memory --wait 120 --runs 1 --json
            """);
        command.Options.Add(WaitOption);
        ReportOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(result.GetValue(WaitOption), ReportOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(int waitSeconds, ReportOptions report, CancellationToken cancellation)
    {
        var runs = new List<Run>();
        JsonObject machine = [];
        while (runs.Count < report.Runs)
        {
            await using var node = await BenchNode.StartAsync(cancellation);
            machine = node.Machine;
            var figures = new JsonObject { ["api_at_start_mb"] = Mb(node.Api()), ["worker_at_start_mb"] = Mb(node.Worker()) };
            await Progress.RunAsync("Waiting", waitSeconds, async tick =>
            {
                for (var second = 1; second <= waitSeconds; second++)
                {
                    await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, cancellation);
                    tick(second);
                }
            });
            figures["api_idle_mb"] = Mb(node.Api());
            figures["worker_idle_mb"] = Mb(node.Worker());
            runs.Add(new(figures, node.Api().MemoryMb > 0 && node.Worker().MemoryMb > 0 ? null : "A process was not found."));
        }

        return Report.Print("memory", new() { ["wait_seconds"] = waitSeconds }, runs, machine, report);
    }

    private static double Mb(ProcessFigures figures) => Math.Round(figures.MemoryMb, 1);
}
