using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm agent token</c>: an agent's tokens.</summary>
internal static class AgentTokenCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var command = new SwarmCommand("token", "Manage an agent's tokens.")
        {
            Examples = ["swarm agent token new bob --label laptop", "swarm agent token list bob", "swarm agent token revoke bob ID"],
        };
        command.Add(New(open));
        command.Add(List(open));
        command.Add(Revoke(open));
        return command;
    }

    private static SwarmCommand New(OpenSession open)
    {
        var name = AgentCommand.Name();
        var label = new Option<string?>("--label") { Description = "What it is for.", HelpName = "TEXT" };
        var command = new SwarmCommand("new", "Make a further token and print it, once.")
        {
            Examples =
            [
                "swarm agent token new bob --label laptop",
                "SWARM_TOKEN=$(swarm agent token new bob --json | sed -n 's/.*\"token\": \"\\(.*\\)\",*/\\1/p')",
            ],
        };
        command.Add(name);
        command.Add(label);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = AgentNameText.Parse(parsed.GetRequiredValue(name));
            var made = await (await session.ForOperatorAsync(cancellation)).CreateTokenAsync(agent, parsed.GetValue(label), cancellation);
            return session.Done(
                new JsonObject
                {
                    ["id"] = made.Id, ["label"] = made.Label, ["token"] = made.Token,
                    ["created_at"] = SwarmTime.Format(made.CreatedAt),
                },
                made.Token,
                "",
                $"Token {made.Id} of '{agent}'; it is shown this once.");
        });
        return command;
    }

    private static SwarmCommand List(OpenSession open)
    {
        var name = AgentCommand.Name();
        var command = new SwarmCommand("list", "List an agent's tokens, without their secrets.")
        {
            Examples = ["swarm agent token list bob"],
        };
        command.Add(name);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = AgentNameText.Parse(parsed.GetRequiredValue(name));
            var tokens = await (await session.ForOperatorAsync(cancellation)).ListTokensAsync(agent, cancellation);
            if (session.Json)
            {
                return session.Done(new JsonObject { ["tokens"] = new JsonArray([.. tokens.Select(CliJson.Node)]) });
            }

            session.Terminal.WriteTable(
                ["ID", "Label", "Created", "Last used", "Revoked"],
                tokens.Select(token => (IReadOnlyList<string>)
                [
                    $"{token.Id}", token.Label ?? "", SwarmTime.Format(token.CreatedAt), Time(token.LastUsedAt), Time(token.RevokedAt),
                ]));
            return ExitCode.Ok;
        });
        return command;
    }

    private static SwarmCommand Revoke(OpenSession open)
    {
        var name = AgentCommand.Name();
        var id = new Argument<long>("id") { Description = "The token's id, as 'swarm agent token list' shows it.", HelpName = "ID" };
        var command = new SwarmCommand("revoke", "End a token.") { Examples = ["swarm agent token revoke bob 7"] };
        command.Add(name);
        command.Add(id);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = AgentNameText.Parse(parsed.GetRequiredValue(name));
            var token = parsed.GetRequiredValue(id);
            await (await session.ForOperatorAsync(cancellation)).RevokeTokenAsync(agent, token, cancellation);
            return session.Done(
                new JsonObject { ["status"] = "revoked", ["agent_id"] = agent, ["id"] = token }, $"Token {token} of '{agent}' is revoked.");
        });
        return command;
    }

    private static string Time(DateTimeOffset? time) => time is { } known ? SwarmTime.Format(known) : "";
}
