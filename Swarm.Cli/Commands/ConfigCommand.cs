using System.Text.Json.Nodes;
using Swarm.Cli.Profile;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm config</c> (ASP §15): who acts, and which swarm is meant when none is named.</summary>
internal static class ConfigCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var command = new SwarmCommand("config", "Show who acts, and which swarm is meant when none is named.")
        {
            Examples = ["swarm config", "SWARM_ID=550e8400-e29b-41d4-a716-446655440000 swarm config --json"],
        };
        command.Runs(open, async (session, _, cancellation) =>
        {
            var agent = session.ActingAgent;
            var client = await session.ForAgentAsync(agent, cancellation);
            var endpoint = (await client.GetAgentAsync(agent, cancellation)).Endpoint;
            var (swarm, via) = await session.ResolvedSwarmAsync(agent, client, cancellation);
            var path = CliConfig.PathIn(session.Environment.ConfigFolder);
            return session.Done(
                new JsonObject
                {
                    ["agent_id"] = agent, ["endpoint"] = endpoint, ["config_path"] = path, ["db_path"] = null,
                    ["default_swarm"] = session.Config.DefaultSwarm, ["resolved_swarm_id"] = swarm?.ToString("D"), ["resolved_via"] = via,
                },
                $"Agent ID:      {agent}",
                $"Endpoint:      {endpoint}",
                $"Config:        {path}",
                $"Default swarm: {session.Config.DefaultSwarm ?? "none"}",
                $"Swarm:         {(swarm is { } id ? id.ToString("D") : "none")} ({via})");
        });
        return command;
    }
}
