using Npgsql;

namespace Swarm.Core.Delivery;

/// <summary>Ends deliveries whose time to live ran out before they were delivered.</summary>
public sealed class Expiry(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>The most deliveries of one statement, so that no transaction is long.</summary>
    public const int ChunkMax = 1_000;

    /// <summary>Expires at most <see cref="ChunkMax"/> deliveries and says how many; call again while it returns that many.</summary>
    public async Task<int> RunOnceAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            update deliveries d set state = 8, lease_id = null
            from (select message_no, recipient_no from deliveries
                  where expires_at <= $1 and state in (0, 1)
                  order by expires_at limit $2 for update skip locked) e
            where d.message_no = e.message_no and d.recipient_no = e.recipient_no
            """);
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        command.Parameters.Add(new() { Value = ChunkMax });
        return await command.ExecuteNonQueryAsync(cancellation);
    }
}
