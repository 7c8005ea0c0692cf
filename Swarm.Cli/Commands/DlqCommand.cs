using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Cli.Arguments;
using Swarm.Cli.Output;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm dlq</c>: dead letters, for operators. To look needs the right to read, to change that of an administrator.</summary>
internal static class DlqCommand
{
    private const int DefaultLimit = 20;

    public static SwarmCommand Create(OpenSession open)
    {
        var command = new SwarmCommand("dlq", "Look at what could not be delivered, send it again, or discard it.")
        {
            Examples =
            [
                "swarm dlq list --recipient bob", "swarm dlq show 757563511537665-4", "swarm dlq requeue --recipient bob --reason 'HTTP 503' --yes",
                "swarm dlq discard --until 30d --yes",
            ],
        };
        command.Add(List(open));
        command.Add(Show(open));
        command.Add(Change(
            open, "requeue", "Send dead letters again: each goes to its old place in its queue.", "Send {0} again?", "requeued",
            (client, ids, cancellation) => client.RequeueAsync(ids, cancellation),
            (client, filter, progress, cancellation) => client.RequeueAsync(filter, progress, cancellation)));
        command.Add(Change(
            open, "discard", "Forget dead letters; they are not delivered any more.", "Discard {0} for ever?", "discarded",
            (client, ids, cancellation) => client.DiscardAsync(ids, cancellation),
            (client, filter, progress, cancellation) => client.DiscardAsync(filter, progress, cancellation)));
        return command;
    }

