using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Output;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm board</c>: who claimed, completed or is blocked on what, across repositories.</summary>
internal static class BoardCommand
{
    private const int DefaultLimit = 50;
    private const int LimitMax = 1000;

    public static SwarmCommand Create(OpenSession open)
    {
        var repo = new Option<string?>("--repo") { Description = "Only this repository's.", HelpName = "OWNER/NAME" };
        var state = new Option<string?>("--state") { Description = "assigned, claimed, blocked, completed, or all (default)." };
        state.AcceptOnlyFromAmong("assigned", "claimed", "blocked", "completed", "all");
        var limit = CommonOptions.Number("--limit", "-l", $"At most so many, newest first ({DefaultLimit}).", 1, LimitMax);
        var command = new SwarmCommand("board", "Show who claimed, completed or is blocked on which issues and pull requests.")
        {
            Examples = ["swarm board", "swarm board --repo octo/spoon --state blocked", "swarm board --json"],
        };
        command.Add(repo);
        command.Add(state);
        command.Add(limit);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = session.ActingAgent;
            var name = ReferenceOptions.Repo(parsed.GetValue(repo));
            var client = await session.ForAgentAsync(agent, cancellation);
            var max = parsed.GetValue(limit) ?? DefaultLimit;
            var claims = new List<Claim>();
            var more = false;
            await foreach (var claim in client.ListClaimsAsync(agent, name, parsed.GetValue(state), cancellation))
            {
                if (more = claims.Count == max)
                {
                    break;
                }

                claims.Add(claim);
            }

            Show(session, claims, more);
            return ExitCode.Ok;
        });
        return command;
    }

    private static void Show(Session session, List<Claim> claims, bool more)
    {
        if (session.Json)
        {
            session.Terminal.WriteLine(JsonText.Pretty(new JsonObject
            {
                ["count"] = claims.Count, ["more"] = more, ["claims"] = new JsonArray([.. claims.Select(ToJson)]),
            }));
            return;
        }

        if (claims.Count == 0)
        {
            session.Terminal.WriteLine("Nobody has claimed anything.");
            return;
        }

        session.Terminal.WriteTable(
            ["Item", "State", "Agent", "Blocked on", "Since", "Note"],
            claims.Select(claim => (IReadOnlyList<string>)
            [
                claim.Item.Type == "github_pr" ? $"{claim.Item} (PR)" : claim.Item.ToString(), claim.State, claim.Agent,
                string.Join(", ", claim.BlockedOn), SwarmTime.Format(claim.At), claim.Note,
            ]));
        if (more)
        {
            session.Terminal.WriteLine("There are more: see -l.");
        }
    }

    private static JsonObject ToJson(Claim claim) => new()
    {
        ["repo"] = claim.Item.Repo,
        ["type"] = claim.Item.Type,
        ["number"] = claim.Item.Number,
        ["sha"] = claim.Item.Sha,
        ["state"] = claim.State,
        ["agent_id"] = claim.Agent,
        ["blocked_on"] = new JsonArray([.. claim.BlockedOn.Select(r => new JsonObject
        {
            ["type"] = r.Type, ["repo"] = r.Repo, ["number"] = r.Number, ["sha"] = r.Sha, ["url"] = r.Url,
        })]),
        ["at"] = SwarmTime.Format(claim.At),
        ["swarm_id"] = claim.SwarmId?.ToString("D"),
        ["message_id"] = claim.MessageId.ToString("D"),
        ["sender_id"] = claim.Sender,
        ["note"] = claim.Note,
    };
}
