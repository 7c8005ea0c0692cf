using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Swarm.Cli.Output;
using Swarm.Cli.Profile;
using Swarm.Client.Transport;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm export</c> (ASP §13, §15): what an agent takes along to another installation. No private key is in it.</summary>
internal static class ExportCommand
{
    /// <summary>The file's form: two-space indent, ASCII alone, no final newline.</summary>
    private static readonly JsonSerializerOptions FileForm = new()
    {
        WriteIndented = true, IndentSize = 2, NewLine = "\n", Encoder = new PlainJsonEncoder(scalar => scalar > 0x7E),
    };

    public static SwarmCommand Create(OpenSession open)
    {
        var output = new Option<string?>("--output", "-o") { Description = "Write it to this file, readable by you alone; else it is printed.", HelpName = "PATH" };
        var noOutbox = new Option<bool>("--no-outbox") { Description = "Leave the outbox empty: a reference installation fails on a filled one." };
        var command = new SwarmCommand("export", "Write the acting agent's swarms, mutes, keys and newest messages for another installation.")
        {
            Examples = ["swarm export -o alice.json", "swarm export --no-outbox -o for-a-reference-installation.json", "swarm export --as bob --json"],
        };
        command.Add(output);
        command.Add(noOutbox);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = session.ActingAgent;
            var client = await session.ForAgentAsync(agent, cancellation);
            var state = await session.Terminal.WithProgressAsync("Exporting …", () => client.ExportAsync(agent, !parsed.GetValue(noOutbox), cancellation));
            if (parsed.GetValue(output) is { } path)
            {
                PrivateFiles.Write(path, state.ToJsonString(FileForm));
            }

            if (parsed.GetValue(output) is not { } written)
            {
                session.Terminal.WriteLine(JsonText.Pretty(state));
                return ExitCode.Ok;
            }

            return session.Done(
                state,
                $"Exported '{agent}' to {written}",
                $"  Swarms:       {Count(state, "swarms")}",
                $"  Public keys:  {Count(state, "public_keys")}",
                $"  Muted agents: {Count(state, "muted_agents")}",
                $"  Muted swarms: {Count(state, "muted_swarms")}",
                $"  Inbox:        {Count(state, "inbox")}",
                $"  Outbox:       {Count(state, "outbox")}");
        });
        return command;
    }

    private static int Count(JsonObject state, string member) => state[member] switch
    {
        JsonObject members => members.Count,
        JsonArray items => items.Count,
        _ => 0,
    };
}
