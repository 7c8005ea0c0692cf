using System.CommandLine;
using System.Text.Json.Nodes;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm agree</c> (ASP §10.6): the agent becomes the master when the master offers it; for nodes that ask their agents.</summary>
internal static class AgreeCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var swarm = CommonOptions.Swarm();
        var withdraw = new Option<bool>("--withdraw") { Description = "Take the agreement back." };
        var command = new SwarmCommand("agree", "Agree to become the master of a swarm when its master offers it.")
        {
            Examples = ["swarm agree", "swarm agree --as bob -s 550e8400-e29b-41d4-a716-446655440000", "swarm agree --withdraw"],
        };
        command.Add(swarm);
        command.Add(withdraw);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = session.ActingAgent;
            var client = await session.ForAgentAsync(agent, cancellation);
            var id = await session.SwarmIdAsync(parsed.GetValue(swarm), agent, client, cancellation);
            var done = await client.AgreeAsync(id, agent, !parsed.GetValue(withdraw), cancellation);
            return session.Done(
                new JsonObject { ["status"] = done.Status, ["swarm_id"] = id.ToString("D"), ["agent_id"] = done.AgentId },
                done.Status == "agreed"
                    ? $"Agent '{done.AgentId}' takes swarm {id:D} over when its master offers it."
                    : $"Agent '{done.AgentId}' does not take swarm {id:D} over.");
        });
        return command;
    }
}
