using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm revoke</c> (ASP §15, hardened): nobody joins with the invitation any more.</summary>
internal static class RevokeCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var token = new Option<string?>("--token", "-t")
        {
            Description = "The invitation or its token; '-', or nothing with a pipe, reads it from standard input.", HelpName = "TOKEN",
        };
        var command = new SwarmCommand("revoke", "Revoke an invitation; only the swarm's master may.")
        {
            Examples = ["swarm revoke -t 'swarm://550e8400-…@alice.example.com?token=…'", "swarm revoke -t - < invitation.txt"],
            ExitCodes = new Dictionary<string, int> { ["not-a-member"] = ExitCode.NotFound },
        };
        command.Add(token);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var (swarm, hash) = InviteText.Identify(InviteText.Read(parsed.GetValue(token), session.Terminal, mayBeBare: true));
            var agent = session.ActingAgent;
            await (await session.ForAgentAsync(agent, cancellation)).RevokeInviteAsync(swarm, agent, hash, cancellation);
            return session.Done(
                new JsonObject { ["status"] = "revoked", ["swarm_id"] = swarm.ToString("D"), ["token_hash"] = hash },
                $"The invitation to swarm {swarm:D} is revoked.",
                $"  Token hash: {hash}");
        });
        return command;
    }
}
