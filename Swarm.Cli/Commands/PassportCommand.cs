using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Cli.Profile;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm passport</c> (A1 §12, §14.5, §17): what a holder may do and hand on. Operators only.</summary>
internal static class PassportCommand
{
    private const string UsualLife = "30d";

    public static SwarmCommand Create(OpenSession open)
    {
        var command = new SwarmCommand("passport", "Issue, show, hand on, renew and revoke passports: what a holder may do and let others do.")
        {
            Examples =
            [
                "swarm passport issue acme --allow trade.equity,portfolio.read --ttl 30d",
                "swarm passport sub acme --agent bob --allow portfolio.read --ttl 1h --out chain.json", "swarm passport list", "swarm passport revoke acme --yes",
            ],
        };
        command.Add(Issue(open));
        command.Add(List(open));
        command.Add(Read(open));
        command.Add(InspectCommand.Create(open, "inspect", "Explain a passport in a file, and check it.", ["swarm passport inspect acme.json"]));
        command.Add(Sub(open));
        command.Add(Renew(open));
        command.Add(Revoke(open));
        return command;
    }

    private static SwarmCommand Issue(OpenSession open)
    {
        var name = Name();
        var allow = CapabilityOptions.Allow("What its holder may do (required).");
        allow.Required = true;
        var ttl = CapabilityOptions.Ttl(UsualLife);
        var key = CapabilityOptions.Key();
        var output = CapabilityOptions.Out("the passport");
        var command = new SwarmCommand("issue", "Issue a passport; the node keeps it, and its key unless you bring one.")
        {
            Examples = ["swarm passport issue acme --allow trade.equity,portfolio.read", "swarm passport issue acme --allow a --ttl 1y --key acme.key --out acme.json"],
        };
        command.AddAll(name, allow, ttl, key, output);

        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var names = NameList.Parse(parsed.GetValue(allow), "--allow");
            var life = Seconds(parsed.GetValue(ttl));
            var order = new PassportOrder(parsed.GetRequiredValue(name), names, life, SeedFile.ToSend(parsed.GetValue(key), session.Node.Url));
            var client = await session.ForOperatorAsync(cancellation);
            var issued = await client.IssuePassportAsync(order, cancellation);
            var path = parsed.GetValue(output);
            if (path is not null)
            {
                PrivateFiles.Write(path, JsonText.Pretty(await client.ReadPassportAsync(issued.Namespace, cancellation)) + "\n");
            }

            return Issued(session, "issued", issued, path, order.SigningKeyHex is null);
        });
        return command;
    }

    private static SwarmCommand List(OpenSession open)
    {
        var command = new SwarmCommand("list", "List the node's passports.") { Examples = ["swarm passport list", "swarm passport list --json"] };
        command.Runs(open, async (session, _, cancellation) =>
        {
            var all = await (await session.ForOperatorAsync(cancellation)).ListPassportsAsync(cancellation);
            if (session.Json)
            {
                return session.Done(new JsonObject { ["passports"] = new JsonArray([.. all.Select(CliJson.Node)]) });
            }

            if (all.Count == 0)
            {
                session.Terminal.WriteLine("There are no passports. Make one with 'swarm passport issue NAME --allow …'.");
                return ExitCode.Ok;
            }

            session.Terminal.WriteTable(
                ["Name", "May", "Until", "State", "Fingerprint"],
                all.Select(p => (IReadOnlyList<string>)[p.Namespace, string.Join(", ", p.Capabilities), UnixText.Format(p.ExpirationUnix), p.Status, p.FingerprintHex]));
            return ExitCode.Ok;
        });
        return command;
    }

    private static SwarmCommand Read(OpenSession open)
    {
        var name = Name();
        var output = CapabilityOptions.Out("the passport");
        var command = new SwarmCommand("read", "Print a passport's file, as A1 has it.") { Examples = ["swarm passport read acme > acme.json", "swarm passport read acme --out acme.json"] };
        command.Add(name);
        command.Add(output);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var passport = await (await session.ForOperatorAsync(cancellation)).ReadPassportAsync(parsed.GetRequiredValue(name), cancellation);
            return Write(session, passport, parsed.GetValue(output), "The passport");
        });
        return command;
    }

    private static SwarmCommand Sub(OpenSession open)
    {
        var name = Name();
        var agent = CapabilityOptions.Agent("Who gets it.");
        var allow = CapabilityOptions.Allow("What of the passport it may do (required).");
        allow.Required = true;
        var ttl = CapabilityOptions.Ttl("1h");
        var key = CapabilityOptions.Key();
        var output = CapabilityOptions.Out("the chain");
        var command = new SwarmCommand("sub", "Let an agent do some of what a passport holds: prints the chain with which it acts, once.")
        {
            Examples =
            [
                "swarm passport sub acme --agent bob --allow portfolio.read --out chain.json",
                "swarm passport sub acme --agent 5d2a… --allow trade.equity,portfolio.read --ttl 10m > chain.json",
            ],
        };
        command.AddAll(name, agent, allow, ttl, key, output);

        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var names = NameList.Parse(parsed.GetValue(allow), "--allow");
            var life = DurationText.Parse(parsed.GetValue(ttl));
            var seed = SeedFile.ToSend(parsed.GetValue(key), session.Node.Url);
            var client = await session.ForOperatorAsync(cancellation);
            var holder = await PublicKeyText.ResolveAsync(parsed.GetRequiredValue(agent), client, cancellation);
            var chain = await client.DelegatePassportAsync(parsed.GetRequiredValue(name), holder, names, life, seed, cancellation);
            return Write(session, chain, parsed.GetValue(output), "The chain");
        });
        return command;
    }

    private static SwarmCommand Renew(OpenSession open)
    {
        var name = Name();
        var ttl = CapabilityOptions.Ttl(UsualLife);
        var key = CapabilityOptions.Key();
        var command = new SwarmCommand("renew", "Give a passport a new life, from now on; its holder and what it allows stay.")
        {
            Examples = ["swarm passport renew acme --ttl 90d"],
        };
        command.Add(name);
        command.Add(ttl);
        command.Add(key);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var life = Seconds(parsed.GetValue(ttl));
            var seed = SeedFile.ToSend(parsed.GetValue(key), session.Node.Url);
            var renewed = await (await session.ForOperatorAsync(cancellation)).RenewPassportAsync(parsed.GetRequiredValue(name), life, seed, cancellation);
            return Issued(session, "renewed", renewed, null, seed is null);
        });
        return command;
    }

    private static SwarmCommand Revoke(OpenSession open)
    {
        var name = Name();
        var yes = CommonOptions.Yes();
        var command = new SwarmCommand("revoke", "Revoke a passport and every certificate that its key issued here, for ever.")
        {
            Examples = ["swarm passport revoke acme", "swarm passport revoke acme --yes --json"],
        };
        command.Add(name);
        command.Add(yes);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var text = parsed.GetRequiredValue(name);
            var client = await session.ForOperatorAsync(cancellation);
            if (!session.Confirmed($"Revoke passport '{text}' and all that it let others do, for ever?", parsed.GetValue(yes)))
            {
                return ExitCode.Ok;
            }

            var fingerprint = await client.RevokePassportAsync(text, cancellation);
            return session.Done(
                new JsonObject { ["status"] = "revoked", ["namespace"] = text, ["fingerprint"] = fingerprint },
                $"Passport '{text}' is revoked, with every certificate that its key issued here.", $"  Fingerprint: {fingerprint}");
        });
        return command;
    }

    private static int Issued(Session session, string status, IssuedPassport passport, string? path, bool nodeHasKey) => session.Done(
        new JsonObject
        {
            ["status"] = status, ["namespace"] = passport.Namespace, ["public_key"] = passport.PublicKeyHex,
            ["capabilities"] = new JsonArray([.. passport.Capabilities.Select(name => JsonValue.Create(name))]),
            ["ttl_seconds"] = passport.TtlSeconds, ["expires_at"] = passport.ExpiresAt, ["path"] = path,
        },
        [
            $"Passport '{passport.Namespace}' is {status}.",
            $"  Holder:  {PublicKeyText.DidPrefix}{passport.PublicKeyHex}{(nodeHasKey ? ", whose key the node keeps" : "")}",
            $"  May:     {string.Join(", ", passport.Capabilities)}",
            $"  Until:   {passport.ExpiresAt}",
            .. path is null ? Array.Empty<string>() : [$"  File:    {path}"],
        ]);

    /// <summary>A document goes to its file, or it is the output itself, for people and scripts alike.</summary>
    internal static int Write(Session session, JsonObject document, string? path, string what)
    {
        if (path is null)
        {
            session.Terminal.WriteLine(JsonText.Pretty(document));
            return ExitCode.Ok;
        }

        PrivateFiles.Write(path, JsonText.Pretty(document) + "\n");
        return session.Done(new JsonObject { ["status"] = "written", ["path"] = path }, $"{what} is in {path}; 'swarm inspect {path}' explains it.");
    }

    private static string Seconds(string? ttl) => DurationText.Parse(ttl ?? UsualLife)!.Value.ToString(CultureInfo.InvariantCulture);

    private static Argument<string> Name() => new("name") { Description = "The passport's name (its namespace).", HelpName = "NAME" };
}