    private static SwarmCommand List(OpenSession open)
    {
        var filter = new FilterOptions();
        var limit = CommonOptions.Number("--limit", "-l", $"At most so many, newest first ({DefaultLimit}).", 1, 10_000);
        var command = new SwarmCommand("list", "List dead letters, newest first.")
        {
            Examples = ["swarm dlq list", "swarm dlq list --recipient bob --from 2h", "swarm dlq list --reason timed --json -l 1000"],
        };
        filter.AddTo(command);
        command.Add(limit);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var client = await session.ForOperatorAsync(cancellation);
            var letters = new List<DeadLetter>();
            var max = parsed.GetValue(limit) ?? DefaultLimit;
            var more = false;
            await foreach (var letter in client.ListDeadLettersAsync(filter.Read(session, parsed), cancellation))
            {
                if (letters.Count == max)
                {
                    more = true;
                    break;
                }

                letters.Add(letter);
            }

            ShowList(session, letters, more);
            return ExitCode.Ok;
        });
        return command;
    }

    private static SwarmCommand Show(OpenSession open)
    {
        var id = new Argument<string>("id") { Description = "As 'swarm dlq list' shows it.", HelpName = "ID" };
        var command = new SwarmCommand("show", "Show a dead letter: its message, and every failed try that is kept.")
        {
            Examples = ["swarm dlq show 757563511537665-4"],
        };
        command.Add(id);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var client = await session.ForOperatorAsync(cancellation);
            var letter = await client.GetDeadLetterAsync(parsed.GetRequiredValue(id), cancellation);
            if (session.Json)
            {
                var json = ToJson(letter);
                json["message_type"] = letter.Type;
                json["timestamp"] = letter.Timestamp;
                json["content"] = letter.Content;
                json["tries"] = TraceCommand.Tries(letter.Tries ?? []);
                session.Terminal.WriteLine(JsonText.Pretty(json));
                return ExitCode.Ok;
            }

            session.Terminal.WriteLine(
                $"{letter.Id}: message {letter.MessageId:D} from {letter.Sender} to {letter.Recipient}, signed {letter.Timestamp}\n" +
                $"died {SwarmTime.Format(letter.DiedAt)} after {letter.Attempts} tries: {letter.Reason}\n\n{letter.Content}\n");
            session.Terminal.WriteTable(
                ["Try", "When", "Why"], (letter.Tries ?? []).Select(t => (IReadOnlyList<string>)[$"{t.Attempt}", SwarmTime.Format(t.At), t.Error]));
            return ExitCode.Ok;
        });
        return command;
    }

    private static SwarmCommand Change(
        OpenSession open, string name, string description, string question, string status,
        Func<SwarmClient, IReadOnlyList<string>, CancellationToken, Task<int>> byIds,
        Func<SwarmClient, DeadLetterFilter, Action<int>, CancellationToken, Task<int>> byFilter)
    {
        var ids = new Argument<string[]>("id") { Description = "As 'swarm dlq list' shows them; none to use the options.", HelpName = "ID", Arity = ArgumentArity.ZeroOrMore };
        var filter = new FilterOptions();
        var all = new Option<bool>("--all") { Description = "All dead letters." };
        var yes = CommonOptions.Yes();
        var command = new SwarmCommand(name, description)
        {
            Examples = [$"swarm dlq {name} 757563511537665-4", $"swarm dlq {name} --recipient bob --yes", $"swarm dlq {name} --all --json"],
        };
        command.Add(ids);
        filter.AddTo(command);
        command.Add(all);
        command.Add(yes);
        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var named = parsed.GetValue(ids) ?? [];
            var wanted = filter.Read(session, parsed);
            var isFilter = wanted != new DeadLetterFilter();
            if ((named.Length > 0 ? 1 : 0) + (isFilter ? 1 : 0) + (parsed.GetValue(all) ? 1 : 0) != 1 || named.Length > SwarmClient.DeadLetterIdsMax)
            {
                throw CliException.BadArguments(
                    $"Name up to {SwarmClient.DeadLetterIdsMax} ids, or say by options which are meant, or --all.", $"See: swarm dlq {name} --help");
            }

            var client = await session.ForOperatorAsync(cancellation);
            var which = named.Length > 0 ? $"{named.Length} dead letters" : isFilter ? "the dead letters that match" : "all dead letters";
            if (!session.Confirmed(string.Format(System.Globalization.CultureInfo.InvariantCulture, question, which), parsed.GetValue(yes)))
            {
                return ExitCode.Ok;
            }

            var changed = named.Length > 0
                ? await byIds(client, named, cancellation)
                : await byFilter(client, wanted, n => session.Terminal.Note($"{n} so far"), cancellation);
            return session.Done(new JsonObject { ["status"] = status, ["count"] = changed }, $"{changed} dead letters {status}.");
        });
        return command;
    }

    private static void ShowList(Session session, List<DeadLetter> letters, bool more)
    {
        if (session.Json)
        {
            session.Terminal.WriteLine(JsonText.Pretty(new JsonObject
            {
                ["count"] = letters.Count, ["more"] = more, ["dead_letters"] = new JsonArray([.. letters.Select(ToJson)]),
            }));
            return;
        }

        if (letters.Count == 0)
        {
            session.Terminal.WriteLine("There is no such dead letter.");
            return;
        }

        session.Terminal.WriteTable(
            ["ID", "Died", "From", "To", "Tries", "Reason"],
            letters.Select(l => (IReadOnlyList<string>)[l.Id, SwarmTime.Format(l.DiedAt), l.Sender, l.Recipient, $"{l.Attempts}", l.Reason]));
        if (more)
        {
            session.Terminal.WriteLine("There are more: raise --limit, or narrow the list.");
        }
    }

    private static JsonObject ToJson(DeadLetter letter) => new()
    {
        ["id"] = letter.Id,
        ["message_id"] = letter.MessageId.ToString("D"),
        ["swarm_id"] = letter.SwarmId?.ToString("D"),
        ["sender"] = letter.Sender,
        ["recipient"] = letter.Recipient,
        ["attempts"] = letter.Attempts,
        ["died_at"] = SwarmTime.Format(letter.DiedAt),
        ["reason"] = letter.Reason,
    };

    /// <summary>The options that say which dead letters are meant.</summary>
    private sealed class FilterOptions
    {
        private readonly Option<string?> recipient = new("--recipient") { Description = "Only those to this agent.", HelpName = "AGENT" };
        private readonly Option<string?> sender = new("--sender") { Description = "Only those from this agent.", HelpName = "AGENT" };
        private readonly Option<string?> swarm = new("--swarm", "-s") { Description = "Only this swarm's.", HelpName = "ID" };
        private readonly Option<string?> reason = new("--reason") { Description = "Only those whose reason holds this text.", HelpName = "TEXT" };
        private readonly Option<string?> from = new("--from") { Description = "Died since then: a time, or how long ago (2h, 7d).", HelpName = "TIME" };
        private readonly Option<string?> until = new("--until") { Description = "Died before: a time, or how long ago (2h, 7d).", HelpName = "TIME" };

        public void AddTo(SwarmCommand command)
        {
            foreach (var option in new Option[] { recipient, sender, swarm, reason, from, until })
            {
                command.Add(option);
            }
        }

        public DeadLetterFilter Read(Session session, ParseResult parsed) => new()
        {
            Recipient = parsed.GetValue(recipient) is { } to ? AgentNameText.Parse(to) : null,
            Sender = parsed.GetValue(sender) is { } by ? AgentNameText.Parse(by) : null,
            SwarmId = parsed.GetValue(swarm) is { } id ? SwarmIdText.Parse(id, "--swarm") : null,
            Reason = parsed.GetValue(reason),
            From = Time(session, parsed.GetValue(from)),
            Until = Time(session, parsed.GetValue(until)),
        };

        /// <summary>A time as it is; a duration counts backwards.</summary>
        private static DateTimeOffset? Time(Session session, string? text)
        {
            if (text is null)
            {
                return null;
            }

            var now = session.Environment.Clock.GetUtcNow();
            var time = ExpiryText.Parse(text, now);
            return text.Contains('T', StringComparison.Ordinal) ? time : now - (time - now);
        }
    }
}
