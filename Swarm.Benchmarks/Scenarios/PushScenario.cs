using System.CommandLine;
using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;
using Swarm.Benchmarks.Peer;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>Pushes to agents of other nodes: how many a second, and what the healthy ones notice of dead ones (design §9, push).</summary>
internal static class PushScenario
{
    /// <summary>Senders are divided among so many connections, so that one sender's messages enter in order.</summary>
    private const int Groups = 4;

    private const int BatchItems = 128;

    /// <summary>A small batch is sent at every beat of the open loop.</summary>
    private static readonly TimeSpan Beat = TimeSpan.FromMilliseconds(50);

    private static readonly TimeSpan QuietMax = TimeSpan.FromSeconds(30);

    private static readonly Option<int> MessagesOption = Options.Number("--messages", "Messages that are sent at once and then drained.", 50_000, min: 1, max: 10_000_000);

    private static readonly Option<int> RemotesOption = Options.Number("--remotes", "Agents of other nodes, in hundreds: so many in each of the 100 swarms.", 10, min: 1, max: 100);

    private static readonly Option<int> DestinationsOption = Options.Number("--destinations", "Healthy destinations (host and port) among which they are divided.", 8, min: 1, max: 1_000);

    private static readonly Option<int> DeadOption = Options.Number("--dead", "Dead destinations: every other one never answers, the rest refuse.", 4, max: 1_000);

    private static readonly Option<int> RateOption = Options.Number("--rate", "Healthy messages a second while latencies are compared (open loop); as many again go to the dead.", 200, min: 20, max: 20_000);

    private static readonly Option<int> SecondsOption = Options.Number("--seconds", "How long latencies are measured, each time, in seconds.", 10, min: 1);

