using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Output;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm messages</c>: shows messages, and marks them as read after they were shown (ASP §15, ASP-95).</summary>
internal static class MessagesCommand
{
    private const int DefaultLimit = 10;

    public static SwarmCommand Create(OpenSession open)
    {
        var swarm = new Option<string?>("--swarm", "-s")
        {
            Description = "Only this swarm's (else SWARM_ID, default_swarm, or every swarm's).", HelpName = "ID",
        };
        var limit = CommonOptions.Number(
            "--limit", "-l", $"At most so many, oldest first, 1 to 100 ({DefaultLimit}).", 1, SwarmClient.InboxItemsMax);
        var status = new Option<string?>("--status") { Description = "unread (default), read or all." };
        status.AcceptOnlyFromAmong("unread", "read", "all");
        var about = new ReferenceOptions();
        var noMarkRead = new Option<bool>("--no-mark-read") { Description = "Leave unread messages unread." };
        var count = new Option<bool>("--count") { Description = "Only count the messages of the whole inbox." };
        var raw = new Option<bool>("--raw") { Description = "Print the contents and nothing else, exactly as they were sent." };
        var command = new SwarmCommand("messages", "Show the acting agent's unread messages, then mark them as read.")
        {
            Examples =
            [
                "swarm messages", "swarm messages --as bob -l 1 --raw > next.txt", "swarm messages --status all --no-mark-read --json",
                "swarm messages --count", "swarm messages --repo octo/spoon --issue 12",
            ],
        };
        foreach (var option in new Option[] { swarm, limit, status, noMarkRead, count, raw })
        {
            command.Add(option);
        }

        about.AddTo(command);

        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = session.ActingAgent;
            var lookFor = about.Read(parsed);
            var filter = session.NamedSwarmId(parsed.GetValue(swarm));
            var client = await session.ForAgentAsync(agent, cancellation);
            if (lookFor is not null)
            {
                lookFor = lookFor with { SwarmId = filter, Limit = parsed.GetValue(limit) ?? DefaultLimit, State = parsed.GetValue(status) };
                Show(session, await FindAsync(client, agent, lookFor, cancellation), parsed.GetValue(raw));
                return ExitCode.Ok;
            }

            if (parsed.GetValue(count))
            {
                return Show(session, await client.CountInboxAsync(agent, cancellation));
            }

            var query = new InboxQuery
            {
                SwarmId = filter, Limit = parsed.GetValue(limit) ?? DefaultLimit, State = parsed.GetValue(status) ?? "unread",
            };
            var messages = (await client.ListInboxAsync(agent, query, cancellation)).Messages;
            Show(session, messages, parsed.GetValue(raw));
            var unread = messages.Where(IsUnread).Select(message => message.Seq).ToList();
            if (unread.Count > 0 && !parsed.GetValue(noMarkRead))
            {
                var marked = await client.MarkReadAsync(agent, unread, cancellation);
                if (!session.Json && !parsed.GetValue(raw))
                {
                    session.Terminal.WriteLine($"{marked} marked as read");
                }
            }

            return ExitCode.Ok;
        });
        return command;
    }

    /// <summary>A page may end before it is full, where others' messages lie between.</summary>
    private static async Task<List<InboxMessage>> FindAsync(
        SwarmClient client, string agent, ReferenceQuery query, CancellationToken cancellation)
    {
        var found = new List<InboxMessage>();
        var max = query.Limit ?? DefaultLimit;
        do
        {
            var page = await client.FindByReferenceAsync(agent, query with { Limit = max - found.Count }, cancellation);
            found.AddRange(page.Messages);
            query = query with { Cursor = page.NextCursor };
        }
        while (query.Cursor is not null && found.Count < max);
        return found;
    }

    private static bool IsUnread(InboxMessage message) => message.State is "unread" or "pending" or "leased" or "delivered";

    private static int Show(Session session, InboxCounts counts) => session.Done(
        new JsonObject
        {
            ["swarm_id"] = null, ["unread"] = counts.Unread, ["read"] = counts.Read, ["archived"] = 0, ["deleted"] = 0,
            ["total"] = counts.Total,
        },
        $"Unread: {counts.Unread}",
        $"Read:   {counts.Read}",
        $"Total:  {counts.Total}");

    private static void Show(Session session, IReadOnlyList<InboxMessage> messages, bool raw)
    {
        if (session.Json)
        {
            session.Terminal.WriteLine(JsonText.Pretty(
                new JsonObject { ["count"] = messages.Count, ["messages"] = new JsonArray([.. messages.Select(ToJson)]) }));
        }
        else if (raw)
        {
            session.Terminal.Write(string.Concat(messages.Select(message => message.Content)));
        }
        else if (messages.Count == 0)
        {
            session.Terminal.WriteLine("No messages found");
        }
        else
        {
            session.Terminal.WriteLine($"Inbox ({messages.Count} {(messages.Count == 1 ? "message" : "messages")})\n");
            foreach (var message in messages)
            {
                session.Terminal.WriteLine(MessageText.Of(message));
            }
        }
    }

    /// <summary>The list item of ASP §9.1.</summary>
    private static JsonObject ToJson(InboxMessage message) => new()
    {
        ["message_id"] = message.MessageId.ToString("D"),
        ["swarm_id"] = message.SwarmId.ToString("D"),
        ["sender_id"] = message.Sender,
        ["recipient_id"] = message.Recipient,
        ["message_type"] = message.Type,
        ["status"] = IsUnread(message) ? "unread" : "read",
        ["received_at"] = SwarmTime.Format(message.AcceptedAt),
        ["read_at"] = null,
        ["content_preview"] = message.Content,
    };
}
