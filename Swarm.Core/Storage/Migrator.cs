using System.Security.Cryptography;
using System.Text;
using Npgsql;

namespace Swarm.Core.Storage;

/// <summary>
/// Applies <c>Migrations/NNNN_name.sql</c>, forward only, each in its own transaction, under an advisory lock that lets several
/// starts race (design §4). Each applied migration's SHA-256 is kept; a changed or unknown one stops the start.
/// </summary>
public sealed class Migrator(NpgsqlDataSource database, TimeProvider time)
{
    private const long AdvisoryLock = 0x53_57_41_52_4D; // "SWARM"

    /// <summary>Brings the schema up to date and returns the names of what was applied now.</summary>
    /// <exception cref="StorageException">A migration was changed after it was applied, or is not known to this release.</exception>
    public async Task<IReadOnlyList<string>> MigrateAsync(CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        await ExecuteAsync(connection, $"select pg_advisory_lock({AdvisoryLock})", cancellation);
        try
        {
            await ExecuteAsync(
                connection,
                "create table if not exists migrations (name text primary key, checksum bytea not null, applied_at timestamptz not null)",
                cancellation);
            var known = Load();
            var applied = await ReadAppliedAsync(connection, cancellation);
            Check(known, applied, complete: false);

            var now = new List<string>();
            foreach (var migration in known.Where(m => !applied.ContainsKey(m.Name)))
            {
                await using var transaction = await connection.BeginTransactionAsync(cancellation);
                await ExecuteAsync(connection, migration.Sql, cancellation);
                await using var record = new NpgsqlCommand("insert into migrations values ($1, $2, $3)", connection);
                record.Parameters.Add(new() { Value = migration.Name });
                record.Parameters.Add(new() { Value = migration.Checksum });
                record.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
                await record.ExecuteNonQueryAsync(cancellation);
                await transaction.CommitAsync(cancellation);
                now.Add(migration.Name);
            }

            return now;
        }
        finally
        {
            await ExecuteAsync(connection, $"select pg_advisory_unlock({AdvisoryLock})", CancellationToken.None);
        }
    }

    /// <summary>Refuses a database whose schema is not exactly the one this release was built with.</summary>
    /// <exception cref="StorageException">It is older, newer, or was changed.</exception>
    public static async Task CheckAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var exists = new NpgsqlCommand("select to_regclass('migrations') is not null", connection);
        if (!(bool)(await exists.ExecuteScalarAsync(cancellation))!)
        {
            throw new StorageException("The database has no schema yet. Run `Swarm.Worker migrate` first (the AppHost does).");
        }

        Check(Load(), await ReadAppliedAsync(connection, cancellation), complete: true);
    }

    private static void Check(IReadOnlyList<Migration> known, Dictionary<string, byte[]> applied, bool complete)
    {
        var byName = known.ToDictionary(m => m.Name);
        foreach (var (name, checksum) in applied)
        {
            if (!byName.TryGetValue(name, out var migration))
            {
                throw new StorageException(
                    $"The database has the migration {name}, which this release does not know: it was made by a newer release. Start that one.");
            }

            if (!checksum.AsSpan().SequenceEqual(migration.Checksum))
            {
                throw new StorageException(
                    $"The migration {name} was changed after it was applied. Restore the released file, or restore the database from a backup.");
            }
        }

        if (complete && known.FirstOrDefault(m => !applied.ContainsKey(m.Name)) is { } missing)
        {
            throw new StorageException($"The database lacks the migration {missing.Name}. Run `Swarm.Worker migrate` (the AppHost does).");
        }
    }

    private static async Task<Dictionary<string, byte[]>> ReadAppliedAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        var applied = new Dictionary<string, byte[]>();
        await using var command = new NpgsqlCommand("select name, checksum from migrations", connection);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        while (await reader.ReadAsync(cancellation))
        {
            applied.Add(reader.GetString(0), reader.GetFieldValue<byte[]>(1));
        }

        return applied;
    }

    private static Migration[] Load()
    {
        var assembly = typeof(Migrator).Assembly;
        const string Folder = ".Storage.Migrations.";
        return
        [
            .. from resource in assembly.GetManifestResourceNames()
               let at = resource.IndexOf(Folder, StringComparison.Ordinal)
               where at >= 0
               let name = Path.GetFileNameWithoutExtension(resource[(at + Folder.Length)..])
               orderby name
               select Read(name, assembly.GetManifestResourceStream(resource)!),
        ];
    }

    private static Migration Read(string name, Stream stream)
    {
        using var reader = new StreamReader(stream, Encoding.UTF8);
        var sql = reader.ReadToEnd().ReplaceLineEndings("\n");
        return new(name, sql, SHA256.HashData(Encoding.UTF8.GetBytes(sql)));
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private sealed record Migration(string Name, string Sql, byte[] Checksum);
}

/// <summary>The database cannot be used as it is; the message says what to do.</summary>
public sealed class StorageException(string message) : Exception(message);
