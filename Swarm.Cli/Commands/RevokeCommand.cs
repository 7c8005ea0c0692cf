using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;

namespace Swarm.Cli.Commands;

/// <summary>
/// <c>swarm revoke</c> (ASP §15, hardened): nobody joins with the invitation any more; or nobody acts with the certificates (A1 §10); or a member's
/// grant ends.
/// </summary>
internal static class RevokeCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var fingerprints = Fingerprints(ArgumentArity.ZeroOrMore);
        var token = new Option<string?>("--token", "-t")
        {
            Description = "The invitation or its token; '-', or nothing with a pipe, reads it from standard input.", HelpName = "TOKEN",
        };
        var grant = new Option<string?>("--grant", "-g") { Description = "Take back what this member of the swarm was granted.", HelpName = "AGENT" };
        var swarm = CommonOptions.Swarm();
        var command = new SwarmCommand("revoke", "Revoke an invitation or a member's grant (only the swarm's master may), or certificates (operators), for ever.")
        {
            Examples =
            [
                "swarm revoke -t 'swarm://550e8400-…@alice.example.com?token=…'", "swarm revoke -t - < invitation.txt", "swarm revoke --grant bob",
                "swarm revoke 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            ],
            ExitCodes = new Dictionary<string, int> { ["not-a-member"] = ExitCode.NotFound },
        };
        command.AddAll(fingerprints, token, grant, swarm);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var named = parsed.GetValue(fingerprints) ?? [];
            var member = parsed.GetValue(grant);
            if ((named.Length > 0 ? 1 : 0) + (parsed.GetValue(token) is not null ? 1 : 0) + (member is not null ? 1 : 0) > 1)
            {
                throw CliException.BadArguments("Revoke one thing: an invitation, certificates, or a grant.", "See: swarm revoke --help");
            }

            return named.Length > 0 ? await RevokeCertificatesAsync(session, named, cancellation)
                : member is not null ? await RevokeGrantAsync(session, AgentNameText.Parse(member), parsed.GetValue(swarm), cancellation)
                : await RevokeInviteAsync(session, parsed.GetValue(token), cancellation);
        });
        return command;
    }

    internal static Argument<string[]> Fingerprints(ArgumentArity arity) =>
        new("fingerprint") { Description = "Certificates, as 'swarm inspect' shows them: 64 hex digits each.", HelpName = "FINGERPRINT", Arity = arity };

    internal static async Task<int> RevokeCertificatesAsync(Session session, string[] texts, CancellationToken cancellation)
    {
        var fingerprints = texts.Select(text => PublicKeyText.ParseHex(text, "The fingerprint")).Distinct().ToArray();
        await (await session.ForOperatorAsync(cancellation)).RevokeCertificatesAsync(fingerprints, cancellation);
        return session.Done(
            new JsonObject { ["status"] = "revoked", ["fingerprints"] = new JsonArray([.. fingerprints.Select(f => JsonValue.Create(f))]) },
            [.. fingerprints.Select(f => $"Certificate {f} is revoked, and every chain with it.")]);
    }

    private static async Task<int> RevokeInviteAsync(Session session, string? token, CancellationToken cancellation)
    {
        var (swarm, hash) = InviteText.Identify(InviteText.Read(token, session.Terminal, mayBeBare: true));
        var agent = session.ActingAgent;
        await (await session.ForAgentAsync(agent, cancellation)).RevokeInviteAsync(swarm, agent, hash, cancellation);
        return session.Done(
            new JsonObject { ["status"] = "revoked", ["swarm_id"] = swarm.ToString("D"), ["token_hash"] = hash },
            $"The invitation to swarm {swarm:D} is revoked.",
            $"  Token hash: {hash}");
    }

    private static async Task<int> RevokeGrantAsync(Session session, string member, string? swarm, CancellationToken cancellation)
    {
        var agent = session.ActingAgent;
        var client = await session.ForAgentAsync(agent, cancellation);
        var id = await session.SwarmIdAsync(swarm, agent, client, cancellation);
        await client.RevokeGrantAsync(id, agent, member, cancellation);
        return session.Done(
            new JsonObject { ["status"] = "revoked", ["swarm_id"] = id.ToString("D"), ["agent_id"] = member },
            $"What '{member}' was granted in swarm {id:D} is revoked.");
    }
}
