using System.Text;
using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Core.Messaging;

/// <summary>What a delivery is to a mail program: a view of its state and of when it was put away (ADR 0010).</summary>
public enum MailStatus
{
    /// <summary>Neither read nor put away.</summary>
    Unread,

    Read,

    /// <summary>Put away by its recipient, or ended by something else than reading: rejected, failed, dead, expired, timed out.</summary>
    Archived,

    /// <summary>Thrown away; it leaves every list, stream and queue, and stays until retention takes it.</summary>
    Deleted,
}

/// <summary>What one does to a delivery in a mailbox.</summary>
public enum MailAction
{
    Read,
    Archive,
    Delete,
}

/// <summary>A delivery as a mail program shows it (ASP §9.1).</summary>
/// <param name="Recipient">
/// The recipient on the wire: a name or <c>broadcast</c>; null for what the node itself noted, and when an imported message had none.
/// </param>
/// <param name="Text">The stored text (ASP §5.3), whole; of an imported message the one that it came with.</param>
public sealed record MailItem(
    long Seq, MessageId MessageId, SwarmId SwarmId, string Sender, string? Recipient, MessageKind Kind, MailStatus Status,
    DateTimeOffset ReceivedAt, DateTimeOffset? ReadAt, string Text);

/// <param name="NextBefore">Ask again before this number for older ones; null when there are none.</param>
public sealed record MailPage(IReadOnlyList<MailItem> Items, long? NextBefore);

/// <param name="Total">All of them, the deleted included, as long as they were not purged.</param>
public sealed record MailCounts(long Unread, long Read, long Archived, long Deleted, long Total);

/// <param name="Statuses">What is shown.</param>
public sealed record MailQuery(IReadOnlyList<MailStatus> Statuses)
{
    public SwarmId? Swarm { get; init; }

    /// <summary>The sender's text id on the wire; null for every sender.</summary>
    public string? Sender { get; init; }

    /// <summary>Only older than this <see cref="MailItem.Seq"/>; null from the newest on.</summary>
    public long? Before { get; init; }

    public required int Limit { get; init; }
}

