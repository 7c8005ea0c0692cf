using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm agent</c>: the node's agents, for its operator.</summary>
internal static class AgentCommand
{
    /// <summary>ASP §2.1: the raw Ed25519 seed.</summary>
    private const int KeyBytes = 32;

    public static SwarmCommand Create(OpenSession open)
    {
        var command = new SwarmCommand("agent", "Manage the node's agents, their tokens, and enrolment.")
        {
            Examples = ["swarm agent list", "swarm agent create bob", "swarm agent token new bob --label laptop", "swarm agent enrolment"],
        };
        command.Add(New(open));
        command.Add(List(open));
        command.Add(Show(open));
        command.Add(Import(open));
        command.Add(Revoke(open));
        command.Add(AgentTokenCommand.Create(open));
        command.Add(Enrolment(open));
        return command;
    }

    internal static Argument<string> Name() => new("name") { Description = "The agent's id.", HelpName = "NAME" };

    private static SwarmCommand New(OpenSession open)
    {
        var name = Name();
        var details = new Details();
        var publicKey = new Option<string?>("--public-key")
        {
            Description = "For an agent that signs for itself: its key, base64 of 32 bytes.", HelpName = "KEY",
        };
        var command = new SwarmCommand("create", "Create an agent and print its token, once.")
        {
            Examples =
            [
                "swarm agent create bob --display-name 'Bob the builder'",
                "swarm agent create eve --public-key A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=",
            ],
        };
        command.Add(name);
        details.AddTo(command);
        command.Add(publicKey);
        command.Runs(open, (session, parsed, cancellation) =>
        {
            var key = parsed.GetValue(publicKey);
            var agent = details.Read(parsed, AgentNameText.Parse(parsed.GetRequiredValue(name))) with
            {
                Kind = key is null ? null : "external", PublicKey = key,
            };
            return CreateAsync(session, agent, cancellation);
        });
        return command;
    }

    private static SwarmCommand Import(OpenSession open)
    {
        var name = Name();
        var details = new Details();
        var keyFile = new Option<string>("--key-file")
        {
            Required = true, Description = "A file of exactly 32 bytes: the raw Ed25519 seed (agent.key).", HelpName = "PATH",
        };
        var command = new SwarmCommand("import", "Create a hosted agent that keeps the key it already has.")
        {
            Examples = ["swarm agent import alice --key-file ~/.swarm/agent.key"],
        };
        command.Add(name);
        command.Add(keyFile);
        details.AddTo(command);
        command.Runs(open, (session, parsed, cancellation) =>
        {
            var agent = details.Read(parsed, AgentNameText.Parse(parsed.GetRequiredValue(name))) with
            {
                PrivateKey = ReadKey(parsed.GetRequiredValue(keyFile)),
            };
            return CreateAsync(session, agent, cancellation);
        });
        return command;
    }

    private static async Task<int> CreateAsync(Session session, NewAgent agent, CancellationToken cancellation)
    {
        var created = await (await session.ForOperatorAsync(cancellation)).CreateAgentAsync(agent, cancellation);
        var json = CliJson.Node(new Agent(
            created.Name, created.Kind, created.Endpoint, created.PublicKey, created.DisplayName, created.Description, created.Default,
            created.CreatedAt, created.RevokedAt));
        json["token"] = created.Token;
        return session.Done(
            json,
            [
                $"Agent '{created.Name}' is created.", .. Facts(created), $"  Token:      {created.Token}",
                "The token is shown this once. 'swarm init -a NAME' would have kept it in your profile instead.",
            ]);
    }

    private static SwarmCommand List(OpenSession open)
    {
        var command = new SwarmCommand("list", "List the node's agents.") { Examples = ["swarm agent list", "swarm agent list --json"] };
        command.Runs(open, async (session, _, cancellation) =>
        {
            var agents = new List<Agent>();
            await foreach (var agent in (await session.ForOperatorAsync(cancellation)).ListAgentsAsync(cancellation))
            {
                agents.Add(agent);
            }

            if (session.Json)
            {
                return session.Done(new JsonObject { ["agents"] = new JsonArray([.. agents.Select(CliJson.Node)]) });
            }

            if (agents.Count == 0)
            {
                session.Terminal.WriteLine("There are no agents yet. Make one with 'swarm init -a NAME'.");
                return ExitCode.Ok;
            }

            session.Terminal.WriteTable(
                ["Name", "Kind", "Endpoint", "Display name", "Created", "State", "Seen"],
                agents.Select(agent => (IReadOnlyList<string>)
                [
                    agent.Name, agent.Kind, agent.Endpoint, agent.DisplayName ?? "", SwarmTime.Format(agent.CreatedAt),
                    agent.RevokedAt is null ? (agent.Default ? "default" : "active") : "revoked",
                    PingCommand.Seen(agent.Online, agent.LastSeen),
                ]));
            return ExitCode.Ok;
        });
        return command;
    }

