using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Cli.Profile;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm a1</c> (A1 §17): what A1's own command line does at its gateway, and one command for each of its swarm routes.</summary>
internal static class A1Command
{
    /// <summary>What the gateway finds a proof by where a scope holds several intents (A1 §20).</summary>
    private const string CapabilitiesExtension = "dyolo.passport.caps";

    public static SwarmCommand Create(OpenSession open)
    {
        var command = new SwarmCommand("a1", "A1's gateway: certificates, tokens, and swarms as A1 has them. Operators only, but to look.")
        {
            Examples =
            [
                "swarm a1 issue --delegate-pk 5d2a… --intent trade.equity --ttl 10m --out cert.json", "swarm a1 decode cert.json", "swarm a1 verify token.json",
                "swarm a1 create trading --allow trade.equity,portfolio.read", "swarm a1 add SWARM_ID --agent bob --role worker --allow portfolio.read",
                "swarm a1 chain SWARM_ID --agent bob --out chain.json",
            ],
        };
        command.Add(Issue(open));
        command.Add(InspectCommand.Create(open, "decode", "Show what a certificate says, and whether its signature holds.", ["swarm a1 decode cert.json"]));
        command.Add(InspectCommand.Create(open, "inspect", "Whether a certificate is revoked.", ["swarm a1 inspect 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"]));
        command.Add(Revoke(open));
        command.Add(Verify(open));
        foreach (var swarm in A1SwarmCommands.Create(open))
        {
            command.Add(swarm);
        }

        return command;
    }

    private static SwarmCommand Issue(OpenSession open)
    {
        var to = new Option<string>("--delegate-pk") { Required = true, Description = "Who gets it: a public key (64 hex digits), did:a1:…, or an agent of this node.", HelpName = "KEY" };
        var intents = new Option<string[]>("--intent", "-i") { Required = true, Description = "What it allows (repeatable).", HelpName = "NAME" };
        var ttl = CapabilityOptions.Ttl("1h");
        var depth = CommonOptions.Number("--max-depth", null, "How long a chain with it may be in all (16); 0 and 1: it cannot be handed on.", 0, byte.MaxValue);
        var extensions = new Option<string[]>("--ext") { Description = "A signed remark (repeatable).", HelpName = "KEY=VALUE" };
        var output = CapabilityOptions.Out("the certificate");
        var command = new SwarmCommand("issue", "Issue a certificate, signed by the gateway's own key. The names it allows are listed in it.")
        {
            Examples =
            [
                "swarm a1 issue --delegate-pk bob --intent trade.equity", "swarm a1 issue --delegate-pk 5d2a… --intent a --intent b --ttl 30m --max-depth 1 --ext ticket=42 --out cert.json",
            ],
        };
        command.AddAll(to, intents, ttl, depth, extensions, output);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var names = parsed.GetRequiredValue(intents);
            var remarks = new JsonObject { [CapabilitiesExtension] = new JsonArray([.. names.Select(name => JsonValue.Create(name))]) };
            foreach (var (key, value) in NameList.ParsePairs(parsed.GetValue(extensions), "--ext") ?? [])
            {
                remarks[key] = value;
            }

            var life = DurationText.Parse(parsed.GetValue(ttl));
            var client = await session.ForOperatorAsync(cancellation);
            var issued = await client.IssueCertificateAsync(
                new CertificateOrder
                {
                    DelegatePkHex = await PublicKeyText.ResolveAsync(parsed.GetRequiredValue(to), client, cancellation),
                    Intents = [.. names.Select(name => new WantedIntent(name))],
                    TtlSeconds = life,
                    MaxDepth = parsed.GetValue(depth),
                    Extensions = remarks,
                },
                cancellation);
            var path = parsed.GetValue(output);
            if (path is not null)
            {
                PrivateFiles.Write(path, JsonText.Pretty(issued.Cert) + "\n");
            }

            return session.Done(
                new JsonObject { ["fingerprint"] = issued.FingerprintHex, ["scope_root"] = issued.ScopeRootHex, ["cert"] = issued.Cert.DeepClone() },
                $"Fingerprint: {issued.FingerprintHex}", $"Scope root:  {issued.ScopeRootHex}", path is null ? $"\n{JsonText.Pretty(issued.Cert)}" : $"Certificate: {path}");
        });
        return command;
    }

    private static SwarmCommand Revoke(OpenSession open)
    {
        var fingerprints = RevokeCommand.Fingerprints(ArgumentArity.OneOrMore);
        var command = new SwarmCommand("revoke", "Revoke certificates by their fingerprints, for ever; 'swarm revoke FINGERPRINT' does the same.")
        {
            Examples = ["swarm a1 revoke 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"],
        };
        command.Add(fingerprints);
        command.Runs(open, (session, parsed, cancellation) => RevokeCommand.RevokeCertificatesAsync(session, parsed.GetRequiredValue(fingerprints), cancellation));
        return command;
    }

    private static SwarmCommand Verify(OpenSession open)
    {
        var file = new Argument<string>("file") { Description = "A file with the token ('-': standard input).", HelpName = "TOKENFILE" };
        var command = new SwarmCommand("verify", "Whether this node vouched for a token. Exit 0 only when it did; how old is too old is yours to say.")
        {
            Examples = ["swarm a1 verify token.json", "swarm a1 verify - --json < token.json"],
        };
        command.Add(file);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var token = DocumentFile.ReadObject(parsed.GetRequiredValue(file), "token", session.Terminal);
            var check = await session.Anonymous(session.Node.Url).VerifyTokenAsync(token, cancellation);
            session.Done(
                new JsonObject
                {
                    ["valid"] = check.Valid, ["chain_depth"] = check.ChainDepth, ["chain_fingerprint"] = check.ChainFingerprint,
                    ["verified_at_unix"] = check.VerifiedAtUnix, ["error"] = check.Error,
                },
                check.Valid
                    ?
                    [
                        "valid", string.Create(CultureInfo.InvariantCulture, $"  chain depth:       {check.ChainDepth}"), $"  chain fingerprint: {check.ChainFingerprint}",
                        $"  verified at:       {UnixText.Format(check.VerifiedAtUnix!.Value)}",
                    ]
                    : [$"INVALID — {check.Error}"]);
            return check.Valid ? ExitCode.Ok : ExitCode.General;
        });
        return command;
    }
}
