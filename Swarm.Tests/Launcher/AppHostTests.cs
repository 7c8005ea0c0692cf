using System.Net;
using System.Text.Json.Nodes;
using Aspire.Hosting.Testing;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Launcher;

/// <summary>The product's own app host.</summary>
public sealed class AppHostTests : IDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromMinutes(2);
    private readonly string _area = PrivateServers.NewArea();

    [Fact]
    public async Task The_whole_product_becomes_healthy_and_answers()
    {
        using var limit = new CancellationTokenSource(StartLimit);
        await using var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.Swarm_AppHost>(
            ["--Launcher:DataArea", _area, "--Swarm:DataFolder", Path.Combine(_area, "node")], limit.Token);
        await using var app = await builder.BuildAsync(limit.Token);
        await app.StartAsync(limit.Token);
        await app.ResourceNotifications.WaitForResourceHealthyAsync("worker", limit.Token);
        await app.ResourceNotifications.WaitForResourceHealthyAsync("api", limit.Token);
        using var client = app.CreateHttpClient("api");
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync(new Uri("/health", UriKind.Relative), limit.Token)).StatusCode);
        Assert.Contains("Database=swarm", await app.GetConnectionStringAsync("swarm", limit.Token), StringComparison.Ordinal);
        Assert.NotEqual(8700, app.GetEndpoint("api", "http").Port);
        var node = JsonNode.Parse(await File.ReadAllTextAsync(Path.Combine(_area, "node", "node.json"), limit.Token))!;
        Assert.Equal(app.GetEndpoint("api", "http"), new Uri((string)node["url"]!));
        Assert.Equal($"https://localhost:{app.GetEndpoint("api", "https").Port}", (string?)node["https_url"]);
    }

    [Fact]
    public async Task The_manifest_of_the_product_is_complete_and_holds_no_secret()
    {
        var file = Path.Combine(_area, "manifest.json");
        await using var host = AppHostProcess.Start(
            [Path.Combine(AppHostProcess.OutputFolderOf("Swarm.AppHost"), "Swarm.AppHost.dll"), "--publisher", "manifest", "--output-path", file, "--Parameters:master-key", "must-not-show"]);
        Assert.True(await host.EndedAsync() == 0, host.Output);
        var text = await File.ReadAllTextAsync(file);
        Assert.DoesNotContain("must-not-show", text, StringComparison.Ordinal);
        var resources = JsonNode.Parse(text)!["resources"]!.AsObject();
        Assert.Superset(
            new HashSet<string> { "master-key", "postgres", "redis", "swarm", "migrate", "api", "worker", "postgres-password", "redis-password" },
            resources.Select(r => r.Key).ToHashSet());
        Assert.True((bool?)resources["master-key"]!["inputs"]!["value"]!["secret"]);
        Assert.Equal("{master-key.value}", (string?)resources["api"]!["env"]!["Swarm__MasterKey"]);
        Assert.Null(resources["api"]!["env"]!["Swarm__DataFolder"]);
        Assert.Null(resources["api"]!["bindings"]!["grpc"]!["external"]);
        Assert.True((bool?)resources["api"]!["bindings"]!["https"]!["external"]);
        Assert.Equal(8700, (int?)resources["api"]!["bindings"]!["https"]!["targetPort"]);
        Assert.Equal("migrate", (string?)resources["migrate"]!["args"]![0]);
    }

    public void Dispose()
    {
        if (Directory.Exists(_area))
        {
            Directory.Delete(_area, recursive: true);
        }
    }
}
