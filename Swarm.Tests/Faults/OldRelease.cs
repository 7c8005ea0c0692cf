using System.Security.Cryptography;
using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Audit;
using Swarm.Core.Messaging;

namespace Swarm.Tests.Faults;

/// <summary>
/// A replica of the first release, as the database sees it: its statements, word for word, with the parameters that it gave them. It runs
/// beside today's replicas while a node is brought up to date (design §4).
/// </summary>
internal sealed class OldRelease(NpgsqlDataSource database, TimeProvider time)
{
    private const string Accept =
        """
        select status, seq, recipients, audit_hash
        from accept_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
                             $25, $26, $27, $28)
        """;

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

    private const string FreeEmptyLanes =
        """
        update lanes l set lease_id = null, leased_until = null
        where l.recipient_no = $1 and l.lease_id = $2 and not exists (
            select 1 from deliveries d where d.lease_id = $2 and d.sender_no = l.sender_no and d.priority = l.priority)
        """;

    private const string Held =
        "select 1 from lanes where recipient_no = $1 and lease_id = $2 and leased_until > $3 order by sender_no, priority for update";

    private const string Acknowledge =
        "update deliveries set state = 2, lease_id = null where recipient_no = $1 and lease_id = $2 and seq = any ($3)";

    private const string List =
        """
        select d.seq, d.state, m.accepted_at, m.verified, m.wire
        from deliveries d join messages m on m.message_no = d.message_no
        where d.recipient_no = $1 and d.seq > $2 and ($3::smallint[] is null or d.state = any ($3))
          and ($4::uuid is null or d.swarm_no = (select swarm_no from swarms where swarm_id = $4))
        order by d.seq limit $5
        """;

    /// <summary>What its watch asked once a second.</summary>
    private const string Horizon =
        """
        select pg_snapshot_xmin(pg_current_snapshot()), null::bigint[]
        union all
        select null, recipients from audit_entries where xid >= $1 and kind = 1 and $2
        """;

    /// <summary>How far its work queue looked for lanes.</summary>
    private const int ScanMax = 1_000;

    private AuditChain _chain = AuditChain.Start();

    /// <summary>Accepts a batch as its group commit did; the statuses are those of that release (1 accepted to 4 stale).</summary>
    public async Task<IReadOnlyList<(short Status, long Seq, int Recipients)>> AcceptAsync(params PendingMessage[] batch)
    {
        var fences = new SortedSet<(long Swarm, long Version)>(batch.Select(m => (m.SwarmNo!.Value, m.SwarmVersion)));
        var counts = new SortedDictionary<long, long>();
        var deliveries = batch.SelectMany((m, i) => m.Recipients.Select(r => (Ordinal: i + 1, Recipient: r.Value, Message: m))).ToArray();
        foreach (var delivery in deliveries)
        {
            counts[delivery.Recipient] = counts.GetValueOrDefault(delivery.Recipient) + 1;
        }

        await using var command = database.CreateCommand(Accept);
        void Add<T>(NpgsqlDbType type, IEnumerable<T> values) =>
            command.Parameters.Add(new NpgsqlParameter<T[]> { TypedValue = [.. values], NpgsqlDbType = NpgsqlDbType.Array | type });

        Add(NpgsqlDbType.Bigint, batch.Select(m => m.Sender.Value));
        Add(NpgsqlDbType.Uuid, batch.Select(m => m.Envelope.MessageId.Value));
        Add(NpgsqlDbType.Bytea, batch.Select(m => m.Fingerprint));
        Add(NpgsqlDbType.Bigint, batch.Select(m => m.SwarmNo));
        Add(NpgsqlDbType.Bigint, batch.Select(m => m.SwarmVersion));
        Add(NpgsqlDbType.Smallint, batch.Select(m => (short)m.Envelope.Protocol));
        Add(NpgsqlDbType.Smallint, batch.Select(m => (short)m.Envelope.Kind));
        Add(NpgsqlDbType.Smallint, batch.Select(m => (short)m.Envelope.Priority));
        Add(NpgsqlDbType.Boolean, batch.Select(_ => true));
        Add(NpgsqlDbType.TimestampTz, batch.Select(m => m.SentAt.UtcDateTime));
        Add(NpgsqlDbType.TimestampTz, batch.Select(m => m.Envelope.ExpiresAt?.UtcDateTime));
        Add(NpgsqlDbType.Text, batch.Select(m => m.Trace));
        Add(NpgsqlDbType.Bytea, batch.Select(m => m.Envelope.Wire.ToArray()));
        Add(NpgsqlDbType.Bigint, fences.Select(f => f.Swarm));
        Add(NpgsqlDbType.Bigint, fences.Select(f => f.Version));
        Add(NpgsqlDbType.Integer, deliveries.Select(d => d.Ordinal));
        Add(NpgsqlDbType.Bigint, deliveries.Select(d => d.Recipient));
        Add(NpgsqlDbType.Bigint, deliveries.Select(d => d.Message.Sender.Value));
        Add(NpgsqlDbType.Bigint, deliveries.Select(d => d.Message.SwarmNo));
        Add(NpgsqlDbType.Smallint, deliveries.Select(d => (short)d.Message.Envelope.Priority));
        Add(NpgsqlDbType.TimestampTz, deliveries.Select(d => d.Message.Envelope.ExpiresAt?.UtcDateTime));
        Add(NpgsqlDbType.Bigint, counts.Keys);
        Add(NpgsqlDbType.Bigint, counts.Values);
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        command.Parameters.Add(new() { Value = _chain.Writer });
        command.Parameters.Add(new() { Value = _chain.EntryNo + 1 });
        command.Parameters.Add(new() { Value = _chain.Head });
        command.Parameters.Add(new() { Value = SHA256.HashData(batch.SelectMany(m => m.Envelope.MessageId.Value.ToByteArray(bigEndian: true).Concat(m.Fingerprint)).ToArray()) });

        await using var reader = await command.ExecuteReaderAsync();
        Assert.True(await reader.ReadAsync());
        _chain = _chain with { EntryNo = _chain.EntryNo + 1, Head = reader.GetFieldValue<byte[]>(3) };
        if (reader.IsDBNull(0))
        {
            var seqs = reader.GetFieldValue<long[]>(1);
            return [.. batch.Select((m, i) => ((short)1, seqs[i], m.Recipients.Length))];
        }

        var (status, seq, recipients) = (reader.GetFieldValue<short[]>(0), reader.GetFieldValue<long[]>(1), reader.GetFieldValue<int[]>(2));
        return [.. batch.Select((_, i) => (status[i], seq[i], recipients[i]))];
    }

