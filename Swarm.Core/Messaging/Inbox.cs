using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Delivery;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Core.Messaging;

/// <summary>One delivery as its recipient sees it.</summary>
/// <param name="Seq">The recipient's gapless number of it, in commit order.</param>
/// <param name="State">Where it stands.</param>
/// <param name="AcceptedAt">When it was committed.</param>
/// <param name="Verified">False for a message that a compatible door stored unchecked.</param>
/// <param name="Message">The message, read from the bytes that arrived.</param>
public sealed record InboxItem(long Seq, DeliveryState State, DateTimeOffset AcceptedAt, bool Verified, AspMessage Message)
{
    /// <summary>When it was marked as read; only lists know.</summary>
    public DateTimeOffset? ReadAt { get; init; }

    /// <summary>Put away, or ended by something else than reading (<see cref="MailStatus.Archived"/>); only lists know.</summary>
    public bool IsArchived { get; init; }
}

/// <summary>Which deliveries a list shows.</summary>
public enum InboxFilter
{
    All,
    Unread,
    Read,
    Archived,
}

/// <param name="Unread">Not read, and not expired or dead.</param>
/// <param name="Read">Read or further.</param>
/// <param name="Total">Every delivery that is kept and not thrown away.</param>
public sealed record InboxCounts(long Unread, long Read, long Total);

/// <summary>An agent's inbox as a view: it leases nothing and changes no state but by <see cref="MarkReadAsync"/> (design §3).</summary>
public sealed class Inbox(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>The most items of one page.</summary>
    public const int PageItemsMax = 100;

    /// <summary>A page ends early when its messages reach this many bytes, so that a hundred large ones do not fill the memory.</summary>
    public const int PageBytesMax = 4 * 1024 * 1024;

    /// <summary>The most items that one call marks as read.</summary>
    public const int MarkItemsMax = 100;

    private static readonly short[] Unread = [(short)DeliveryState.Pending, (short)DeliveryState.Leased, (short)DeliveryState.Delivered];
    private static readonly short[] Read = [(short)DeliveryState.Read, (short)DeliveryState.Fulfilled];

    /// <summary>Deliveries after a sequence number, oldest first.</summary>
    public Task<IReadOnlyList<InboxItem>> ListAsync(
        AgentId recipient, long after, int limit, InboxFilter filter, SwarmId? swarm, CancellationToken cancellation) =>
        ListAsync(recipient, after, limit, PageBytesMax, filter, swarm, cancellation);

    /// <summary>The same; the page ends early when its messages reach <paramref name="bytesMax"/>.</summary>
    public async Task<IReadOnlyList<InboxItem>> ListAsync(
        AgentId recipient, long after, int limit, int bytesMax, InboxFilter filter, SwarmId? swarm, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            select d.seq, d.state, m.accepted_at, m.verified, m.wire, d.read_at, d.archived_at is not null or d.state > 4
            from deliveries d join messages m on m.message_no = d.message_no
            where d.recipient_no = $1 and d.seq > $2 and d.deleted_at is null and ($3::smallint[] is null or d.state = any ($3))
              and ($6::boolean is null or (d.archived_at is not null or d.state > 4) = $6)
              and ($4::uuid is null or d.swarm_no = (select swarm_no from swarms where swarm_id = $4))
            order by d.seq limit $5
            """);
        command.Parameters.Add(new() { Value = recipient.Value });
        command.Parameters.Add(new() { Value = after });
        command.Parameters.Add(new()
        {
            Value = StatesOf(filter) is { } states ? states : DBNull.Value,
            NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Smallint,
        });
        command.Parameters.Add(new() { Value = swarm is { } id ? id.Value : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        command.Parameters.Add(new() { Value = Math.Min(limit, PageItemsMax) });
        command.Parameters.Add(new()
        {
            Value = filter == InboxFilter.All ? DBNull.Value : filter == InboxFilter.Archived, NpgsqlDbType = NpgsqlDbType.Boolean,
        });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var items = new List<InboxItem>();
        for (var bytes = 0; bytes < bytesMax && await reader.ReadAsync(cancellation);)
        {
            items.Add(ToItem(reader, out var size) with
            {
                ReadAt = reader.IsDBNull(5) ? null : reader.GetFieldValue<DateTimeOffset>(5), IsArchived = reader.GetBoolean(6),
            });
            bytes += size;
        }

        return items;
    }

    /// <summary>Marks unread deliveries as read; unknown numbers are just not counted.</summary>
    public async Task<int> MarkReadAsync(AgentId recipient, long[] seqs, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            update deliveries set state = 3, read_at = $3, lease_id = null
            where recipient_no = $1 and seq = any ($2) and state in (0, 1, 2) and deleted_at is null
            """);
        command.Parameters.Add(new() { Value = recipient.Value });
        command.Parameters.Add(new() { Value = seqs });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        return await command.ExecuteNonQueryAsync(cancellation);
    }

    public async Task<InboxCounts> CountAsync(AgentId recipient, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            select count(*) filter (where state in (0, 1, 2)), count(*) filter (where state in (3, 4)), count(*)
            from deliveries where recipient_no = $1 and deleted_at is null
            """);
        command.Parameters.Add(new() { Value = recipient.Value });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return new(reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2));
    }

    /// <summary>The newest sequence number, and the oldest that is still kept (newest + 1 when nothing is).</summary>
    public async Task<(long Newest, long Oldest)> BoundsAsync(AgentId recipient, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            select last_seq, coalesce((select min(seq) from deliveries where recipient_no = $1), last_seq + 1)
            from mailboxes where recipient_no = $1
            """);
        command.Parameters.Add(new() { Value = recipient.Value });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation) ? (reader.GetInt64(0), reader.GetInt64(1)) : (0, 1);
    }

    /// <summary>The states that a filter lets through; null for all.</summary>
    internal static short[]? StatesOf(InboxFilter filter) => filter switch { InboxFilter.Unread => Unread, InboxFilter.Read => Read, _ => null };

    /// <param name="traces">When given, the reader has the trace contexts of the accepts as a further column.</param>
    internal static async Task<List<InboxItem>> ReadItemsAsync(
        NpgsqlDataReader reader, long bytesMax, List<string>? traces, CancellationToken cancellation)
    {
        var items = new List<InboxItem>();
        var bytes = 0L;
        while (bytes < bytesMax && await reader.ReadAsync(cancellation))
        {
            items.Add(ToItem(reader, out var size));
            bytes += size;
            if (traces is not null && !reader.IsDBNull(5))
            {
                traces.Add(reader.GetString(5));
            }
        }

        return items;
    }

    private static InboxItem ToItem(NpgsqlDataReader reader, out int bytes)
    {
        var wire = reader.GetFieldValue<byte[]>(4);
        bytes = wire.Length;
        return new(
            reader.GetInt64(0), (DeliveryState)reader.GetInt16(1), reader.GetFieldValue<DateTimeOffset>(2), reader.GetBoolean(3), MessageParser.Parse(wire));
    }
}
