using System.Text.Json.Nodes;
using Npgsql;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Load;

/// <summary>What Postgres says about itself before and after a run, and what the machine's cores did until then.</summary>
internal sealed record DatabaseFigures(
    long WalSyncs, long WalBytes, long FullPages, long Messages, long Deliveries, ProcessFigures Processes, CoreTime Cores)
{
    /// <param name="connectionString">Which database.</param>
    /// <param name="messages">What counts as messages: a table, perhaps with its <c>where</c>.</param>
    /// <param name="deliveries">The same for deliveries.</param>
    /// <param name="cancellation">Breaks it off.</param>
    public static async Task<DatabaseFigures> ReadAsync(string connectionString, string messages, string deliveries, CancellationToken cancellation)
    {
        var cores = CoreTime.Now();
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(cancellation);
        await using var command = new NpgsqlCommand(
            $"""
            select wal_sync, wal_bytes::bigint, wal_fpi, (select count(*) from {messages}), (select count(*) from {deliveries}),
                   array(select pid from pg_stat_activity)
            from pg_stat_wal
            """,
            connection);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return new(reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4),
            ProcessFigures.Of(reader.GetFieldValue<int[]>(5)), cores);
    }

    /// <summary>The hot tables, or of them what is newer than the newest message of now, which is cheap to count however full they are.</summary>
    public static async Task<(string Messages, string Deliveries)> FromNowAsync(string connectionString, CancellationToken cancellation)
    {
        await using var database = NpgsqlDataSource.Create(connectionString);
        await using var command = database.CreateCommand("select coalesce(max(message_no), 0) from messages");
        var newest = (long)(await command.ExecuteScalarAsync(cancellation))!;
        return ($"messages where message_no > {newest}", $"deliveries where message_no > {newest}");
    }

    /// <summary>Writes what a message cost.</summary>
    public static void AddCosts(
        JsonObject figures, DatabaseFigures before, DatabaseFigures after, ProcessFigures serverBefore, ProcessFigures serverAfter, long answers)
    {
        var stored = Math.Max(1, after.Messages - before.Messages);
        figures["server_memory_mb"] = Math.Round(serverAfter.MemoryMb, 1);
        figures["server_cpu_us_per_message"] = PerMessage(serverAfter.CpuMs - serverBefore.CpuMs, answers);
        figures["database_cpu_us_per_message"] = PerMessage(after.Processes.CpuMs - before.Processes.CpuMs, answers);
        figures["wal_syncs"] = after.WalSyncs - before.WalSyncs;

        // The first change of a page after a checkpoint writes all of it (8 kB): the reason why a short run after a checkpoint writes more.
        figures["wal_full_pages_per_message"] = Math.Round((after.FullPages - before.FullPages) / (double)stored, 3);
        figures["wal_bytes_per_message"] = (after.WalBytes - before.WalBytes) / stored;
        (figures["idle_percent"], figures["stolen_percent"]) = after.Cores.Since(before.Cores);
    }

    private static double PerMessage(double cpuMs, long answers) => Math.Round(cpuMs * 1000 / Math.Max(1, answers), 1);
}
