using System.Security.Cryptography;
using System.Text;
using Npgsql;
using Swarm.Core.Storage;

namespace Swarm.Core.Audit;

/// <summary>The newest entry of a chain, as it is exported to a place that the node cannot change.</summary>
public sealed record AuditHead(Guid Writer, long EntryNo, string Hash);

/// <summary>The first entry that is not what it was.</summary>
public sealed record AuditBreak(Guid Writer, long EntryNo, string Reason);

/// <param name="Chains">How many chains there are.</param>
/// <param name="Entries">How many entries were looked at.</param>
/// <param name="BatchesNotKept">Batches whose message ids have been pruned since, so that only their chain could be verified.</param>
/// <param name="FirstBreak">Null when everything is as it was written.</param>
public sealed record AuditReport(int Chains, long Entries, long BatchesNotKept, AuditBreak? FirstBreak);

/// <summary>
/// Computes every chain again from its rows (design §5): links, numbers and hashes; the root of each decision from its detail; the
/// root of each batch from the message ids and fingerprints, or the authorizations, that are kept. A changed or removed entry breaks its chain. A cut-off tail, or
/// a whole chain that is gone, shows only against heads that were exported before.
/// </summary>
public sealed class AuditVerifier(NpgsqlDataSource database, RetentionOptions retention, TimeProvider time)
{
    /// <summary>Message ids are kept this long at least (design §3, Time); within it a missing one is a break.</summary>
    public static readonly TimeSpan IdsKeptFor = TimeSpan.FromDays(8);

    private const short Decision = 2;
    private const short Expansion = 3;

