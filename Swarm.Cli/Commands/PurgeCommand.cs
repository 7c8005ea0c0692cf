using System.CommandLine;
using System.Text.Json.Nodes;
using Swarm.Client;

namespace Swarm.Cli.Commands;

/// <summary><c>swarm purge</c> (ASP §15): deleted messages, archived ones, and silent sessions go for good.</summary>
internal static class PurgeCommand
{
    private const int RetentionHoursDefault = 24;
    private const int TimeoutMinutesDefault = 60;

    /// <summary>Ten years.</summary>
    private const int HoursMax = 87_600;

    public static SwarmCommand Create(OpenSession open)
    {
        var messages = new Option<bool>("--messages") { Description = "Messages that were deleted longer ago than the retention." };
        var sessions = new Option<bool>("--sessions") { Description = "Sessions with peers that were silent for longer than the timeout." };
        var archived = new Option<bool>("--include-archived") { Description = "With --messages: archived messages too, whatever their age." };
        var retention = CommonOptions.Number("--retention-hours", "--retention", $"Hours that deleted messages stay ({RetentionHoursDefault}).", 0, HoursMax);
        var force = new Option<bool>("--force") { Description = "With --messages: all that is deleted, whatever its age." };
        var timeout = CommonOptions.Number(
            "--timeout-minutes", "--timeout", $"Minutes of silence after which a session is over ({TimeoutMinutesDefault}).", 0, HoursMax * 60);
        var yes = CommonOptions.Yes();
        var command = new SwarmCommand("purge", "Take deleted messages or silent sessions of the acting agent away for good.")
        {
            Examples = ["swarm purge --messages", "swarm purge --messages --include-archived --force --yes", "swarm purge --sessions --timeout-minutes 120"],
        };
        foreach (var option in new Option[] { messages, sessions, archived, retention, force, timeout, yes })
        {
            command.Add(option);
        }

        command.Runs(open, async (session, parsed, cancellation) =>
        {
            var (wantsMessages, wantsSessions) = (parsed.GetValue(messages), parsed.GetValue(sessions));
            if (!wantsMessages && !wantsSessions)
            {
                throw CliException.BadArguments("Say what to purge: --messages, --sessions, or both.");
            }

            if (!wantsMessages && (parsed.GetValue(archived) || parsed.GetValue(force)))
            {
                throw CliException.BadArguments("--include-archived and --force go with --messages.");
            }

            var agent = session.ActingAgent;
            var order = new PurgeOrder(
                wantsMessages,
                parsed.GetValue(archived),
                wantsMessages && !parsed.GetValue(force) ? parsed.GetValue(retention) ?? RetentionHoursDefault : null,
                wantsSessions,
                wantsSessions ? parsed.GetValue(timeout) ?? TimeoutMinutesDefault : null);
            var client = await session.ForAgentAsync(agent, cancellation);
            if (!session.Confirmed($"Purge {What(order)} of '{agent}' for good?", parsed.GetValue(yes), askScripts: true))
            {
                return ExitCode.Ok;
            }

            return Done(session, order, await client.PurgeAsync(agent, order, cancellation));
        });
        return command;
    }

    private static string What(PurgeOrder order) => string.Join(
        ", ",
        new[]
        {
            order.Messages ? order.RetentionHours is { } hours ? $"messages deleted more than {hours} h ago" : "all deleted messages" : null,
            order.IncludeArchived ? "all archived messages" : null,
            order.Sessions ? $"sessions silent for {order.TimeoutMinutes} min" : null,
        }.OfType<string>());

    private static int Done(Session session, PurgeOrder order, PurgeResult result)
    {
        var json = new JsonObject { ["status"] = "purged" };
        var lines = new List<string>();
        if (order.Messages)
        {
            json["messages_purged"] = result.Messages ?? 0;
            lines.Add($"Deleted messages purged:  {result.Messages ?? 0}");
            if (order.RetentionHours is { } hours)
            {
                json["retention_hours"] = (long)hours;
            }
        }

        if (order.IncludeArchived)
        {
            json["archived_purged"] = result.Archived ?? 0;
            lines.Add($"Archived messages purged: {result.Archived ?? 0}");
        }

        if (order.Sessions)
        {
            json["sessions_purged"] = result.Sessions ?? 0;
            json["timeout_minutes"] = (long)order.TimeoutMinutes!.Value;
            lines.Add($"Sessions purged:          {result.Sessions ?? 0}");
        }

        return session.Done(json, [.. lines]);
    }
}
