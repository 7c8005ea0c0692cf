using System.Text.Json;
using System.Text.Json.Nodes;
using Npgsql;
using Spectre.Console;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Load;

/// <summary>What Postgres says about itself before and after a run.</summary>
internal sealed record DatabaseFigures(string Fsync, string SynchronousCommit, long WalSyncs, long WalBytes, long Messages, long Deliveries, ProcessFigures Processes)
{
    public static async Task<DatabaseFigures> ReadAsync(string connectionString, string messages, string deliveries, CancellationToken cancellation)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync(cancellation);
        await using var command = new NpgsqlCommand(
            $"""
            select current_setting('fsync'), current_setting('synchronous_commit'), wal_sync, wal_bytes::bigint,
                   (select count(*) from {messages}), (select count(*) from {deliveries}), array(select pid from pg_stat_activity)
            from pg_stat_wal
            """,
            connection);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return new(reader.GetString(0), reader.GetString(1), reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4), reader.GetInt64(5),
            ProcessFigures.Of(reader.GetFieldValue<int[]>(6)));
    }
}

/// <summary>Prints a run as a table and, when asked, as one JSON object on the last line.</summary>
internal static class Report
{
    public static int Print(
        string scenario, LoadOptions options, LoadResult load, DatabaseFigures before, DatabaseFigures after,
        ProcessFigures serverBefore, ProcessFigures serverAfter)
    {
        var stored = after.Messages - before.Messages;
        var complete = stored == load.Accepted && after.Deliveries - before.Deliveries == load.Accepted && load.Errors == 0;
        var figures = new JsonObject
        {
            ["scenario"] = scenario,
            ["connections"] = options.Connections,
            ["seconds"] = options.Seconds,
            ["rate"] = Math.Round(load.Rate, 1),
            ["p50_ms"] = Math.Round(load.Percentile(0.50), 3),
            ["p99_ms"] = Math.Round(load.Percentile(0.99), 3),
            ["p99_9_ms"] = Math.Round(load.Percentile(0.999), 3),
            ["errors"] = load.Errors,
            ["accepted"] = load.Accepted,
            ["duplicates"] = load.Duplicates,
            ["forged_refused"] = load.Forged,
            ["rows_stored"] = stored,
            ["rows_equal_answers"] = complete,
            ["server_memory_mb"] = Math.Round(serverAfter.MemoryMb, 1),
            ["server_cpu_us_per_message"] = PerMessage(serverAfter.CpuMs - serverBefore.CpuMs, load),
            ["database_cpu_us_per_message"] = PerMessage(after.Processes.CpuMs - before.Processes.CpuMs, load),
            ["fsync"] = after.Fsync,
            ["synchronous_commit"] = after.SynchronousCommit,
            ["wal_syncs"] = after.WalSyncs - before.WalSyncs,
            ["wal_bytes_per_message"] = stored > 0 ? (after.WalBytes - before.WalBytes) / stored : 0,
            ["processors"] = Environment.ProcessorCount,
        };

        var table = new Table { Title = new TableTitle($"{scenario}: {options.Connections} connections, {options.Seconds} s") };
        table.AddColumns("figure", "value");
        foreach (var (name, value) in figures)
        {
            table.AddRow(Markup.Escape(name), Markup.Escape(value!.ToString()));
        }

        AnsiConsole.Write(table);
        if (!complete)
        {
            AnsiConsole.MarkupLineInterpolated(
                $"[red]The rows in Postgres do not equal the answers, or there were errors: {string.Join(", ", load.Statuses.Select(s => $"{s.Key}: {s.Value}"))}[/]");
        }

        if (options.Json)
        {
            Console.WriteLine(figures.ToJsonString(new JsonSerializerOptions { WriteIndented = false }));
        }

        return complete ? 0 : 1;
    }

    private static double PerMessage(double cpuMs, LoadResult load) =>
        Math.Round(cpuMs * 1000 / Math.Max(1, load.Accepted + load.Duplicates + load.Forged + load.Errors), 1);
}
