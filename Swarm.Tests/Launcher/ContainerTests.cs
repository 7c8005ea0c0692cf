using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Launcher;

/// <summary>A runtime that answers is preferred. A script stands in for one: it writes down what it was asked.</summary>
[System.Runtime.Versioning.UnsupportedOSPlatform("windows")]
public sealed class ContainerTests : IDisposable
{
    private const string Password = "secret-of-the-container";
    private readonly string _area = PrivateServers.NewArea();

    [Fact]
    public async Task A_container_gets_its_volume_its_loopback_port_and_its_password_by_environment()
    {
        await using var host = await RunAsync("exit 0");
        var run = (await File.ReadAllLinesAsync(Path.Combine(_area, "asked"))).Single(line => line.StartsWith("run ", StringComparison.Ordinal) && line.Contains("postgres", StringComparison.Ordinal));
        Assert.Matches("--publish 127\\.0\\.0\\.1:\\d+:5432 ", run);
        Assert.Matches("--volume postgres-data-[0-9a-f]{8}:/var/lib/postgresql ", run);
        Assert.Contains(" --env POSTGRES_PASSWORD ", run, StringComparison.Ordinal);
        Assert.Contains("docker.io/library/postgres:18.3 -c shared_buffers=256MB", run, StringComparison.Ordinal);
        Assert.DoesNotContain(Password, run, StringComparison.Ordinal);
        Assert.Contains($"POSTGRES_PASSWORD={Password}", await File.ReadAllLinesAsync(Path.Combine(_area, "environment")));
        Assert.Contains("PostgreSQL ended with exit code 7", host.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_runtime_that_does_not_answer_is_passed_over_for_local_binaries()
    {
        await using var host = await RunAsync("exit 1");
        Assert.DoesNotContain(await File.ReadAllLinesAsync(Path.Combine(_area, "asked")), line => line.StartsWith("run ", StringComparison.Ordinal));
        Assert.Contains("making the data folder", host.Output, StringComparison.Ordinal);
    }

    public void Dispose()
    {
        if (Directory.Exists(_area))
        {
            Directory.Delete(_area, recursive: true);
        }
    }

    /// <summary>Starts the probe with a runtime whose engine answers as given, and lets its first project fail.</summary>
    private async Task<AppHostProcess> RunAsync(string info)
    {
        var tools = Directory.CreateDirectory(Path.Combine(_area, "tools")).FullName;
        var script = $"""
            #!/bin/sh
            echo "$@" >>{_area}/asked
            case "$1" in
              info) {info} ;;
              run) case "$*" in *postgres*) env >{_area}/environment ;; esac; exit 7 ;;
            esac
            """;
        var docker = Path.Combine(tools, "docker");
        await File.WriteAllTextAsync(docker, script);
        File.SetUnixFileMode(docker, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var path = new Dictionary<string, string> { ["PATH"] = $"{tools}:{Environment.GetEnvironmentVariable("PATH")}" };
        var host = AppHostProcess.StartProbe(
            _area, path, "--Launcher:redis", "none", "--Probe:ExitCode", "3", "--Parameters:postgres-password", Password);
        Assert.Equal(1, await host.EndedAsync());
        return host;
    }
}
