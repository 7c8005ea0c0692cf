using System.Net;
using System.Net.Sockets;
using System.Text.RegularExpressions;
using Aspire.Hosting.Supervision;
using Npgsql;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Launcher;

/// <summary>However an app host ends, its processes, ports and locks end with it, and its data stays.</summary>
public sealed class CrashTests : IDisposable
{
    private static readonly TimeSpan CleanUpLimit = TimeSpan.FromSeconds(30);
    private static readonly string[] Secrets = ["--Parameters:postgres-password", "a-password-of-the-test", "--Parameters:redis-password", "another-password"];
    private readonly string _area = PrivateServers.NewArea();

    [Theory]
    [InlineData(UnixSignals.Kill)]
    [InlineData(UnixSignals.Interrupt)]
    [InlineData(UnixSignals.Terminate)]
    public async Task An_app_host_that_ends_leaves_no_process_port_or_lock_and_its_data_is_found_again(int signal)
    {
        await using (var first = AppHostProcess.StartProbe(_area, null, Secrets))
        {
            await first.StartedAsync();
            await ExecuteAsync(first, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (42)");
            var processes = first.Descendants();
            Assert.True(processes.Count > 5, first.Output);
            first.Signal(signal);
            await Eventually.TrueAsync("every process is gone", () => processes.All(id => !Directory.Exists($"/proc/{id}")), CleanUpLimit);
            Assert.All(PortsOf(first), port => Assert.True(CanListen(port), $"port {port} is still taken"));
            Assert.True(CanLock(Path.Combine(_area, "volumes", "postgres-data", "lock")));
            await first.EndedAsync();
        }

        await using var second = AppHostProcess.StartProbe(_area, null, Secrets);
        await second.StartedAsync();
        Assert.Equal(42, await ExecuteAsync(second, "SELECT n FROM kept"));
    }

    [Fact]
    public async Task An_app_host_ends_with_the_dotnet_run_that_started_it()
    {
        var configuration = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd('/')).Name;
        await using var run = AppHostProcess.Start(
            ["run", "--no-build", "-c", configuration, "--project", AppHostProcess.ProbeProject, "--", "apphost", AppHostProcess.ProbeProject, "--Launcher:DataArea", _area, .. Secrets]);
        await run.StartedAsync();
        var processes = run.Descendants();
        Assert.True(processes.Count > 6, run.Output);
        run.Signal(UnixSignals.Kill);
        await Eventually.TrueAsync("every process is gone", () => processes.All(id => !Directory.Exists($"/proc/{id}")), CleanUpLimit);
    }

    [Fact]
    public async Task A_start_at_once_after_a_kill_waits_for_the_end_of_the_killed()
    {
        await using var first = AppHostProcess.StartProbe(_area, null, Secrets);
        await first.StartedAsync();
        await ExecuteAsync(first, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (7)");
        first.Signal(UnixSignals.Kill);
        await first.EndedAsync();
        await using var second = AppHostProcess.StartProbe(_area, null, Secrets);
        await second.StartedAsync();
        Assert.Equal(7, await ExecuteAsync(second, "SELECT n FROM kept"));
    }

    [Fact]
    public async Task A_second_app_host_on_the_same_data_is_refused_by_the_number_of_the_first()
    {
        await using var first = AppHostProcess.StartProbe(_area, null, Secrets);
        await first.StartedAsync();
        await using var second = AppHostProcess.StartProbe(_area, null, Secrets);
        Assert.Equal(1, await second.EndedAsync());
        Assert.Contains($"process {first.Id}", second.Output, StringComparison.Ordinal);
        Assert.Equal(1, await ExecuteAsync(first, "SELECT 1"));
    }

    [Fact]
    public async Task A_resource_that_fails_ends_the_start_with_its_log_and_one_message()
    {
        await using var host = AppHostProcess.StartProbe(_area, null, [.. Secrets, "--Probe:ExitCode", "3"]);
        Assert.Equal(1, await host.EndedAsync());
        Assert.Contains("the probe ends with 3", host.Output, StringComparison.Ordinal);
        Assert.Single(Regex.Matches(host.Output, "^error: ", RegexOptions.Multiline));
        Assert.Contains("error: first did not start. It ended with exit code 3.", host.Output, StringComparison.Ordinal);
        Assert.Empty(host.Descendants());
    }

    [Fact]
    public async Task A_data_folder_of_another_major_version_is_refused_with_both_versions()
    {
        await using (var first = AppHostProcess.StartProbe(_area, null, Secrets))
        {
            await first.StartedAsync();
        }

        await File.WriteAllTextAsync(Path.Combine(_area, "volumes", "postgres-data", "data", "PG_VERSION"), "9\n");
        await using var second = AppHostProcess.StartProbe(_area, null, Secrets);
        Assert.Equal(1, await second.EndedAsync());
        Assert.Contains("was made by PostgreSQL 9", second.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_data_folder_made_with_another_password_is_refused_with_its_parameter()
    {
        await using (var first = AppHostProcess.StartProbe(_area, null, Secrets))
        {
            await first.StartedAsync();
        }

        await using var second = AppHostProcess.StartProbe(_area, null, "--Parameters:postgres-password", "not-the-same");
        Assert.Equal(1, await second.EndedAsync());
        Assert.Contains("Parameters:postgres-password", second.Output, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        if (Directory.Exists(_area))
        {
            Directory.Delete(_area, recursive: true);
        }
    }

    private static IEnumerable<int> PortsOf(AppHostProcess host) =>
        Regex.Matches(host.Output, @"(?:tcp|http)://127\.0\.0\.1:(\d+)").Select(m => int.Parse(m.Groups[1].Value)).Distinct();

    private static async Task<object?> ExecuteAsync(AppHostProcess host, string sql)
    {
        var port = Regex.Match(host.Output, @"^postgres +\S+ +tcp://127\.0\.0\.1:(\d+)", RegexOptions.Multiline).Groups[1].Value;
        await using var connection = new NpgsqlConnection(
            $"Host=127.0.0.1;Port={port};Username=postgres;Password={Secrets[1]};Database=probe;Pooling=false");
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync();
    }

    private static bool CanListen(int port)
    {
        using var listener = new TcpListener(IPAddress.Loopback, port);
        try
        {
            listener.Start();
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static bool CanLock(string file)
    {
        using var held = new FileStream(file, FileMode.Open, FileAccess.ReadWrite, FileShare.None);
        return held.CanWrite;
    }
}
