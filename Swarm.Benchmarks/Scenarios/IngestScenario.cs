using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>Accept: one signed message a request at the Agent Swarm Protocol door, every check on (design §9, first line).</summary>
internal static class IngestScenario
{
    /// <summary>No machine of the class that this is meant for answers more a second; so many messages are signed before the run.</summary>
    public const int RateMax = 20_000;

    private static readonly Option<bool> TlsOption = Options.Switch("--tls", "Use the https endpoint (HTTP/1.1) instead of the cleartext one.");

    public static Command Command()
    {
        var command = new Command(
            "ingest",
            """
            Accept signed messages at the Agent Swarm Protocol door: verify, commit with fsync, signal.

            Examples:
              ingest --connections 64 --seconds 60
              ingest --tls --runs 1 --json
            """);
        LoadOptions.AddTo(command);
        command.Options.Add(TlsOption);
        ReportOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(LoadOptions.Of(result), result.GetValue(TlsOption), ReportOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(LoadOptions options, bool tls, ReportOptions report, CancellationToken cancellation)
    {
        await using var node = await BenchNode.StartAsync(cancellation);
        var population = await Population.CreateAsync(node, hosted: false, cancellation);
        var runs = new List<Run>();
        while (runs.Count < report.Runs)
        {
            runs.Add(await MeasureAsync(node, tls ? node.Https : node.Http, population, options.OfRun(runs.Count), cancellation));
        }

        return Report.Print(tls ? "ingest-tls" : "ingest", Settings(options), runs, node.Machine, report);
    }

    /// <summary>One run of the load against the Api, with its costs and with the rows compared to the answers.</summary>
    public static async Task<Run> MeasureAsync(
        BenchNode node, Target target, Population population, LoadOptions options, CancellationToken cancellation)
    {
        var messages = Prepare(population, options);
        var (stored, delivered) = await DatabaseFigures.FromNowAsync(node.ConnectionString, cancellation);
        var before = await DatabaseFigures.ReadAsync(node.ConnectionString, stored, delivered, cancellation);
        var server = node.Api();
        var load = await Progress.RunAsync("Loading", options.WarmUpSeconds + options.Seconds, tick =>
            HttpLoad.RunAsync(target, messages, options, tick, cancellation));
        var after = await DatabaseFigures.ReadAsync(node.ConnectionString, stored, delivered, cancellation);
        return Describe(load, before, after, server, node.Api());
    }

    public static Run Describe(LoadResult load, DatabaseFigures before, DatabaseFigures after, ProcessFigures serverBefore, ProcessFigures serverAfter)
    {
        var rows = after.Messages - before.Messages;
        var complete = rows == load.Accepted && after.Deliveries - before.Deliveries == load.Accepted;
        var figures = new JsonObject { ["rate"] = Math.Round(load.Rate, 1) };
        load.Latencies.AddTo(figures);
        figures["errors"] = load.Errors;
        figures["accepted"] = load.Accepted;
        figures["duplicates"] = load.Duplicates;
        figures["forged_refused"] = load.Forged;
        figures["rows_stored"] = rows;
        figures["rows_equal_answers"] = complete;
        DatabaseFigures.AddCosts(figures, before, after, serverBefore, serverAfter, load.Answers);
        return new(figures, complete && load.Errors == 0 ? null
            : $"The rows in Postgres do not equal the answers, or there were errors: {string.Join(", ", load.Statuses.Select(s => $"{s.Key}: {s.Value}"))}");
    }

    public static JsonObject Settings(LoadOptions options) => new() { ["connections"] = options.Connections, ["seconds"] = options.Seconds };

    public static SignedMessages Prepare(Population population, LoadOptions options)
    {
        var count = (int)((options.WarmUpSeconds + options.Seconds) * (options.Rate > 0 ? options.Rate : RateMax));
        return Progress.Run("Signing", count, tick => new SignedMessages(population, count, TimeProvider.System.GetUtcNow(), done => tick(done)));
    }
}
