using System.Diagnostics;
using Npgsql;

namespace Swarm.Tests.Infrastructure;

/// <summary>A Postgres server of its own in a temporary folder, for tests that break it.</summary>
internal sealed class PostgresCluster : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);
    private static readonly string Binaries = FindBinaries();
    private static readonly Dictionary<string, string?> NoEnvironment = [];

    private readonly string _folder;
    private readonly int _port = FreePorts.Take(1)[0];
    private ChildProcess? _server;

    private PostgresCluster(string folder) => _folder = folder;

    public int Port => _port;

    /// <summary>Connection string of the superuser, to the database <c>postgres</c>.</summary>
    public string ServerConnectionString =>
        $"Host=127.0.0.1;Port={_port};Username=postgres;Database=postgres;Timeout=5;Include Error Detail=true";

    /// <summary>Makes a cluster and starts it.</summary>
    /// <param name="settings">Like <c>fsync=off</c>.</param>
    public static async Task<PostgresCluster> StartNewAsync(params string[] settings)
    {
        var cluster = new PostgresCluster(Path.Combine(Path.GetTempPath(), $"swarm-pg-{Guid.NewGuid():N}"));
        var (code, output) = await RunAsync("initdb", "-D", cluster._folder, "-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "-A", "trust", "-N");
        Assert.True(code == 0, output);
        await cluster.StartAsync(settings);
        return cluster;
    }

    /// <summary>Starts the stopped or killed server on the same port, and waits until it takes connections.</summary>
    public async Task StartAsync(params string[] settings)
    {
        string[] arguments =
        [
            "-D", _folder, "-p", $"{_port}",
            .. ((string[])["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=60", "shared_buffers=64MB", .. settings])
                .SelectMany(s => new[] { "-c", s }),
        ];
        using var limit = new CancellationTokenSource(StartLimit);
        using var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (true)
        {
            if (_server is null or { HasExited: true })
            {
                // After a kill -9 the last of its memory may still be in use for a moment, and then it refuses to start.
                var (program, all) = AsPostgres("postgres", arguments);
                _server = ChildProcess.Start("/", NoEnvironment, program, all);
            }

            try
            {
                await using var connection = new NpgsqlConnection(ServerConnectionString + ";Pooling=false");
                await connection.OpenAsync(limit.Token);
                return;
            }
            catch (NpgsqlException) when (!limit.IsCancellationRequested)
            {
                await timer.WaitForNextTickAsync(limit.Token);
            }
            catch (Exception e) when (limit.IsCancellationRequested)
            {
                throw new TimeoutException($"Postgres did not start: {_server.Output}", e);
            }
        }
    }

    /// <summary>Makes an empty database.</summary>
    /// <param name="folder">A folder to put its tables and indexes into; null for the cluster's own.</param>
    public async Task<string> CreateDatabaseAsync(string? folder = null)
    {
        var name = $"test_{Guid.NewGuid():N}";
        await using var source = NpgsqlDataSource.Create(ServerConnectionString + ";Pooling=false");
        if (folder is not null)
        {
            var (code, output) = await RunAsync("/bin/mkdir", Path.Combine(folder, "data"));
            Assert.True(code == 0, output);
            await using var place = source.CreateCommand($"create tablespace elsewhere location '{Path.Combine(folder, "data")}'");
            await place.ExecuteNonQueryAsync();
        }

        await using var create = source.CreateCommand($"create database {name}{(folder is null ? "" : " tablespace elsewhere")}");
        await create.ExecuteNonQueryAsync();
        return new NpgsqlConnectionStringBuilder(ServerConnectionString) { Database = name }.ConnectionString;
    }

    /// <summary>SIGKILL for the postmaster and all its children.</summary>
    public Task KillAsync() => _server!.KillAsync();

    /// <summary>SIGSTOP for the postmaster and all its children, or SIGCONT.</summary>
    public void Freeze(bool frozen)
    {
        if (frozen)
        {
            _server!.Freeze();
        }
        else
        {
            _server!.Thaw();
        }
    }

    /// <summary>SIGKILL for the one backend that runs the accept statement: the postmaster then ends all others and recovers.</summary>
    public static void KillBackend(int pid) => Process.GetProcessById(pid).Kill();

    public async Task StopAsync()
    {
        var (code, output) = await RunAsync("pg_ctl", "-D", _folder, "-m", "fast", "-w", "stop");
        Assert.True(code == 0, output);
        await _server!.WaitAsync(StartLimit);
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }

        Directory.Delete(_folder, recursive: true);
    }

    private static Task<(int ExitCode, string Output)> RunAsync(string name, params string[] arguments)
    {
        var (program, all) = AsPostgres(name, arguments);
        return ChildProcess.RunAsync("/", NoEnvironment, program, all);
    }

    /// <summary>The server refuses to run as root. <c>setpriv</c> becomes the program that it starts, so its process id is the server's.</summary>
    private static (string Program, string[] Arguments) AsPostgres(string name, string[] arguments)
    {
        var program = Path.Combine(Binaries, name);
        return Environment.IsPrivilegedProcess
            ? ("setpriv", ["--reuid=postgres", "--regid=postgres", "--init-groups", program, .. arguments])
            : (program, arguments);
    }

    private static string FindBinaries()
    {
        const string Debian = "/usr/lib/postgresql";
        var folders = (Directory.Exists(Debian) ? Directory.GetDirectories(Debian) : [])
            .OrderByDescending(f => int.TryParse(Path.GetFileName(f), out var major) ? major : 0).Select(f => Path.Combine(f, "bin"))
            .Concat((Environment.GetEnvironmentVariable("PATH") ?? "").Split(':'));
        return folders.FirstOrDefault(f => File.Exists(Path.Combine(f, "initdb")))
            ?? throw new InvalidOperationException("These tests need PostgreSQL's own programs (Debian: postgresql-15).");
    }
}
