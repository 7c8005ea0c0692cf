using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm inbox</c>: looks at the inbox without changing it; with <c>--follow</c> it shows messages as they arrive.</summary>
internal static class InboxCommand
{
    private const int DefaultLimit = 20;
    private const int PreviewCharacters = 60;

    public static SwarmCommand Create(OpenSession open)
    {
        var follow = new Option<bool>("--follow", "-f") { Description = "Stay, and show messages as they arrive; Ctrl-C ends." };
        var fromStart = new Option<bool>("--from-start") { Description = "With --follow: begin with the oldest message." };
        var after = new Option<long?>("--after") { Description = "Begin after this number.", HelpName = "SEQ" };
        var max = CommonOptions.Number("--max", "-n", "With --follow: end after so many messages.", 1, int.MaxValue);
        var limit = CommonOptions.Number(
            "--limit", "-l", $"Without --follow: at most so many, 1 to 100 ({DefaultLimit}).", 1, SwarmClient.InboxItemsMax);
        var state = new Option<string?>("--state") { Description = "Without --follow: unread, read or all (default)." };
        state.AcceptOnlyFromAmong("unread", "read", "all");
        var swarm = new Option<string?>("--swarm", "-s") { Description = "Only this swarm's messages.", HelpName = "ID" };
        var command = new SwarmCommand("inbox", "Look at the acting agent's inbox; nothing is marked as read.")
        {
            Examples =
            [
                "swarm inbox", "swarm inbox --follow", "swarm inbox --follow --from-start --json --max 10",
                "swarm inbox --after 40 -l 100 --json",
            ],
        };
        foreach (var option in new Option[] { follow, fromStart, after, max, limit, state, swarm })
        {
            command.Add(option);
        }

        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = session.ActingAgent;
            Guid? filter = parsed.GetValue(swarm) is { } text ? SwarmIdText.Parse(text, "--swarm") : null;
            var start = parsed.GetValue(after) ?? (parsed.GetValue(fromStart) ? 0 : null);
            var client = await session.ForAgentAsync(agent, cancellation);
            if (parsed.GetValue(follow))
            {
                await FollowAsync(session, client, agent, start, filter, parsed.GetValue(max) ?? int.MaxValue, cancellation);
            }
            else
            {
                var query = new InboxQuery
                {
                    After = start, SwarmId = filter, Limit = parsed.GetValue(limit) ?? DefaultLimit,
                    State = parsed.GetValue(state) ?? "all",
                };
                Show(session, await client.ListInboxAsync(agent, query, cancellation));
            }

            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task FollowAsync(
        Session session, SwarmClient client, string agent, long? after, Guid? filter, int max, CancellationToken cancellation)
    {
        var options = new InboxStreamOptions
        {
            After = after,
            OnConnected = () => session.Terminal.Note($"Following the inbox of '{agent}'; Ctrl-C ends."),
            OnBroken = why => session.Terminal.Note($"The connection ended ({why}); connecting again."),
            OnReset = reset => session.Terminal.Note($"Messages before number {reset.OldestSeq} are no longer kept."),
        };
        var shown = 0;
        await foreach (var message in client.StreamAsync(agent, options, cancellation))
        {
            if (filter is not null && filter != message.SwarmId)
            {
                continue;
            }

            session.Terminal.WriteLine(session.Json ? JsonText.Line(CliJson.Node(message)) : MessageText.Of(message));
            if (++shown == max)
            {
                return;
            }
        }
    }

    private static void Show(Session session, InboxPage page)
    {
        if (session.Json)
        {
            var result = new JsonObject
            {
                ["count"] = page.Messages.Count, ["messages"] = new JsonArray([.. page.Messages.Select(CliJson.Node)]),
            };
            if (page is { NextCursor: not null, Messages: [.., var last] })
            {
                result["next_after"] = last.Seq;
            }

            session.Terminal.WriteLine(JsonText.Pretty(result));
            return;
        }

        if (page.Messages.Count == 0)
        {
            session.Terminal.WriteLine("No messages found");
            return;
        }

        session.Terminal.WriteTable(
            ["#", "Accepted", "From", "To", "Type", "Priority", "State", "Text"],
            page.Messages.Select(message => (IReadOnlyList<string>)
            [
                $"{message.Seq}", SwarmTime.Format(message.AcceptedAt), message.Sender, message.Recipient, message.Type,
                message.Priority, message.State, Preview(message.Content),
            ]));
        if (page is { NextCursor: not null, Messages: [.., var newest] })
        {
            session.Terminal.WriteLine($"There are more: swarm inbox --after {newest.Seq}");
        }
    }

    private static string Preview(string content)
    {
        var runes = content.EnumerateRunes().Take(PreviewCharacters + 1).ToList();
        var text = string.Concat(runes.Take(PreviewCharacters));
        return runes.Count > PreviewCharacters ? text + "…" : text;
    }
}