/// <summary>An agent's inbox with the states of a mail program (ASP §9.1), newest first.</summary>
public sealed class Mailbox(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>The most messages of one batch.</summary>
    public const int BatchMax = 100;

    /// <summary>The most deliveries of one statement that changes many.</summary>
    public const int ChunkMax = 5_000;

    /// <summary>How many deliveries one list looks through for a sender before it answers with what it has, and a cursor.</summary>
    public const int ScanMax = 5_000;

    // One place says what a row is; numbers are those of MailStatus.
    private const string Status =
        """
        case when d.deleted_at is not null then 3 when d.archived_at is not null or d.state > 4 then 2 when d.state in (3, 4) then 1 else 0 end
        """;

    // A purged delivery stays as a mark, so that a repeat of its message stays a repeat; nobody sees it.
    private const string NotPurged = "d.deleted_at is distinct from '-infinity'";

    private const string Columns =
        $"d.seq, {Status}, coalesce(i.at, m.accepted_at), d.read_at, m.wire, i.message_no is not null, i.recipient, i.stored";

    private const string Imported = "left join imported_messages i on i.message_no = d.message_no and i.agent_no = d.recipient_no";

    // Who may have sent it, best guess first: the wire is asked last. 0 is the unknown sender of an unchecked message; a remote agent
    // that is in no swarm any more has no name here.
    private const string Candidates =
        """
        array(select agent_no from members where name = $4 union select agent_no from agents where name = $4 union select 0
              union select agent_no from agents a where a.kind = 3 and not exists (select 1 from members m where m.agent_no = a.agent_no))
        """;

    // An id is unique per sender only. Those of the recipient's swarms are asked first, then everybody whom the node knows.
    private const string SendersNear =
        """
        select 0::bigint as sender_no union select o.agent_no from members o join members me on me.swarm_no = o.swarm_no where me.agent_no = $1
        """;

    private const string SendersAll = "select 0::bigint as sender_no union all select agent_no from agents";

    /// <summary>One page, newest first. It ends early after <see cref="Inbox.PageBytesMax"/>.</summary>
    public async Task<MailPage> ListAsync(AgentId recipient, MailQuery query, CancellationToken cancellation)
    {
        var limit = Math.Min(query.Limit, Inbox.PageItemsMax);
        var items = new List<MailItem>();
        var (before, bytes, scanned) = (query.Before ?? long.MaxValue, 0, 0);
        while (true)
        {
            var chunk = 0;
            await using (var command = database.CreateCommand(
                $"""
                select {Columns}
                from deliveries d join messages m on m.message_no = d.message_no {Imported}
                where d.recipient_no = $1 and d.seq < $2 and {Status} = any ($3)
                  and ($4::text is null or d.sender_no = any ({Candidates}))
                  and ($5::uuid is null or d.swarm_no = (select swarm_no from swarms where swarm_id = $5))
                order by d.seq desc limit $6
                """))
            {
                command.Parameters.Add(new() { Value = recipient.Value });
                command.Parameters.Add(new() { Value = before });
                command.Parameters.Add(new() { Value = query.Statuses.Select(s => (int)s).ToArray() });
                command.Parameters.Add(new() { Value = query.Sender is { } name ? name : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
                command.Parameters.Add(new() { Value = query.Swarm is { } id ? id.Value : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
                command.Parameters.Add(new() { Value = limit + 1 });
                await using var reader = await command.ExecuteReaderAsync(cancellation);
                while (await reader.ReadAsync(cancellation))
                {
                    if (items.Count == limit || bytes >= Inbox.PageBytesMax || scanned >= ScanMax)
                    {
                        return new(items, before);
                    }

                    chunk++;
                    scanned++;
                    before = reader.GetInt64(0);
                    var item = ToItem(reader, out var size);
                    if (query.Sender is null || item.Sender == query.Sender)
                    {
                        items.Add(item);
                        bytes += size;
                    }
                }
            }

            if (chunk <= limit)
            {
                return new(items, null);
            }
        }
    }

    public async Task<MailCounts> CountAsync(AgentId recipient, SwarmId? swarm, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            $"""
            select count(*) filter (where s = 0), count(*) filter (where s = 1), count(*) filter (where s = 2), count(*) filter (where s = 3), count(*)
            from (select {Status} as s from deliveries d
                  where d.recipient_no = $1 and {NotPurged} and ($2::uuid is null or d.swarm_no = (select swarm_no from swarms where swarm_id = $2))) c
            """);
        command.Parameters.Add(new() { Value = recipient.Value });
        command.Parameters.Add(new() { Value = swarm is { } id ? id.Value : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return new(reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4));
    }

    /// <summary>The delivery of that id, whatever its status; the newest when several senders used the id. Null when there is none.</summary>
    public async Task<MailItem?> FindAsync(AgentId recipient, MessageId id, CancellationToken cancellation)
    {
        foreach (var senders in new[] { SendersNear, SendersAll })
        {
            await using var command = database.CreateCommand(
                $"""
                select {Columns}
                from (select i.message_no from ({senders}) s join message_ids i on i.sender_no = s.sender_no and i.message_id = $2) known
                join deliveries d on d.message_no = known.message_no and d.recipient_no = $1 and {NotPurged}
                join messages m on m.message_no = known.message_no {Imported}
                order by d.seq desc limit 1
                """);
            command.Parameters.Add(new() { Value = recipient.Value });
            command.Parameters.Add(new() { Value = id.Value });
            await using var reader = await command.ExecuteReaderAsync(cancellation);
            if (await reader.ReadAsync(cancellation))
            {
                return ToItem(reader, out _);
            }
        }

        return null;
    }

    /// <summary>
    /// Does the action to every delivery of these ids that allows it, and says of which ids one changed: only what is unread becomes read, only what
    /// is unread or read becomes archived, everything becomes deleted (again is no change).
    /// </summary>
    public async Task<IReadOnlySet<MessageId>> ApplyAsync(
        AgentId recipient, MailAction action, IReadOnlyCollection<MessageId> ids, CancellationToken cancellation)
    {
        var changed = new HashSet<MessageId>();
        await ApplyAsync(recipient, action, ids, SendersNear, changed, cancellation);
        if (changed.Count < ids.Count)
        {
            await ApplyAsync(recipient, action, [.. ids.Where(id => !changed.Contains(id))], SendersAll, changed, cancellation);
        }

        return changed;
    }

    /// <summary>Archives up to <see cref="ChunkMax"/> of what is read, oldest first; says how many.</summary>
    public async Task<int> ArchiveReadAsync(AgentId recipient, SwarmId? swarm, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            $"""
            update deliveries t set archived_at = $3
            from (select d.message_no from deliveries d
                  where d.recipient_no = $1 and {Status} = 1 and ($2::uuid is null or d.swarm_no = (select swarm_no from swarms where swarm_id = $2))
                  order by d.seq limit $4) d
            where t.message_no = d.message_no and t.recipient_no = $1
            """);
        command.Parameters.Add(new() { Value = recipient.Value });
        command.Parameters.Add(new() { Value = swarm is { } id ? id.Value : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        command.Parameters.Add(new() { Value = ChunkMax });
        return await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>
    /// Takes what is thrown away, or put away, out of every list and count for good, up to <see cref="ChunkMax"/> at a time (ASP §15 <c>purge</c>).
    /// A mark stays until retention takes the message, so that its sender's repeat is still a repeat.
    /// </summary>
    /// <param name="status"><see cref="MailStatus.Deleted"/>, or <see cref="MailStatus.Archived"/>.</param>
    /// <param name="before">Only what was deleted before; null for all.</param>
    public async Task<int> PurgeAsync(AgentId recipient, MailStatus status, DateTimeOffset? before, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            $"""
            update deliveries t set deleted_at = '-infinity'
            from (select d.message_no from deliveries d
                  where d.recipient_no = $1 and {Status} = $2 and {NotPurged} and ($3::timestamptz is null or d.deleted_at < $3)
                  order by d.seq limit $4) d
            where t.message_no = d.message_no and t.recipient_no = $1
            """);
        command.Parameters.Add(new() { Value = recipient.Value });
        command.Parameters.Add(new() { Value = (int)status });
        command.Parameters.Add(new() { Value = before is { } at ? at.UtcDateTime : DBNull.Value, NpgsqlDbType = NpgsqlDbType.TimestampTz });
        command.Parameters.Add(new() { Value = ChunkMax });
        return await command.ExecuteNonQueryAsync(cancellation);
    }

    private async Task ApplyAsync(
        AgentId recipient, MailAction action, IReadOnlyCollection<MessageId> ids, string senders, HashSet<MessageId> changed, CancellationToken cancellation)
    {
        // Whoever puts a waiting delivery away has handled it: no queue gives it out any more.
        var (set, from) = action switch
        {
            MailAction.Read => ("state = 3, read_at = $3, lease_id = null", "= 0"),
            MailAction.Archive => ("archived_at = $3, state = case when d.state < 3 then 3 else d.state end, lease_id = null", "in (0, 1)"),
            _ => ("deleted_at = $3, state = case when d.state < 3 then 3 else d.state end, lease_id = null", "< 3"),
        };
        await using var command = database.CreateCommand(
            $"""
            update deliveries d set {set}
            from (select i.message_no, i.message_id from ({senders}) s join message_ids i on i.sender_no = s.sender_no and i.message_id = any ($2)) i
            where d.message_no = i.message_no and d.recipient_no = $1 and {Status} {from}
            returning i.message_id
            """);
        command.Parameters.Add(new() { Value = recipient.Value });
        command.Parameters.Add(new() { Value = ids.Select(i => i.Value).Distinct().ToArray() });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            changed.Add(new(reader.GetGuid(0)));
        }
    }

    private static MailItem ToItem(NpgsqlDataReader reader, out int bytes)
    {
        var wire = reader.GetFieldValue<byte[]>(4);
        var stored = reader.IsDBNull(7) ? null : reader.GetFieldValue<byte[]>(7);
        bytes = wire.Length + (stored?.Length ?? 0);
        var message = MessageParser.Parse(wire);
        return new(
            reader.GetInt64(0), message.MessageId, message.SwarmId, message.SenderId,
            message.IsRecord ? null : !reader.GetBoolean(5) ? message.Recipient : reader.IsDBNull(6) ? null : reader.GetString(6), message.Kind,
            (MailStatus)reader.GetInt32(1), reader.GetFieldValue<DateTimeOffset>(2),
            reader.IsDBNull(3) ? null : reader.GetFieldValue<DateTimeOffset>(3),
            stored is not null ? Encoding.UTF8.GetString(stored) : message.IsRecord ? message.Content : Toon.OfMessage(wire));
    }
}
