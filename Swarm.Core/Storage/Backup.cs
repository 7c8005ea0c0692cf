using System.Formats.Tar;
using System.IO.Compression;
using System.Text.Json;
using Npgsql;

namespace Swarm.Core.Storage;

/// <param name="Path">The archive, readable by its owner only.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Tables">How many tables it holds.</param>
/// <param name="Rows">How many rows they have together.</param>
public sealed record BackupSummary(string Path, long Bytes, int Tables, long Rows);

/// <summary>
/// A copy of everything that makes the node: every table from one snapshot (COPY, binary), the master key, and the local CA. It needs
/// no tools of PostgreSQL, so it works against a server in a container or elsewhere (design §5).
/// </summary>
public sealed class Backup(NpgsqlDataSource database)
{
    /// <summary>The entry that holds the master key.</summary>
    public const string MasterKeyEntry = "master.key";

    private const string ManifestEntry = "manifest.json";
    private const string TableFolder = "tables/";

    /// <summary>Writes an archive into <paramref name="folder"/>; a broken one never has the final name.</summary>
    /// <param name="folder">Made when missing, closed to others.</param>
    /// <param name="masterKey">The node's master key.</param>
    /// <param name="files">Further files to keep, by their names in the archive; those that do not exist are left out.</param>
    /// <param name="now">Names the archive.</param>
    public async Task<BackupSummary> WriteAsync(
        string folder, string masterKey, IReadOnlyDictionary<string, string> files, DateTimeOffset now, CancellationToken cancellation)
    {
        MakePrivate(folder);
        var path = Path.Combine(folder, $"swarm-{now:yyyyMMdd-HHmmss-fff}.tar.gz");
        var work = Path.Combine(folder, $".{Guid.NewGuid():N}");
        MakePrivate(work);
        try
        {
            var partial = Path.Combine(work, "archive");
            var tables = await CopyTablesAsync(work, cancellation);
            await using (var file = new FileStream(partial, Private(FileMode.CreateNew)))
            await using (var zip = new GZipStream(file, CompressionLevel.Fastest))
            await using (var tar = new TarWriter(zip))
            {
                await AddTextAsync(tar, ManifestEntry, JsonSerializer.Serialize(new BackupManifest(1, now, tables), ManifestJson.Default.BackupManifest));
                await AddTextAsync(tar, MasterKeyEntry, masterKey);
                foreach (var (name, source) in files.Where(f => File.Exists(f.Value)))
                {
                    await tar.WriteEntryAsync(source, name, cancellation);
                }

                foreach (var table in tables.Keys)
                {
                    await tar.WriteEntryAsync(Path.Combine(work, table), TableFolder + table, cancellation);
                }
            }

            File.Move(partial, path);
            return new(path, new FileInfo(path).Length, tables.Count, tables.Values.Sum());
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    /// <summary>
    /// Fills an empty, migrated database from an archive, and extracts the other files into <paramref name="folder"/>. All or nothing.
    /// </summary>
    /// <returns>The rows restored.</returns>
    /// <exception cref="StorageException">The database is not empty, or the archive belongs to another schema.</exception>
    public async Task<long> RestoreAsync(string archive, string folder, CancellationToken cancellation)
    {
        MakePrivate(folder);
        await using var connection = await database.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        var present = await TablesAsync(connection, cancellation);
        if (await CountAsync(connection, "agents", cancellation) + await CountAsync(connection, "node", cancellation) > 0)
        {
            throw new StorageException("The database is not empty: restore into a new one, after `Swarm.Worker migrate`.");
        }

        long rows = 0;
        await using var file = File.OpenRead(archive);
        await using var zip = new GZipStream(file, CompressionMode.Decompress);
        await using var tar = new TarReader(zip);
        BackupManifest? manifest = null;
        while (await tar.GetNextEntryAsync(copyData: false, cancellation) is { } entry)
        {
            if (entry.Name == ManifestEntry)
            {
                manifest = JsonSerializer.Deserialize(entry.DataStream!, ManifestJson.Default.BackupManifest);
                if (manifest is null || manifest.Tables.Keys.Except(present).FirstOrDefault() is { } unknown)
                {
                    throw new StorageException("The archive does not fit this release: it holds tables that this schema has not.");
                }
            }
            else if (entry.Name.StartsWith(TableFolder, StringComparison.Ordinal) && entry.Name[TableFolder.Length..] is var table
                && manifest?.Tables.ContainsKey(table) == true)
            {
                rows += await FillAsync(connection, table, entry.DataStream, cancellation);
            }
            else if (entry.DataStream is { } data)
            {
                await using var target = new FileStream(Path.Combine(folder, Path.GetFileName(entry.Name)), Private(FileMode.Create));
                await data.CopyToAsync(target, cancellation);
            }
        }

        await SetSequencesAsync(connection, cancellation);
        await transaction.CommitAsync(cancellation);
        return rows;
    }

    private async Task<Dictionary<string, long>> CopyTablesAsync(string work, CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        await using var snapshot = await connection.BeginTransactionAsync(System.Data.IsolationLevel.RepeatableRead, cancellation);
        var tables = new Dictionary<string, long>();
        foreach (var table in await TablesAsync(connection, cancellation))
        {
            await using (var copy = await connection.BeginRawBinaryCopyAsync($"copy (select * from \"{table}\") to stdout (format binary)", cancellation))
            await using (var file = new FileStream(Path.Combine(work, table), Private(FileMode.CreateNew)))
            {
                await copy.CopyToAsync(file, cancellation);
            }

            tables[table] = await CountAsync(connection, table, cancellation);
        }

        return tables;
    }

    private static async Task<long> FillAsync(NpgsqlConnection connection, string table, Stream? data, CancellationToken cancellation)
    {
        if (data is not null)
        {
            await using var copy = await connection.BeginRawBinaryCopyAsync($"copy \"{table}\" from stdin (format binary)", cancellation);
            await data.CopyToAsync(copy, cancellation);
        }

        return await CountAsync(connection, table, cancellation);
    }

    /// <summary>In the order in which they were made, so that a table comes after those it refers to. Migrations record themselves.</summary>
    private static async Task<List<string>> TablesAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            """
            select relname from pg_class
            where relkind in ('r', 'p') and not relispartition and relnamespace = current_schema()::regnamespace and relname <> 'migrations'
            order by oid
            """,
            connection);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var tables = new List<string>();
        while (await reader.ReadAsync(cancellation))
        {
            tables.Add(reader.GetString(0));
        }

        return tables;
    }

