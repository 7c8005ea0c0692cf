using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm trace</c>: the life of one message, for operators.</summary>
internal static class TraceCommand
{
    public static SwarmCommand Create(OpenSession open)
    {
        var id = new Argument<string>("message") { Description = "The message's id.", HelpName = "MESSAGE_ID" };
        var command = new SwarmCommand("trace", "Show the life of a message: when it was accepted, and what became of it at each recipient.")
        {
            Examples = ["swarm trace 4b64d51e-326d-4a68-9ea8-9fd70ee13fcc", "swarm trace 4b64d51e-326d-4a68-9ea8-9fd70ee13fcc --json"],
        };
        command.Add(id);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            if (!SwarmIdText.TryParse(parsed.GetRequiredValue(id), out var messageId))
            {
                throw CliException.BadArguments("That is not a message id.", "A message id is a UUID; 'swarm send' prints it, and 'swarm sent' shows it.");
            }

            var client = await session.ForOperatorAsync(cancellation);
            var found = await client.TraceAsync(messageId, cancellation: cancellation);
            if (found.Count == 0)
            {
                throw new CliException(ExitCode.NotFound, $"There is no message {messageId:D} here.", "It may be older than what is kept.");
            }

            var all = new List<(TracedMessage Message, List<TracedRecipient> Recipients)>();
            foreach (var message in found)
            {
                all.Add((message, await RecipientsAsync(client, message, cancellation)));
            }

            Show(session, all);
            return ExitCode.Ok;
        });
        return command;
    }

    private static async Task<List<TracedRecipient>> RecipientsAsync(SwarmClient client, TracedMessage message, CancellationToken cancellation)
    {
        var recipients = message.Recipients.ToList();
        for (var cursor = message.NextCursor; cursor is not null;)
        {
            var next = (await client.TraceAsync(message.MessageId, cursor, cancellation)).FirstOrDefault(m => m.Sender == message.Sender);
            recipients.AddRange(next?.Recipients ?? []);
            cursor = next?.NextCursor;
        }

        return recipients;
    }

    private static void Show(Session session, List<(TracedMessage Message, List<TracedRecipient> Recipients)> all)
    {
        if (session.Json)
        {
            session.Terminal.WriteLine(JsonText.Pretty(new JsonObject
            {
                ["count"] = all.Count, ["messages"] = new JsonArray([.. all.Select(a => ToJson(a.Message, a.Recipients))]),
            }));
            return;
        }

        foreach (var (message, recipients) in all)
        {
            session.Terminal.WriteLine(
                $"{message.MessageId:D} from {message.Sender} in swarm {message.SwarmId:D}{(message.Verified ? "" : "  NOT VERIFIED")}\n" +
                $"signed {SwarmTime.Format(message.SentAt)}, accepted {SwarmTime.Format(message.AcceptedAt)}" +
                $"{(message.ExpiresAt is { } expiry ? $", expires {SwarmTime.Format(expiry)}" : "")}" +
                $"{(message.Remaining > 0 ? $", {message.Remaining} recipients still to come" : "")}");
            session.Terminal.WriteTable(
                ["Recipient", "#", "State", "Tries", "Next try", "Error"],
                recipients.Select(r => (IReadOnlyList<string>)
                [
                    r.Recipient, $"{r.Seq}", r.State, $"{r.Attempts}", r.DueAt is { } due ? SwarmTime.Format(due) : "", r.Error ?? "",
                ]));
            foreach (var recipient in recipients.Where(r => r.Tries.Count > 0))
            {
                session.Terminal.WriteLine($"Failed tries to reach {recipient.Recipient}");
                session.Terminal.WriteTable(
                    ["Try", "When", "Why"],
                    recipient.Tries.Select(t => (IReadOnlyList<string>)[$"{t.Attempt}", SwarmTime.Format(t.At), t.Error]));
            }
        }
    }

    private static JsonObject ToJson(TracedMessage message, List<TracedRecipient> recipients) => new()
    {
        ["message_id"] = message.MessageId.ToString("D"),
        ["swarm_id"] = message.SwarmId?.ToString("D"),
        ["sender"] = message.Sender,
        ["verified"] = message.Verified,
        ["sent_at"] = SwarmTime.Format(message.SentAt),
        ["accepted_at"] = SwarmTime.Format(message.AcceptedAt),
        ["expires_at"] = message.ExpiresAt is { } expiry ? SwarmTime.Format(expiry) : null,
        ["remaining"] = message.Remaining,
        ["trace"] = message.Trace,
        ["recipients"] = new JsonArray([.. recipients.Select(r => new JsonObject
        {
            ["recipient"] = r.Recipient,
            ["seq"] = r.Seq,
            ["state"] = r.State,
            ["attempts"] = r.Attempts,
            ["error"] = r.Error,
            ["due_at"] = r.DueAt is { } due ? SwarmTime.Format(due) : null,
            ["read_at"] = r.ReadAt is { } read ? SwarmTime.Format(read) : null,
            ["tries"] = Tries(r.Tries),
        })]),
    };

    public static JsonArray Tries(IReadOnlyList<DeliveryAttempt> tries) => new([.. tries.Select(t => new JsonObject
    {
        ["attempt"] = t.Attempt, ["at"] = SwarmTime.Format(t.At), ["error"] = t.Error,
    })]);
}