    /// <summary>The heads of all chains, to be kept elsewhere.</summary>
    public async Task<IReadOnlyList<AuditHead>> ExportHeadsAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            "select distinct on (writer_id) writer_id, entry_no, hash from audit_entries order by writer_id, entry_no desc");
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var heads = new List<AuditHead>();
        while (await reader.ReadAsync(cancellation))
        {
            heads.Add(new(reader.GetGuid(0), reader.GetInt64(1), Convert.ToHexStringLower(reader.GetFieldValue<byte[]>(2))));
        }

        return heads;
    }

    /// <summary>Verifies everything, as of one instant.</summary>
    /// <param name="exported">Heads of an earlier <see cref="ExportHeadsAsync"/>, or none.</param>
    public async Task<AuditReport> VerifyAsync(IReadOnlyList<AuditHead> exported, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        await using var snapshot = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellation);
        var (chains, entries, broken) = await VerifyChainsAsync(connection, exported, cancellation);
        long notKept = 0;
        if (broken is null)
        {
            (notKept, broken) = await VerifyBatchesAsync(connection, cancellation);
        }

        if (broken is null)
        {
            var (without, changed) = await VerifyAuthorizationsAsync(connection, cancellation);
            (notKept, broken) = (notKept + without, changed);
        }

        return new(chains, entries, notKept, broken);
    }

    private static async Task<(int Chains, long Entries, AuditBreak? Broken)> VerifyChainsAsync(
        NpgsqlConnection connection, IReadOnlyList<AuditHead> exported, CancellationToken cancellation)
    {
        var expected = exported.ToDictionary(h => (h.Writer, h.EntryNo), h => h.Hash);
        var (chains, entries) = (0, 0L);
        var chain = new AuditChain(Guid.Empty, 0, []);
        await using var command = new NpgsqlCommand(
            "select writer_id, entry_no, kind, root, detail, previous, hash from audit_entries order by writer_id, entry_no", connection);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            var (writer, entryNo, root) = (reader.GetGuid(0), reader.GetInt64(1), reader.GetFieldValue<byte[]>(3));
            if (writer != chain.Writer)
            {
                chain = AuditChain.Start() with { Writer = writer };
                chains++;
            }

            entries++;
            var previous = chain;
            chain = chain.Next(root);
            var detail = reader.IsDBNull(4) ? null : reader.GetString(4);
            var reason =
                entryNo != chain.EntryNo ? $"Entry {chain.EntryNo} is missing."
                : !reader.GetFieldValue<byte[]>(5).AsSpan().SequenceEqual(previous.Head) ? "It does not follow the entry before it."
                : !reader.GetFieldValue<byte[]>(6).AsSpan().SequenceEqual(chain.Head) ? "Its hash is not that of its content."
                : reader.GetInt16(2) is Decision or Expansion && !IsRootOf(root, detail) ? "Its text was changed."
                : expected.Remove((writer, entryNo), out var hash) && hash != Convert.ToHexStringLower(chain.Head) ? "It is not the entry that was exported."
                : null;
            if (reason is not null)
            {
                return (chains, entries, new(writer, chain.EntryNo, reason));
            }
        }

        return expected.Keys.FirstOrDefault() is { Writer: var lost, EntryNo: > 0 and var no }
            ? (chains, entries, new(lost, no, "The chain was cut off before this entry, which was exported."))
            : (chains, entries, null);
    }

    private static bool IsRootOf(byte[] root, string? detail) =>
        detail is not null && SHA256.HashData(Encoding.UTF8.GetBytes(detail)).AsSpan().SequenceEqual(root);

    /// <summary>
    /// A batch and its message ids carry the same instant; batches of several writers within one microsecond share theirs, and each
    /// batch is a run of it, because message numbers are given out in blocks.
    /// </summary>
    private async Task<(long NotKept, AuditBreak? Broken)> VerifyBatchesAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        var pruned = time.GetUtcNow() - IdsKeptFor;
        long notKept = 0;
        await using var command = new NpgsqlCommand(
            """
            select e.writer_id, e.entry_no, e.at, e.root, e.messages, i.ids
            from audit_entries e
            left join (select accepted_at, array_agg(uuid_send(message_id) || fingerprint order by message_no) as ids
                       from message_ids group by accepted_at) i on i.accepted_at = e.at
            where e.kind = 1
            order by e.writer_id, e.entry_no
            """,
            connection);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            var (root, messages) = (reader.GetFieldValue<byte[]>(3), reader.GetInt32(4));
            var ids = reader.IsDBNull(5) ? [] : reader.GetFieldValue<byte[][]>(5);
            if (messages > 0 && ids.Length == 0 && reader.GetFieldValue<DateTimeOffset>(2) < pruned)
            {
                notKept++;
            }
            else if (!HoldsRun(ids, messages, root))
            {
                return (notKept, new(reader.GetGuid(0), reader.GetInt64(1), "The message ids of this batch, or their fingerprints, were changed or removed."));
            }
        }

        return (notKept, null);
    }

    /// <summary>The events of each batch of authorizations, for as long as they are kept.</summary>
    private async Task<(long NotKept, AuditBreak? Broken)> VerifyAuthorizationsAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            """
            select e.writer_id, e.entry_no, e.at, v.events is null
            from audit_entries e left join a1_events v using (writer_id, entry_no)
            where e.kind = 4 and sha256(v.events) is distinct from e.root
            order by e.writer_id, e.entry_no
            """,
            connection);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var pruned = time.GetUtcNow() - TimeSpan.FromDays(retention.AuthorizationDays);
        long notKept = 0;
        while (await reader.ReadAsync(cancellation))
        {
            if (!reader.GetBoolean(3) || reader.GetFieldValue<DateTimeOffset>(2) >= pruned)
            {
                return (notKept, new(reader.GetGuid(0), reader.GetInt64(1), "The events of these authorizations were changed or removed."));
            }

            notKept++;
        }

        return (notKept, null);
    }

    private static bool HoldsRun(byte[][] ids, int count, byte[] root)
    {
        for (var start = 0; start + count <= ids.Length; start++)
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            foreach (var id in ids.AsSpan(start, count))
            {
                hash.AppendData(id);
            }

            if (hash.GetHashAndReset().AsSpan().SequenceEqual(root))
            {
                return true;
            }
        }

        return false;
    }
}
