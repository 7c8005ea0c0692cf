using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;
using Swarm.Core.Delivery;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>What an accept costs when more and more messages are stored (design §9, growth).</summary>
internal static class GrowthScenario
{
    private static readonly Option<long[]> SizesOption = new("--sizes")
    {
        Description = "Stored messages at which to measure, rising.",
        DefaultValueFactory = _ => [10_000, 1_000_000, 10_000_000],
        AllowMultipleArgumentsPerToken = true,
    };

    private static readonly Option<int> BodyOption = Options.Number("--body", "The content of a stored message, in bytes.", 100, max: 1024 * 1024);

    public static Command Command()
    {
        SizesOption.Validators.Add(result =>
        {
            if (result.Tokens.Any(t => !long.TryParse(t.Value, out var size) || size < 1))
            {
                result.AddError("--sizes takes whole numbers from 1.");
            }
        });
        var command = new Command(
            "growth",
            """
            What an accept costs at 10 thousand, 1 million and 10 million stored messages. These are made by SQL.

            Examples:
              growth
              growth --sizes 10000 1000000 --connections 32 --json
            """);
        command.Options.Add(SizesOption);
        command.Options.Add(BodyOption);
        LoadOptions.AddTo(command);
        ReportOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(
            [.. result.GetValue(SizesOption)!.Order()], result.GetValue(BodyOption), LoadOptions.Of(result), ReportOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(long[] sizes, int body, LoadOptions options, ReportOptions report, CancellationToken cancellation)
    {
        await using var node = await BenchNode.StartAsync(cancellation);
        var population = await Population.CreateAsync(node, hosted: false, cancellation);
        var filler = new Filler(node.ConnectionString, body);
        await IngestScenario.MeasureAsync(node, node.Http, population, options, cancellation);

        // Every size begins as it is named; what the measurement of the one before has added is taken away.
        var rows = new JsonArray();
        string? fault = null;
        foreach (var size in sizes)
        {
            await filler.EmptyAsync(cancellation);
            await Progress.RunAsync($"Storing {size:N0}", size, tick => filler.FillAsync(size, DeliveryState.Delivered, tick, cancellation));
            await filler.SettleAsync(cancellation);
            var runs = new List<Run>();
            while (runs.Count < report.Runs)
            {
                runs.Add(await IngestScenario.MeasureAsync(node, node.Http, population, options.OfRun(1), cancellation));
                fault ??= runs[^1].Fault;
            }

            var row = new JsonObject { ["stored"] = size };
            foreach (var name in (string[])
                ["rate", "p50_ms", "p99_ms", "server_cpu_us_per_message", "database_cpu_us_per_message", "wal_bytes_per_message", "wal_full_pages_per_message"])
            {
                row[name] = Report.Middle([.. runs.Select(r => double.Parse(r.Figures[name]!.ToJsonString()))]);
            }

            rows.Add(row);
        }

        var figures = new JsonObject
        {
            ["sizes"] = rows,
            ["cpu_growth_percent"] = Growth(rows, r => Number(r, "server_cpu_us_per_message") + Number(r, "database_cpu_us_per_message")),
            ["rate_growth_percent"] = Growth(rows, r => Number(r, "rate")),
            ["wal_growth_percent"] = Growth(rows, r => Number(r, "wal_bytes_per_message")),
        };
        var settings = IngestScenario.Settings(options);
        settings["runs_of_each_size"] = report.Runs;
        settings["stored_body_bytes"] = body;
        return Report.Print("growth", settings, [new(figures, fault)], node.Machine, report);
    }

    /// <summary>How much more the largest size costs than the smallest.</summary>
    private static double Growth(JsonArray rows, Func<JsonNode, double> cost) =>
        Math.Round((cost(rows[^1]!) / Math.Max(0.001, cost(rows[0]!)) - 1) * 100, 1);

    private static double Number(JsonNode row, string name) => double.Parse(row[name]!.ToJsonString());
}
