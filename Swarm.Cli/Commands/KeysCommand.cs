using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm keys</c> (A1 §17): keys of one's own, made here and known to nobody else.</summary>
internal static class KeysCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var command = new SwarmCommand("keys", "Make an Ed25519 key of your own, or show a key's public half.")
        {
            Examples = ["swarm keys new --out agent.key", "swarm keys show agent.key"],
        };
        command.Add(New(open));
        command.Add(Show(open));
        return command;
    }

    private static SwarmCommand New(OpenSession open)
    {
        var output = CapabilityOptions.Out("the seed in hex");
        var command = new SwarmCommand("new", "Make a key. Without --out its seed is printed, this once.")
        {
            Examples = ["swarm keys new --out agent.key", "swarm keys new --json"],
        };
        command.Add(output);
        command.Runs(open, (session, parsed, _) =>
        {
            var (seed, publicKey) = SeedFile.New();
            var path = parsed.GetValue(output);
            if (path is not null)
            {
                SeedFile.Write(path, seed);
            }

            var json = ToJson(publicKey);
            json[path is null ? "signing_key_hex" : "path"] = path ?? seed;
            return Task.FromResult(session.Done(
                json,
                $"Public key: {publicKey}", $"DID:        {PublicKeyText.DidPrefix}{publicKey}",
                path is null ? $"Seed:       {seed}" : $"Seed:       in {path}, readable by you alone"));
        });
        return command;
    }

    private static SwarmCommand Show(OpenSession open)
    {
        var file = new Argument<string>("file") { Description = "As 'swarm keys new --out' wrote it.", HelpName = "FILE" };
        var command = new SwarmCommand("show", "Show the public half of a key; the seed stays in its file.") { Examples = ["swarm keys show agent.key"] };
        command.Add(file);
        command.Runs(open, (session, parsed, _) =>
        {
            var (_, publicKey) = SeedFile.Read(parsed.GetRequiredValue(file));
            return Task.FromResult(session.Done(ToJson(publicKey), $"Public key: {publicKey}", $"DID:        {PublicKeyText.DidPrefix}{publicKey}"));
        });
        return command;
    }

    private static JsonObject ToJson(string publicKey) => new() { ["verifying_key_hex"] = publicKey, ["did"] = PublicKeyText.DidPrefix + publicKey };
}
