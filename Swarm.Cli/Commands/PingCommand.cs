using System.CommandLine;
using System.Globalization;
using Swarm.Cli.Output;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm ping</c>: is an agent there? The node asks, not this machine.</summary>
internal static class PingCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var target = new Argument<string>("target")
        {
            Description = "An agent of this node, a member of one of the acting agent's swarms, or the https address of an agent.", HelpName = "AGENT|URL",
        };
        var command = new SwarmCommand("ping", "Ask whether an agent is there, and how fast.")
        {
            Examples = ["swarm ping bob", "swarm ping bob --as alice", "swarm ping https://bob.example.com/swarm --json"],
        };
        command.Add(target);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = session.ActingAgentOrNone;
            var client = agent is null ? await session.ForOperatorAsync(cancellation) : await session.ForAgentAsync(agent, cancellation);
            var result = await client.PingAsync(parsed.GetRequiredValue(target), agent, cancellation);
            session.Done(CliJson.Node(result), Line(result));
            return result.Status is "ok" or "online" ? ExitCode.Ok : ExitCode.General;
        });
        return command;
    }

    /// <summary>Presence as tables show it.</summary>
    internal static string Seen(bool online, DateTimeOffset? at) => online ? "online" : at is { } time ? SwarmTime.Format(time) : "";

    private static string Line(PingResult result)
    {
        var latency = result.LatencyMs.ToString("0.0", CultureInfo.InvariantCulture);
        var seen = result.Status != "online" && result.LastSeen is { } at ? $" Last seen {SwarmTime.Format(at)}." : "";
        return $"{result.Target} ({result.Kind}): {result.Status} in {latency} ms. {result.Detail}{seen}";
    }
}
