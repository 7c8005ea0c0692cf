using Microsoft.Extensions.Logging;
using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.References;

/// <summary>
/// Fills <c>message_references</c> from the messages that were accepted, behind the accept and in steps that a crash can end anywhere
/// (ADR 0020). Any number of Workers may run it; one works at a time.
/// </summary>
public sealed partial class ReferenceIndex(NpgsqlDataSource database, ILogger<ReferenceIndex> logger)
{
    /// <summary>How many messages one step looks at.</summary>
    public const int ChunkMax = 2_000;

    /// <summary>A step ends early when the messages that it must read reach this many bytes.</summary>
    public const int ChunkBytesMax = 16 * 1024 * 1024;

    private const long AdvisoryLock = 0x53_57_41_52_4D_01; // "SWARM" 1

    /// <summary>
    /// Whether a message can have references at all, by its bytes alone. A member's name may be written with escapes, so whatever has an escaped ASCII
    /// letter can.
    /// </summary>
    public static bool MayRefer(ReadOnlySpan<byte> wire) => wire.IndexOf("\"references\""u8) >= 0 || wire.IndexOf("\\u00"u8) >= 0;

    /// <summary>Does one step.</summary>
    /// <returns>True when there may be more to do at once.</returns>
    public async Task<bool> RunOnceAsync(CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        if (await ReadAsync(connection, cancellation) is not { } at)
        {
            return false;
        }

        bool more;
        if (at.Mark is null)
        {
            if (at.Newest <= at.Done)
            {
                return false;
            }

            // The newest number was read before: whoever took one up to it is running now, or has ended.
            more = await MarkAsync(connection, at.Newest, cancellation);
        }
        else if (at.IsMarkPassed)
        {
            var (last, full) = await IndexAsync(connection, at.Done, at.Mark.Value, cancellation);
            await ExecuteAsync(
                connection,
                full
                    ? "update reference_index set done_to = $1"
                    : "update reference_index set done_to = $1, mark_no = null, mark_transactions = null",
                full ? last : at.Mark.Value, cancellation);
            more = true;
        }
        else
        {
            // Somebody takes long, perhaps a backup: what is there is not kept waiting, and is looked at once more when the mark is passed.
            var from = Math.Max(at.Done, at.Seen);
            var (last, full) = await IndexAsync(connection, from, long.MaxValue, cancellation);
            if (last > from)
            {
                await ExecuteAsync(connection, "update reference_index set seen_to = $1", last, cancellation);
            }

            more = full;
        }

        await transaction.CommitAsync(cancellation);
        return more;
    }

    private static async Task<Position?> ReadAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using (var claim = new NpgsqlCommand($"select pg_try_advisory_xact_lock({AdvisoryLock})", connection))
        {
            if (!(bool)(await claim.ExecuteScalarAsync(cancellation))!)
            {
                return null;
            }
        }

