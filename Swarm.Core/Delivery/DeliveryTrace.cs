using Npgsql;
using Swarm.Core.Messaging;
using Swarm.Core.Swarms;

namespace Swarm.Core.Delivery;

/// <summary>One recipient of a message, and where its delivery stands.</summary>
/// <param name="RecipientNo">By which lists page.</param>
/// <param name="DueAt">When it is tried again, after a failure; null when nothing is planned.</param>
public sealed record RecipientState(
    long MessageNo, long RecipientNo, string Recipient, long Seq, DeliveryState State, int Attempts, string? LastError, DateTimeOffset? DueAt,
    DateTimeOffset? ReadAt);

/// <summary>The life of one message.</summary>
/// <param name="Remaining">Recipients whose deliveries are still to be made (large and scheduled messages).</param>
public sealed record MessageLife(
    long MessageNo, MessageId MessageId, SwarmId? Swarm, string Sender, bool Verified, DateTimeOffset SentAt, DateTimeOffset AcceptedAt,
    DateTimeOffset? ExpiresAt, int Remaining, string? Trace);

/// <summary>What became of messages, for operators and senders.</summary>
public sealed class DeliveryTrace(NpgsqlDataSource database)
{
    /// <summary>Recipients of a message that a list of messages shows; the rest is shown by its trace.</summary>
    public const int RecipientsShown = 20;

    /// <summary>Senders that may have used the same message id, of which the trace shows the newest.</summary>
    public const int MessagesMax = 10;

    private const string Recipient =
        """
        select d.message_no, d.recipient_no, coalesce(m.name, a.name, 'agent ' || d.recipient_no), d.seq, d.state, d.attempts, d.last_error,
               case when d.state = 0 then d.due_at end, d.read_at
        """;

    /// <summary>Messages of that id; usually one, for an id belongs to its sender.</summary>
    public async Task<IReadOnlyList<MessageLife>> FindAsync(MessageId id, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            select m.message_no, m.message_id, w.swarm_id, coalesce(s.name, a.name, 'agent ' || m.sender_no), m.verified, m.sent_at, m.accepted_at,
                   m.expires_at, coalesce(cardinality(e.recipients) - e.done, 0), m.trace
            from message_ids i join messages m on m.message_no = i.message_no
            left join swarms w on w.swarm_no = m.swarm_no
            left join members s on s.swarm_no = m.swarm_no and s.agent_no = m.sender_no
            left join agents a on a.agent_no = m.sender_no
            left join expansions e on e.message_no = m.message_no
            where i.message_id = $1 order by m.message_no desc limit $2
            """);
        command.Parameters.Add(new() { Value = id.Value });
        command.Parameters.Add(new() { Value = MessagesMax });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var found = new List<MessageLife>();
        while (await reader.ReadAsync(cancellation))
        {
            found.Add(new(
                reader.GetInt64(0), new(reader.GetGuid(1)), reader.IsDBNull(2) ? null : new SwarmId(reader.GetGuid(2)), reader.GetString(3),
                reader.GetBoolean(4), reader.GetFieldValue<DateTimeOffset>(5), reader.GetFieldValue<DateTimeOffset>(6), TimeAt(reader, 7),
                reader.GetInt32(8), reader.IsDBNull(9) ? null : reader.GetString(9)));
        }

        return found;
    }

    /// <summary>A message's recipients above a number.</summary>
    public async Task<IReadOnlyList<RecipientState>> RecipientsAsync(long messageNo, long after, int limit, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            $"""
            {Recipient}
            from deliveries d left join members m on m.swarm_no = d.swarm_no and m.agent_no = d.recipient_no
            left join agents a on a.agent_no = d.recipient_no
            where d.message_no = $1 and d.recipient_no > $2 order by d.recipient_no limit $3
            """);
        command.Parameters.Add(new() { Value = messageNo });
        command.Parameters.Add(new() { Value = after });
        command.Parameters.Add(new() { Value = Math.Min(limit, Inbox.PageItemsMax) });
        return await ReadAsync(command, cancellation);
    }

    /// <summary>The first <see cref="RecipientsShown"/> recipients of each of these messages.</summary>
    public async Task<ILookup<long, RecipientState>> RecipientsAsync(IReadOnlyList<long> messageNos, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            $"""
            {Recipient}
            from unnest($1::bigint[]) u (no)
            cross join lateral (select * from deliveries d where d.message_no = u.no order by d.recipient_no limit $2) d
            left join members m on m.swarm_no = d.swarm_no and m.agent_no = d.recipient_no
            left join agents a on a.agent_no = d.recipient_no
            order by d.message_no, d.recipient_no
            """);
        command.Parameters.Add(new() { Value = messageNos.ToArray() });
        command.Parameters.Add(new() { Value = RecipientsShown });
        return (await ReadAsync(command, cancellation)).ToLookup(r => r.MessageNo);
    }

    /// <summary>The failed tries of a delivery that are kept, oldest first.</summary>
    public Task<IReadOnlyList<DeliveryAttempt>> AttemptsAsync(long messageNo, long recipientNo, CancellationToken cancellation) =>
        AttemptsAsync(database, messageNo, recipientNo, cancellation);

    internal static async Task<IReadOnlyList<DeliveryAttempt>> AttemptsAsync(
        NpgsqlDataSource database, long messageNo, long recipientNo, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            $"""
            select attempt, at, error from delivery_attempts where message_no = $1 and recipient_no = $2
            order by attempt limit {PushOptions.AttemptsKept + 1}
            """);
        command.Parameters.Add(new() { Value = messageNo });
        command.Parameters.Add(new() { Value = recipientNo });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var attempts = new List<DeliveryAttempt>();
        while (await reader.ReadAsync(cancellation))
        {
            attempts.Add(new(reader.GetInt32(0), reader.GetFieldValue<DateTimeOffset>(1), reader.GetString(2)));
        }

        return attempts;
    }

    private static async Task<IReadOnlyList<RecipientState>> ReadAsync(NpgsqlCommand command, CancellationToken cancellation)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var recipients = new List<RecipientState>();
        while (await reader.ReadAsync(cancellation))
        {
            recipients.Add(new(
                reader.GetInt64(0), reader.GetInt64(1), reader.GetString(2), reader.GetInt64(3), (DeliveryState)reader.GetInt16(4), reader.GetInt16(5),
                reader.IsDBNull(6) ? null : reader.GetString(6), TimeAt(reader, 7), TimeAt(reader, 8)));
        }

        return recipients;
    }

    private static DateTimeOffset? TimeAt(NpgsqlDataReader reader, int column) =>
        reader.IsDBNull(column) ? null : reader.GetFieldValue<DateTimeOffset>(column);
}
