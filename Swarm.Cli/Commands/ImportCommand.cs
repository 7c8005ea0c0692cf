using System.Buffers;
using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Client;
using Swarm.Client.Transport;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm import</c> (ASP §13, §15): gives the acting agent what another installation exported, all of it or nothing.</summary>
internal static class ImportCommand
{
    /// <summary>The node takes 32 MiB of UTF-8; a file writes many letters as six characters.</summary>
    private const int FileBytesMax = 128 * 1024 * 1024;

    private static readonly Dictionary<string, int> OwnExitCodes = new()
    {
        ["invalid-request"] = ExitCode.General, ["invalid-key"] = ExitCode.General, ["body-too-large"] = ExitCode.General,
    };

    public static SwarmCommand Create(OpenSession open)
    {
        var input = new Option<string>("--input", "-i") { Required = true, Description = "The exported file, schema 2.0.0 or 1.0.0.", HelpName = "PATH" };
        var merge = new Option<bool>("--merge") { Description = "Keep what the agent has here; else that goes first." };
        var yes = CommonOptions.Yes();
        var command = new SwarmCommand("import", "Give the acting agent what another installation exported; operators only.")
        {
            Examples = ["swarm import -i alice.json --as alice", "swarm import -i alice.json --merge --json"],
            ExitCodes = OwnExitCodes,
        };
        command.Add(input);
        command.Add(merge);
        command.Add(yes);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var path = parsed.GetRequiredValue(input);
            var state = Compact(ReadFile(path));
            var agent = session.ActingAgent;
            var client = await session.ForOperatorAsync(cancellation);
            var merges = parsed.GetValue(merge);
            if (!session.Confirmed(
                $"Replace swarms, mutes, keys and messages of '{agent}' by those of {path}?", merges || parsed.GetValue(yes), askScripts: true))
            {
                return ExitCode.Ok;
            }

            var result = await session.Terminal.WithProgressAsync("Importing …", () => client.ImportAsync(agent, state, merges, cancellation));
            return Done(session, agent, path, merges, result);
        });
        return command;
    }

    private static int Done(Session session, string agent, string path, bool merges, ImportResult result)
    {
        var json = new JsonObject
        {
            ["status"] = "imported", ["source"] = path, ["merge"] = merges, ["schema_version"] = result.SchemaVersion, ["swarms"] = result.Swarms,
            ["public_keys"] = result.PublicKeys, ["muted_agents"] = result.MutedAgents, ["muted_swarms"] = result.MutedSwarms, ["inbox"] = result.Inbox,
            ["outbox"] = result.Outbox,
        };
        if (result.Skipped is { Count: > 0 } skipped)
        {
            json["skipped"] = new JsonArray([.. skipped.Select(id => JsonValue.Create(id))]);
        }

        return session.Done(
            json,
            [
                $"Imported {path} ({result.SchemaVersion}) for '{agent}'.",
                $"  Swarms:       {result.Swarms}",
                $"  Public keys:  {result.PublicKeys}",
                $"  Muted agents: {result.MutedAgents}",
                $"  Muted swarms: {result.MutedSwarms}",
                $"  Inbox:        {result.Inbox}",
                $"  Outbox:       {result.Outbox}",
                .. (result.Skipped ?? []).Select(id => $"  Skipped: swarm {id}, in which the agent or the master is no member any more"),
            ]);
    }

    private static byte[] ReadFile(string path)
    {
        try
        {
            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read);
            using var bytes = new MemoryStream();
            var chunk = new byte[64 * 1024];
            for (int read; (read = file.Read(chunk)) > 0;)
            {
                bytes.Write(chunk, 0, read);
                if (bytes.Length > FileBytesMax)
                {
                    throw new CliException(ExitCode.General, $"{Shown.Short(path)} is larger than 128 MiB.");
                }
            }

            return bytes.ToArray();
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new CliException(ExitCode.NotFound, $"There is no file '{Shown.Short(path)}'.");
        }
    }

    /// <summary>The same JSON without indentation and needless escapes.</summary>
    private static byte[] Compact(byte[] file)
    {
        try
        {
            using var document = JsonDocument.Parse(file);
            var buffer = new ArrayBufferWriter<byte>();
            using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = new PlainJsonEncoder() }))
            {
                document.RootElement.WriteTo(json);
            }

            return buffer.WrittenSpan.ToArray();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            throw new CliException(ExitCode.General, $"That is no exported state: {e.Message}", "It must be the JSON that 'swarm export' wrote.");
        }
    }
}
