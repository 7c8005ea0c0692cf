using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Output;
using Swarm.Cli.Profile;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm status</c>: the node, and the acting agent on it (ASP §15, and what the node adds).</summary>
internal static class StatusCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var verbose = new Option<bool>("--verbose", "-v") { Description = "Show the agent's swarms too." };
        var command = new SwarmCommand("status", "Show the node, and the acting agent on it.")
        {
            Examples = ["swarm status", "swarm status -v --as bob", "swarm status --json"],
        };
        command.Add(verbose);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            await session.Anonymous(session.Node.Url).GetHealthAsync(cancellation); // Unreachable is exit 3, whoever asks.
            if (session.ActingAgentOrNone is not { } agent)
            {
                return await NotInitialisedAsync(session, cancellation);
            }

            var client = await session.ForAgentAsync(agent, cancellation);
            var node = await client.GetStatusAsync(cancellation);
            var profile = await client.GetAgentAsync(agent, cancellation);
            var swarms = new List<SwarmInfo>();
            await foreach (var swarm in client.ListSwarmsAsync(agent, cancellation))
            {
                swarms.Add(swarm);
            }

            var mutes = await client.ListMutesAsync(agent, cancellation);
            return Show(session, node, profile, swarms, mutes, parsed.GetValue(verbose));
        });
        return command;
    }

    private static async Task<int> NotInitialisedAsync(Session session, CancellationToken cancellation)
    {
        const string Error = "No agent is chosen: make one with 'swarm init -a NAME', or name one with --as.";
        NodeStatus? node = null;
        try
        {
            node = await (await session.ForOperatorAsync(cancellation)).GetStatusAsync(cancellation);
        }
        catch (CliException e) when (e.ExitCode == ExitCode.Permission)
        {
            session.Terminal.Note(e.Message); // The node's figures are for its operator; that it runs is known.
        }

        session.Done(
            new JsonObject { ["status"] = "not_initialized", ["error"] = Error, ["node"] = node is null ? null : ToJson(session, node) },
            [.. node is null ? [$"Node: {session.Node.Url} is running."] : Lines(session, node), Error]);
        return ExitCode.General;
    }

    private static int Show(Session session, NodeStatus node, Agent agent, List<SwarmInfo> swarms, MuteList mutes, bool verbose)
    {
        var config = CliConfig.PathIn(session.Environment.ConfigFolder);
        var json = new JsonObject
        {
            ["status"] = "initialized", ["agent_id"] = agent.Name, ["endpoint"] = agent.Endpoint, ["public_key"] = agent.PublicKey,
            ["config_path"] = config,
            ["db_path"] = null, ["swarm_count"] = swarms.Count, ["muted_agents"] = mutes.Agents.Count,
            ["muted_swarms"] = mutes.Swarms.Count,
        };
        if (verbose)
        {
            json["swarms"] = new JsonArray([.. swarms.Select(swarm => new JsonObject
            {
                ["swarm_id"] = swarm.SwarmId.ToString("D"), ["name"] = swarm.Name, ["master"] = swarm.Master,
                ["is_master"] = swarm.Master == agent.Name, ["member_count"] = swarm.MemberCount,
            })]);
            json["muted_agent_ids"] = new JsonArray([.. mutes.Agents.Select(muted => JsonValue.Create(muted.AgentId))]);
            json["muted_swarm_ids"] = new JsonArray([.. mutes.Swarms.Select(muted => JsonValue.Create(muted.SwarmId.ToString("D")))]);
        }

        json["node"] = ToJson(session, node);
        session.Done(
            json,
            [
                .. Lines(session, node), $"Agent: {agent.Name} ({agent.Kind})", $"  Endpoint:   {agent.Endpoint}",
                $"  Public Key: {agent.PublicKey}", $"  Config:     {config}", $"  Swarms:     {swarms.Count}",
                $"  Muted:      {mutes.Agents.Count} agents, {mutes.Swarms.Count} swarms",
            ]);
        if (verbose && !session.Json && swarms.Count > 0)
        {
            session.Terminal.WriteTable(
                ["ID", "Name", "Master", "Members"],
                swarms.Select(swarm => (IReadOnlyList<string>)
                [
                    swarm.SwarmId.ToString("D"), swarm.Name, swarm.Master, $"{swarm.MemberCount}",
                ]));
        }

        return ExitCode.Ok;
    }

    private static string[] Lines(Session session, NodeStatus node) =>
    [
        $"Node: {session.Node.Url} (from {session.Node.Source})",
        $"  Version:    {node.Version}, running since {SwarmTime.Format(node.StartedAt)}",
        $"  Signals:    {node.Signals}",
        $"  Holds:      {node.Agents} agents, {node.Swarms} swarms, {node.Messages} messages",
    ];

    private static JsonNode ToJson(Session session, NodeStatus node)
    {
        var json = CliJson.Node(node);
        json["url"] = session.Node.Url.ToString();
        return json;
    }
}
