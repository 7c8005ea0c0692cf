using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
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
        var limit = new Option<int?>("--limit", "-l")
        {
            Description = $"At most so many, oldest first, 1 to {SwarmClient.InboxItemsMax} ({DefaultLimit}).", HelpName = "N",
        };
        var status = new Option<string?>("--status") { Description = "unread (default), read, archived or all." };
        status.AcceptOnlyFromAmong("unread", "read", "archived", "all");
        var archive = new Option<string?>("--archive") { Description = "Put this message away.", HelpName = "ID" };
        var delete = new Option<string?>("--delete") { Description = "Throw this message away.", HelpName = "ID" };
        var archiveAll = new Option<bool>("--archive-all") { Description = "Put every read message away." };
        var about = new ReferenceOptions();
        var noMarkRead = new Option<bool>("--no-mark-read") { Description = "Leave unread messages unread." };
        var count = new Option<bool>("--count") { Description = "Only count." };
        var raw = new Option<bool>("--raw") { Description = "Print the contents and nothing else, exactly as they were sent." };
        var command = new SwarmCommand("messages", "Show the acting agent's unread messages, then mark them as read.")
        {
            Examples =
            [
                "swarm messages", "swarm messages --as bob -l 1 --raw > next.txt", "swarm messages --status all --no-mark-read --json",
                "swarm messages --count", "swarm messages --archive 00000000-0000-4000-8000-000000000001", "swarm messages --archive-all --json", "swarm messages --repo octo/spoon --issue 12",
            ],
        };
        foreach (var option in new Option[] { swarm, limit, status, archive, delete, archiveAll, noMarkRead, count, raw })
        {
            command.Add(option);
        }

        about.AddTo(command);

        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = session.ActingAgent;
            if ((parsed.GetValue(archive) ?? parsed.GetValue(delete)) is { } one)
            {
                return await PutAwayAsync(session, agent, one, parsed.GetValue(archive) is not null, cancellation);
            }

            var max = parsed.GetValue(limit) ?? DefaultLimit;
            if (max is < 1 or > SwarmClient.InboxItemsMax)
            {
                // The reference leaves it to its server, so this is no error of the arguments (ASP §15).
                throw new CliException(ExitCode.Network, $"--limit is from 1 to {SwarmClient.InboxItemsMax}.");
            }

            var lookFor = about.Read(parsed);
            var filter = session.NamedSwarmId(parsed.GetValue(swarm));
            var client = await session.ForAgentAsync(agent, cancellation);
            if (lookFor is not null)
            {
                lookFor = lookFor with { SwarmId = filter, Limit = max, State = parsed.GetValue(status) };
                Show(session, await FindAsync(client, agent, lookFor, cancellation), parsed.GetValue(raw));
                return ExitCode.Ok;
            }

            if (parsed.GetValue(archiveAll))
            {
                var archived = await client.ArchiveReadAsync(agent, filter, cancellation);
                return session.Done(
                    new JsonObject { ["action"] = "archive", ["updated"] = archived, ["total"] = archived }, $"{archived} archived");
            }

            if (parsed.GetValue(count))
            {
                return Show(session, filter, await client.CountMailboxAsync(agent, filter, cancellation));
            }

            var query = new InboxQuery { SwarmId = filter, Limit = max, State = parsed.GetValue(status) ?? "unread" };
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

    private static async Task<int> PutAwayAsync(Session session, string agent, string text, bool archives, CancellationToken cancellation)
    {
        var client = await session.ForAgentAsync(agent, cancellation);
        var id = SwarmIdText.TryParse(text, out var parsed) ? parsed : throw Unknown(null);
        try
        {
            await (archives ? client.ArchiveMessageAsync(agent, id, cancellation) : client.DeleteMessageAsync(agent, id, cancellation));
        }
        catch (SwarmApiException e) when (e.ErrorId == "unknown-message")
        {
            throw Unknown(e);
        }

        var word = archives ? "archived" : "deleted";
        return session.Done(new JsonObject { ["status"] = word, ["message_id"] = id.ToString("D") }, $"Message {id:D} {word}");

        CliException Unknown(Exception? inner) => new(
            archives ? ExitCode.NotFound : ExitCode.General, $"Message {Shown.Short(text)} not found", "'swarm messages --status all --json' shows the ids.", inner);
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

    private static int Show(Session session, Guid? swarm, MailboxCounts counts) => session.Done(
        new JsonObject
        {
            ["swarm_id"] = swarm?.ToString("D"), ["unread"] = counts.Unread, ["read"] = counts.Read, ["archived"] = counts.Archived,
            ["deleted"] = counts.Deleted, ["total"] = counts.Total,
        },
        $"Unread:   {counts.Unread}",
        $"Read:     {counts.Read}",
        $"Archived: {counts.Archived}",
        $"Deleted:  {counts.Deleted}",
        $"Total:    {counts.Total}");

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
        ["status"] = message.Archived ? "archived" : IsUnread(message) ? "unread" : "read",
        ["received_at"] = SwarmTime.Format(message.AcceptedAt),
        ["read_at"] = message.ReadAt is { } read ? SwarmTime.Format(read) : null,
        ["content_preview"] = message.Content,
    };
}
