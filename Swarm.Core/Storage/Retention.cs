using Microsoft.Extensions.Logging;
using Npgsql;

namespace Swarm.Core.Storage;

/// <summary>How long things are kept, in days. Section <c>Retention</c>.</summary>
public sealed class RetentionOptions
{
    /// <summary>Ids are kept longer than the oldest signed time that is accepted, so that pruning never reopens a replay (design §3, Time).</summary>
    public const int IdDaysMin = 8;

    /// <summary>A week's messages go when all of them are older than this and nothing of them is live; at least <see cref="IdDaysMin"/>.</summary>
    public int MessageDays { get; set; } = 30;

    /// <summary>How long an id is remembered as used, beyond its message; at least <see cref="IdDaysMin"/>.</summary>
    public int IdDays { get; set; } = 38;

    /// <summary>How long a dead letter waits for somebody to look at it.</summary>
    public int DeadLetterDays { get; set; } = 30;

    /// <summary>How long the events of authorizations are kept (A1 §19); their audit entries stay.</summary>
    public int AuthorizationDays { get; set; } = 90;
}

/// <summary>
/// Keeps the hot tables bounded (design §4): makes the partitions of the coming weeks, drops those of past weeks that hold no live
/// delivery and no unexpired dead letter, and prunes ids. Any number of Workers may run it.
/// </summary>
public sealed partial class Retention(NpgsqlDataSource database, RetentionOptions options, TimeProvider time, ILogger<Retention> logger)
{
    /// <summary>How many weeks ahead have partitions; if nobody made them, rows go to the <c>_rest</c> partitions.</summary>
    public const int WeeksAhead = 3;

    /// <summary>The most rows of one deleting statement, so that no transaction is long.</summary>
    public const int ChunkMax = 5_000;

    /// <summary>How long a drop waits for the tables; accepts wait behind it meanwhile, so it is short, and it is tried again an hour later.</summary>
    public const int LockTimeoutMs = 500;

    /// <summary>Does everything once.</summary>
    public async Task RunOnceAsync(CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        await using var connection = await database.OpenConnectionAsync(cancellation);
        await ExecuteAsync(
            connection,
            "select make_partitions(w::integer) from generate_series(message_day($1) / 7, message_day($1) / 7 + $2) w",
            cancellation, now.UtcDateTime, WeeksAhead);
        await DropOldAsync(connection, now, cancellation);

        var dead = now.AddDays(-options.DeadLetterDays).UtcDateTime;
        await InChunksAsync(
            connection,
            """
            with old as (delete from dead_letters where ctid = any (array(select ctid from dead_letters where died_at < $1 limit $2))
                         returning message_no, recipient_no),
                 tries as (delete from delivery_attempts a using old o where a.message_no = o.message_no and a.recipient_no = o.recipient_no)
            select count(*) from old
            """,
            dead, cancellation);
        await InChunksAsync(
            connection,
            """
            with old as (delete from message_ids where ctid = any (array(select ctid from message_ids where accepted_at < $1 limit $2)) returning 1)
            select count(*) from old
            """,
            now.AddDays(-Math.Max(RetentionOptions.IdDaysMin, options.IdDays)).UtcDateTime, cancellation);
    }

    private async Task DropOldAsync(NpgsqlConnection connection, DateTimeOffset now, CancellationToken cancellation)
    {
        var before = now.AddDays(-Math.Max(RetentionOptions.IdDaysMin, options.MessageDays)).UtcDateTime;
        var weeks = new List<string>();
        await using (var command = new NpgsqlCommand(
            """
            select right(c.relname, 5) from pg_inherits i join pg_class c on c.oid = i.inhrelid
            where i.inhparent = 'messages'::regclass and c.relname like 'messages\_w%' order by 1
            """,
            connection))
        await using (var reader = await command.ExecuteReaderAsync(cancellation))
        {
            while (await reader.ReadAsync(cancellation))
            {
                weeks.Add(reader.GetString(0));
            }
        }

        foreach (var week in weeks)
        {
            if (!await IsFinishedAsync(connection, week, before, cancellation))
            {
                continue;
            }

            try
            {
                await ExecuteAsync(
                    connection,
                    $"""
                    set lock_timeout = {LockTimeoutMs};
                    begin;
                    delete from delivery_attempts a where exists (select 1 from messages_{week} m where m.message_no = a.message_no);
                    delete from imported_messages i where exists (select 1 from messages_{week} m where m.message_no = i.message_no);
                    delete from message_references r where exists (select 1 from messages_{week} m where m.message_no = r.message_no);
                    drop table deliveries_{week}, messages_{week};
                    commit;
                    reset lock_timeout;
                    """,
                    cancellation);
                LogDropped(week, before);
            }
            catch (PostgresException e) when (e.SqlState == PostgresErrorCodes.LockNotAvailable)
            {
                await ExecuteAsync(connection, "rollback; reset lock_timeout", cancellation);
                LogBusy(week);
            }
        }
    }

    /// <summary>Everything in it is old, and nothing is live: not pending, not leased, not dead and still shown, not to be expanded.</summary>
    private static async Task<bool> IsFinishedAsync(NpgsqlConnection connection, string week, DateTime before, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            $"""
            select exists (select 1 from messages_{week})
               and not exists (select 1 from messages_{week} where accepted_at >= $1)
               and not exists (select 1 from deliveries_{week} where state in (0, 1))
               and not exists (select 1 from dead_letters l join messages_{week} m using (message_no))
               and not exists (select 1 from expansions e join messages_{week} m using (message_no))
            """,
            connection);
        command.Parameters.Add(new() { Value = before });
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    private static async Task InChunksAsync(NpgsqlConnection connection, string sql, DateTime before, CancellationToken cancellation)
    {
        long rows;
        do
        {
            await using var command = new NpgsqlCommand(sql, connection);
            command.Parameters.Add(new() { Value = before });
            command.Parameters.Add(new() { Value = ChunkMax });
            rows = (long)(await command.ExecuteScalarAsync(cancellation))!;
        }
        while (rows == ChunkMax);
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellation, params object[] values)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        foreach (var value in values)
        {
            command.Parameters.Add(new() { Value = value });
        }

        await command.ExecuteNonQueryAsync(cancellation);
    }

    [LoggerMessage(1301, LogLevel.Information, "The messages of partition {Week} are gone: all are older than {Before:u} and finished.")]
    private partial void LogDropped(string week, DateTime before);

    [LoggerMessage(1302, LogLevel.Information, "Partition {Week} is in use and is dropped later.")]
    private partial void LogBusy(string week);
}
