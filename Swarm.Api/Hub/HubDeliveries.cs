using System.Globalization;
using Swarm.Core;
using Swarm.Core.Delivery;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Api.Hub;

/// <summary>Where deliveries stand, and dead letters; for operators.</summary>
internal static class HubDeliveries
{
    /// <summary>The life of a message: who has it, who does not, and why. Failed tries are shown of recipients that have some.</summary>
    public static async Task<IResult> Trace(HttpContext http, string id, DeliveryTrace trace)
    {
        http.RequireOperator();
        if (!AspUuid.TryParse(id, out var messageId))
        {
            throw new SwarmException(SwarmError.InvalidRequest, "A message id is a UUID with hyphens.");
        }

        var limit = http.PageLimit();
        var after = http.Number("cursor", 0, long.MaxValue, 0);
        var messages = new List<TraceBody>();
        foreach (var life in await trace.FindAsync(new MessageId(messageId), http.RequestAborted))
        {
            var recipients = await trace.RecipientsAsync(life.MessageNo, after, limit, http.RequestAborted);
            var bodies = new List<TraceRecipient>();
            foreach (var r in recipients)
            {
                var attempts = r.Attempts == 0 ? [] : await trace.AttemptsAsync(r.MessageNo, r.RecipientNo, http.RequestAborted);
                bodies.Add(new(r.Recipient, r.Seq, HubInbox.WordOf(r.State), r.Attempts, r.LastError, r.DueAt, r.ReadAt, ToBodies(attempts)));
            }

            messages.Add(new(
                life.MessageId.ToString(), life.Swarm?.ToString(), life.Sender, life.Verified, life.SentAt, life.AcceptedAt, life.ExpiresAt, life.Remaining,
                life.Trace, bodies, recipients.Count == limit ? recipients[^1].RecipientNo.ToString() : null));
        }

        return Results.Json(new TraceList(messages), HubJson.Default.TraceList);
    }

    public static async Task<IResult> ListDead(HttpContext http, DeadLetters letters)
    {
        http.RequireOperator();
        var limit = http.PageLimit();
        var query = http.Request.Query;
        var filter = Filter(query["recipient"], query["sender"], query["swarm_id"], query["reason"], query["from"], query["until"]);
        var found = await letters.ListAsync(filter, Cursor(query["cursor"]), limit, http.RequestAborted);
        return Results.Json(
            new DeadLetterList([.. found.Select(ToBody)], found.Count == limit ? $"{found[^1].DiedAt.UtcTicks}-{found[^1].Id}" : null),
            HubJson.Default.DeadLetterList);
    }

    public static async Task<IResult> GetDead(HttpContext http, string id, DeadLetters letters)
    {
        http.RequireOperator();
        var (letter, message, attempts) = await letters.FindAsync(Id(id), http.RequestAborted) ?? throw new SwarmException(SwarmError.UnknownDeadLetter);
        return Results.Json(
            ToBody(letter) with
            {
                Content = message.Content, Type = AspWords.Of(message.Kind), Timestamp = message.Timestamp, Tries = ToBodies(attempts),
            },
            HubJson.Default.DeadLetterBody);
    }

    public static Task<IResult> Requeue(HttpContext http, DeadLetters letters, TimeProvider time) =>
        ChangeAsync(http, letters, time, letters.RequeueAsync);

    public static Task<IResult> Discard(HttpContext http, DeadLetters letters, TimeProvider time) =>
        ChangeAsync(http, letters, time, letters.DiscardAsync);

    private static async Task<IResult> ChangeAsync(
        HttpContext http, DeadLetters letters, TimeProvider time, Func<IReadOnlyList<DeadLetterId>, CancellationToken, Task<DeadLetterChange>> change)
    {
        http.RequireAdmin();
        var request = await http.ReadAsync(HubJson.Default.DeadLetterRequest);
        if (request.Ids is not null == request.Filter is not null || request.Ids is { Count: 0 or > DeadLetters.ChangeMax })
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"Either ids (1 to {DeadLetters.ChangeMax}) or a filter.");
        }

        if (request.Ids is not null)
        {
            var named = await change([.. request.Ids.Select(i => Id(i ?? ""))], http.RequestAborted);
            return Results.Json(new DeadLetterChangeBody(named.Count, true, null), HubJson.Default.DeadLetterChangeBody);
        }

        // What dies again meanwhile is not meant: without a bound in time the end might never come.
        var wanted = request.Filter!;
        var until = wanted.Until ?? time.GetUtcNow().AddMilliseconds(1).ToString("O");
        var ids = await letters.SelectAsync(
            Filter(wanted.Recipient, wanted.Sender, wanted.SwarmId, wanted.Reason, wanted.From, until), http.RequestAborted);
        var done = await change(ids, http.RequestAborted);
        return Results.Json(
            new DeadLetterChangeBody(done.Count, ids.Count < DeadLetters.ChangeMax, until), HubJson.Default.DeadLetterChangeBody);
    }

    private static DeadLetterFilter Filter(string? recipient, string? sender, string? swarm, string? reason, string? from, string? until) => new(
        Name(recipient, "recipient"), Name(sender, "sender"), swarm is { Length: > 0 } ? HubSwarms.Id(swarm) : null,
        reason is not { Length: > 0 } ? null
            : reason.Length <= DeadLetters.ReasonLengthMax && !reason.Contains('\0') ? reason
            : throw new SwarmException(SwarmError.InvalidRequest, $"reason has at most {DeadLetters.ReasonLengthMax} characters and no U+0000."),
        Time(from, "from"), Time(until, "until"));

    private static string? Name(string? text, string name) =>
        text is not { Length: > 0 } ? null
        : AgentName.IsValid(text) ? text
        : throw new SwarmException(SwarmError.InvalidRequest, $"{name} is an agent's text id.");

    private static DateTimeOffset? Time(string? text, string name) =>
        text is not { Length: > 0 } ? null
        : AspTimestamp.TryParseAny(text, out var time) ? time
        : throw new SwarmException(SwarmError.InvalidRequest, $"{name} is a time like 2026-11-21T15:30:00.000Z.");

    private static DeadLetterId Id(string text) =>
        DeadLetterId.TryParse(text, out var id) ? id : throw new SwarmException(SwarmError.InvalidRequest, "The id of a dead letter is two numbers with a hyphen.");

    private static (DateTimeOffset DiedAt, DeadLetterId Id)? Cursor(string? text)
    {
        if (text is not { Length: > 0 })
        {
            return null;
        }

        var dash = text.IndexOf('-', StringComparison.Ordinal);
        return dash > 0 && long.TryParse(text.AsSpan(0, dash), NumberStyles.None, CultureInfo.InvariantCulture, out var ticks)
            && ticks <= DateTime.MaxValue.Ticks && DeadLetterId.TryParse(text[(dash + 1)..], out var id)
                ? (new DateTimeOffset(ticks, TimeSpan.Zero), id)
                : throw new SwarmException(SwarmError.InvalidRequest, "cursor is the next_cursor of the page before.");
    }

    private static DeadLetterBody ToBody(DeadLetter letter) => new(
        letter.Id.ToString(), letter.MessageId.ToString(), letter.Swarm?.ToString(), letter.Sender, letter.Recipient, letter.Attempts, letter.DiedAt,
        letter.Reason);

    private static IReadOnlyList<AttemptBody> ToBodies(IReadOnlyList<DeliveryAttempt> attempts) =>
        [.. attempts.Select(a => new AttemptBody(a.Attempt, a.At, a.Error))];
}