    /// <summary>Leases as its work queue did, in one transaction of several statements.</summary>
    public async Task<(Guid Lease, IReadOnlyList<InboxItem> Items)> LeaseAsync(long recipient, int max, TimeSpan duration)
    {
        var (id, now) = (Guid.CreateVersion7(), time.GetUtcNow());
        await using var connection = await database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, ReturnExpired, recipient, now.UtcDateTime);
        await ExecuteAsync(connection, MoveHead, recipient);
        await ExecuteAsync(connection, MakeLanes, recipient, ScanMax);
        List<InboxItem> items;
        await using (var command = Command(connection, Claim, recipient, id, now.UtcDateTime, (now + duration).UtcDateTime, max))
        await using (var reader = await command.ExecuteReaderAsync())
        {
            items = await Inbox.ReadItemsAsync(reader, long.MaxValue, null, CancellationToken.None);
        }

        await ExecuteAsync(
            connection, "update deliveries set state = 0, lease_id = null where lease_id = $1 and not seq = any ($2)", id, items.Select(i => i.Seq).ToArray());
        await ExecuteAsync(connection, FreeEmptyLanes, recipient, id);
        await transaction.CommitAsync();
        return (id, items);
    }

    /// <summary>Acknowledges; null when the lease is lost.</summary>
    public async Task<int?> AckAsync(long recipient, Guid lease, long[] seqs)
    {
        await using var connection = await database.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using (var held = Command(connection, Held, recipient, lease, time.GetUtcNow().UtcDateTime))
        {
            if (await held.ExecuteScalarAsync() is null)
            {
                return null;
            }
        }

        var updated = await ExecuteAsync(connection, Acknowledge, recipient, lease, seqs);
        await ExecuteAsync(connection, FreeEmptyLanes, recipient, lease);
        await transaction.CommitAsync();
        return updated;
    }

    /// <summary>An inbox, whole.</summary>
    public async Task<IReadOnlyList<InboxItem>> ListAsync(long recipient)
    {
        await using var command = database.CreateCommand(List);
        command.Parameters.Add(new() { Value = recipient });
        command.Parameters.Add(new() { Value = 0L });
        command.Parameters.Add(new() { Value = DBNull.Value, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Smallint });
        command.Parameters.Add(new() { Value = DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        command.Parameters.Add(new() { Value = 10_000 });
        await using var reader = await command.ExecuteReaderAsync();
        return await Inbox.ReadItemsAsync(reader, long.MaxValue, null, CancellationToken.None);
    }

    /// <summary>Whom its watch would wake of what was committed since a horizon, and the next horizon.</summary>
    public async Task<(ulong Next, IReadOnlySet<long> Recipients)> WatchAsync(ulong since)
    {
        await using var command = database.CreateCommand(Horizon);
        command.Parameters.Add(new() { Value = since, NpgsqlDbType = NpgsqlDbType.Xid8 });
        command.Parameters.Add(new() { Value = since != 0 });
        await using var reader = await command.ExecuteReaderAsync();
        var (next, recipients) = (0UL, new HashSet<long>());
        while (await reader.ReadAsync())
        {
            if (reader.IsDBNull(0))
            {
                recipients.UnionWith(reader.GetFieldValue<long[]>(1));
            }
            else
            {
                next = reader.GetFieldValue<ulong>(0);
            }
        }

        return (next, recipients);
    }

    private static async Task<int> ExecuteAsync(NpgsqlConnection connection, string sql, params object[] values)
    {
        await using var command = Command(connection, sql, values);
        return await command.ExecuteNonQueryAsync();
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
