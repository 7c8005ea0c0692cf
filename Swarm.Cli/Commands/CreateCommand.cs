using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm create</c>: a new swarm, with the acting agent as master (ASP §15).</summary>
internal static class CreateCommand
{
    /// <summary>In code points, after trimming.</summary>
    private const int NameLengthMax = 256;

    public static SwarmCommand Create(OpenSession open)
    {
        var name = new Option<string>("--name", "-n")
        {
            Required = true, Description = "The swarm's name, 1 to 256 characters.", HelpName = "NAME",
        };
        var allowMemberInvite = new Option<bool>("--allow-member-invite") { Description = "Let every member invite, not only the master." };
        var requireApproval = new Option<bool>("--require-approval") { Description = "The master approves who joins." };
        var command = new SwarmCommand("create", "Create a swarm; the acting agent becomes its master.")
        {
            Examples = ["swarm create -n research", "swarm create -n research --allow-member-invite --as alice"],
        };
        command.Add(name);
        command.Add(allowMemberInvite);
        command.Add(requireApproval);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = session.ActingAgent;
            var order = new NewSwarm
            {
                Agent = agent,
                Name = ValidName(parsed.GetRequiredValue(name)),
                AllowMemberInvite = parsed.GetValue(allowMemberInvite),
                RequireApproval = parsed.GetValue(requireApproval),
            };
            var swarm = await (await session.ForAgentAsync(agent, cancellation)).CreateSwarmAsync(order, cancellation);
            return session.Done(
                new JsonObject
                {
                    ["status"] = "created", ["swarm_id"] = swarm.SwarmId.ToString("D"), ["name"] = swarm.Name,
                    ["master"] = swarm.Master,
                },
                $"Swarm '{swarm.Name}' is created.",
                $"  Swarm ID: {swarm.SwarmId:D}",
                $"  Master:   {swarm.Master}");
        });
        return command;
    }

    private static string ValidName(string text)
    {
        var name = text.Trim();
        return name.EnumerateRunes().Count() is > 0 and <= NameLengthMax
            ? name
            : throw CliException.BadArguments($"A swarm's name has 1 to {NameLengthMax} characters.");
    }
}
