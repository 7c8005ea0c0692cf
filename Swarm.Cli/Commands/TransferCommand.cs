using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm transfer</c> (ASP §10.6, §15, hardened): another member becomes the master, if it accepts.</summary>
internal static class TransferCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var swarm = CommonOptions.Swarm();
        var target = new Option<string>("--agent", "-a") { Required = true, Description = "The member that is to be the master.", HelpName = "AGENT" };
        var yes = CommonOptions.Yes();
        var command = new SwarmCommand("transfer", "Make another member the master of a swarm; only its master may.")
        {
            Examples = ["swarm transfer -a bob", "swarm transfer -s 550e8400-e29b-41d4-a716-446655440000 -a bob --yes"],
        };
        command.Add(swarm);
        command.Add(target);
        command.Add(yes);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var name = AgentNameText.Parse(parsed.GetRequiredValue(target));
            var agent = session.ActingAgent;
            var client = await session.ForAgentAsync(agent, cancellation);
            var id = await session.SwarmIdAsync(parsed.GetValue(swarm), agent, client, cancellation);
            if (!session.Confirmed($"Make '{name}' the master of swarm {id:D}?", parsed.GetValue(yes)))
            {
                return ExitCode.Ok;
            }

            var done = await client.TransferAsync(id, agent, name, cancellation);
            return session.Done(
                new JsonObject
                {
                    ["status"] = done.Status, ["swarm_id"] = id.ToString("D"), ["old_master"] = done.OldMaster, ["new_master"] = done.NewMaster,
                },
                $"Agent '{done.NewMaster}' is the master of swarm {id:D} now.");
        });
        return command;
    }
}
