using System.CommandLine;
using System.Text.Json.Nodes;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm sync</c> (ASP §10.6): asks the master on another node how the swarm stands, and takes its roster over.</summary>
internal static class SyncCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var swarm = CommonOptions.Swarm();
        var command = new SwarmCommand("sync", "Catch up with a swarm of another node: ask its master who is in it, and who is the master.")
        {
            Examples = ["swarm sync", "swarm sync -s 550e8400-e29b-41d4-a716-446655440000 --json"],
        };
        command.Add(swarm);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = session.ActingAgent;
            var client = await session.ForAgentAsync(agent, cancellation);
            var id = await session.SwarmIdAsync(parsed.GetValue(swarm), agent, client, cancellation);
            var known = await client.SyncAsync(id, agent, cancellation);
            return session.Done(
                new JsonObject
                {
                    ["status"] = known.Status, ["swarm_id"] = id.ToString("D"), ["name"] = known.Name,
                    ["master"] = known.Master, ["member_count"] = known.MemberCount,
                },
                $"Swarm '{known.Name}' is known as it stands.",
                $"  Master:   {known.Master}",
                $"  Members:  {known.MemberCount}");
        });
        return command;
    }
}
