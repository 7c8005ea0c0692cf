using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm inspect</c> (A1 §17): what a certificate, chain, passport or token says, or whether a certificate is revoked.</summary>
internal static class InspectCommand
{
    public static SwarmCommand Create(OpenSession open) => Create(
        open, "inspect", "Explain a certificate, chain, passport or token: who lets whom do what, until when, and why it would be refused.",
        ["swarm inspect chain.json", "swarm inspect - < chain.json", "swarm inspect 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]);

    /// <summary>The same under another name.</summary>
    public static SwarmCommand Create(OpenSession open, string name, string description, IReadOnlyList<string> examples)
    {
        var what = new Argument<string>("what") { Description = "A file ('-': standard input), or a certificate's fingerprint (64 hex digits).", HelpName = "FILE|FINGERPRINT" };
        var command = new SwarmCommand(name, description) { Examples = examples };
        command.Add(what);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var text = parsed.GetRequiredValue(what);
            if (PublicKeyText.IsHex(text) && !File.Exists(text))
            {
                var fingerprint = text.ToLowerInvariant();
                var revoked = await session.Anonymous(session.Node.Url).IsCertificateRevokedAsync(fingerprint, cancellation);
                return session.Done(
                    new JsonObject { ["fingerprint"] = fingerprint, ["revoked"] = revoked },
                    $"Certificate {fingerprint} is {(revoked ? "REVOKED" : "not revoked here")}.");
            }

            var document = DocumentFile.Read(text, session.Terminal);
            var found = await (await session.ForReaderAsync(cancellation)).InspectAsync(document, cancellation);
            return session.Done(CliJson.Node(found), ChainView.Write(found));
        });
        return command;
    }
}
