using Microsoft.Extensions.Logging;
using Npgsql;
using Swarm.Core.Audit;
using Swarm.Core.Storage;

namespace Swarm.Core.Identity;

/// <summary>Where a node keeps what is not in its database.</summary>
public sealed class DataFolderOptions
{
    public const string OperatorTokenFile = "operator.token";

    /// <summary>What to say, and to do, when none is set.</summary>
    public const string MissingMeaning = "Swarm:DataFolder is not set. The AppHost sets it; elsewhere set Swarm__DataFolder to a private folder";

    /// <summary>Configuration <c>Swarm:DataFolder</c>.</summary>
    public string Path { get; set; } = "";

    public string OperatorToken => System.IO.Path.Combine(Path, OperatorTokenFile);

    /// <summary>Makes the folder, closed to others, and returns it.</summary>
    public string Ensure()
    {
        if (Path.Length == 0)
        {
            throw new StorageException(MissingMeaning + ".");
        }

        if (!Directory.Exists(Path))
        {
            if (OperatingSystem.IsWindows())
            {
                Directory.CreateDirectory(Path);
            }
            else
            {
                Directory.CreateDirectory(Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
            }
        }

        return Path;
    }
}

/// <summary>
/// The first start: the node's row, the check that the master key is the right one, and an operator token in a file that only its
/// owner reads (design §5). Safe to run in several replicas at once.
/// </summary>
public sealed partial class NodeSetup(
    NpgsqlDataSource database, KeyVault vault, Tokens tokens, Decisions decisions, DataFolderOptions folder, TimeProvider time,
    ILogger<NodeSetup> logger)
{
    /// <summary>How long another replica is waited for that writes the token file right now.</summary>
    public static readonly TimeSpan LockWaitMax = TimeSpan.FromSeconds(10);

    /// <exception cref="StorageException">The master key is not the one of this database, or the data folder cannot be used.</exception>
    public async Task RunAsync(CancellationToken cancellation)
    {
        // Of several replicas that start together the first one's row and check value stay.
        await using var command = database.CreateCommand(
            """
            insert into node (node_id, created_at, master_key_check) values ($1, $2, $3)
            on conflict (only_row) do update set master_key_check = coalesce(node.master_key_check, excluded.master_key_check)
            returning master_key_check
            """);
        command.Parameters.Add(new() { Value = Guid.NewGuid() });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        command.Parameters.Add(new() { Value = vault.MakeCheck() });
        vault.Check((byte[])(await command.ExecuteScalarAsync(cancellation))!);

        await EnsureOperatorTokenAsync(cancellation);
    }

    private async Task EnsureOperatorTokenAsync(CancellationToken cancellation)
    {
        folder.Ensure();
        var path = folder.OperatorToken;
        using var alone = FileLock.Take(path, LockWaitMax, cancellation);
        if (File.Exists(path)
            && await tokens.AuthenticateAsync((await File.ReadAllTextAsync(path, cancellation)).Trim(), cancellation) is { IsAdmin: true })
        {
            return;
        }

        var token = await decisions.RunAsync(
            "operator token made at start",
            scope => tokens.IssueAsync(scope, TokenScope.OperatorAdmin, null, "first start", null, cancellation),
            cancellation);
        var temporary = path + ".new";
        var options = new FileStreamOptions { Mode = FileMode.Create, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }

        await using (var file = new StreamWriter(temporary, options))
        {
            await file.WriteLineAsync(token.Text);
        }

        File.Move(temporary, path, overwrite: true);
        LogOperatorToken(path);
    }

    [LoggerMessage(1201, LogLevel.Information, "An operator token was written to {Path}. Keep that file private.")]
    private partial void LogOperatorToken(string path);
}
