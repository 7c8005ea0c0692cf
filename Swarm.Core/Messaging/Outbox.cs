using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Delivery;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.Messaging;

/// <summary>What an agent sent, and where each delivery of it stands.</summary>
/// <param name="MessageNo">The node's number of it, by which lists page.</param>
public sealed record OutboxItem(
    long MessageNo, AspMessage Message, DateTimeOffset AcceptedAt, IReadOnlyDictionary<DeliveryState, int> Recipients);

/// <summary>An agent's sent messages, and look-ups by the sender's own message id.</summary>
public sealed class Outbox(NpgsqlDataSource database)
{
    /// <summary>Sent messages, newest first, older than <paramref name="before"/> (a <see cref="OutboxItem.MessageNo"/>).</summary>
    public async Task<IReadOnlyList<OutboxItem>> ListAsync(AgentId sender, long? before, int limit, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            select m.message_no, m.accepted_at, m.wire,
                   array(select d.state::integer from deliveries d where d.message_no = m.message_no)
            from messages m
            where m.sender_no = $1 and ($2::bigint is null or m.message_no < $2)
            order by m.message_no desc limit $3
            """);
        command.Parameters.Add(new() { Value = sender.Value });
        command.Parameters.Add(new() { Value = before is { } no ? no : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bigint });
        command.Parameters.Add(new() { Value = Math.Min(limit, Inbox.PageItemsMax) });
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
                reader.GetFieldValue<int[]>(3).GroupBy(s => (DeliveryState)s).ToDictionary(g => g.Key, g => g.Count())));
        }

        return items;
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