    private static SwarmCommand Show(OpenSession open)
    {
        var name = Name();
        var command = new SwarmCommand("show", "Show one agent.") { Examples = ["swarm agent show alice"] };
        command.Add(name);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var text = AgentNameText.Parse(parsed.GetRequiredValue(name));
            var agent = await (await session.ForAgentAsync(text, cancellation)).GetAgentAsync(text, cancellation);
            return session.Done(CliJson.Node(agent), [$"Agent: {agent.Name} ({agent.Kind})", .. Facts(agent)]);
        });
        return command;
    }

    private static SwarmCommand Revoke(OpenSession open)
    {
        var name = Name();
        var yes = CommonOptions.Yes();
        var command = new SwarmCommand("revoke", "End an agent's keys, tokens and memberships, for good.")
        {
            Examples = ["swarm agent revoke mallory", "swarm agent revoke mallory --yes"],
        };
        command.Add(name);
        command.Add(yes);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var text = AgentNameText.Parse(parsed.GetRequiredValue(name));
            var client = await session.ForOperatorAsync(cancellation);
            if (!session.Confirmed($"Revoke agent '{text}' for good?", parsed.GetValue(yes)))
            {
                return ExitCode.Ok;
            }

            await client.RevokeAgentAsync(text, cancellation);
            await session.Credentials.ForgetAsync(session.Node.Url, text, cancellation);
            return session.Done(new JsonObject { ["status"] = "revoked", ["agent_id"] = text }, $"Agent '{text}' is revoked.");
        });
        return command;
    }

    private static SwarmCommand Enrolment(OpenSession open)
    {
        var expires = CommonOptions.Number("--expires", "-e", "Hours until it expires (24).", 1, 8760);
        var command = new SwarmCommand("enrolment", "Make a one-use token with which an agent enrols itself, keeping its key.")
        {
            Examples = ["swarm agent enrolment", "swarm agent enrolment -e 1 --json"],
        };
        command.Add(expires);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var made = await (await session.ForOperatorAsync(cancellation)).CreateEnrolmentAsync(parsed.GetValue(expires), cancellation);
            return session.Done(
                new JsonObject { ["enrolment_token"] = made.EnrolmentToken, ["expires_at"] = SwarmTime.Format(made.ExpiresAt) },
                made.EnrolmentToken,
                "",
                $"Valid once, until {SwarmTime.Format(made.ExpiresAt)}.",
                "The agent sends it to POST /hub/v1/enrol with proof of its key (docs/cli.md).");
        });
        return command;
    }

    private static string[] Facts(Agent agent) =>
    [
        $"  Endpoint:   {agent.Endpoint}",
        $"  Public Key: {agent.PublicKey}",
        .. agent.DisplayName is null ? Array.Empty<string>() : [$"  Name:       {agent.DisplayName}"],
        .. agent.Description is null ? Array.Empty<string>() : [$"  About:      {agent.Description}"],
        $"  Created:    {SwarmTime.Format(agent.CreatedAt)}",
        .. agent.LastSeen is null ? Array.Empty<string>() : [$"  Seen:       {PingCommand.Seen(agent.Online, agent.LastSeen)}"],
        .. agent.RevokedAt is { } end ? [$"  Revoked:    {SwarmTime.Format(end)}"] : Array.Empty<string>(),
    ];

    private static string ReadKey(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read);
            return BoundedInput.Read(file, KeyBytes) is { Length: KeyBytes } key
                ? Convert.ToBase64String(key)
                : throw CliException.BadArguments(
                    $"'{Shown.Short(path)}' is not a key file.",
                    "A key file has exactly 32 bytes: the raw Ed25519 seed, no PEM, no newline.");
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new CliException(ExitCode.NotFound, $"There is no file '{Shown.Short(path)}'.");
        }
    }

    /// <summary>What may be said about a new agent.</summary>
    private sealed class Details
    {
        private readonly Option<string?> endpoint = new("--endpoint", "-e")
        {
            Description = "Its https address for other nodes, with /swarm (else the node's own).", HelpName = "URL",
        };
        private readonly Option<string?> displayName = new("--display-name") { Description = "A name for people.", HelpName = "TEXT" };
        private readonly Option<string?> description = new("--description") { Description = "What it does.", HelpName = "TEXT" };
        private readonly Option<bool> isDefault = new("--default") { Description = "Serve it at the node's /swarm/ address too." };

        public void AddTo(SwarmCommand command)
        {
            foreach (var option in new Option[] { endpoint, displayName, description, isDefault })
            {
                command.Add(option);
            }
        }

        public NewAgent Read(ParseResult parsed, string name) => new()
        {
            Name = name,
            Endpoint = EndpointText.Parse(parsed.GetValue(endpoint)),
            DisplayName = parsed.GetValue(displayName),
            Description = parsed.GetValue(description),
            Default = parsed.GetValue(isDefault) ? true : null,
        };
    }
}
