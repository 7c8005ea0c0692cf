using Npgsql;

namespace Swarm.Core.Storage;

/// <summary>What the node holds. Large counts are PostgreSQL's estimates when exact ones would be slow.</summary>
public sealed record NodeTotals(Guid NodeId, long Agents, long Swarms, long Messages);

/// <summary>Figures for status and statistics.</summary>
public sealed class NodeFigures(NpgsqlDataSource database)
{
    /// <summary>Above this many messages their number is an estimate.</summary>
    public const long ExactMessagesMax = 100_000;

    public async Task<NodeTotals> TotalsAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            select (select node_id from node),
                   (select count(*) from agents where name is not null and revoked_at is null),
                   (select count(*) from swarms where dissolved_at is null),
                   case when c.reltuples > $1 then c.reltuples::bigint else (select count(*) from messages) end
            from pg_class c where c.oid = 'messages'::regclass
            """);
        command.Parameters.Add(new() { Value = (float)ExactMessagesMax });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return new(reader.GetGuid(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3));
    }

    /// <summary>Deliveries by state.</summary>
    public async Task<IReadOnlyDictionary<Delivery.DeliveryState, long>> DeliveriesAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select state, count(*) from deliveries group by state");
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var counts = new Dictionary<Delivery.DeliveryState, long>();
        while (await reader.ReadAsync(cancellation))
        {
            counts[(Delivery.DeliveryState)reader.GetInt16(0)] = reader.GetInt64(1);
        }

        return counts;
    }

    /// <summary>When the oldest delivery that still waits was accepted; null when none waits.</summary>
    public async Task<DateTimeOffset?> OldestPendingAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            select m.accepted_at from messages m
            where m.message_no = (select min(message_no) from deliveries where state = 0)
            """);
        return await command.ExecuteScalarAsync(cancellation) is DateTime at ? new DateTimeOffset(at, TimeSpan.Zero) : null;
    }
}
