using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm list</c>: the acting agent's swarms (ASP §15).</summary>
internal static class ListCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var only = new Option<string?>("--swarm", "-s") { Description = "Only this swarm.", HelpName = "ID" };
        var members = new Option<bool>("--members", "-m") { Description = "Show the members too." };
        var command = new SwarmCommand("list", "List the swarms of the acting agent.")
        {
            Examples = ["swarm list", "swarm list --members", "swarm list --json"],
        };
        command.Add(only);
        command.Add(members);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            Guid? filter = parsed.GetValue(only) is { } text ? SwarmIdText.Parse(text, "--swarm") : null;
            var agent = session.ActingAgent;
            var client = await session.ForAgentAsync(agent, cancellation);
            var found = new List<(SwarmInfo Swarm, List<Member>? Members)>();
            await foreach (var swarm in client.ListSwarmsAsync(agent, cancellation))
            {
                if (filter is null || filter == swarm.SwarmId)
                {
                    found.Add((swarm, parsed.GetValue(members) ? await MembersAsync(client, swarm.SwarmId, cancellation) : null));
                }
            }

            Show(session, agent, found);
            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task<List<Member>> MembersAsync(SwarmClient client, Guid id, CancellationToken cancellation)
    {
        var members = new List<Member>();
        await foreach (var member in client.ListMembersAsync(id, cancellation))
        {
            members.Add(member);
        }

        return members;
    }

    private static void Show(Session session, string agent, List<(SwarmInfo Swarm, List<Member>? Members)> found)
    {
        if (session.Json)
        {
            session.Terminal.WriteLine(
                JsonText.Pretty(new JsonObject
                {
                    ["swarms"] = new JsonArray([.. found.Select(item => ToJson(item.Swarm, item.Members))]),
                }));
            return;
        }

        if (found.Count == 0)
        {
            session.Terminal.WriteLine(
                $"Agent '{agent}' is in no such swarm. Make one with 'swarm create -n NAME', or join one with 'swarm join -t TOKEN'.");
            return;
        }

        session.Terminal.WriteTable(
            ["ID", "Name", "Master", "Members", "Joined"],
            found.Select(item => (IReadOnlyList<string>)
            [
                item.Swarm.SwarmId.ToString("D"), item.Swarm.Name, item.Swarm.Master, $"{item.Swarm.MemberCount}",
                Time(item.Swarm.JoinedAt),
            ]));
        foreach (var (swarm, members) in found.Where(item => item.Members is not null))
        {
            session.Terminal.WriteLine($"Members of {swarm.Name} ({swarm.SwarmId:D})");
            session.Terminal.WriteTable(
                ["Agent", "Endpoint", "Joined", "Seen"],
                members!.Select(member => (IReadOnlyList<string>)
                [
                    member.AgentId, member.Endpoint, Time(member.JoinedAt), PingCommand.Seen(member.Online, member.LastSeen),
                ]));
        }
    }

    private static string Time(DateTimeOffset? time) => time is { } known ? SwarmTime.Format(known) : "";

    private static JsonObject ToJson(SwarmInfo swarm, List<Member>? members) => new()
    {
        ["swarm_id"] = swarm.SwarmId.ToString("D"),
        ["name"] = swarm.Name,
        ["master"] = swarm.Master,
        ["member_count"] = swarm.MemberCount,
        ["joined_at"] = swarm.JoinedAt is { } joined ? SwarmTime.Format(joined) : null,
        ["members"] = members is null ? null : new JsonArray([.. members.Select(ToJson)]),
    };

    private static JsonObject ToJson(Member member) => new()
    {
        ["agent_id"] = member.AgentId, ["endpoint"] = member.Endpoint, ["joined_at"] = SwarmTime.Format(member.JoinedAt),
        ["online"] = member.Online, ["last_seen"] = member.LastSeen is { } seen ? SwarmTime.Format(seen) : null,
    };
}
