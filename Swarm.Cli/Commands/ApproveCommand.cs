using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm approve</c> (ASP §15, hardened): who waits to join a swarm that asks its master, and the master's word.</summary>
internal static class ApproveCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var swarm = CommonOptions.Swarm();
        var target = new Option<string?>("--agent", "-a") { Description = "Who is meant; without it, those who wait are listed.", HelpName = "AGENT" };
        var reject = new Option<bool>("--reject") { Description = "With --agent: do not let it in." };
        var command = new SwarmCommand("approve", "List who waits to join a swarm, or let one in; only its master may.")
        {
            Examples = ["swarm approve", "swarm approve -a bob", "swarm approve -a mallory --reject"],
        };
        command.Add(swarm);
        command.Add(target);
        command.Add(reject);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var applicant = parsed.GetValue(target) is { } text ? AgentNameText.Parse(text) : null;
            if (applicant is null && parsed.GetValue(reject))
            {
                throw CliException.BadArguments("Whom to reject? Name it with --agent.");
            }

            var agent = session.ActingAgent;
            var client = await session.ForAgentAsync(agent, cancellation);
            var id = await session.SwarmIdAsync(parsed.GetValue(swarm), agent, client, cancellation);
            if (applicant is null)
            {
                return Show(session, id, await PendingAsync(client, id, agent, cancellation));
            }

            var done = await client.DecideAsync(id, agent, applicant, !parsed.GetValue(reject), cancellation);
            return session.Done(
                new JsonObject { ["status"] = done.Status, ["swarm_id"] = id.ToString("D"), ["agent_id"] = done.AgentId },
                done.Status == "approved" ? $"Agent '{done.AgentId}' is a member of swarm {id:D} now." : $"Agent '{done.AgentId}' is rejected.");
        });
        return command;
    }

    private static async Task<List<PendingJoin>> PendingAsync(SwarmClient client, Guid id, string agent, CancellationToken cancellation)
    {
        var pending = new List<PendingJoin>();
        await foreach (var join in client.ListPendingAsync(id, agent, cancellation))
        {
            pending.Add(join);
        }

        return pending;
    }

    private static int Show(Session session, Guid id, List<PendingJoin> pending)
    {
        if (session.Json)
        {
            session.Terminal.WriteLine(JsonText.Pretty(new JsonObject
            {
                ["swarm_id"] = id.ToString("D"),
                ["pending"] = new JsonArray([.. pending.Select(join => new JsonObject
                {
                    ["agent_id"] = join.AgentId, ["endpoint"] = join.Endpoint, ["requested_at"] = SwarmTime.Format(join.RequestedAt),
                })]),
            }));
        }
        else if (pending.Count == 0)
        {
            session.Terminal.WriteLine("Nobody waits.");
        }
        else
        {
            session.Terminal.WriteTable(
                ["Agent", "Endpoint", "Asked"],
                pending.Select(join => (IReadOnlyList<string>)[join.AgentId, join.Endpoint, SwarmTime.Format(join.RequestedAt)]));
        }

        return ExitCode.Ok;
    }
}
