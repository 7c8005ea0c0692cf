using System.CommandLine;
using System.Text;
using System.Text.Json.Nodes;
using Swarm.Cli.Output;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm join</c>: joins with an invitation (ASP §15).</summary>
internal static class JoinCommand
{
    private const int TokenBytesMax = 16 * 1024;

    private const string TokenPrefix = "swarm://";

    public static SwarmCommand Create(OpenSession open)
    {
        var token = new Option<string?>("--token", "-t")
        {
            Description = "The invitation; '-', or nothing with a pipe, reads it from standard input.", HelpName = "TOKEN",
        };
        var command = new SwarmCommand("join", "Join a swarm with an invitation.")
        {
            Examples = ["swarm join -t 'swarm://550e8400-…@alice.example.com?token=…'", "swarm join --as bob -t - < invitation.txt"],
            ExitCodes = new Dictionary<string, int>
            {
                ["unknown-swarm"] = ExitCode.General, ["already-member"] = ExitCode.General, ["remote-master"] = ExitCode.General,
            },
        };
        command.Add(token);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var text = ReadToken(parsed.GetValue(token), session.Terminal);
            var agent = session.ActingAgent;
            var result = await (await session.ForAgentAsync(agent, cancellation)).JoinAsync(agent, text, cancellation);
            if (result.Status == "pending")
            {
                throw new CliException(
                    ExitCode.General, $"The master of '{result.Name}' has to approve; '{agent}' is not a member yet.",
                    "Join again with the same invitation later.");
            }

            return session.Done(
                new JsonObject
                {
                    ["status"] = "joined", ["swarm_id"] = result.SwarmId.ToString("D"), ["name"] = result.Name,
                    ["master"] = result.Master, ["member_count"] = result.MemberCount,
                },
                $"Agent '{agent}' joined '{result.Name}'.",
                $"  Swarm ID: {result.SwarmId:D}",
                $"  Master:   {result.Master}",
                $"  Members:  {result.MemberCount}");
        });
        return command;
    }

    private static string ReadToken(string? option, Terminal terminal)
    {
        var text = (option is null or "-" && !terminal.InIsTerminal ? FromInput(terminal) : option ?? "").Trim();
        if (text.Length is 0 or > TokenBytesMax || text == "-")
        {
            throw CliException.BadArguments("There is no invitation.", "Give it with -t TOKEN, or pipe it in with -t -.");
        }

        return text.StartsWith(TokenPrefix, StringComparison.Ordinal)
            ? text
            : throw new CliException(
                ExitCode.Permission, "That is not an invitation.", "An invitation begins with swarm:// and is printed by 'swarm invite'.");
    }

    private static string FromInput(Terminal terminal) =>
        Encoding.UTF8.GetString(
            terminal.ReadInput(TokenBytesMax) ?? throw CliException.BadArguments("That is too long for an invitation."));
}
