using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>A steady load for minutes: does memory grow, do tables bloat (design §9, memory)?</summary>
internal static class SoakScenario
{
    /// <summary>So long the best rate is looked for, when none is given, in seconds.</summary>
    private const int BestSeconds = 10;

    private const int LeaseItems = 100;

    private static readonly TimeSpan LookEvery = TimeSpan.FromSeconds(5);

    private static readonly Option<int> MinutesOption = Options.Number("--minutes", "How long.", 10, min: 1, max: 10_000);

    private static readonly Option<int> RateOption = Options.Number("--rate", "Messages a second (open loop); 0 for half of the best that is measured before.", 0, max: 100_000);

    private static readonly Option<int> ConsumersOption = Options.Number("--consumers", "Consumers that lease and acknowledge.", 2, max: 1_000);

    private static readonly Option<int> ConsumedOption = Options.Number("--consumed", "Of the recipients, so many in a hundred are consumed; the mail of the others stays.", 80, max: 100);

    private static readonly Option<int> SettleOption = Options.Number("--settle", "The slope of the memory is taken after so many seconds.", 120, max: 100_000);

    public static Command Command()
    {
        var command = new Command(
            "soak",
            """
            A steady load for minutes, with consumers: memory over time, dead rows, sizes, WAL.

            Examples:
              soak --minutes 10
              soak --minutes 60 --rate 1500 --consumed 100 --json
            """);
        foreach (var option in (Option<int>[])[MinutesOption, RateOption, ConsumersOption, ConsumedOption, SettleOption, LoadOptions.ConnectionsOption, LoadOptions.WarmUpOption])
        {
            command.Options.Add(option);
        }

        ReportOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(
            result.GetValue(MinutesOption), result.GetValue(RateOption), result.GetValue(ConsumersOption), result.GetValue(ConsumedOption),
            result.GetValue(SettleOption),
            new(result.GetValue(LoadOptions.ConnectionsOption), BestSeconds, result.GetValue(LoadOptions.WarmUpOption)),
            ReportOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(
        int minutes, int rate, int consumers, int consumed, int settleSeconds, LoadOptions options, ReportOptions report, CancellationToken cancellation)
    {
        await using var node = await BenchNode.StartAsync(cancellation);
        var population = await Population.CreateAsync(node, hosted: false, cancellation);
        var settings = new JsonObject { ["minutes"] = minutes, ["connections"] = options.Connections, ["consumers"] = consumers, ["consumed_percent"] = consumed };
        if (rate == 0)
        {
            var best = await IngestScenario.MeasureAsync(node, node.Http, population, options, cancellation);
            settings["best_rate"] = best.Figures["rate"]!.DeepClone();
            rate = Math.Max(1, (int)(double.Parse(best.Figures["rate"]!.ToJsonString()) / 2));
        }

        settings["target_rate"] = rate;
        var steady = options with { Seconds = minutes * 60, WarmUpSeconds = 0, Rate = rate };
        var messages = IngestScenario.Prepare(population, steady);
        var (stored, delivered) = await DatabaseFigures.FromNowAsync(node.ConnectionString, cancellation);
        var before = await DatabaseFigures.ReadAsync(node.ConnectionString, stored, delivered, cancellation);
        var server = node.Api();
        using var stop = new CancellationTokenSource();
        var looking = Looks.TakeAsync(node, LookEvery, stop.Token);
        var workers = Enumerable.Range(0, consumers).Select(_ => new QueueConsumer()).ToArray();
        int[] recipients = [.. Enumerable.Range(0, Population.Recipients * consumed / 100)];
        var consuming = recipients.Length == 0 ? Task.CompletedTask
            : Task.WhenAll(workers.Select((w, i) => Task.Run(
                () => w.RunAsync(node, [.. recipients.Skip(i * recipients.Length / consumers), .. recipients.Take(i * recipients.Length / consumers)], LeaseItems,
                    untilEmpty: false, null, stop.Token, cancellation), cancellation)));
        LoadResult load;
        try
        {
            load = await Progress.RunAsync("Soaking", minutes * 60, tick => HttpLoad.RunAsync(node.Http, messages, steady, tick, cancellation));
        }
        finally
        {
            await stop.CancelAsync();
        }

        await consuming;
        var looks = await looking;
        var after = await DatabaseFigures.ReadAsync(node.ConnectionString, stored, delivered, cancellation);
        var run = IngestScenario.Describe(load, before, after, server, node.Api());
        run.Figures["acknowledged"] = workers.Sum(w => w.Acknowledged);
        run.Figures["out_of_order"] = workers.Sum(w => w.OutOfOrder);
        run.Figures["leases_refused"] = workers.Sum(w => w.Refused);
        AddLooks(run.Figures, looks, settleSeconds);
        Console.WriteLine(Plot.Draw("Api memory, MB", [.. looks.Select(l => l.ApiMb)]));
        Console.WriteLine(Plot.Draw("Worker memory, MB", [.. looks.Select(l => l.WorkerMb)]));
        Console.WriteLine(Plot.Draw("Dead rows, % of the hot tables' rows", [.. looks.Select(DeadPercent)]));
        return Report.Print("soak", settings, [run], node.Machine, report);
    }

    private static void AddLooks(JsonObject figures, List<Look> looks, int settleSeconds)
    {
        var settled = looks.Where(l => l.Seconds >= settleSeconds).ToArray();
        settled = settled.Length < 2 ? [.. looks] : settled;
        var (first, last) = (settled[0], settled[^1]);
        figures["api_memory_first_mb"] = Math.Round(first.ApiMb, 1);
        figures["api_memory_last_mb"] = Math.Round(last.ApiMb, 1);
        figures["api_memory_max_mb"] = Math.Round(looks.Max(l => l.ApiMb), 1);
        figures["api_memory_slope_mb_per_minute"] = Math.Round(Looks.SlopePerMinute(settled, l => l.ApiMb), 3);
        figures["worker_memory_last_mb"] = Math.Round(last.WorkerMb, 1);
        figures["worker_memory_slope_mb_per_minute"] = Math.Round(Looks.SlopePerMinute(settled, l => l.WorkerMb), 3);
        figures["slope_from_seconds"] = Math.Round(first.Seconds);
        figures["dead_rows_last"] = last.DeadRows;
        figures["dead_rows_percent_last"] = Math.Round(DeadPercent(last), 2);
        figures["dead_rows_percent_max"] = Math.Round(looks.Max(DeadPercent), 2);
        figures["dead_rows_slope_per_minute"] = Math.Round(Looks.SlopePerMinute(settled, l => l.DeadRows), 1);
        figures["tables_last_mb"] = Math.Round(last.TableBytes / 1024.0 / 1024, 1);
        figures["table_bytes_per_row_first"] = first.TableBytes / Math.Max(1, first.LiveRows);
        figures["table_bytes_per_row_last"] = last.TableBytes / Math.Max(1, last.LiveRows);
        figures["wal_mb_per_minute"] = Math.Round((last.WalBytes - first.WalBytes) / 1024.0 / 1024 / Math.Max(0.001, (last.Seconds - first.Seconds) / 60), 1);
    }

    private static double DeadPercent(Look look) => 100.0 * look.DeadRows / Math.Max(1, look.DeadRows + look.LiveRows);
}
