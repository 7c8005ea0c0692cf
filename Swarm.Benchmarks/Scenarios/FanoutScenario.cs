using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Npgsql;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>
/// Broadcasts: a large body to many members is stored once; a broadcast to very many does not delay who sends beside it (design §9, growth).
/// </summary>
internal static class FanoutScenario
{
    private const int ContentBytesMax = 1024 * 1024;

    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(5);
    private static readonly TimeSpan DeliverMax = TimeSpan.FromMinutes(2);

    private static readonly Option<int> MembersOption = Options.Number("--members", "Members who get the large body.", 1_000, min: 1, max: 19_000);

    private static readonly Option<int> BodyOption = Options.Number("--body", "Its size, in bytes.", ContentBytesMax, min: 1, max: ContentBytesMax);

    private static readonly Option<int> CrowdOption = Options.Number("--crowd", "Members of the broadcast that others send beside.", 10_000, min: 1, max: 19_000);

    private static readonly Option<int> BroadcastsOption = Options.Number("--broadcasts", "Such broadcasts of a run, one after the other.", 10, min: 1, max: 1_000);

    private static readonly Option<int> RateOption = Options.Number("--rate", "Sends a second beside them (open loop).", 300, min: 1, max: 20_000);

    public static Command Command()
    {
        var command = new Command(
            "fanout",
            """
            One large body to many members: time and storage; and a broadcast to very many: what others' sends notice of it.

            Examples:
              fanout
              fanout --members 1000 --body 1048576 --crowd 10000 --rate 500 --json
            """);
        foreach (var option in (Option<int>[])[MembersOption, BodyOption, CrowdOption, BroadcastsOption, RateOption, LoadOptions.SecondsOption, LoadOptions.WarmUpOption])
        {
            command.Options.Add(option);
        }

        ReportOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(
            result.GetValue(MembersOption), result.GetValue(BodyOption), result.GetValue(CrowdOption), result.GetValue(BroadcastsOption),
            new(16, result.GetValue(LoadOptions.SecondsOption), result.GetValue(LoadOptions.WarmUpOption), result.GetValue(RateOption)),
            ReportOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(
        int members, int body, int crowdSize, int broadcasts, LoadOptions options, ReportOptions report, CancellationToken cancellation)
    {
        await using var node = await BenchNode.StartAsync(cancellation);
        var population = await Population.CreateAsync(node, hosted: false, cancellation);
        var large = await Population.AddCrowdAsync(node, "large", members, cancellation);
        var crowd = await Population.AddCrowdAsync(node, "crowd", crowdSize, cancellation);
        await using var database = NpgsqlDataSource.Create(node.ConnectionString);
        using var hub = await HubConnection.ConnectAsync(node.Http, node.OperatorToken, cancellation);

        // Reads the rosters and compiles the way; what is measured is fan-out.
        foreach (var of in new[] { large, crowd })
        {
            await BroadcastAsync(hub, database, of, "warm", cancellation);
        }

        var runs = new List<Run>();
        while (runs.Count < report.Runs)
        {
            var figures = new JsonObject();
            var fault = await LargeBodyAsync(hub, database, large, body, figures, cancellation);
            fault ??= await BesideAsync(node, hub, database, population, crowd, broadcasts, options.OfRun(runs.Count), figures, cancellation);
            runs.Add(new(figures, fault));
        }

        return Report.Print(
            "fanout",
            new()
            {
                ["members"] = members, ["body_bytes"] = body, ["crowd"] = crowdSize, ["broadcasts"] = broadcasts, ["others_rate"] = options.Rate,
                ["others_seconds"] = options.Seconds,
            },
            runs, node.Machine, report);
    }

    private static async Task<string?> LargeBodyAsync(
        HubConnection hub, NpgsqlDataSource database, Crowd large, int body, JsonObject figures, CancellationToken cancellation)
    {
        var before = await SizesAsync(database, cancellation);
        var (answered, delivered) = await BroadcastAsync(hub, database, large, new string('x', body), cancellation);
        var after = await SizesAsync(database, cancellation);
        figures["large_answer_ms"] = Math.Round(answered.TotalMilliseconds, 1);
        figures["large_all_deliveries_ms"] = Math.Round(delivered.TotalMilliseconds, 1);
        figures["messages_growth_bytes"] = after.Messages - before.Messages;
        figures["deliveries_growth_bytes"] = after.Deliveries - before.Deliveries;
        figures["bodies_stored"] = Math.Round((after.Messages - before.Messages) / (double)body, 2);
        figures["delivery_bytes_each"] = (after.Deliveries - before.Deliveries) / large.Members;

        // A relation grows by blocks, and by some at a time.
        return after.Messages - before.Messages < 2L * body + 512 * 1024 ? null
            : $"The messages grew by {after.Messages - before.Messages} bytes for one body of {body}.";
    }

    private static async Task<string?> BesideAsync(
        BenchNode node, HubConnection hub, NpgsqlDataSource database, Population population, Crowd crowd, int broadcasts, LoadOptions options,
        JsonObject figures, CancellationToken cancellation)
    {
        var alone = await LoadAsync(node, population, "Sends without", options, cancellation);
        alone.Latencies.AddTo(figures, "others_without_");

        // The others go on until the last broadcast is out.
        using var stop = new CancellationTokenSource();
        var longest = options with { WarmUpSeconds = 0, Seconds = Math.Max(options.Seconds, 20 * broadcasts) };
        var messages = IngestScenario.Prepare(population, longest);
        var beside = HttpLoad.RunAsync(node.Http, messages, longest, null, cancellation, stop.Token);
        var windows = new List<(long From, long To)>();
        var times = new List<double>();
        try
        {
            await Progress.RunAsync("Broadcasts", broadcasts, async tick =>
            {
                await Task.Delay(TimeSpan.FromSeconds(1), TimeProvider.System, cancellation);
                for (var i = 0; i < broadcasts; i++)
                {
                    var from = Stopwatch.GetTimestamp();
                    var (_, delivered) = await BroadcastAsync(hub, database, crowd, SignedMessages.Content(), cancellation);
                    windows.Add((from, from + (long)(delivered.TotalSeconds * Stopwatch.Frequency)));
                    times.Add(delivered.TotalMilliseconds);
                    tick(i + 1);
                }
            });
        }
        finally
        {
            await stop.CancelAsync();
        }

        var load = await beside;
        new Latencies(load.Samples.Where(s => windows.Any(w => s.At >= w.From && s.At <= w.To)).Select(s => s.Ms)).AddTo(figures, "others_beside_");
        figures["others_beside_samples"] = load.Samples.Count(s => windows.Any(w => s.At >= w.From && s.At <= w.To));
        figures["broadcast_ms"] = Math.Round(new Latencies(times).Percentile(0.5), 1);
        figures["broadcast_us_per_member"] = Math.Round(new Latencies(times).Percentile(0.5) * 1000 / crowd.Members, 1);
        return alone.Errors + load.Errors == 0 ? null
            : $"{alone.Errors + load.Errors} of the others' sends failed: {string.Join(", ", load.Statuses.Select(s => $"{s.Key}: {s.Value}"))}";
    }

    private static async Task<LoadResult> LoadAsync(
        BenchNode node, Population population, string what, LoadOptions options, CancellationToken cancellation)
    {
        var messages = IngestScenario.Prepare(population, options);
        return await Progress.RunAsync(what, options.WarmUpSeconds + options.Seconds, tick => HttpLoad.RunAsync(node.Http, messages, options, tick, cancellation));
    }

    /// <summary>Sends to all; how long until the answer, and until every delivery exists.</summary>
    private static async Task<(TimeSpan Answered, TimeSpan Delivered)> BroadcastAsync(
        HubConnection hub, NpgsqlDataSource database, Crowd crowd, string content, CancellationToken cancellation)
    {
        var id = Guid.NewGuid();
        var startedAt = Stopwatch.GetTimestamp();
        await hub.RequireAsync(
            "messages", $$"""{"from":"{{crowd.Speaker}}","swarm_id":"{{crowd.SwarmId:D}}","message_id":"{{id:D}}","content":"{{content}}"}""", cancellation);
        var answered = Stopwatch.GetElapsedTime(startedAt);
        await using var find = database.CreateCommand(
            "select i.message_no from message_ids i join agents a on a.agent_no = i.sender_no where a.name = $1 and i.message_id = $2");
        find.Parameters.Add(new() { Value = crowd.Speaker });
        find.Parameters.Add(new() { Value = id });
        var messageNo = (long)(await find.ExecuteScalarAsync(cancellation))!;
        await using var count = database.CreateCommand("select count(*) from deliveries where message_no = $1");
        count.Parameters.Add(new() { Value = messageNo });
        while (true)
        {
            var have = (long)(await count.ExecuteScalarAsync(cancellation))!;
            var elapsed = Stopwatch.GetElapsedTime(startedAt);
            if (have == crowd.Members)
            {
                return (answered, elapsed);
            }

            if (have > crowd.Members || elapsed > DeliverMax)
            {
                throw new InvalidOperationException($"A broadcast to {crowd.Members} members has {have} deliveries after {elapsed.TotalSeconds:0} s.");
            }

            await Task.Delay(Look, TimeProvider.System, cancellation);
        }
    }

    private static async Task<(long Messages, long Deliveries)> SizesAsync(NpgsqlDataSource database, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            select (select sum(pg_total_relation_size(inhrelid))::bigint from pg_inherits where inhparent = 'messages'::regclass),
                   (select sum(pg_total_relation_size(inhrelid))::bigint from pg_inherits where inhparent = 'deliveries'::regclass)
            """);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return (reader.GetInt64(0), reader.GetInt64(1));
    }
}
