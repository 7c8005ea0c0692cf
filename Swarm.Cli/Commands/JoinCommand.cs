using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm join</c>: joins with an invitation (ASP §15).</summary>
internal static class JoinCommand
{
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
                ["token-signature"] = ExitCode.General, ["peer-unreachable"] = ExitCode.General,
            },
        };
        command.Add(token);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var text = InviteText.Read(parsed.GetValue(token), session.Terminal);
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
}
