using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Cli.Profile;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm init</c>: creates a hosted agent and keeps its token in this profile (ASP §15).</summary>
internal static class InitCommand
{
    private const string TokenLabel = "swarm init";

    public static SwarmCommand Create(OpenSession open)
    {
        var name = new Option<string>("--agent-id", "-a")
        {
            Required = true, Description = "The agent's id: letters, digits, '_', '.', '-'.", HelpName = "NAME",
        };
        var endpoint = new Option<string?>("--endpoint", "-e")
        {
            Description = "Its https address for other nodes, with /swarm (else the node's own).", HelpName = "URL",
        };
        var force = new Option<bool>("--force", "-f")
        {
            Description = "Take over an agent that exists: make a new token for it. Its key stays.",
        };
        var command = new SwarmCommand("init", "Create an agent on the node and keep its token in this profile.")
        {
            Examples = ["swarm init -a alice", "swarm init -a alice -e https://alice.example.com/swarm", "swarm init -a alice --force"],
        };
        command.Add(name);
        command.Add(endpoint);
        command.Add(force);
        command.Runs(open, (session, parsed, cancellation) => RunAsync(
            session, AgentNameText.Parse(parsed.GetRequiredValue(name)), EndpointText.Parse(parsed.GetValue(endpoint)),
            parsed.GetValue(force), cancellation));
        return command;
    }

    private static async Task<int> RunAsync(Session session, string name, string? endpoint, bool force, CancellationToken cancellation)
    {
        var client = await session.ForOperatorAsync(cancellation);
        var (agent, token) = await CreateOrTakeOverAsync(client, name, endpoint, force, cancellation);
        await session.Credentials.StoreAsync(session.Node.Url, name, token, cancellation);
        var folder = session.Environment.ConfigFolder;
        if (session.Config.DefaultAgent is null)
        {
            (session.Config with { DefaultAgent = name }).Save(folder);
        }

        var path = CliConfig.PathIn(folder);
        return session.Done(
            new JsonObject
            {
                ["status"] = "initialized", ["agent_id"] = agent.Name, ["endpoint"] = agent.Endpoint, ["public_key"] = agent.PublicKey,
                ["config_path"] = path,
            },
            $"Agent '{agent.Name}' is ready.",
            $"  Agent ID:   {agent.Name}",
            $"  Endpoint:   {agent.Endpoint}",
            $"  Public Key: {agent.PublicKey}",
            $"  Config:     {path}");
    }

    private static async Task<(Agent Agent, string Token)> CreateOrTakeOverAsync(
        SwarmClient client, string name, string? endpoint, bool force, CancellationToken cancellation)
    {
        try
        {
            var created = await client.CreateAgentAsync(new NewAgent { Name = name, Endpoint = endpoint }, cancellation);
            return (created, created.Token);
        }
        catch (SwarmApiException e) when (e.ErrorId == "name-taken" && !force)
        {
            throw new CliException(
                ExitCode.General, $"Agent '{name}' exists already.",
                $"Act as it with --as {name}; 'swarm init -a {name} --force' makes a new token for this profile.", e);
        }
        catch (SwarmApiException e) when (e.ErrorId == "name-taken")
        {
            var token = await client.CreateTokenAsync(name, TokenLabel, cancellation);
            return (await client.GetAgentAsync(name, cancellation), token.Token);
        }
    }
}
