using Npgsql;

namespace Swarm.Tests.Infrastructure;

/// <summary>
/// What a database holds, to the last value: rows and a hash of each table. Two of them are equal exactly when nothing changed between them.
/// </summary>
internal static class TableState
{
    // A refusal may be noted in the audit, and asking shows that one is there; nothing else may be written by it.
    private static readonly string[] Passed = ["audit_entries", "presence", "migrations"];

    /// <summary>Every table but those in which a refusal legitimately writes.</summary>
    /// <param name="tables">Only these; none: all.</param>
    public static async Task<SortedDictionary<string, string>> ReadAsync(NpgsqlDataSource database, params string[] tables)
    {
        var names = tables.ToList();
        if (names.Count == 0)
        {
            await using var list = database.CreateCommand(
                "select relname from pg_class where relkind in ('r', 'p') and not relispartition and relnamespace = 'public'::regnamespace and relname <> all ($1)");
            list.Parameters.Add(new() { Value = Passed });
            await using var found = await list.ExecuteReaderAsync();
            while (await found.ReadAsync())
            {
                names.Add(found.GetString(0));
            }

            Assert.True(names.Count > 20, "The tables were not found.");
        }

        // When a token was last used is the one value that reading changes.
        await using var command = database.CreateCommand(string.Join(" union all ", names.Select(name =>
            $"select '{name}', count(*) || ' rows, ' || coalesce(md5(string_agg(md5((to_jsonb(t) - 'last_used_at')::text), '' order by md5((to_jsonb(t) - 'last_used_at')::text))), '-') from {name} t")));
        await using var reader = await command.ExecuteReaderAsync();
        var state = new SortedDictionary<string, string>(StringComparer.Ordinal);
        while (await reader.ReadAsync())
        {
            state[reader.GetString(0)] = reader.GetString(1);
        }

        return state;
    }

    /// <summary>Fails when <paramref name="attack"/> changed a value anywhere.</summary>
    /// <param name="tables">Only these; none: all but those in which a refusal legitimately writes.</param>
    public static async Task<T> UnchangedAsync<T>(NpgsqlDataSource database, Func<Task<T>> attack, params string[] tables)
    {
        var before = await ReadAsync(database, tables);
        var result = await attack();
        Assert.Equal(before, await ReadAsync(database, tables));
        return result;
    }
}
