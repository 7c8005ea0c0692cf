using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Builder;
using Swarm.ServiceDefaults;
using Swarm.Tests.Egress;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Deploy;

/// <summary>What of <c>deploy/</c> can be tried without a container engine.</summary>
public sealed partial class DeployTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("swarm-deploy-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public async Task The_secrets_that_compose_names_are_made_and_kept()
    {
        if (OperatingSystem.IsWindows())
        {
            return; // The script is for the machines that run the containers.
        }

        File.Copy(Path.Combine(Folder(), "secrets.sh"), Path.Combine(_folder, "secrets.sh"));
        await RunAsync("sh", Path.Combine(_folder, "secrets.sh"));
        var made = Directory.GetFiles(Path.Combine(_folder, "secrets")).ToDictionary(path => Path.GetFileName(path), File.ReadAllText);

        var named = SecretFile().Matches(await File.ReadAllTextAsync(Path.Combine(Folder(), "compose.yaml"))).Select(match => match.Groups[1].Value);
        Assert.Equal(named.Order(StringComparer.Ordinal), made.Keys.Order(StringComparer.Ordinal));
        Assert.Contains($"Password={made["postgres-password"]};", made["ConnectionStrings__swarm"], StringComparison.Ordinal);
        Assert.Contains($"requirepass {made["ConnectionStrings__redis"].Split("password=")[1]}\n", made["redis.conf"], StringComparison.Ordinal);
        Assert.Equal(64, made["Swarm__MasterKey"].Length);
        Assert.Equal(
            UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Path.Combine(_folder, "secrets")));

        await RunAsync("sh", Path.Combine(_folder, "secrets.sh"));
        Assert.All(made, secret => Assert.Equal(secret.Value, File.ReadAllText(Path.Combine(_folder, "secrets", secret.Key))));
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0)]
    [InlineData("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 1)]
    [InlineData("", 1)]
    public async Task The_health_check_of_the_image_believes_only_a_200(string answer, int exitCode)
    {
        await using var server = LyingServer.Saying(answer);

        var (code, output) = await ChildProcess.RunAsync(
            _folder, new Dictionary<string, string?> { ["SWARM_HEALTH_PORT"] = $"{server.Port}" }, "bash", [Path.Combine(Folder(), "healthcheck.sh")]);

        Assert.True(exitCode == code, $"{code} {output}");
        Assert.StartsWith("GET /health HTTP/1.1\r\nHost: localhost\r\n", server.Head, StringComparison.Ordinal);
    }

    [Fact]
    public void Settings_come_from_files_when_a_folder_is_named()
    {
        File.WriteAllText(Path.Combine(_folder, "ConnectionStrings__swarm"), "Host=there\n");
        File.WriteAllText(Path.Combine(_folder, "Swarm__MasterKey"), "from a file");
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.Configuration["Swarm:SecretsFolder"] = _folder;
        builder.Configuration["Swarm:MasterKey"] = "from the environment";

        builder.AddServiceDefaults();

        Assert.Equal(("Host=there", "from a file"), (builder.Configuration["ConnectionStrings:swarm"], builder.Configuration["Swarm:MasterKey"]));
    }

    [Fact]
    public async Task Compose_runs_postgres_as_the_node_demands_it()
    {
        var compose = await File.ReadAllTextAsync(Path.Combine(Folder(), "compose.yaml"));
        Assert.All(["-cfsync=on", "-cfull_page_writes=on", "-csynchronous_commit=on"], setting => Assert.Contains($"- {setting}\n", compose, StringComparison.Ordinal));
    }

    private static async Task RunAsync(string program, params string[] arguments)
    {
        var (code, output) = await ChildProcess.RunAsync(Path.GetTempPath(), new Dictionary<string, string?>(), program, arguments);
        Assert.True(code == 0, output);
    }

    private static string Folder([CallerFilePath] string here = "")
    {
        // A deterministic build rewrites source paths, so the output folder is asked as well.
        foreach (var start in new[] { Path.GetDirectoryName(here), AppContext.BaseDirectory })
        {
            for (var folder = start is null ? null : new DirectoryInfo(start); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, "Swarm.sln")))
                {
                    return Path.Combine(folder.FullName, "deploy");
                }
            }
        }

        throw new InvalidOperationException("The repository was not found above the tests.");
    }

    [GeneratedRegex(@"\{file: secrets/([^}]+)\}")]
    private static partial Regex SecretFile();
}
