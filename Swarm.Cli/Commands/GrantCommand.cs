using System.CommandLine;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Cli.Profile;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm grant</c>: what a member may do where its swarm demands a grant.</summary>
internal static class GrantCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var member = new Argument<string?>("agent") { Description = "The member; none with --list.", HelpName = "AGENT", Arity = ArgumentArity.ZeroOrOne };
        var swarm = CommonOptions.Swarm();
        var role = CapabilityOptions.Role();
        var allow = CapabilityOptions.Allow("What it may do, such as send (else what the role usually may).");
        var ttl = CapabilityOptions.Ttl("30d");
        var output = CapabilityOptions.Out("the chain, with which it acts elsewhere,");
        var list = new Option<bool>("--list") { Description = "Show what is demanded and who was granted what." };
        var command = new SwarmCommand("grant", "Grant a member what its role holds, in place of what it had; only the master may. 'swarm revoke --grant' takes it back.")
        {
            Examples = ["swarm grant bob", "swarm grant bob --role worker --allow send --ttl 12h --out bob-chain.json", "swarm grant --list", "swarm grant --list --json"],
        };
        command.AddAll(member, swarm, role, allow, ttl, output, list);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var name = parsed.GetValue(member);
            if (parsed.GetValue(list) == name is not null)
            {
                throw CliException.BadArguments("Name the member, or ask for --list.", "See: swarm grant --help");
            }

            var to = name is null ? null : AgentNameText.Parse(name);
            var names = NameList.Split(parsed.GetValue(allow));
            var life = DurationText.Parse(parsed.GetValue(ttl));
            var agent = session.ActingAgent;
            var client = await session.ForAgentAsync(agent, cancellation);
            var id = await session.SwarmIdAsync(parsed.GetValue(swarm), agent, client, cancellation);
            if (to is null)
            {
                return ShowAll(session, await client.ListGrantsAsync(id, cancellation));
            }

            var grant = await client.GrantAsync(id, agent, to, parsed.GetRequiredValue(role), names.Length > 0 ? names : null, life, cancellation);
            var path = parsed.GetValue(output);
            if (path is not null)
            {
                PrivateFiles.Write(path, JsonText.Pretty(grant.Chain
                    ?? throw new CliException(ExitCode.General, $"'{to}' is granted its role, but that has no capabilities, and so no chain.")) + "\n");
            }

            return session.Done(CliJson.Node(grant), Lines(grant, path));
        });
        return command;
    }

    private static string[] Lines(Grant grant, string? path) =>
    [
        $"'{grant.AgentId}' is granted the role {grant.Role}.",
        $"  May:         {Names(grant)}",
        $"  Until:       {SwarmTime.Format(grant.ExpiresAt)}",
        $"  DID:         {grant.AgentDid}",
        .. grant.Fingerprint is null ? Array.Empty<string>() : [$"  Fingerprint: {grant.Fingerprint}"],
        .. path is null ? Array.Empty<string>() : [$"  Chain:       {path}"],
    ];

    private static int ShowAll(Session session, GrantList grants)
    {
        if (session.Json)
        {
            return session.Done(CliJson.Node(grants));
        }

        session.Terminal.WriteLine(string.Join('\n', DemandCommand.Lines(grants)));
        if (grants.Grants.Count > 0)
        {
            session.Terminal.WriteTable(
                ["Agent", "Role", "May", "Until", "Seen"],
                grants.Grants.Select(g => (IReadOnlyList<string>)
                [
                    g.AgentId, g.Role, Names(g), SwarmTime.Format(g.ExpiresAt), g.LastSeen is { } seen ? SwarmTime.Format(seen) : "",
                ]));
        }

        return ExitCode.Ok;
    }

    private static string Names(Grant grant) => grant.Capabilities.Count > 0 ? string.Join(", ", grant.Capabilities) : "nothing";
}
