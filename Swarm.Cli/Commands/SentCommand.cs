using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Output;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm sent</c>: what the acting agent sent, and what became of it at each recipient (ASP §15).</summary>
internal static class SentCommand
{
    private const int DefaultLimit = 20;
    private const int LimitMax = 100;
    private const int PreviewCharacters = 60;

    public static SwarmCommand Create(OpenSession open)
    {
        var swarm = new Option<string?>("--swarm", "-s")
        {
            Description = "Only this swarm's (else SWARM_ID, default_swarm, or every swarm's).", HelpName = "ID",
        };
        var limit = new Option<int?>("--limit", "-l") { Description = $"At most so many, newest first, up to {LimitMax} ({DefaultLimit}).", HelpName = "N" };
        var count = new Option<bool>("--count") { Description = "Only count." };
        var command = new SwarmCommand("sent", "Show what the acting agent sent, and where each delivery stands.")
        {
            Examples = ["swarm sent", "swarm sent -l 5 --json", "swarm sent --count", "swarm sent --as bob -s 550e8400-e29b-41d4-a716-446655440000"],
        };
        command.Add(swarm);
        command.Add(limit);
        command.Add(count);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var agent = session.ActingAgent;
            var filter = session.NamedSwarmId(parsed.GetValue(swarm));
            var max = Math.Min(parsed.GetValue(limit) ?? DefaultLimit, LimitMax);
            if (max < 1)
            {
                throw new CliException(ExitCode.General, "--limit is at least 1.");
            }

            var client = await session.ForAgentAsync(agent, cancellation);
            if (parsed.GetValue(count))
            {
                return Show(session, filter, await client.CountOutboxAsync(agent, filter, cancellation));
            }

            var sent = new List<SentMessage>();
            await foreach (var message in client.ListOutboxAsync(agent, filter, cancellation))
            {
                sent.Add(message);
                if (sent.Count == max)
                {
                    break;
                }
            }

            Show(session, filter, sent);
            return ExitCode.Ok;
        });
        return command;
    }

    private static int Show(Session session, Guid? swarm, SentCounts counts) => session.Done(
        new JsonObject
        {
            ["swarm_id"] = swarm?.ToString("D"), ["sent"] = counts.Sent, ["delivered"] = counts.Delivered, ["failed"] = counts.Failed,
            ["total"] = counts.Total,
        },
        $"Sent:      {counts.Sent}",
        $"Delivered: {counts.Delivered}",
        $"Failed:    {counts.Failed}",
        $"Total:     {counts.Total}");

    private static void Show(Session session, Guid? swarm, List<SentMessage> sent)
    {
        if (session.Json)
        {
            session.Terminal.WriteLine(JsonText.Pretty(new JsonObject
            {
                ["swarm_id"] = swarm?.ToString("D"), ["count"] = sent.Count, ["messages"] = new JsonArray([.. sent.Select(ToJson)]),
            }));
            return;
        }

        if (sent.Count == 0)
        {
            session.Terminal.WriteLine("Nothing was sent.");
            return;
        }

        session.Terminal.WriteTable(
            ["ID", "Recipient", "Status", "Sent", "Deliveries", "Text"],
            sent.Select(message => (IReadOnlyList<string>)
            [
                message.MessageId.ToString("D"), message.Recipient, message.Status, SwarmTime.Format(message.AcceptedAt), Deliveries(message),
                message.Content.Length > PreviewCharacters ? message.Content[..PreviewCharacters] + "…" : message.Content,
            ]));
    }

    private static string Deliveries(SentMessage message)
    {
        var shown = (message.Deliveries ?? []).Select(d => $"{d.Recipient}: {d.State}{(d.Error is null ? "" : $" ({d.Error})")}").ToList();
        var more = message.Recipients.Values.Sum() - shown.Count;
        return string.Join(", ", shown) + (more > 0 ? $", and {more} more" : "");
    }

    private static JsonObject ToJson(SentMessage message) => new()
    {
        ["message_id"] = message.MessageId.ToString("D"),
        ["swarm_id"] = message.SwarmId.ToString("D"),
        ["recipient_id"] = message.Recipient,
        ["message_type"] = message.Type,
        ["content"] = message.Content,
        ["sent_at"] = SwarmTime.Format(message.AcceptedAt),
        ["status"] = message.Status,
        ["error"] = message.Error,
        ["deliveries"] = new JsonArray([.. (message.Deliveries ?? []).Select(d => new JsonObject
        {
            ["recipient"] = d.Recipient, ["state"] = d.State, ["attempts"] = d.Attempts, ["error"] = d.Error,
        })]),
    };
}
