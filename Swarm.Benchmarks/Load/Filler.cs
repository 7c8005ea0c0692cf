using System.Globalization;
using Npgsql;
using Swarm.Core.Delivery;
using Swarm.Core.Messaging;

namespace Swarm.Benchmarks.Load;

/// <summary>
/// Stores messages by SQL, as if the senders of <see cref="Population"/> had sent them: messages, ids, deliveries and counters are
/// consistent, the wire is a message that the node can read (with a signature that nobody made), the audit has no entries of them.
/// </summary>
internal sealed class Filler(string connectionString, int bodyBytes)
{
    private const int BlocksOfChunk = 100;
    private const int MessagesOfBlock = 512;

    /// <summary>Stores <paramref name="count"/> more messages whose deliveries are in one state.</summary>
    public async Task FillAsync(long count, DeliveryState state, Action<double>? progress, CancellationToken cancellation)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(cancellation);

        // What is stored here is thrown away with the database; what is measured later commits as shipped.
        await ExecuteAsync(connection, "set synchronous_commit = off", cancellation);
        await ExecuteAsync(
            connection,
            """
            create temp table filler_sender as
            select substr(a.name, 8)::bigint as i, a.agent_no, a.name, a.endpoint, m.swarm_no, s.swarm_id
            from agents a join members m on m.agent_no = a.agent_no join swarms s on s.swarm_no = m.swarm_no where a.name like 'sender-%';
            create temp table filler_recipient as
            select substr(name, 11)::bigint as i, agent_no, name from agents where name like 'recipient-%';
            analyze filler_sender; analyze filler_recipient
            """,
            cancellation);
        for (var done = 0L; done < count; done += BlocksOfChunk * MessagesOfBlock)
        {
            var wanted = Math.Min(BlocksOfChunk * MessagesOfBlock, count - done);
            var made = await ExecuteAsync(connection, Chunk, cancellation, done, wanted, (short)state);
            if (made != wanted)
            {
                throw new InvalidOperationException($"{wanted} messages were to be stored, and {made} deliveries were.");
            }

            progress?.Invoke(Math.Min(count, done + BlocksOfChunk * MessagesOfBlock));
        }

        if (state is not (DeliveryState.Pending or DeliveryState.Leased))
        {
            await ExecuteAsync(
                connection,
                """
                insert into queue_heads (recipient_no, head) select recipient_no, last_seq from mailboxes where last_seq > 0
                on conflict (recipient_no) do update set head = excluded.head
                """,
                cancellation);
        }
    }

    /// <summary>Brings the tables to rest: statistics, visibility, everything written out.</summary>
    public async Task SettleAsync(CancellationToken cancellation)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(cancellation);
        foreach (var sql in (string[])["vacuum (analyze) messages", "vacuum (analyze) deliveries", "vacuum (analyze) message_ids", "vacuum (analyze) mailboxes", "checkpoint"])
        {
            await ExecuteAsync(connection, sql, cancellation);
        }
    }

    /// <summary>Takes every message away, from under a node that serves.</summary>
    public async Task EmptyAsync(CancellationToken cancellation)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(cancellation);
        await ExecuteAsync(
            connection, "truncate messages, deliveries, message_ids, lanes, queue_heads; update mailboxes set last_seq = 0", cancellation);
    }

    // $1: number of the first; $2: how many; $3: state. Senders and recipients as in SignedMessages.
    private string Chunk => string.Create(
        CultureInfo.InvariantCulture,
        $$"""
        with block as materialized (
            select b, next_message_no() as base from generate_series(0, ($2 - 1) / {{MessagesOfBlock}}) b
        ), fresh as materialized (
            select k.base + o as message_no, $1 + k.b * {{MessagesOfBlock}} + o as n, gen_random_uuid() as id
            from block k cross join generate_series(0, {{MessagesOfBlock - 1}}) o where k.b * {{MessagesOfBlock}} + o < $2
        ), made as materialized (
            select f.message_no, f.id, s.agent_no as sender_no, s.swarm_no, r.agent_no as recipient_no,
                   convert_to('{"protocol_version":"0.1.0","message_id":"' || f.id || '","timestamp":"2026-11-21T12:00:00.000Z","sender":{"agent_id":"' || s.name
                       || '","endpoint":"' || s.endpoint || '"},"recipient":"' || r.name || '","swarm_id":"' || s.swarm_id || '","type":"message","content":"'
                       || repeat('x', {{bodyBytes}}) || '","signature":"' || repeat('A', 86) || '=="}', 'UTF8') as wire
            from fresh f
            join filler_sender s on s.i = f.n % {{Population.Senders}}
            join filler_recipient r on r.i = ((f.n / {{Population.Senders}}) * {{Population.Swarms}} + f.n % {{Population.Swarms}}) % {{Population.Recipients}}
        ), ids as (
            insert into message_ids (sender_no, message_id, fingerprint, message_no, accepted_at)
            select sender_no, id, sha256(uuid_send(id)), message_no, now() from made
        ), stored as (
            insert into messages (message_no, sender_no, swarm_no, message_id, protocol, kind, priority, verified, sent_at, accepted_at, wire, outgoing)
            select message_no, sender_no, swarm_no, id, {{(short)Protocol.AgentSwarm}}, {{(short)MessageKind.Message}}, {{(short)Priority.Normal}}, true, now(), now(), wire, false
            from made
        ), raised as (
            update mailboxes b set last_seq = b.last_seq + c.n
            from (select recipient_no, count(*) as n from made group by recipient_no) c where b.recipient_no = c.recipient_no
            returning b.recipient_no, b.last_seq - c.n as before
        )
        insert into deliveries (message_no, recipient_no, seq, sender_no, swarm_no, priority, state)
        select m.message_no, m.recipient_no, r.before + row_number() over (partition by m.recipient_no order by m.message_no),
               m.sender_no, m.swarm_no, {{(short)Priority.Normal}}, $3
        from made m join raised r on r.recipient_no = m.recipient_no
        """);

    private static async Task<int> ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellation, params object[] values)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        foreach (var value in values)
        {
            command.Parameters.Add(new() { Value = value });
        }

        return await command.ExecuteNonQueryAsync(cancellation);
    }
}