    public static Command Command()
    {
        var command = new Command(
            "push",
            """
            Push to agents of other nodes on this machine: pushes a second, and the latency of healthy destinations without and beside dead ones.

            Examples:
              push --messages 100000
              push --dead 8 --rate 500 --json
              push --dead 0 --destinations 1
            """);
        foreach (var option in (Option<int>[])[MessagesOption, RemotesOption, DestinationsOption, DeadOption, RateOption, SecondsOption])
        {
            command.Options.Add(option);
        }

        ReportOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(
            result.GetValue(MessagesOption), result.GetValue(RemotesOption), result.GetValue(DestinationsOption), result.GetValue(DeadOption),
            result.GetValue(RateOption), result.GetValue(SecondsOption), ReportOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(
        int messages, int remotes, int destinations, int dead, int rate, int seconds, ReportOptions report, CancellationToken cancellation)
    {
        using var peer = await OwnServer.StartAsync("peer-server", new() { [PeerServer.PortsVariable] = $"{destinations}" }, cancellation);
        using var deadPeers = new DeadPeers(dead);
        await using var node = await BenchNode.StartAsync(
            cancellation, new(Environment: new Dictionary<string, string> { ["Egress__AllowLoopback"] = "true" }));
        var population = await Population.CreateAsync(node, hosted: true, cancellation);
        var healthyNames = await AddAsync(node, population, peer.Urls, remotes * Population.Swarms, "remote", cancellation);
        var deadNames = dead == 0 ? null : await AddAsync(node, population, deadPeers.Urls, Population.Swarms, "dead", cancellation);
        using var arrivals = new PeerConnection(await HttpConnection.ConnectAsync(new(peer.Urls[0], null), cancellation));

        await DrainAsync(node, population, healthyNames, arrivals, Math.Min(messages, 5_000), cancellation);
        var runs = new List<Run>();
        while (runs.Count < report.Runs)
        {
            runs.Add(await DrainAsync(node, population, healthyNames, arrivals, messages, cancellation));
        }

        // Alone first, every time, before anything was ever sent to the dead.
        var count = rate * seconds;
        foreach (var (beside, prefix) in ((string[][]?, string)[])[(null, "without_dead_"), (deadNames, "beside_dead_")])
        {
            for (var i = 0; i < runs.Count && (beside is not null || prefix == "without_dead_"); i++)
            {
                var fault = await SteadyAsync(node, population, healthyNames, beside, arrivals, count, rate, prefix, runs[i].Figures, cancellation);
                runs[i] = runs[i] with { Fault = runs[i].Fault ?? fault };
            }
        }

        return Report.Print(
            "push",
            new()
            {
                ["messages"] = messages, ["remote_agents"] = remotes * Population.Swarms, ["destinations"] = destinations, ["dead_destinations"] = dead,
                ["steady_rate"] = rate, ["steady_seconds"] = seconds,
            },
            runs, node.Machine, report);
    }

    /// <summary>Remote agents in every swarm, divided among the destinations.</summary>
    private static Task<string[][]> AddAsync(
        BenchNode node, Population population, IReadOnlyList<Uri> urls, int count, string prefix, CancellationToken cancellation) =>
        population.AddRemotesAsync(
            node, [.. Enumerable.Range(0, count).Select(i => $"{urls[(i / Population.Swarms + i) % urls.Count].GetLeftPart(UriPartial.Authority)}/agents/{prefix}-{i:0000}/swarm")],
            prefix, cancellation);

    /// <summary>Sends as fast as it can, and waits until all have been pushed.</summary>
    private static async Task<Run> DrainAsync(
        BenchNode node, Population population, string[][] names, PeerConnection arrivals, int messages, CancellationToken cancellation)
    {
        await arrivals.ResetAsync(cancellation);
        var worker = node.Worker();
        var before = await DatabaseFigures.ReadAsync(node.ConnectionString, "messages", "deliveries", cancellation);
        var each = (messages + Groups - 1) / Groups;
        var startedAt = Stopwatch.GetTimestamp();
        var sent = await Task.WhenAll(Enumerable.Range(0, Groups).Select(group => BatchLoad.RunAsync(
            node.Http, node.OperatorToken, Item(population, names, group), each, BatchItems, new(1, 100_000, 0), null, cancellation)));
        var acceptedAt = Stopwatch.GetTimestamp();
        var accepted = (int)sent.Sum(s => s.Accepted);
        var came = await Progress.RunAsync("Pushing", accepted, tick => arrivals.WaitAsync(accepted, QuietMax, tick, cancellation));
        var all = await arrivals.ArrivalsAsync(cancellation);
        var after = await DatabaseFigures.ReadAsync(node.ConnectionString, "messages", "deliveries", cancellation);
        var late = all.Times.Count(t => t.At >= acceptedAt);
        var figures = new JsonObject
        {
            // While messages still come in, the node does two things at once; the drain alone is what one wants to know, when enough is left of it.
            ["rate"] = Math.Round(late >= accepted / 4 ? all.RateFrom(acceptedAt) : all.RateFrom(0), 1),
            ["rate_is_of_the_drain_alone"] = late >= accepted / 4,
            ["rate_from_first_send_to_last_push"] = all.Times.Length == 0 ? 0
                : Math.Round(all.Times.Length / Stopwatch.GetElapsedTime(startedAt, all.Times.Max(t => t.At)).TotalSeconds, 1),
            ["accepted"] = accepted,
            ["pushed"] = came,
            ["repeats"] = all.Repeats,
            ["out_of_order"] = all.OutOfOrder,
            ["worker_cpu_us_per_push"] = Math.Round((node.Worker().CpuMs - worker.CpuMs) * 1000 / Math.Max(1, came), 1),
            ["worker_memory_mb"] = Math.Round(node.Worker().MemoryMb, 1),
            ["wal_bytes_per_message"] = (after.WalBytes - before.WalBytes) / Math.Max(1, accepted),
        };
        return new(figures, accepted == each * Groups && came == accepted && all.OutOfOrder == 0 ? null
            : $"{each * Groups} sent, {accepted} accepted, {came} pushed, {all.OutOfOrder} out of order. {sent.Select(s => s.FirstError).FirstOrDefault(e => e is not null)}");
    }

    /// <summary>Sends at a rate, to the dead as well when there are any; what is measured is the healthy.</summary>
    private static async Task<string?> SteadyAsync(
        BenchNode node, Population population, string[][] healthy, string[][]? dead, PeerConnection arrivals, int count, int rate, string prefix,
        JsonObject figures, CancellationToken cancellation)
    {
        await arrivals.ResetAsync(cancellation);
        var sending = new List<Task<string?>> { BeatAsync(node, Item(population, healthy, 0), count, rate, cancellation) };
        if (dead is not null)
        {
            sending.Add(BeatAsync(node, Item(population, dead, 0), count, rate, cancellation));
        }

        var faults = await Progress.RunAsync(dead is null ? "Without dead" : "Beside dead", count, async tick =>
        {
            var waiting = arrivals.WaitAsync(count, QuietMax, tick, cancellation);
            var results = await Task.WhenAll(sending);
            await waiting;
            return results;
        });
        var all = await arrivals.ArrivalsAsync(cancellation);
        all.Latencies.AddTo(figures, prefix);
        figures[$"{prefix}pushed"] = all.Times.Length;
        return faults.FirstOrDefault(f => f is not null)
            ?? (all.Times.Length == count && all.OutOfOrder == 0 ? null : $"{count} were sent, {all.Times.Length} pushed, {all.OutOfOrder} out of order.");
    }

    private static async Task<string?> BeatAsync(BenchNode node, WriteItem write, int count, int rate, CancellationToken cancellation)
    {
        using var timer = new PeriodicTimer(Beat);
        var startedAt = Stopwatch.GetTimestamp();
        for (var sent = 0; sent < count; await timer.WaitForNextTickAsync(cancellation))
        {
            var due = Math.Min(count, (int)(Stopwatch.GetElapsedTime(startedAt).TotalSeconds * rate) + 1) - sent;
            if (due <= 0)
            {
                continue;
            }

            var from = sent;
            var result = await BatchLoad.RunAsync(
                node.Http, node.OperatorToken, (i, buffer) => write(from + i, buffer), due, BatchItems, new(1, 100_000, 0), null, cancellation);
            if (result.Accepted != due)
            {
                return $"{due} were sent, {result.Accepted} accepted: {result.FirstError}";
            }

            sent += due;
        }

        return null;
    }

    /// <summary>Message <c>i</c> of one group of senders; each goes round the remote agents of its swarm.</summary>
    private static WriteItem Item(Population population, string[][] names, int group)
    {
        const int SendersOfGroup = Population.Senders / Groups;
        return (i, buffer) =>
        {
            var sender = (i % SendersOfGroup) * Groups + group;
            var swarm = sender % Population.Swarms;
            var to = names[swarm][i / SendersOfGroup % names[swarm].Length];
            return Encoding.ASCII.GetBytes(
                $"{{\"from\":\"{Population.SenderName(sender)}\",\"swarm_id\":\"{population.SwarmIds[swarm]:D}\",\"to\":\"{to}\",\"content\":\"{PeerServer.Content(i)}\"}}",
                buffer);
        };
    }
}
