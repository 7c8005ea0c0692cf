using System.Text.Json.Nodes;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm leave</c> (ASP §15).</summary>
internal static class LeaveCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var swarm = CommonOptions.Swarm();
        var yes = CommonOptions.Yes();
        var command = new SwarmCommand("leave", "Leave a swarm.")
        {
            Examples = ["swarm leave", "swarm leave -s 550e8400-e29b-41d4-a716-446655440000 --yes"],
            ExitCodes = new Dictionary<string, int> { ["not-a-member"] = ExitCode.General, ["master-may-not-leave"] = ExitCode.NotFound },
        };
        command.Add(swarm);
        command.Add(yes);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = session.ActingAgent;
            var client = await session.ForAgentAsync(agent, cancellation);
            var id = await session.SwarmIdAsync(parsed.GetValue(swarm), agent, client, cancellation);
            if (!session.Confirmed($"Shall '{agent}' leave swarm {id:D}?", parsed.GetValue(yes)))
            {
                return ExitCode.Ok;
            }

            var result = await client.LeaveAsync(id, agent, cancellation);
            return session.Done(
                new JsonObject { ["status"] = "left", ["swarm_id"] = result.SwarmId.ToString("D"), ["name"] = result.Name },
                $"Agent '{agent}' left '{result.Name}' ({result.SwarmId:D}).");
        });
        return command;
    }
}
