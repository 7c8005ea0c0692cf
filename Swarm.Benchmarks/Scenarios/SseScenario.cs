using System.CommandLine;
using System.Diagnostics;
using System.Text;
using System.Text.Json.Nodes;
using Swarm.Benchmarks.Load;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Scenarios;

/// <summary>From a send to its event on an open stream, at an idle node (design §9, third line).</summary>
internal static class SseScenario
{
    private static readonly TimeSpan EventMax = TimeSpan.FromSeconds(10);

    private static readonly Option<int> MessagesOption = Options.Number("--messages", "Messages of a run, one after the other.", 500, min: 1, max: 1_000_000);

    private static readonly Option<int> PauseOption = Options.Number("--pause", "The pause between an event and the next send, in milliseconds.", 10, max: 10_000);

    private static readonly Option<int> ReplicasOption = Options.Number(
        "--replicas", "Processes of the Api; with more than one, sends and stream may be at different ones.", 1, min: 1, max: 4);

    public static Command Command()
    {
        var command = new Command(
            "sse",
            """
            Time from a send to its event on an open stream, at an idle node: one sender, one stream, one message at a time.

            Examples:
              sse --messages 1000
              sse --replicas 2 --json
            """);
        command.Options.Add(MessagesOption);
        command.Options.Add(PauseOption);
        command.Options.Add(ReplicasOption);
        ReportOptions.AddTo(command);
        command.SetAction((result, cancellation) => RunAsync(
            result.GetValue(MessagesOption), result.GetValue(PauseOption), result.GetValue(ReplicasOption), ReportOptions.Of(result), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(int messages, int pauseMs, int replicas, ReportOptions report, CancellationToken cancellation)
    {
        await using var node = await BenchNode.StartAsync(cancellation, new(replicas));
        var crowd = await Population.AddCrowdAsync(node, "listener", 1, cancellation);
        using var hub = await HubConnection.ConnectAsync(node.Http, node.OperatorToken, cancellation);
        using var stream = await SseStream.OpenAsync(node.Http, node.OperatorToken, crowd.Member(0), cancellation);
        var warmUp = Math.Min(messages, 200);
        await Progress.RunAsync("Warming up", warmUp, tick => MeasureAsync(hub, stream, crowd, warmUp, pauseMs, tick, cancellation));
        var runs = new List<Run>();
        while (runs.Count < report.Runs)
        {
            runs.Add(await Progress.RunAsync("Sending", messages, tick => MeasureAsync(hub, stream, crowd, messages, pauseMs, tick, cancellation)));
        }

        return Report.Print(
            "sse", new() { ["messages"] = messages, ["pause_ms"] = pauseMs, ["replicas"] = replicas }, runs, node.Machine, report);
    }

    private static async Task<Run> MeasureAsync(
        HubConnection hub, SseStream stream, Crowd crowd, int messages, int pauseMs, Action<double> tick, CancellationToken cancellation)
    {
        var (toEvent, toAnswer) = (new List<double>(messages), new List<double>(messages));
        for (var i = 0; i < messages; i++)
        {
            var id = Guid.NewGuid();
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            limit.CancelAfter(EventMax);
            var arrival = stream.ReadMessageAsync(limit.Token).AsTask();
            var sentAt = Stopwatch.GetTimestamp();
            await hub.RequireAsync(
                "messages",
                $$"""{"from":"{{crowd.Speaker}}","swarm_id":"{{crowd.SwarmId:D}}","to":"{{crowd.Member(0)}}","message_id":"{{id:D}}","content":"{{SignedMessages.Content()}}"}""",
                cancellation);
            toAnswer.Add(Stopwatch.GetElapsedTime(sentAt).TotalMilliseconds);
            var (text, at) = await arrival;
            if (text.Span.IndexOf(Encoding.ASCII.GetBytes(id.ToString("D"))) < 0)
            {
                return new([], $"Message {i} was sent and another arrived.");
            }

            toEvent.Add(Stopwatch.GetElapsedTime(sentAt, at).TotalMilliseconds);
            tick(i);
            await Task.Delay(TimeSpan.FromMilliseconds(pauseMs), TimeProvider.System, cancellation);
        }

        var figures = new JsonObject();
        new Latencies(toEvent).AddTo(figures);
        new Latencies(toAnswer).AddTo(figures, "answer_");
        return new(figures);
    }
}
