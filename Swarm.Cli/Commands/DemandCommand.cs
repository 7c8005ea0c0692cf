using System.CommandLine;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm demand</c>: what a swarm's members need a grant for.</summary>
internal static class DemandCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var actions = new Argument<string[]>("action") { Description = "send, invite, wake; none shows what is demanded.", HelpName = "ACTION", Arity = ArgumentArity.ZeroOrMore };
        actions.AcceptOnlyFromAmong("send", "invite", "wake");
        var swarm = CommonOptions.Swarm();
        var none = new Option<bool>("--none") { Description = "End the demands and every grant: all members may do everything again." };
        var allow = CapabilityOptions.Allow("Further names that can be granted, for use at A1's gateway.");
        var ttl = CapabilityOptions.Ttl("as long as the node allows");
        var a1Swarm = new Option<string?>("--a1-swarm") { Description = "Grants are memberships of this swarm of A1's, whose owner grants; else of one that the node makes.", HelpName = "ID" };
        var command = new SwarmCommand("demand", "Say for what a swarm's members need a grant, or show it; only the master may say.")
        {
            Examples = ["swarm demand", "swarm demand send invite", "swarm demand send --allow deploy.staging --ttl 30d", "swarm demand --none"],
        };
        command.AddAll(actions, swarm, none, allow, ttl, a1Swarm);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var wanted = (parsed.GetValue(actions) ?? []).Distinct().ToArray();
            var names = NameList.Split(parsed.GetValue(allow));
            var life = DurationText.Parse(parsed.GetValue(ttl));
            var given = parsed.GetValue(a1Swarm) is { } text ? PublicKeyText.ParseHex(text, "--a1-swarm") : null;
            var ends = parsed.GetValue(none);
            if ((ends && wanted.Length > 0) || (wanted.Length == 0 && (names.Length > 0 || life is not null || given is not null)))
            {
                throw CliException.BadArguments(
                    ends ? "Name what is demanded, or end it with --none, not both." : "Name what is demanded with it.", "See: swarm demand --help");
            }

            var agent = session.ActingAgent;
            var client = await session.ForAgentAsync(agent, cancellation);
            var id = await session.SwarmIdAsync(parsed.GetValue(swarm), agent, client, cancellation);
            var grants = ends || wanted.Length > 0
                ? await client.DemandAsync(id, agent, wanted, names.Length > 0 ? names : null, life, given, cancellation)
                : await client.ListGrantsAsync(id, cancellation);
            return session.Done(CliJson.Node(grants), Lines(grants));
        });
        return command;
    }

    internal static string[] Lines(GrantList grants) => grants.Demands.Count == 0
        ? [$"Swarm {grants.SwarmId:D} demands nothing: every member may do everything."]
        :
        [
            $"Swarm {grants.SwarmId:D} demands a grant for: {string.Join(", ", grants.Demands)}",
            $"  Can be granted: {string.Join(", ", grants.Capabilities)}",
            .. grants.A1SwarmId is null ? Array.Empty<string>() : [$"  A1 swarm:       {grants.A1SwarmId}"],
            $"  Granted to:     {(grants.Grants.Count == 0 ? "nobody; 'swarm grant AGENT' grants" : string.Join(", ", grants.Grants.Select(g => $"{g.AgentId} ({g.Role})")))}",
        ];
}
