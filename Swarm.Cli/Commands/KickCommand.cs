using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm kick</c> (ASP §15): once it has answered, no message of the kicked is accepted.</summary>
internal static class KickCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var swarm = CommonOptions.Swarm();
        var target = new Option<string>("--agent", "-a") { Required = true, Description = "The member to remove.", HelpName = "AGENT" };
        var reason = new Option<string?>("--reason", "-r") { Description = "Why; the members are told.", HelpName = "TEXT" };
        var yes = CommonOptions.Yes();
        var command = new SwarmCommand("kick", "Remove a member from a swarm; only its master may.")
        {
            Examples = ["swarm kick -a mallory", "swarm kick -a mallory -r 'sends spam' --yes"],
        };
        command.Add(swarm);
        command.Add(target);
        command.Add(reason);
        command.Add(yes);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = session.ActingAgent;
            var name = AgentNameText.Parse(parsed.GetRequiredValue(target));
            var client = await session.ForAgentAsync(agent, cancellation);
            var id = await session.SwarmIdAsync(parsed.GetValue(swarm), agent, client, cancellation);
            if (!session.Confirmed($"Remove '{name}' from swarm {id:D}?", parsed.GetValue(yes)))
            {
                return ExitCode.Ok;
            }

            var result = await client.KickAsync(id, agent, name, parsed.GetValue(reason), cancellation);
            return session.Done(
                new JsonObject { ["status"] = "kicked", ["swarm_id"] = result.SwarmId.ToString("D"), ["agent_id"] = result.AgentId },
                $"Agent '{result.AgentId}' is no longer in swarm {result.SwarmId:D}.");
        });
        return command;
    }
}