        await using var command = new NpgsqlCommand(
            """
            insert into reference_index select where not exists (select 1 from reference_index);
            select done_to, seen_to, mark_no, mark_no is not null and not mark_transactions && running_transactions(), newest_message_no()
            from reference_index
            """,
            connection);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation)
            ? new(reader.GetInt64(0), reader.GetInt64(1), reader.IsDBNull(2) ? null : reader.GetInt64(2), reader.GetBoolean(3), reader.GetInt64(4))
            : null;
    }

    /// <returns>True when nobody is running: the next step can pass the mark at once.</returns>
    private static async Task<bool> MarkAsync(NpgsqlConnection connection, long newest, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            "update reference_index set mark_no = $1, mark_transactions = running_transactions() returning cardinality(mark_transactions) = 0", connection);
        command.Parameters.Add(new() { Value = newest });
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    /// <summary>Indexes messages after a number, up to another, oldest first.</summary>
    /// <returns>The last number looked at, and whether more may follow.</returns>
    private async Task<(long Last, bool Full)> IndexAsync(NpgsqlConnection connection, long after, long to, CancellationToken cancellation)
    {
        var found = new Rows();
        var (last, count, bytes) = (after, 0, 0L);
        await using (var command = new NpgsqlCommand(
            """
            select message_no, swarm_no,
                   case when refers and (position('"references"'::bytea in wire) > 0 or position('\\u00'::bytea in wire) > 0) then wire end
            from messages where message_no > $1 and message_no <= $2 order by message_no limit $3
            """,
            connection))
        {
            // MayRefer once more, for those that say "refers" without having been asked: repeats, imports, the release before.
            command.Parameters.Add(new() { Value = after });
            command.Parameters.Add(new() { Value = to });
            command.Parameters.Add(new() { Value = ChunkMax });
            await using var reader = await command.ExecuteReaderAsync(cancellation);
            while (bytes < ChunkBytesMax && await reader.ReadAsync(cancellation))
            {
                last = reader.GetInt64(0);
                count++;
                if (!reader.IsDBNull(2))
                {
                    var wire = reader.GetFieldValue<byte[]>(2);
                    bytes += wire.Length;
                    Read(last, reader.IsDBNull(1) ? null : reader.GetInt64(1), wire, found);
                }
            }
        }

        await found.InsertAsync(connection, cancellation);
        return (last, count == ChunkMax || bytes >= ChunkBytesMax);
    }

    private void Read(long messageNo, long? swarmNo, byte[] wire, Rows found)
    {
        AspMessage message;
        try
        {
            message = MessageParser.Parse(wire);
        }
        catch (SwarmException)
        {
            LogUnreadable(messageNo);
            return;
        }

        foreach (var (ordinal, reference) in Reference.ReadAll(message.References))
        {
            if (reference.Kind != ReferenceKind.Url)
            {
                found.Add(messageNo, ordinal, swarmNo, reference, ActorOf(message, reference));
            }
        }
    }

    /// <summary>Whose claim an action moves: the sender's own; an assignment, that of the one it is addressed to.</summary>
    private static string? ActorOf(AspMessage message, Reference reference) => reference.Action switch
    {
        ReferenceAction.Claimed or ReferenceAction.Completed or ReferenceAction.Blocked or ReferenceAction.Unblocked => message.SenderId,
        ReferenceAction.Assigned when message.Recipient != Identity.AgentName.Broadcast => message.Recipient,
        _ => null,
    };

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, long value, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        command.Parameters.Add(new() { Value = value });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    [LoggerMessage(1401, LogLevel.Warning, "Message {MessageNo} cannot be read, so its references are not indexed.")]
    private partial void LogUnreadable(long messageNo);

    private sealed record Position(long Done, long Seen, long? Mark, bool IsMarkPassed, long Newest);

    private sealed class Rows
    {
        private readonly List<long> _messages = [];
        private readonly List<short> _ordinals = [];
        private readonly List<long?> _swarms = [];
        private readonly List<short> _kinds = [];
        private readonly List<string> _repos = [];
        private readonly List<long?> _numbers = [];
        private readonly List<string?> _shas = [];
        private readonly List<short?> _actions = [];
        private readonly List<string?> _actors = [];

        public void Add(long messageNo, int ordinal, long? swarmNo, Reference reference, string? actor)
        {
            _messages.Add(messageNo);
            _ordinals.Add((short)ordinal);
            _swarms.Add(swarmNo);
            _kinds.Add((short)reference.Kind);
            _repos.Add(reference.Repo!);
            _numbers.Add(reference.Number);
            _shas.Add(reference.Sha);
            _actions.Add((short?)reference.Action);
            _actors.Add(actor);
        }

        /// <summary>What was indexed early stays as it is.</summary>
        public async Task InsertAsync(NpgsqlConnection connection, CancellationToken cancellation)
        {
            if (_messages.Count == 0)
            {
                return;
            }

            await using var command = new NpgsqlCommand(
                """
                insert into message_references (message_no, ordinal, swarm_no, kind, repo, number, sha, action, actor)
                select * from unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing
                """,
                connection);
            Array(_messages.ToArray(), NpgsqlDbType.Bigint);
            Array(_ordinals.ToArray(), NpgsqlDbType.Smallint);
            Array(_swarms.ToArray(), NpgsqlDbType.Bigint);
            Array(_kinds.ToArray(), NpgsqlDbType.Smallint);
            Array(_repos.ToArray(), NpgsqlDbType.Text);
            Array(_numbers.ToArray(), NpgsqlDbType.Bigint);
            Array(_shas.ToArray(), NpgsqlDbType.Text);
            Array(_actions.ToArray(), NpgsqlDbType.Smallint);
            Array(_actors.ToArray(), NpgsqlDbType.Text);
            await command.ExecuteNonQueryAsync(cancellation);

            void Array<T>(T[] values, NpgsqlDbType type) =>
                command.Parameters.Add(new() { Value = values, NpgsqlDbType = NpgsqlDbType.Array | type });
        }
    }
}
