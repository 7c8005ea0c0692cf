using System.CommandLine;
using System.Text;
using System.Text.Json.Nodes;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>Accept at the batch door of the Hub API (design §9, second line).</summary>
internal static class BatchScenario
{
    /// <summary>As <see cref="IngestScenario.RateMax"/>, for the messages that external agents sign beforehand.</summary>
    private const int RateMax = 30_000;

    private static readonly Option<int> ConnectionsOption = Options.Number("--connections", "Keep-alive connections, one batch at a time on each.", 8, min: 1);

    private static readonly Option<int> ItemsOption = Options.Number("--items", "Messages of a batch.", 512, min: 1, max: 512);

    private static readonly Option<bool> ExternalOption = Options.Switch(
        "--external", "The messages are of external agents, who signed them; without it, of hosted ones, for whom the node signs.");

    public static Command Command()
    {
        var command = new Command(
            "batch",
            """
            Accept batches at POST /hub/v1/messages/batch.

            Examples:
              batch --seconds 30
              batch --external --connections 4 --json
            """);
        command.Options.Add(ConnectionsOption);
        command.Options.Add(LoadOptions.SecondsOption);
        command.Options.Add(LoadOptions.WarmUpOption);
        command.Options.Add(ItemsOption);
        command.Options.Add(ExternalOption);
        ReportOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(
            new(result.GetValue(ConnectionsOption), result.GetValue(LoadOptions.SecondsOption), result.GetValue(LoadOptions.WarmUpOption)),
            result.GetValue(ItemsOption), result.GetValue(ExternalOption), ReportOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(LoadOptions options, int items, bool external, ReportOptions report, CancellationToken cancellation)
    {
        await using var node = await BenchNode.StartAsync(cancellation);
        var population = await Population.CreateAsync(node, hosted: !external, cancellation);
        var runs = new List<Run>();
        while (runs.Count < report.Runs)
        {
            var ofRun = options.OfRun(runs.Count);
            var count = (ofRun.WarmUpSeconds + ofRun.Seconds) * RateMax;
            WriteItem write = external
                ? Progress.Run("Signing", count, tick => new SignedMessages(population, count, TimeProvider.System.GetUtcNow(), done => tick(done))).WriteItem
                : Hosted(population);
            runs.Add(await MeasureAsync(node, write, count, items, external, ofRun, cancellation));
        }

        var settings = IngestScenario.Settings(options);
        settings["items_of_a_batch"] = items;
        return Report.Print(external ? "batch-external" : "batch", settings, runs, node.Machine, report);
    }

    /// <summary>Messages for which the node makes id, time and signature.</summary>
    public static WriteItem Hosted(Population population)
    {
        var heads = Enumerable.Range(0, Population.Senders).Select(s => Encoding.ASCII.GetBytes(
            $"{{\"from\":\"{Population.SenderName(s)}\",\"swarm_id\":\"{population.SwarmIds[s % Population.Swarms]:D}\",\"to\":\"")).ToArray();
        var tails = Enumerable.Range(0, Population.Recipients).Select(r => Encoding.ASCII.GetBytes(
            $"{Population.RecipientName(r)}\",\"content\":\"{SignedMessages.Content()}\"}}")).ToArray();
        return (i, buffer) =>
        {
            var (head, tail) = (heads[SignedMessages.Sender(i)], tails[SignedMessages.Recipient(i)]);
            head.CopyTo(buffer);
            tail.CopyTo(buffer[head.Length..]);
            return head.Length + tail.Length;
        };
    }

    private static async Task<Run> MeasureAsync(
        BenchNode node, WriteItem write, int count, int items, bool external, LoadOptions options, CancellationToken cancellation)
    {
        var (stored, delivered) = await DatabaseFigures.FromNowAsync(node.ConnectionString, cancellation);
        var before = await DatabaseFigures.ReadAsync(node.ConnectionString, stored, delivered, cancellation);
        var server = node.Api();
        var load = await Progress.RunAsync("Loading", options.WarmUpSeconds + options.Seconds, tick =>
            BatchLoad.RunAsync(node.Http, node.OperatorToken, write, count, items, options, tick, cancellation));
        var after = await DatabaseFigures.ReadAsync(node.ConnectionString, stored, delivered, cancellation);
        var rows = after.Messages - before.Messages;
        var complete = rows == load.Accepted && after.Deliveries - before.Deliveries == load.Accepted;
        var expected = external
            ? load.Refused == SignedMessages.CountOf(Expected.Forged, load.Sent) && load.Duplicates == SignedMessages.CountOf(Expected.Duplicate, load.Sent)
            : load.Accepted == load.Sent;
        var figures = new JsonObject { ["rate"] = Math.Round(load.Rate, 1) };
        load.Latencies.AddTo(figures, "request_");
        figures["errors"] = load.Errors;
        figures["accepted"] = load.Accepted;
        figures["duplicates"] = load.Duplicates;
        figures["refused"] = load.Refused;
        figures["rows_stored"] = rows;
        figures["rows_equal_answers"] = complete;
        DatabaseFigures.AddCosts(figures, before, after, server, node.Api(), load.Sent);
        return new(figures, complete && expected && load.Errors == 0 ? null
            : $"Sent {load.Sent}, accepted {load.Accepted}, duplicates {load.Duplicates}, refused {load.Refused}, failed requests {load.Errors}, rows {rows}: they do not match. {load.FirstError}");
    }
}
