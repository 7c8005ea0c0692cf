using System.CommandLine;
using System.Diagnostics;
using Spectre.Console;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>Every scenario in turn, each in a process of its own, with the arguments that the committed results were made with.</summary>
internal static class AllScenarios
{
    /// <summary>The whole pass takes some two hours, most of it soak and growth.</summary>
    private static readonly string[] Full =
    [
        "blake3", "authorize-core", "memory", "start", "sse --messages 1000", "sse --messages 1000 --replicas 2",
        "floor --seconds 60", "ingest --seconds 60", "ingest --seconds 60 --tls",
        "batch --seconds 30", "batch --seconds 30 --external", "delivery", "streams", "fanout", "push", "growth", "soak",
    ];

    /// <summary>Small, to see that everything works; the figures mean little.</summary>
    private static readonly string[] Quick =
    [
        "blake3 --ms 50 --runs 1", "authorize-core --ms 50 --runs 1", "memory --wait 5 --runs 1", "start --runs 1", "sse --messages 50 --runs 1", "sse --messages 50 --replicas 2 --runs 1",
        "floor --seconds 3 --warm-up 3 --runs 1", "ingest --seconds 3 --warm-up 3 --runs 1", "ingest --seconds 3 --warm-up 3 --runs 1 --tls",
        "batch --seconds 3 --warm-up 3 --runs 1", "batch --seconds 3 --warm-up 3 --runs 1 --external", "delivery --messages 5000 --runs 1",
        "streams --streams 500 --seconds 3 --warm-up 3 --runs 1", "fanout --members 300 --crowd 1000 --broadcasts 2 --seconds 3 --warm-up 3 --runs 1",
        "push --messages 2000 --rate 50 --seconds 3 --runs 1", "growth --sizes 10000 100000 --seconds 3 --warm-up 3 --runs 1",
        "soak --minutes 1 --settle 15 --warm-up 3",
    ];

    private static readonly Option<bool> QuickOption = Load.Options.Switch("--quick", "A short pass, to see that everything works.");

    private static readonly Option<string[]> OnlyOption = new("--only")
    {
        Description = "Only these scenarios, by name.", AllowMultipleArgumentsPerToken = true, DefaultValueFactory = _ => [],
    };

    private static readonly Option<string?> OutOption = new("--out") { Description = "The file for the results; else results/DATE.jsonl beside this project's sources." };

    public static Command Command()
    {
        var command = new Command(
            "all",
            """
            Run every scenario in turn, and add one JSON line of each to results/DATE.jsonl.

            Examples:
              all
              all --quick --out /tmp/quick.jsonl
              all --only ingest floor
            """);
        command.Options.Add(QuickOption);
        command.Options.Add(OnlyOption);
        command.Options.Add(OutOption);
        command.SetAction((result, cancellation) => RunAsync(
            result.GetValue(QuickOption) ? Quick : Full, result.GetValue(OnlyOption)!, result.GetValue(OutOption), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(string[] scenarios, string[] only, string? file, CancellationToken cancellation)
    {
        file = Path.GetFullPath(file ?? Path.Combine(
            SolutionFolder.Find(), "Swarm.Benchmarks", "results", $"{TimeProvider.System.GetUtcNow():yyyy-MM-dd}.jsonl"));
        var chosen = scenarios.Where(s => only.Length == 0 || only.Contains(s.Split(' ')[0])).ToArray();
        if (chosen.Length == 0)
        {
            await Console.Error.WriteLineAsync($"--only names no scenario; there are {string.Join(", ", scenarios.Select(s => s.Split(' ')[0]).Distinct())}.");
            return 2;
        }

        var table = new Table { Title = new TableTitle("all") };
        table.AddColumns("scenario", "checks", "seconds");
        var failed = 0;
        foreach (var scenario in chosen)
        {
            AnsiConsole.MarkupLineInterpolated($"[bold]{scenario}[/]");
            var startedAt = Stopwatch.GetTimestamp();
            var exitCode = await RunOneAsync(scenario, file, cancellation);
            failed += exitCode == 0 ? 0 : 1;
            table.AddRow(Markup.Escape(scenario), exitCode == 0 ? "hold" : $"[red]failed ({exitCode})[/]", $"{Stopwatch.GetElapsedTime(startedAt).TotalSeconds:0}");
        }

        AnsiConsole.Write(table);
        AnsiConsole.MarkupLineInterpolated($"Results: {file}");
        return failed == 0 ? 0 : 1;
    }

    private static async Task<int> RunOneAsync(string scenario, string file, CancellationToken cancellation)
    {
        using var process = Process.Start("dotnet", [typeof(AllScenarios).Assembly.Location, .. scenario.Split(' '), "--out", file]);
        try
        {
            await process.WaitForExitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            // The terminal has interrupted it too; it puts its servers away first.
            await process.WaitForExitAsync(CancellationToken.None);
            throw;
        }

        return process.ExitCode;
    }
}
