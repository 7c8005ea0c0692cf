using Npgsql;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Signals;

namespace Swarm.Core.Delivery;

/// <summary>
/// Makes the deliveries of messages that were accepted without them: large broadcasts, scheduled messages, and what had to queue behind
/// such a one of the same sender (design §3). In chunks, so that no mailbox is locked for long; a crash loses no chunk and repeats none.
/// Several Workers share the work, one expansion each; within a sender the oldest goes first. One instance belongs to one loop.
/// </summary>
public sealed class Expansion(NpgsqlDataSource database, ISignalBus signals, TimeProvider time)
{
    /// <summary>The most deliveries of one chunk, which is one transaction.</summary>
    public const int ChunkMax = 1_000;

    private AuditChain _chain = AuditChain.Start();

    /// <summary>Makes one chunk of what is due; false when nothing is.</summary>
    public async Task<bool> RunOnceAsync(CancellationToken cancellation)
    {
        long[] recipients;
        try
        {
            await using var command = database.CreateCommand("select expanded, recipients, audit_hash from expand_next($1, $2, $3, $4, $5)");
            command.Parameters.Add(new() { Value = ChunkMax });
            command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
            command.Parameters.Add(new() { Value = _chain.Writer });
            command.Parameters.Add(new() { Value = _chain.EntryNo + 1 });
            command.Parameters.Add(new() { Value = _chain.Head });
            await using var reader = await command.ExecuteReaderAsync(cancellation);
            await reader.ReadAsync(cancellation);
            if (reader.IsDBNull(0))
            {
                return false;
            }

            recipients = reader.GetFieldValue<long[]>(1);
            _chain = _chain with { EntryNo = _chain.EntryNo + 1, Head = reader.GetFieldValue<byte[]>(2) };
        }
        catch
        {
            // Whether the chunk was committed is unknown: go on with a chain of its own.
            _chain = AuditChain.Start();
            throw;
        }

        signals.Publish(Array.ConvertAll(recipients, no => new AgentId(no)));
        return true;
    }

    /// <summary>When the next scheduled message is due; null when none waits.</summary>
    public async Task<DateTimeOffset?> NextDueAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select min(due_at) from expansions");
        return await command.ExecuteScalarAsync(cancellation) is DateTime due ? new DateTimeOffset(due, TimeSpan.Zero) : null;
    }
}
