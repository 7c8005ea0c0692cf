using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Npgsql;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;
using Swarm.Core.Delivery;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>The work queue: competing consumers lease and acknowledge what waits.</summary>
internal static class DeliveryScenario
{
    private static readonly Option<int> MessagesOption = Options.Number("--messages", "Messages that wait, of 1,000 recipients.", 100_000, min: 1, max: 10_000_000);

    private static readonly Option<int> ConsumersOption = Options.Number("--consumers", "Consumers, all of them of the same recipients.", 8, min: 1, max: 1_000);

    private static readonly Option<int> LeaseOption = Options.Number("--lease", "The most deliveries of a lease.", 20, min: 1, max: WorkQueue.LeaseItemsMax);

    private static readonly Option<int> BodyOption = Options.Number("--body", "The content of a message, in bytes.", SignedMessages.ContentLength, max: 1024 * 1024);

    public static Command Command()
    {
        var command = new Command(
            "delivery",
            """
            Lease and acknowledge what waits in the work queue, with competing consumers.

            Examples:
              delivery --messages 100000 --consumers 8
              delivery --lease 10 --json
            """);
        foreach (var option in (Option<int>[])[MessagesOption, ConsumersOption, LeaseOption, BodyOption])
        {
            command.Options.Add(option);
        }

        ReportOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(
            result.GetValue(MessagesOption), result.GetValue(ConsumersOption), result.GetValue(LeaseOption), result.GetValue(BodyOption),
            ReportOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(int messages, int consumers, int lease, int body, ReportOptions report, CancellationToken cancellation)
    {
        await using var node = await BenchNode.StartAsync(cancellation);
        await Population.CreateAsync(node, hosted: false, cancellation);
        var filler = new Filler(node.ConnectionString, body);
        await MeasureAsync(node, filler, Math.Min(messages, 10_000), consumers, lease, cancellation);
        var runs = new List<Run>();
        while (runs.Count < report.Runs)
        {
            runs.Add(await MeasureAsync(node, filler, messages, consumers, lease, cancellation));
        }

        return Report.Print(
            "delivery", new() { ["messages"] = messages, ["consumers"] = consumers, ["lease"] = lease, ["body_bytes"] = body }, runs, node.Machine, report);
    }

    private static async Task<Run> MeasureAsync(
        BenchNode node, Filler filler, int messages, int consumers, int lease, CancellationToken cancellation)
    {
        await filler.EmptyAsync(cancellation);
        await Progress.RunAsync("Filling", messages, tick => filler.FillAsync(messages, DeliveryState.Pending, tick, cancellation));
        await filler.SettleAsync(cancellation);
        var before = await DatabaseFigures.ReadAsync(node.ConnectionString, "messages", "deliveries", cancellation);
        var server = node.Api();
        var all = Enumerable.Range(0, consumers).Select(_ => new QueueConsumer()).ToArray();
        var done = 0;
        using var stop = new CancellationTokenSource();
        var startedAt = Stopwatch.GetTimestamp();
        await Progress.RunAsync("Consuming", messages, tick =>
        {
            return Task.WhenAll(all.Select((c, i) => Task.Run(
                () =>
                {
                    // Each begins elsewhere; they meet where one is slower.
                    var recipients = Enumerable.Range(0, Population.Recipients).Select(r => (r + i * Population.Recipients / consumers) % Population.Recipients);
                    return c.RunAsync(node, [.. recipients], lease, untilEmpty: true, Found, stop.Token, cancellation);
                },
                cancellation)));

            void Found(int count)
            {
                // After the last, nobody asks the empty queues any more: that would be measured too.
                var sum = Interlocked.Add(ref done, count);
                tick(sum);
                if (sum == messages)
                {
                    stop.Cancel();
                }
            }
        });
        var elapsed = Stopwatch.GetElapsedTime(startedAt);
        var after = await DatabaseFigures.ReadAsync(node.ConnectionString, "messages", "deliveries", cancellation);
        var acknowledged = all.Sum(c => c.Acknowledged);
        var rows = await AcknowledgedRowsAsync(node, cancellation);
        var outOfOrder = all.Sum(c => c.OutOfOrder);
        var figures = new JsonObject
        {
            ["rate"] = Math.Round(acknowledged / elapsed.TotalSeconds, 1),
            ["acknowledged"] = acknowledged,
            ["rows_acknowledged"] = rows,
            ["out_of_order"] = outOfOrder,
            ["refused"] = all.Sum(c => c.Refused),
            ["empty_leases"] = all.Sum(c => c.Empty),
            ["server_cpu_us_per_delivery"] = Math.Round((node.Api().CpuMs - server.CpuMs) * 1000 / messages, 1),
            ["database_cpu_us_per_delivery"] = Math.Round((after.Processes.CpuMs - before.Processes.CpuMs) * 1000 / messages, 1),
            ["wal_bytes_per_delivery"] = (after.WalBytes - before.WalBytes) / messages,
        };
        new Latencies(all.SelectMany(c => c.LeaseMs)).AddTo(figures, "lease_");
        new Latencies(all.SelectMany(c => c.AckMs)).AddTo(figures, "ack_");
        return new(figures, acknowledged == messages && rows == messages && outOfOrder == 0 ? null
            : $"{messages} waited, {acknowledged} were acknowledged, {rows} are so in the database, {outOfOrder} came out of order.");
    }

    private static async Task<long> AcknowledgedRowsAsync(BenchNode node, CancellationToken cancellation)
    {
        await using var database = NpgsqlDataSource.Create(node.ConnectionString);
        await using var command = database.CreateCommand($"select count(*) from deliveries where state = {(short)DeliveryState.Delivered}");
        return (long)(await command.ExecuteScalarAsync(cancellation))!;
    }
}
