using Npgsql;

namespace Swarm.Core.Storage;

/// <summary>What the node demands of its database before it accepts anything (design §3 promise 1, §4).</summary>
public sealed class StorageOptions
{
    /// <summary>The oldest PostgreSQL that is supported, as in <c>server_version_num</c>.</summary>
    public const int ServerVersionMin = 150000;

    /// <summary>For tests only: start although the database may lose what it has confirmed.</summary>
    public bool AllowUnsafeDurability { get; set; }
}

/// <summary>Refuses to start on a database that would break a promise.</summary>
public sealed class StartupChecks(NpgsqlDataSource database, StorageOptions options)
{
    private static readonly string[] DurabilitySettings = ["fsync", "full_page_writes", "synchronous_commit"];

    /// <exception cref="StorageException">The database is too old, not durable, not UTF-8, or has another schema.</exception>
    public async Task RunAsync(CancellationToken cancellation)
    {
        await using var connection = await database.OpenConnectionAsync(cancellation);
        var version = int.Parse(await ShowAsync(connection, "server_version_num", cancellation));
        if (version < StorageOptions.ServerVersionMin)
        {
            throw new StorageException($"PostgreSQL {version / 10000} is too old; 15 or later is needed.");
        }

        if (await ShowAsync(connection, "server_encoding", cancellation) is not "UTF8" and var encoding)
        {
            throw new StorageException($"The database's encoding is {encoding}; it must be UTF8.");
        }

        foreach (var setting in DurabilitySettings)
        {
            if (await ShowAsync(connection, setting, cancellation) == "off" && !options.AllowUnsafeDurability)
            {
                throw new StorageException(
                    $"PostgreSQL runs with {setting} = off: a crash would lose messages that were already confirmed. " +
                    $"Set {setting} = on in postgresql.conf and restart it.");
            }
        }

        await Migrator.CheckAsync(connection, cancellation);
    }

    private static async Task<string> ShowAsync(NpgsqlConnection connection, string setting, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand($"show {setting}", connection);
        return (string)(await command.ExecuteScalarAsync(cancellation))!;
    }
}
