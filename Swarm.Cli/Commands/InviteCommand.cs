using System.Text.Json.Nodes;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm invite</c>: an invitation to hand over (ASP §6, §15).</summary>
internal static class InviteCommand
{
    /// <summary>Ten years.</summary>
    private const int HoursMax = 87_600;

    public static SwarmCommand Create(OpenSession open)
    {
        var swarm = CommonOptions.Swarm();
        var expires = CommonOptions.Number("--expires", "-e", "Hours until it expires; 0 for never, a negative number for one that has expired.", -HoursMax, HoursMax);
        var maxUses = CommonOptions.Number("--max-uses", "-m", "How many may join with it; 0 for any number.", 0, 1_000_000);
        var command = new SwarmCommand("invite", "Make an invitation to a swarm.")
        {
            Examples = ["swarm invite", "swarm invite -s 550e8400-e29b-41d4-a716-446655440000 -e 24 -m 1", "swarm invite --json"],
            ExitCodes = new Dictionary<string, int> { ["not-master"] = ExitCode.General },
        };
        command.Add(swarm);
        command.Add(expires);
        command.Add(maxUses);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = session.ActingAgent;
            var client = await session.ForAgentAsync(agent, cancellation);
            var id = await session.SwarmIdAsync(parsed.GetValue(swarm), agent, client, cancellation);
            var invite = await client.CreateInviteAsync(
                id, agent, NoneForZero(parsed.GetValue(expires)), NoneForZero(parsed.GetValue(maxUses)), cancellation);
            return session.Done(
                new JsonObject { ["status"] = "success", ["invite_token"] = invite.InviteToken },
                invite.InviteToken,
                "",
                invite.ExpiresAt is { } end ? $"Valid until {SwarmTime.Format(end)}." : "Valid until it is revoked.",
                "Whoever has this text may join: share it only with the agent that you mean. It joins with: swarm join -t TOKEN");
        });
        return command;
    }

    private static int? NoneForZero(int? value) => value is 0 ? null : value;
}
