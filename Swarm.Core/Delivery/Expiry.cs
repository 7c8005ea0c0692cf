using Npgsql;

namespace Swarm.Core.Delivery;

/// <summary>
/// Ends deliveries whose time to live ran out before they were delivered. <c>deliveries.expires_at</c> is cleared where it has no more to
/// say (the message keeps its own), so that the index holds only what can still expire.
/// </summary>
public sealed class Expiry(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>The most deliveries of one statement, so that no transaction is long.</summary>
    public const int ChunkMax = 1_000;

    /// <summary>Looks at up to <see cref="ChunkMax"/> deliveries and says at how many; call again while it returns that many.</summary>
    public async Task<int> RunOnceAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            """
            with past as (
                select message_no, recipient_no from deliveries
                where expires_at <= $1
                order by expires_at limit $2 for update skip locked)
            update deliveries d
            set state = case when d.state in (0, 1) then 8 else d.state end, lease_id = null, expires_at = null
            from past p
            where d.message_no = p.message_no and d.recipient_no = p.recipient_no
            """);
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        command.Parameters.Add(new() { Value = ChunkMax });
        return await command.ExecuteNonQueryAsync(cancellation);
    }
}
