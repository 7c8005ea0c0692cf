using Aspire.Hosting.ApplicationModel;
using Npgsql;

namespace Aspire.Hosting.Running;

/// <summary>Runs a PostgreSQL server and says when it can be used.</summary>
internal sealed class PostgresRunner(PostgresServerResource server, RunningResource run)
{
    /// <summary>A start may have to recover from a crash first.</summary>
    private static readonly TimeSpan RecoveryTimeout = TimeSpan.FromMinutes(10);

    private static readonly TimeSpan ProbeInterval = TimeSpan.FromMilliseconds(50);

    /// <summary>Settings for a small, busy node. What keeps data safe (fsync and its like) stays as PostgreSQL ships it: on.</summary>
    private static readonly string[] Settings =
    [
        "shared_buffers=256MB", "max_wal_size=2GB", "max_connections=200", "jit=off", "listen_addresses=127.0.0.1", "unix_socket_directories=",
        "logging_collector=off", "log_timezone=UTC", "timezone=UTC",
    ];

    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var source = await ServerSource.ChooseAsync(run.Launcher, server, HasLocalData, FindBinariesAsync, cancellationToken).ConfigureAwait(false);
        var process = source switch
        {
            ServerSource.Container container => await StartContainerAsync(container, cancellationToken).ConfigureAwait(false),
            ServerSource.Local => await StartLocalAsync(cancellationToken).ConfigureAwait(false),
            ServerSource.External external => UseExternal(external),
            _ => throw new DistributedApplicationException(
                "PostgreSQL was not found: no container runtime answers, there are no local binaries, and ConnectionStrings:" + server.Name
                + " is not configured. Install PostgreSQL 15 or later (Debian: apt-get install postgresql), or start Docker or Podman."),
        };

