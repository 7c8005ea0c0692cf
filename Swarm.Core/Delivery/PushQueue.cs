using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Messaging;

namespace Swarm.Core.Delivery;

/// <summary>What became of one leased delivery. <paramref name="Last"/> ends the lease of its lane, which is held until <paramref name="Until"/>.</summary>
public readonly record struct Settlement(
    PushItem Item, Guid Lease, PushOutcome Outcome, bool Last, DateTimeOffset? Until = null, string? Error = null);

/// <param name="Stale">Deliveries whose lease had ended: they are tried again by whoever holds them now.</param>
public readonly record struct SettleCounts(int Delivered, int Retried, int Dead, int Stale);

/// <param name="Recipients">Remote agents with something that is not finished, by number.</param>
/// <param name="Depth">How much is waiting for them.</param>
/// <param name="Oldest">When the oldest of it was accepted.</param>
public sealed record PushBacklog(IReadOnlyList<long> Recipients, long Depth, DateTimeOffset? Oldest);

/// <summary>The storage side of pushes: lanes of many recipients are leased in one round trip, and settled in one.</summary>
public sealed class PushQueue(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>The most recipients of one page of <see cref="BacklogAsync"/>.</summary>
    public const int PageMax = 1_000;

    /// <summary>The most deliveries that one statement ends for their age.</summary>
    public const int BuryMax = 1_000;

    /// <summary>Those of the agents that live on another node.</summary>
    public async Task<IReadOnlyList<long>> RemoteAmongAsync(long[] agents, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select agent_no from agents where kind = 3 and agent_no = any ($1)");
        command.Parameters.Add(new() { Value = agents });
        return await ReadNumbersAsync(command, cancellation);
    }

    /// <summary>A page of the remote agents with unfinished deliveries, above a number.</summary>
    public async Task<PushBacklog> BacklogAsync(long after, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            select m.recipient_no, m.last_seq - coalesce(h.head, 0),
                   (select x.accepted_at from deliveries d join messages x on x.message_no = d.message_no
                    where d.recipient_no = m.recipient_no and d.seq = coalesce(h.head, 0) + 1 and d.state in (0, 1))
            from agents a join mailboxes m on m.recipient_no = a.agent_no left join queue_heads h on h.recipient_no = a.agent_no
            where a.kind = 3 and a.agent_no > $1 and m.last_seq > coalesce(h.head, 0)
            order by a.agent_no limit $2
            """);
        command.Parameters.Add(new() { Value = after });
        command.Parameters.Add(new() { Value = PageMax });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var recipients = new List<long>();
        long depth = 0;
        DateTimeOffset? oldest = null;
        while (await reader.ReadAsync(cancellation))
        {
            recipients.Add(reader.GetInt64(0));
            depth += reader.GetInt64(1);
            if (!reader.IsDBNull(2) && reader.GetFieldValue<DateTimeOffset>(2) is var at && !(at > oldest))
            {
                oldest = at;
            }
        }

        return new(recipients, depth, oldest);
    }

    /// <summary>Gives back what dead or slow consumers of these recipients held too long, and says how many lanes.</summary>
    public async Task<int> EndLeasesAsync(long[] recipients, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select end_leases($1, $2, $3)");
        command.Parameters.Add(new() { Value = recipients });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        command.Parameters.Add(new() { Value = WorkQueue.AttemptsMax });
        return (int)(await command.ExecuteScalarAsync(cancellation))!;
    }

    /// <summary>Makes dead letters of what was accepted before the day of that time; up to <see cref="BuryMax"/>.</summary>
    public async Task<int> BuryOldAsync(long[] recipients, DateTimeOffset before, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select bury_old_deliveries($1, message_day($2) << 40, $3, $4, $5)");
        command.Parameters.Add(new() { Value = recipients });
        command.Parameters.Add(new() { Value = before.UtcDateTime });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        command.Parameters.Add(new() { Value = BuryMax });
        command.Parameters.Add(new() { Value = "It could not be delivered before it became too old for its receiver." });
        return (int)(await command.ExecuteScalarAsync(cancellation))!;
    }

    /// <summary>Leases heads of free lanes; by recipient, and in order within it.</summary>
    /// <param name="each">The most deliveries of one recipient.</param>
    /// <param name="scan">How many waiting ones are looked through for them.</param>
    public async Task<IReadOnlyList<PushItem>> LeaseAsync(long[] recipients, Guid lease, DateTimeOffset until, int each, int scan, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            select message_no, recipient_no, sender_no, priority, attempts, protocol, wire, trace, sent_at, expires_at, endpoint, sender, refused_since
            from lease_pushes($1, $2, $3, $4, $5, $6, $7)
            """);
        foreach (var value in new object[]
            {
                recipients, lease, time.GetUtcNow().UtcDateTime, until.UtcDateTime, each, (long)PushOptions.LeaseBytesMax, scan,
            })
        {
            command.Parameters.Add(new() { Value = value });
        }

        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var items = new List<PushItem>();
        while (await reader.ReadAsync(cancellation))
        {
            items.Add(new(
                reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt16(3), reader.GetInt16(4), (Protocol)reader.GetInt16(5),
                reader.GetFieldValue<byte[]>(6), reader.IsDBNull(7) ? null : reader.GetString(7), reader.GetFieldValue<DateTimeOffset>(8),
                TimeAt(reader, 9), reader.GetString(10), reader.GetString(11), TimeAt(reader, 12)));
        }

        return items;
    }

    /// <summary>Writes what became of leased deliveries, of any number of lanes and leases, in one transaction.</summary>
    public async Task<SettleCounts> SettleAsync(IReadOnlyList<Settlement> settled, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            "select delivered, retried, dead, stale from settle_deliveries($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)");
        Add(command, settled, static s => s.Item.MessageNo, NpgsqlDbType.Bigint);
        Add(command, settled, static s => s.Item.Recipient, NpgsqlDbType.Bigint);
        Add(command, settled, static s => s.Item.SenderNo, NpgsqlDbType.Bigint);
        Add(command, settled, static s => s.Item.Priority, NpgsqlDbType.Smallint);
        Add(command, settled, static s => s.Lease, NpgsqlDbType.Uuid);
        Add(command, settled, static s => (short)s.Outcome, NpgsqlDbType.Smallint);
        Add(command, settled, static s => s.Until?.UtcDateTime, NpgsqlDbType.TimestampTz);
        Add(command, settled, static s => s.Last, NpgsqlDbType.Boolean);
        Add(command, settled, static s => s.Error, NpgsqlDbType.Text);
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        command.Parameters.Add(new() { Value = PushOptions.AttemptsKept });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return new(reader.GetInt32(0), reader.GetInt32(1), reader.GetInt32(2), reader.GetInt32(3));
    }

    private static void Add<T>(NpgsqlCommand command, IReadOnlyList<Settlement> settled, Func<Settlement, T> column, NpgsqlDbType element)
    {
        var values = new T[settled.Count];
        for (var i = 0; i < values.Length; i++)
        {
            values[i] = column(settled[i]);
        }

        command.Parameters.Add(new NpgsqlParameter<T[]> { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | element });
    }

    private static DateTimeOffset? TimeAt(NpgsqlDataReader reader, int column) =>
        reader.IsDBNull(column) ? null : reader.GetFieldValue<DateTimeOffset>(column);

    private static async Task<IReadOnlyList<long>> ReadNumbersAsync(NpgsqlCommand command, CancellationToken cancellation)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var numbers = new List<long>();
        while (await reader.ReadAsync(cancellation))
        {
            numbers.Add(reader.GetInt64(0));
        }

        return numbers;
    }
}
