using System.CommandLine;
using System.Diagnostics;
using System.Text.Json.Nodes;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>Many idle streams on one replica: what they cost, and what the others notice of them (design §9, open streams).</summary>
internal static class StreamsScenario
{
    /// <summary>How many streams are opened at a time.</summary>
    private const int OpenAtOnce = 64;

    private static readonly TimeSpan ArriveMax = TimeSpan.FromSeconds(30);

    /// <summary>How long the node is left alone before its memory is read.</summary>
    private static readonly TimeSpan Settle = TimeSpan.FromSeconds(10);

    private static readonly Option<int> StreamsOption = Options.Number(
        "--streams", "Idle streams, each of an agent of its own. Api and this program need a file descriptor for each.", 10_000, min: 1, max: 19_000);

    private static readonly Option<int> EveryOption = Options.Number("--every", "At the end one message goes to every so manieth stream.", 10, min: 1);

    private static readonly Option<int> RateOption = Options.Number("--rate", "Unary sends a second while latencies are measured (open loop).", 200, min: 1, max: 20_000);

    public static Command Command()
    {
        var command = new Command(
            "streams",
            """
            Open idle event streams on one replica: memory of each, and the latency of sends before and beside them.

            Examples:
              streams --streams 10000
              ulimit -n 32768; streams --streams 19000 --every 19
            """);
        command.Options.Add(StreamsOption);
        command.Options.Add(EveryOption);
        command.Options.Add(RateOption);
        command.Options.Add(LoadOptions.SecondsOption);
        command.Options.Add(LoadOptions.WarmUpOption);
        ReportOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(
            result.GetValue(StreamsOption), result.GetValue(EveryOption),
            new(16, result.GetValue(LoadOptions.SecondsOption), result.GetValue(LoadOptions.WarmUpOption), result.GetValue(RateOption)),
            ReportOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(int count, int every, LoadOptions options, ReportOptions report, CancellationToken cancellation)
    {
        if (FileLimit() is { } limit && limit < count + 1_000)
        {
            await Console.Error.WriteLineAsync(
                $"{count} streams need a limit of at least {count + 1_000} open files for this program and for the Api, which inherits it; here it is {limit}. " +
                $"Raise it (ulimit -n {count + 1_000}, as root also the hard limit), or ask for fewer: --streams {Math.Max(1, limit - 1_000)}.");
            return 2;
        }

        await using var node = await BenchNode.StartAsync(cancellation);
        var population = await Population.CreateAsync(node, hosted: false, cancellation);
        var crowd = await Population.AddCrowdAsync(node, "listener", count, cancellation);
        var figures = new JsonObject();
        (await UnaryAsync(node, population, "Sends before", options, report.Runs, cancellation)).AddTo(figures, "unary_before_");
        await Task.Delay(Settle, TimeProvider.System, cancellation);
        var before = node.Api();

        var streams = new SseStream[count];
        var startedAt = Stopwatch.GetTimestamp();
        try
        {
            var opened = 0;
            await Progress.RunAsync("Opening", count, tick => Parallel.ForAsync(
                0, count, new ParallelOptions { MaxDegreeOfParallelism = OpenAtOnce, CancellationToken = cancellation },
                async (i, token) =>
                {
                    streams[i] = await SseStream.OpenAsync(node.Http, node.OperatorToken, crowd.Member(i), token);
                    tick(Interlocked.Increment(ref opened));
                }));
            figures["open_seconds"] = Math.Round(Stopwatch.GetElapsedTime(startedAt).TotalSeconds, 1);
            var reading = streams.Select(s => ReadAsync(s, cancellation)).ToArray();
            await Task.Delay(Settle, TimeProvider.System, cancellation);
            var idle = node.Api();
            figures["api_memory_before_mb"] = Math.Round(before.MemoryMb, 1);
            figures["api_memory_with_streams_mb"] = Math.Round(idle.MemoryMb, 1);
            figures["api_memory_kb_per_stream"] = Math.Round((idle.MemoryMb - before.MemoryMb) * 1024 / count, 2);

            await Task.Delay(Settle, TimeProvider.System, cancellation);
            figures["api_cpu_percent_idle_streams"] = Math.Round((node.Api().CpuMs - idle.CpuMs) / Settle.TotalMilliseconds * 100, 1);
            (await UnaryAsync(node, population, "Sends beside", options with { WarmUpSeconds = 1 }, report.Runs, cancellation)).AddTo(figures, "unary_beside_");
            var fault = await DeliverAsync(node, crowd, reading, every, figures, cancellation);
            figures["streams_open_at_the_end"] = count - reading.Count(r => r.IsFaulted);
            fault ??= reading.FirstOrDefault(r => r.IsFaulted)?.Exception?.GetBaseException().Message;
            figures["api_memory_after_mb"] = Math.Round(node.Api().MemoryMb, 1);
            return Report.Print(
                "streams", new() { ["streams"] = count, ["every"] = every, ["unary_rate"] = options.Rate, ["unary_seconds"] = options.Seconds * report.Runs },
                [new(figures, fault)], node.Machine, report);
        }
        finally
        {
            foreach (var stream in streams)
            {
                stream?.Dispose();
            }
        }
    }

    /// <summary>Reads heartbeats until the first message, and returns when that had arrived.</summary>
    private static async Task<long> ReadAsync(SseStream stream, CancellationToken cancellation) => (await stream.ReadMessageAsync(cancellation)).At;

    private static async Task<Latencies> UnaryAsync(
        BenchNode node, Population population, string what, LoadOptions options, int runs, CancellationToken cancellation)
    {
        var samples = new List<double>();
        for (var run = 0; run < runs; run++)
        {
            var ofRun = options.OfRun(run);
            var messages = IngestScenario.Prepare(population, ofRun);
            var load = await Progress.RunAsync(what, ofRun.WarmUpSeconds + ofRun.Seconds, tick =>
                HttpLoad.RunAsync(node.Http, messages, ofRun, tick, cancellation));
            if (load.Errors > 0)
            {
                throw new InvalidOperationException($"{load.Errors} sends failed: {string.Join(", ", load.Statuses.Select(s => $"{s.Key}: {s.Value}"))}");
            }

            samples.AddRange(load.Samples.Select(s => s.Ms));
        }

        return new(samples);
    }

    /// <summary>One message to every k-th stream; null when each of them got it and no other stream got anything.</summary>
    private static async Task<string?> DeliverAsync(
        BenchNode node, Crowd crowd, Task<long>[] reading, int every, JsonObject figures, CancellationToken cancellation)
    {
        using var hub = await HubConnection.ConnectAsync(node.Http, node.OperatorToken, cancellation);
        var latencies = new List<double>();
        var chosen = Enumerable.Range(0, reading.Length).Where(i => i % every == 0).ToArray();
        var missing = 0;
        foreach (var i in chosen)
        {
            var sentAt = Stopwatch.GetTimestamp();
            await hub.RequireAsync(
                "messages", $$"""{"from":"{{crowd.Speaker}}","swarm_id":"{{crowd.SwarmId:D}}","to":"{{crowd.Member(i)}}","content":"to every k-th"}""", cancellation);
            try
            {
                latencies.Add(Stopwatch.GetElapsedTime(sentAt, await reading[i].WaitAsync(ArriveMax, TimeProvider.System, cancellation)).TotalMilliseconds);
            }
            catch (Exception e) when (e is TimeoutException or IOException)
            {
                missing++;
            }
        }

        var stray = Enumerable.Range(0, reading.Length).Count(i => i % every != 0 && reading[i].IsCompletedSuccessfully);
        figures["streams_sent_to"] = chosen.Length;
        figures["streams_that_got_it"] = chosen.Length - missing;
        new Latencies(latencies).AddTo(figures, "event_");
        return missing > 0 ? $"{missing} of {chosen.Length} streams did not get their message."
            : stray > 0 ? $"{stray} streams got a message of somebody else."
            : null;
    }

    /// <summary>Open files that a process may have: .NET raises its soft limit to the hard one by itself.</summary>
    private static long? FileLimit() => !File.Exists("/proc/self/limits") ? null
        : File.ReadLines("/proc/self/limits").Where(l => l.StartsWith("Max open files", StringComparison.Ordinal))
            .Select(l => long.TryParse(l.Split(' ', StringSplitOptions.RemoveEmptyEntries)[4], out var hard) ? hard : long.MaxValue).FirstOrDefault();
}