        run.Runs(healthy: false);
        await WaitUntilItAnswersAsync(process, cancellationToken).ConfigureAwait(false);
        run.Runs(healthy: true);
        if (process is not null)
        {
            await run.FollowAsync(process, cancellationToken).ConfigureAwait(false);
        }
    }

    private string? VolumeName => server.Annotations.OfType<DataVolume>().SingleOrDefault()?.Name;

    private bool HasLocalData() => VolumeName is { } name && Directory.Exists(Path.Combine(run.Launcher.Area.Root, "volumes", name));

    private static async Task<bool> FindBinariesAsync(CancellationToken cancellationToken) =>
        await PostgresBinaries.FindAsync(null, cancellationToken).ConfigureAwait(false) is not null;

    private async Task<SupervisedProcess> StartLocalAsync(CancellationToken cancellationToken)
    {
        var account = ServerAccount.Of("postgres", required: true);
        var volume = await Volumes.OpenAsync(run, VolumeName, cancellationToken).ConfigureAwait(false);
        var data = new PostgresDataFolder(volume, account, run);
        var binaries = (await PostgresBinaries.FindAsync(data.Major, cancellationToken).ConfigureAwait(false))!;
        await data.InitializeAsync(binaries, server.UserName, server.PasswordParameter.Value, cancellationToken).ConfigureAwait(false);
        await data.ClearLeftoverAsync(cancellationToken).ConfigureAwait(false);

        var settings = Settings.Append($"port={server.PrimaryEndpoint.Port}");
        if (await IsAcceptedAsync(account, binaries, data, "wal_compression=lz4", cancellationToken).ConfigureAwait(false))
        {
            settings = settings.Append("wal_compression=lz4");
        }

        run.Update(s => s with { Note = $"PostgreSQL {binaries.Major}, data in {volume}" });
        return await run.StartAsync(
            account.Command([binaries.Postgres, "-D", data.Path, .. settings.SelectMany(s => new[] { "-c", s })]),
            Executables.Environment(),
            "/",
            ServerStop.Fast,
            cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Asks the server's program whether it was built with what a setting needs.</summary>
    private static async Task<bool> IsAcceptedAsync(
        ServerAccount account, PostgresBinaries binaries, PostgresDataFolder data, string setting, CancellationToken cancellationToken)
    {
        var (code, _) = await ShortCommand.RunAsync(
            account.Command(binaries.Postgres, "-D", data.Path, "-c", setting, "-C", setting.Split('=')[0]), cancellationToken).ConfigureAwait(false);
        return code == 0;
    }

    private async Task<SupervisedProcess> StartContainerAsync(ServerSource.Container container, CancellationToken cancellationToken)
    {
        string[] arguments = [.. Settings.Where(s => !s.StartsWith("listen", StringComparison.Ordinal) && !s.StartsWith("unix", StringComparison.Ordinal)).SelectMany(s => new[] { "-c", s })];
        return await ContainerCommand.StartAsync(run, container.Runtime, server, PostgresServerResource.ContainerPort, arguments, cancellationToken).ConfigureAwait(false);
    }

    private SupervisedProcess? UseExternal(ServerSource.External external)
    {
        var parts = new NpgsqlConnectionStringBuilder(external.ConnectionString);
        server.ExternalConnectionString = external.ConnectionString;
        server.PrimaryEndpoint.EndpointAnnotation.Allocated = (parts.Host ?? "localhost", parts.Port);
        run.Update(s => s with { Note = "from the configuration" });
        return null;
    }

    private async Task WaitUntilItAnswersAsync(SupervisedProcess? process, CancellationToken cancellationToken)
    {
        var settings = new NpgsqlConnectionStringBuilder(await server.GetConnectionStringAsync(cancellationToken).ConfigureAwait(false))
        {
            Pooling = false,
            Timeout = 5,
        };
        settings.Database ??= "postgres";
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(RecoveryTimeout);
        while (true)
        {
            if (process?.Exited.IsCompleted == true)
            {
                throw new DistributedApplicationException($"PostgreSQL ended with exit code {await process.Exited.ConfigureAwait(false)} while starting.");
            }

            try
            {
                using var connection = new NpgsqlConnection(settings.ConnectionString);
                await connection.OpenAsync(limit.Token).ConfigureAwait(false);
                return;
            }
            catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification)
            {
                throw new DistributedApplicationException(
                    $"The PostgreSQL server refuses the password of '{server.Name}': its data was made with another one. "
                    + $"Give that one as Parameters:{server.PasswordParameter.Name}, or remove the data ({run.Update(s => s).Note}).", e);
            }
            catch (NpgsqlException) when (!limit.IsCancellationRequested)
            {
                // Not up yet, or still recovering.
                await Task.Delay(ProbeInterval, limit.Token).ConfigureAwait(false);
            }
        }
    }
}

/// <summary>Makes a database, once its server can be used.</summary>
internal static class PostgresDatabaseRunner
{
    public static async Task RunAsync(PostgresDatabaseResource database, RunningResource run, CancellationToken cancellationToken)
    {
        await run.Launcher.Notifications.WaitForResourceAsync(database.Parent.Name, e => e.Snapshot.IsUp, cancellationToken).ConfigureAwait(false);
        run.Enter(KnownResourceStates.Starting);
        var server = new NpgsqlConnectionStringBuilder(await database.Parent.GetConnectionStringAsync(cancellationToken).ConfigureAwait(false)) { Pooling = false };
        server.Database ??= "postgres";
        using var connection = new NpgsqlConnection(server.ConnectionString);
        await connection.OpenAsync(cancellationToken).ConfigureAwait(false);
        using var find = new NpgsqlCommand("SELECT 1 FROM pg_database WHERE datname = $1", connection) { Parameters = { new() { Value = database.DatabaseName } } };
        if (await find.ExecuteScalarAsync(cancellationToken).ConfigureAwait(false) is null)
        {
            using var quoting = new NpgsqlCommandBuilder();
            using var create = new NpgsqlCommand($"CREATE DATABASE {quoting.QuoteIdentifier(database.DatabaseName)}", connection);
            await create.ExecuteNonQueryAsync(cancellationToken).ConfigureAwait(false);
        }

        run.Runs(healthy: true);
    }
}
