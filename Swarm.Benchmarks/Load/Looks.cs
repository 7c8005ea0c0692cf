using System.Diagnostics;
using Npgsql;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Load;

/// <summary>One look at a node under load.</summary>
/// <param name="Seconds">Since the first.</param>
/// <param name="ApiMb">Memory of the Api.</param>
/// <param name="WorkerMb">Memory of the Worker.</param>
/// <param name="LiveRows">Of the hot tables.</param>
/// <param name="DeadRows">Of them, waiting for vacuum.</param>
/// <param name="TableBytes">What they take, indexes too.</param>
/// <param name="WalBytes">Written since the server started.</param>
internal readonly record struct Look(double Seconds, double ApiMb, double WorkerMb, long LiveRows, long DeadRows, long TableBytes, long WalBytes);

/// <summary>Looks at a node again and again until it is stopped.</summary>
internal static class Looks
{
    private const string HotTables = "^(messages|deliveries)_|^(message_ids|mailboxes|lanes|queue_heads|expansions|audit_entries)$";

    public static async Task<List<Look>> TakeAsync(BenchNode node, TimeSpan every, CancellationToken stop)
    {
        await using var database = NpgsqlDataSource.Create(node.ConnectionString);
        var looks = new List<Look>();
        var startedAt = Stopwatch.GetTimestamp();
        using var timer = new PeriodicTimer(every);
        try
        {
            do
            {
                looks.Add(await TakeAsync(node, database, Stopwatch.GetElapsedTime(startedAt).TotalSeconds));
            }
            while (await timer.WaitForNextTickAsync(stop));
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // The last look is the one before.
        }

        return looks;
    }

    /// <summary>The least-squares slope of a quantity, per minute.</summary>
    public static double SlopePerMinute(IReadOnlyList<Look> looks, Func<Look, double> of)
    {
        if (looks.Count < 2)
        {
            return 0;
        }

        var (meanX, meanY) = (looks.Average(l => l.Seconds), looks.Average(of));
        var spread = looks.Sum(l => (l.Seconds - meanX) * (l.Seconds - meanX));
        return spread == 0 ? 0 : looks.Sum(l => (l.Seconds - meanX) * (of(l) - meanY)) / spread * 60;
    }

    private static async Task<Look> TakeAsync(BenchNode node, NpgsqlDataSource database, double seconds)
    {
        await using var command = database.CreateCommand(
            $"""
            select coalesce(sum(n_live_tup), 0)::bigint, coalesce(sum(n_dead_tup), 0)::bigint, coalesce(sum(pg_total_relation_size(relid)), 0)::bigint,
                   (select wal_bytes::bigint from pg_stat_wal)
            from pg_stat_user_tables where relname ~ '{HotTables}'
            """);
        await using var reader = await command.ExecuteReaderAsync();
        await reader.ReadAsync();
        return new(
            seconds, node.Api().MemoryMb, node.Worker().MemoryMb, reader.GetInt64(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3));
    }
}
