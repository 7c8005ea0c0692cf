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

    /// <summary>How many waiting deliveries of a recipient one call looks through: within these a higher priority overtakes a lower one.</summary>
    public const int ScanMax = 10_000;

    /// <summary>Tries after which a delivery is a dead letter: leases that ran out on it, and negative acknowledgements.</summary>
    public const int AttemptsMax = 20;

    private const string NakReason = "The consumer gave it back.";

    // A lane is held only while something of its lease is left.
    private const string FreeEmptyLanes =
        """
        update lanes l set lease_id = null, leased_until = null
        where l.recipient_no = $1 and l.lease_id = $2 and not exists (
            select 1 from deliveries d
            where d.recipient_no = $1 and d.seq > coalesce((select head from queue_heads where recipient_no = $1), 0)
              and d.lease_id = $2 and d.sender_no = l.sender_no and d.priority = l.priority)
        """;

    /// <summary>Leases the heads of free lanes; the list is empty when nothing is due.</summary>
    public async Task<Lease> LeaseAsync(AgentId recipient, int max, TimeSpan duration, CancellationToken cancellation)
    {
        var id = Guid.CreateVersion7();
        var now = time.GetUtcNow();
        var until = now + duration;
        await using var command = database.CreateCommand(
            """
            select seq, state, accepted_at, verified, wire, trace
            from lease_deliveries(array[$1::bigint], $2, $3, $4, $5, $6, $7, $8)
            """);
        foreach (var value in new object[]
            { recipient.Value, id, now.UtcDateTime, until.UtcDateTime, Math.Min(max, LeaseItemsMax), (long)Inbox.PageBytesMax, ScanMax, AttemptsMax })
        {
            command.Parameters.Add(new() { Value = value });
        }

        var traces = DeliveryMeter.IsTraced ? new List<string>() : null;
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var items = await Inbox.ReadItemsAsync(reader, long.MaxValue, traces, cancellation);
        DeliveryMeter.Leased(id, items.Count, traces);
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
            $"""
            with tried as (
                update deliveries
                set state = case when attempts + 1 >= {AttemptsMax} then 7 else 0 end, lease_id = null, attempts = least(attempts + 1, 32767),
                    last_error = '{NakReason}'
                where recipient_no = $1 and lease_id = $2 and seq = any ($3)
                returning message_no, recipient_no, sender_no, swarm_no, attempts, state
            ), noted as (
                insert into delivery_attempts (message_no, recipient_no, attempt, at, error)
                select message_no, recipient_no, attempts, $4, '{NakReason}' from tried on conflict do nothing
            )
            insert into dead_letters (message_no, recipient_no, sender_no, swarm_no, died_at, reason)
            select message_no, recipient_no, sender_no, swarm_no, $4, 'It was given back ' || attempts || ' times.' from tried where state = 7
            on conflict do nothing
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

        var updated = heldUntil is null
            ? await ExecuteAsync(connection, sql, cancellation, recipient.Value, lease, seqs)
            : await CountAsync(connection, recipient, lease, seqs, cancellation);
        if (heldUntil is not null)
        {
            await ExecuteAsync(connection, sql, cancellation, recipient.Value, lease, seqs, time.GetUtcNow().UtcDateTime);
        }

        await ExecuteAsync(connection, FreeEmptyLanes, cancellation, recipient.Value, lease);
        var traces = DeliveryMeter.IsTraced ? await ReadTracesAsync(connection, recipient, seqs, cancellation) : null;
        await transaction.CommitAsync(cancellation);
        DeliveryMeter.Settle(lease, heldUntil is null, updated, traces);
        return updated;
    }

    private static async Task<List<string>> ReadTracesAsync(NpgsqlConnection connection, AgentId recipient, long[] seqs, CancellationToken cancellation)
    {
        await using var command = Command(
            connection,
            """
            select m.trace from deliveries d join messages m on m.message_no = d.message_no
            where d.recipient_no = $1 and d.seq = any ($2) and m.trace is not null
            """,
            recipient.Value, seqs);
        var traces = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            traces.Add(reader.GetString(0));
        }

        return traces;
    }

    private static async Task<int> CountAsync(NpgsqlConnection connection, AgentId recipient, Guid lease, long[] seqs, CancellationToken cancellation)
    {
        await using var command = Command(
            connection, "select count(*)::integer from deliveries where recipient_no = $1 and lease_id = $2 and seq = any ($3)", recipient.Value, lease, seqs);
        return (int)(await command.ExecuteScalarAsync(cancellation))!;
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
