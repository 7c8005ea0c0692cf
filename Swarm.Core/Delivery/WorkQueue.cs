using Npgsql;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;

namespace Swarm.Core.Delivery;

/// <summary>Deliveries that one consumer holds until <paramref name="ExpiresAt"/>.</summary>
public sealed record Lease(Guid Id, DateTimeOffset ExpiresAt, IReadOnlyList<InboxItem> Items);

/// <summary>
/// The inbox as a work queue: competing consumers lease whole lanes, so that order within a lane holds (design §3 promise 4). A lease
/// that runs out gives its deliveries back.
/// </summary>
public sealed class WorkQueue(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>The most deliveries of one lease.</summary>
    public const int LeaseItemsMax = 100;

    /// <summary>The longest lease, in seconds.</summary>
    public const int LeaseSecondsMax = 3_600;

    /// <summary>How many waiting deliveries one call looks through to find lanes.</summary>
    public const int ScanMax = 1_000;

    // Leases that ran out go back first; then free lanes with something due are claimed, then their head rows.
    private const string ReturnExpired =
        """
        with ended as (
            update lanes set lease_id = null, leased_until = null
            where (recipient_no, sender_no, priority) in (
                select recipient_no, sender_no, priority from lanes
                where recipient_no = $1 and leased_until <= $2 order by sender_no, priority for update skip locked)
            returning recipient_no, sender_no, priority)
        update deliveries d set state = 0, lease_id = null, attempts = least(attempts + 1, 32767)
        from ended e
        where d.recipient_no = e.recipient_no and d.sender_no = e.sender_no and d.priority = e.priority and d.state = 1
          and d.seq > (select queue_head from mailboxes where recipient_no = $1)
        """;

    private const string MoveHead =
        """
        update mailboxes b set queue_head = f.head
        from (select coalesce((select min(d.seq) - 1 from deliveries d join mailboxes m on m.recipient_no = d.recipient_no
                               where d.recipient_no = $1 and d.seq > m.queue_head and d.state in (0, 1)),
                              (select last_seq from mailboxes where recipient_no = $1)) as head) f
        where b.recipient_no = $1 and f.head > b.queue_head + 100
        """;

    private const string MakeLanes =
        """
        insert into lanes (recipient_no, sender_no, priority)
        select distinct $1::bigint, sender_no, priority from (
            select sender_no, priority from deliveries
            where recipient_no = $1 and seq > (select queue_head from mailboxes where recipient_no = $1) and state = 0
            order by seq limit $2) w
        order by sender_no, priority
        on conflict do nothing
        """;

    private const string Claim =
        """
        with free as (
            select l.sender_no, l.priority from lanes l
            where l.recipient_no = $1 and l.lease_id is null and (l.held_until is null or l.held_until <= $3)
            order by l.priority desc, l.sender_no
            for update skip locked
        ), picked as (
            select d.message_no, d.seq, d.sender_no, d.priority from deliveries d join free f using (sender_no, priority)
            where d.recipient_no = $1 and d.seq > (select queue_head from mailboxes where recipient_no = $1) and d.state = 0
              and (d.due_at is null or d.due_at <= $3) and (d.expires_at is null or d.expires_at > $3)
            order by d.priority desc, d.seq limit $5
        ), claimed as (
            update lanes l set lease_id = $2, leased_until = $4
            from (select distinct sender_no, priority from picked) p
            where l.recipient_no = $1 and l.sender_no = p.sender_no and l.priority = p.priority
        ), leased as (
            update deliveries d set state = 1, lease_id = $2 from picked p
            where d.message_no = p.message_no and d.recipient_no = $1 and d.state = 0
            returning d.message_no, d.seq, d.state
        )
        select l.seq, l.state, m.accepted_at, m.verified, m.wire
        from leased l join messages m on m.message_no = l.message_no
        order by l.seq
        """;

    // A lane is held only while something of its lease is left.
    private const string FreeEmptyLanes =
        """
        update lanes l set lease_id = null, leased_until = null
        where l.recipient_no = $1 and l.lease_id = $2 and not exists (
            select 1 from deliveries d where d.lease_id = $2 and d.sender_no = l.sender_no and d.priority = l.priority)
        """;

    /// <summary>Leases the heads of free lanes; the list is empty when nothing is due.</summary>
    public async Task<Lease> LeaseAsync(AgentId recipient, int max, TimeSpan duration, CancellationToken cancellation)
    {
        var id = Guid.CreateVersion7();
        var now = time.GetUtcNow();
        var until = now + duration;
        await using var connection = await database.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        await ExecuteAsync(connection, ReturnExpired, cancellation, recipient.Value, now.UtcDateTime);
        await ExecuteAsync(connection, MoveHead, cancellation, recipient.Value);
        await ExecuteAsync(connection, MakeLanes, cancellation, recipient.Value, ScanMax);
        List<InboxItem> items;
        await using (var command = Command(
            connection, Claim, recipient.Value, id, now.UtcDateTime, until.UtcDateTime, Math.Min(max, LeaseItemsMax)))
        await using (var reader = await command.ExecuteReaderAsync(cancellation))
        {
            items = await Inbox.ReadItemsAsync(reader, cancellation);
        }

        // What did not fit into the page goes back at once, and a lane of which nothing fitted stays free.
        await ExecuteAsync(
            connection,
            "update deliveries set state = 0, lease_id = null where lease_id = $1 and not seq = any ($2)",
            cancellation,
            id,
            items.Select(i => i.Seq).ToArray());
        await ExecuteAsync(connection, FreeEmptyLanes, cancellation, recipient.Value, id);
        await transaction.CommitAsync(cancellation);
        return new(id, until, items);
    }

    /// <summary>Acknowledges leased deliveries; a lane is free again when the last of its lease is settled.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.LeaseLost"/>.</exception>
    public Task<int> AckAsync(AgentId recipient, Guid lease, long[] seqs, CancellationToken cancellation) =>
        SettleAsync(
            recipient, lease, null, "update deliveries set state = 2, lease_id = null where recipient_no = $1 and lease_id = $2 and seq = any ($3)",
            seqs, cancellation);

    /// <summary>Gives leased deliveries back; the delay holds their lanes, so that nothing overtakes them.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.LeaseLost"/>.</exception>
    public Task<int> NakAsync(AgentId recipient, Guid lease, long[] seqs, TimeSpan delay, CancellationToken cancellation) =>
        SettleAsync(
            recipient, lease, time.GetUtcNow() + delay,
            """
            update deliveries set state = 0, lease_id = null, attempts = least(attempts + 1, 32767)
            where recipient_no = $1 and lease_id = $2 and seq = any ($3)
            """,
            seqs, cancellation);

    /// <summary>Prolongs a lease from now.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.LeaseLost"/>.</exception>
    public async Task<DateTimeOffset> ExtendAsync(AgentId recipient, Guid lease, TimeSpan duration, CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        var until = now + duration;
        await using var connection = await database.OpenConnectionAsync(cancellation);
        var lanes = await ExecuteAsync(
            connection, "update lanes set leased_until = $3 where recipient_no = $1 and lease_id = $2 and leased_until > $4", cancellation,
            recipient.Value, lease, until.UtcDateTime, now.UtcDateTime);
        return lanes > 0 ? until : throw new SwarmException(SwarmError.LeaseLost);
    }

    private async Task<int> SettleAsync(
        AgentId recipient, Guid lease, DateTimeOffset? heldUntil, string sql, long[] seqs, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var lanes = await ExecuteAsync(
            connection,
            "select 1 from lanes where recipient_no = $1 and lease_id = $2 and leased_until > $3 order by sender_no, priority for update",
            cancellation, recipient.Value, lease, time.GetUtcNow().UtcDateTime);
        if (lanes == 0)
        {
            throw new SwarmException(SwarmError.LeaseLost);
        }

        if (heldUntil is { } until)
        {
            await ExecuteAsync(
                connection,
                """
                update lanes l set held_until = $4 from deliveries d
                where l.recipient_no = $1 and l.lease_id = $2 and d.recipient_no = $1 and d.lease_id = $2 and d.seq = any ($3)
                  and d.sender_no = l.sender_no and d.priority = l.priority
                """,
                cancellation, recipient.Value, lease, seqs, until.UtcDateTime);

            // What was leased behind a returned delivery of the same lane goes back with it: order comes first.
            await ExecuteAsync(
                connection,
                """
                update deliveries d set state = 0, lease_id = null from deliveries n
                where n.recipient_no = $1 and n.lease_id = $2 and n.seq = any ($3)
                  and d.recipient_no = $1 and d.lease_id = $2 and d.sender_no = n.sender_no and d.priority = n.priority and d.seq > n.seq
                  and not d.seq = any ($3)
                """,
                cancellation, recipient.Value, lease, seqs);
        }

        var updated = await ExecuteAsync(connection, sql, cancellation, recipient.Value, lease, seqs);
        await ExecuteAsync(connection, FreeEmptyLanes, cancellation, recipient.Value, lease);
        await transaction.CommitAsync(cancellation);
        return updated;
    }

    private static async Task<int> ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellation, params object[] values)
    {
        await using var command = Command(connection, sql, values);
        if (!sql.StartsWith("select", StringComparison.Ordinal))
        {
            return await command.ExecuteNonQueryAsync(cancellation);
        }

        var rows = 0;
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            rows++;
        }

        return rows;
    }

    private static NpgsqlCommand Command(NpgsqlConnection connection, string sql, params object[] values)
    {
        var command = new NpgsqlCommand(sql, connection);
        foreach (var value in values)
        {
            command.Parameters.Add(new() { Value = value });
        }

        return command;
    }
}
