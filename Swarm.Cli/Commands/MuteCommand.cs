using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm mute</c> and <c>swarm unmute</c> (ASP §10.7, §15): whom the acting agent does not want to hear.</summary>
internal static class MuteCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var (agent, swarm) = Targets();
        var reason = new Option<string?>("--reason", "-r") { Description = "Why; only you see it.", HelpName = "TEXT" };
        var command = new SwarmCommand("mute", "Hear nothing more of an agent or a swarm; nobody is told.")
        {
            Examples = ["swarm mute -a mallory -r 'sends spam'", "swarm mute -s 550e8400-e29b-41d4-a716-446655440000"],
        };
        command.Add(agent);
        command.Add(swarm);
        command.Add(reason);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var (name, id) = Target(parsed.GetValue(agent), parsed.GetValue(swarm));
            var client = await session.ForAgentAsync(session.ActingAgent, cancellation);
            if (name is not null)
            {
                await client.MuteAgentAsync(session.ActingAgent, name, parsed.GetValue(reason), cancellation);
            }
            else
            {
                await client.MuteSwarmAsync(session.ActingAgent, id, parsed.GetValue(reason), cancellation);
            }

            return session.Done(Json("muted", name, id), $"{What(name, id)} is muted. 'swarm unmute' ends it.");
        });
        return command;
    }

    public static SwarmCommand CreateUndo(OpenSession open)
    {
        var (agent, swarm) = Targets();
        var command = new SwarmCommand("unmute", "Hear an agent or a swarm again.") { Examples = ["swarm unmute -a mallory"] };
        command.Add(agent);
        command.Add(swarm);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var (name, id) = Target(parsed.GetValue(agent), parsed.GetValue(swarm));
            var client = await session.ForAgentAsync(session.ActingAgent, cancellation);
            var wasMuted = name is not null
                ? await client.UnmuteAgentAsync(session.ActingAgent, name, cancellation)
                : await client.UnmuteSwarmAsync(session.ActingAgent, id, cancellation);
            var json = Json("unmuted", name, id);
            json["was_muted"] = wasMuted;
            return session.Done(json, wasMuted ? $"{What(name, id)} is heard again." : $"{What(name, id)} was not muted.");
        });
        return command;
    }

    private static (Option<string?> Agent, Option<string?> Swarm) Targets() => (
        new("--agent", "-a") { Description = "An agent, by its text id, in every swarm.", HelpName = "AGENT" },
        new("--swarm", "-s") { Description = "A swarm; this command guesses none.", HelpName = "ID" });

    private static (string? Name, Guid Id) Target(string? agent, string? swarm) => (agent, swarm) switch
    {
        ({ } name, null) => (AgentNameText.Parse(name), default),
        (null, { } id) => (null, SwarmIdText.Parse(id, "--swarm")),
        _ => throw CliException.BadArguments("Name an agent (-a) or a swarm (-s), one of them."),
    };

    private static JsonObject Json(string status, string? name, Guid id) => new()
    {
        ["status"] = status, ["type"] = name is null ? "swarm" : "agent", ["id"] = name ?? id.ToString("D"),
    };

    private static string What(string? name, Guid id) => name is null ? $"Swarm {id:D}" : $"Agent '{name}'";
}
