using System.Text.Json.Nodes;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm dissolve</c> (ASP §10.6, §15, hardened): the end of a swarm, for all its members.</summary>
internal static class DissolveCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var swarm = CommonOptions.Swarm();
        var yes = CommonOptions.Yes();
        var command = new SwarmCommand("dissolve", "End a swarm for all its members; only its master may.")
        {
            Examples = ["swarm dissolve -s 550e8400-e29b-41d4-a716-446655440000", "swarm dissolve --yes"],
        };
        command.Add(swarm);
        command.Add(yes);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = session.ActingAgent;
            var client = await session.ForAgentAsync(agent, cancellation);
            var id = await session.SwarmIdAsync(parsed.GetValue(swarm), agent, client, cancellation);
            if (!session.Confirmed($"End swarm {id:D} for all its members?", parsed.GetValue(yes)))
            {
                return ExitCode.Ok;
            }

            var done = await client.DissolveAsync(id, agent, cancellation);
            return session.Done(
                new JsonObject { ["status"] = done.Status, ["swarm_id"] = id.ToString("D"), ["name"] = done.Name },
                $"Swarm '{done.Name}' ({id:D}) is dissolved.");
        });
        return command;
    }
}
