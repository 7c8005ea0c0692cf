using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Delivery;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Core.Messaging;

/// <summary>What an agent sent, and where each delivery of it stands.</summary>
/// <param name="MessageNo">The node's number of it, by which lists page.</param>
public sealed record OutboxItem(
    long MessageNo, AspMessage Message, DateTimeOffset AcceptedAt, IReadOnlyDictionary<DeliveryState, int> Recipients, SentStatus Status, string? Error);

/// <summary>What became of a sent message as a whole (ASP §9.2, hardened).</summary>
public enum SentStatus
{
    /// <summary>Something is still on its way, or nobody was there to get it.</summary>
    Sent,

    /// <summary>Every recipient has acknowledged or read it.</summary>
    Delivered,

    /// <summary>For one recipient at least it ended otherwise.</summary>
    Failed,
}

/// <param name="MessageNo">The node's number of it, by which lists page.</param>
/// <param name="Error">With <see cref="SentStatus.Failed"/>: why, of the recipient that failed first.</param>
public sealed record SentItem(long MessageNo, AspMessage Message, DateTimeOffset AcceptedAt, SentStatus Status, string? Error);

public sealed record SentPage(IReadOnlyList<SentItem> Items, long? NextBefore);

public sealed record SentCounts(long Sent, long Delivered, long Failed, long Total);

/// <summary>An agent's sent messages, and look-ups by the sender's own message id.</summary>
public sealed class Outbox(NpgsqlDataSource database)
{
    /// <summary>Sent messages, newest first, older than <paramref name="before"/> (a <see cref="OutboxItem.MessageNo"/>).</summary>
    public async Task<IReadOnlyList<OutboxItem>> ListAsync(
        AgentId sender, SwarmId? swarm, long? before, int limit, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            $"""
            select m.message_no, coalesce(s.at, m.accepted_at), m.wire,
                   array(select d.state::integer from deliveries d where d.message_no = m.message_no), s.status, s.error
            from messages m, lateral ({Status}) s
            where m.sender_no = $1 and m.outgoing and ($2::bigint is null or m.message_no < $2)
              and ($4::uuid is null or m.swarm_no = (select swarm_no from swarms where swarm_id = $4))
            order by m.message_no desc limit $3
            """);
        command.Parameters.Add(new() { Value = sender.Value });
        command.Parameters.Add(new() { Value = before is { } no ? no : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bigint });
        command.Parameters.Add(new() { Value = Math.Min(limit, Inbox.PageItemsMax) });
        command.Parameters.Add(new() { Value = swarm is { } id ? id.Value : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var items = new List<OutboxItem>();
        var bytes = 0;
        while (bytes < Inbox.PageBytesMax && await reader.ReadAsync(cancellation))
        {
            var wire = reader.GetFieldValue<byte[]>(2);
            bytes += wire.Length;
            items.Add(new(
                reader.GetInt64(0),
                MessageParser.Parse(wire),
                reader.GetFieldValue<DateTimeOffset>(1),
                reader.GetFieldValue<int[]>(3).GroupBy(s => (DeliveryState)s).ToDictionary(g => g.Key, g => g.Count()),
                (SentStatus)reader.GetInt32(4),
                reader.IsDBNull(5) ? null : reader.GetString(5)));
        }

        return items;
    }

    // A message's status by its deliveries, else as it was imported; numbers are those of SentStatus.
    private const string Status =
        """
        select case when bool_or(d.state > 4) then 2
                    when bool_and(d.state between 2 and 4) and not exists (select 1 from expansions x where x.message_no = m.message_no) then 1
                    else coalesce(max(i.status), 0) end as status,
               coalesce((array_agg(coalesce(d.last_error, (array['rejected', 'failed', 'dead', 'expired', 'timed out'])[d.state - 4])
                                   order by d.recipient_no) filter (where d.state > 4))[1], max(i.error)) as error,
               max(i.at) as at
        from (select) one
        left join deliveries d on d.message_no = m.message_no
        left join imported_messages i on i.message_no = m.message_no and i.agent_no = m.sender_no
        """;

    /// <summary>One page of what was sent, newest first, each with the status of the whole message. It ends early after <see cref="Inbox.PageBytesMax"/>.</summary>
    public async Task<SentPage> ListSentAsync(AgentId sender, SwarmId? swarm, long? before, int limit, CancellationToken cancellation)
    {
        limit = Math.Min(limit, Inbox.PageItemsMax);
        await using var command = database.CreateCommand(
            $"""
            select m.message_no, coalesce(s.at, m.accepted_at), m.wire, s.status, s.error
            from messages m, lateral ({Status}) s
            where m.sender_no = $1 and m.outgoing and m.message_no < $2 and ($3::uuid is null or m.swarm_no = (select swarm_no from swarms where swarm_id = $3))
            order by m.message_no desc limit $4
            """);
        command.Parameters.Add(new() { Value = sender.Value });
        command.Parameters.Add(new() { Value = before ?? long.MaxValue });
        command.Parameters.Add(new() { Value = swarm is { } id ? id.Value : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        command.Parameters.Add(new() { Value = limit + 1 });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var items = new List<SentItem>();
        var bytes = 0;
        while (await reader.ReadAsync(cancellation))
        {
            if (items.Count == limit || bytes >= Inbox.PageBytesMax)
            {
                return new(items, items[^1].MessageNo);
            }

            var wire = reader.GetFieldValue<byte[]>(2);
            bytes += wire.Length;
            items.Add(new(
                reader.GetInt64(0), MessageParser.Parse(wire), reader.GetFieldValue<DateTimeOffset>(1), (SentStatus)reader.GetInt32(3),
                reader.IsDBNull(4) ? null : reader.GetString(4)));
        }

        return new(items, null);
    }

    /// <summary>How many of an agent's messages, to one swarm or all, stand where.</summary>
    public async Task<SentCounts> CountSentAsync(AgentId sender, SwarmId? swarm, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            $"""
            select count(*) filter (where s.status = 0), count(*) filter (where s.status = 1), count(*) filter (where s.status = 2), count(*)
            from messages m, lateral ({Status}) s
            where m.sender_no = $1 and m.outgoing and ($2::uuid is null or m.swarm_no = (select swarm_no from swarms where swarm_id = $2))
            """);
        command.Parameters.Add(new() { Value = sender.Value });
        command.Parameters.Add(new() { Value = swarm is { } id ? id.Value : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return new(reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3));
    }

    /// <summary>A message by the id that its sender gave it; null when it sent none of that id, or it is not kept any more.</summary>
    public async Task<AspMessage?> FindAsync(AgentId sender, MessageId id, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            select m.wire from message_ids i join messages m on m.message_no = i.message_no
            where i.sender_no = $1 and i.message_id = $2
            """);
        command.Parameters.Add(new() { Value = sender.Value });
        command.Parameters.Add(new() { Value = id.Value });
        return await command.ExecuteScalarAsync(cancellation) is byte[] wire ? MessageParser.Parse(wire) : null;
    }
}