    private static async Task SetSequencesAsync(NpgsqlConnection connection, CancellationToken cancellation)
    {
        // Transaction ids are those of the old server: here they would look like the future to the horizon query. Numbers that the old server
        // took for no message are given out again.
        await using var command = new NpgsqlCommand(
            """
            update audit_entries set xid = '0';
            update reference_index set done_to = least(done_to, m.last), seen_to = least(seen_to, m.last), mark_no = null, mark_transactions = null
            from (select coalesce(max(message_no), -1) as last from messages) m;
            select setval('message_no_blocks', 1024 + coalesce((select max(message_no & ((1::bigint << 40) - 1)) from messages), 0));
            select setval(pg_get_serial_sequence(format('%I', c.relname), a.attname),
                          1 + (xpath('/row/n/text()', query_to_xml(format('select coalesce(max(%I), 0) as n from %I', a.attname, c.relname), false, true, '')))[1]::text::bigint)
            from pg_class c join pg_attribute a on a.attrelid = c.oid
            where c.relnamespace = current_schema()::regnamespace and c.relkind = 'r' and a.attidentity <> '' and not a.attisdropped
            """,
            connection);
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private static async Task<long> CountAsync(NpgsqlConnection connection, string table, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand($"select count(*) from \"{table}\"", connection);
        return (long)(await command.ExecuteScalarAsync(cancellation))!;
    }

    private static async Task AddTextAsync(TarWriter tar, string name, string text)
    {
        using var data = new MemoryStream(System.Text.Encoding.UTF8.GetBytes(text));
        await tar.WriteEntryAsync(new PaxTarEntry(TarEntryType.RegularFile, name)
        {
            DataStream = data,
            Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        });
    }

    private static void MakePrivate(string folder)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(folder);
        }
        else
        {
            Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }
    }

    private static FileStreamOptions Private(FileMode mode)
    {
        var options = new FileStreamOptions { Mode = mode, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        return options;
    }
}

internal sealed record BackupManifest(int Format, DateTimeOffset TakenAt, Dictionary<string, long> Tables);

[System.Text.Json.Serialization.JsonSerializable(typeof(BackupManifest))]
internal sealed partial class ManifestJson : System.Text.Json.Serialization.JsonSerializerContext;
