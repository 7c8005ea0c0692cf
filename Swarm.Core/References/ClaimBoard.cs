using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.References;

/// <summary>How a claim stands. Each member moves its own claims only; an assignment is made by another.</summary>
public enum ClaimState
{
    /// <summary>Somebody asked for it, and nothing was heard since.</summary>
    Assigned,

    Claimed,
    Blocked,
    Completed,
}

/// <summary>One member's claim on one thing, as the newest message about it says.</summary>
/// <param name="Agent">Whose claim it is: a name in <paramref name="Swarm"/>.</param>
/// <param name="BlockedOn">What that message refers to beside what it claims, completes or reports blocked.</param>
/// <param name="Note">The first line of that message.</param>
public sealed record Claim(
    Guid? Swarm, Reference Item, string Agent, ClaimState State, string Sender, Guid MessageId, DateTimeOffset At, IReadOnlyList<Reference> BlockedOn,
    string Note);

/// <summary>Where in the board a page ended.</summary>
public readonly record struct BoardPosition(long MessageNo, short Ordinal);

/// <param name="Next">Ask again after this position for older claims; null when there are none.</param>
public sealed record BoardPage(IReadOnlyList<Claim> Claims, BoardPosition? Next);

/// <summary>
/// Who works on what, across repositories: derived from the actions in the references of verified messages (ASP §3) that an agent sent or got.
/// Nobody can move another's claim: of every (thing, member) the newest action counts.
/// </summary>
public sealed class ClaimBoard(NpgsqlDataSource database)
{
    /// <summary>The most claims of a page.</summary>
    public const int PageItemsMax = 100;

    /// <summary>How many actions one page looks through for those that the agent may see, before it answers with what it has, and a cursor.</summary>
    public const int ScanMax = 2_000;

    /// <summary>The longest note, in characters.</summary>
    public const int NoteLengthMax = 200;

    /// <param name="state">Null for claims in every state.</param>
    public async Task<BoardPage> ListAsync(
        AgentId viewer, string? repo, ClaimState? state, BoardPosition? after, int limit, CancellationToken cancellation)
    {
        limit = Math.Min(limit, PageItemsMax);
        await using var command = database.CreateCommand(
            $"""
            select r.message_no, r.ordinal, s.swarm_id, r.actor, m.accepted_at, m.wire
            from (select * from message_references r
                  where r.actor is not null and ($2::text is null or lower(r.repo) = lower($2)) and (r.message_no, r.ordinal) < ($3, $4)
                  order by r.message_no desc, r.ordinal desc limit $5) r
            left join lateral (
                select m.accepted_at, m.wire from messages m
                where m.message_no = r.message_no and {IsSeen("m")}
                  and not exists (
                      select 1 from message_references n join messages o on o.message_no = n.message_no
                      where n.actor = r.actor and n.swarm_no is not distinct from r.swarm_no and lower(n.repo) = lower(r.repo) and n.kind = r.kind
                        and n.number is not distinct from r.number and n.sha is not distinct from r.sha
                        and (n.message_no, n.ordinal) > (r.message_no, r.ordinal) and {IsSeen("o")})) m on true
            left join swarms s on s.swarm_no = r.swarm_no
            order by r.message_no desc, r.ordinal desc
            """);
        command.Parameters.Add(new() { Value = viewer.Value });
        command.Parameters.Add(new() { Value = repo is null ? DBNull.Value : repo, NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new() { Value = after?.MessageNo ?? long.MaxValue });
        command.Parameters.Add(new() { Value = after?.Ordinal ?? short.MaxValue });
        command.Parameters.Add(new() { Value = ScanMax });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var claims = new List<Claim>();
        BoardPosition? last = null;
        var scanned = 0;
        while (await reader.ReadAsync(cancellation))
        {
            var position = new BoardPosition(reader.GetInt64(0), reader.GetInt16(1));
            if (!reader.IsDBNull(5) && ToClaim(reader, position.Ordinal) is { } claim && (state is null || claim.State == state))
            {
                if (claims.Count == limit)
                {
                    return new(claims, last);
                }

                claims.Add(claim);
            }

            last = position;
            scanned++;
        }

        return new(claims, scanned == ScanMax ? last : null);
    }

    private static string IsSeen(string message) =>
        $"""
        {message}.verified and ({message}.sender_no = $1 or exists (
            select 1 from deliveries d where d.message_no = {message}.message_no and d.recipient_no = $1 and d.deleted_at is null))
        """;

    private static Claim? ToClaim(NpgsqlDataReader reader, short ordinal)
    {
        var message = MessageParser.Parse(reader.GetFieldValue<byte[]>(5));
        var references = Reference.ReadAll(message.References);
        var item = references.FirstOrDefault(r => r.Ordinal == ordinal).Reference;
        if (item?.Action is not { } action)
        {
            return null;
        }

        var state = action switch
        {
            ReferenceAction.Assigned => ClaimState.Assigned,
            ReferenceAction.Blocked => ClaimState.Blocked,
            ReferenceAction.Completed => ClaimState.Completed,
            _ => ClaimState.Claimed,
        };
        var note = message.Content.AsSpan().TrimStart();
        note = note[..(note.IndexOfAny('\r', '\n') is >= 0 and var end ? end : note.Length)];
        return new(
            reader.IsDBNull(2) ? null : reader.GetGuid(2), item, reader.GetString(3), state, message.SenderId, message.MessageId.Value,
            reader.GetFieldValue<DateTimeOffset>(4),
            state == ClaimState.Blocked ? [.. references.Select(r => r.Reference).Where(r => r.Action is null or ReferenceAction.Mention)] : [],
            Shorten(note));
    }

    private static string Shorten(ReadOnlySpan<char> text) =>
        text.Length <= NoteLengthMax ? text.ToString()
        : string.Concat(text[..(char.IsHighSurrogate(text[NoteLengthMax - 2]) ? NoteLengthMax - 2 : NoteLengthMax - 1)], "…");
}
