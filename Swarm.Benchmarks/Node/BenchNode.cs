using Aspire.Hosting;
using Aspire.Hosting.Testing;

namespace Swarm.Benchmarks.Node;

/// <summary>The whole product, started by its AppHost on free ports with temporary data.</summary>
internal sealed class BenchNode : IAsyncDisposable
{
    private readonly DistributedApplication _app;
    private readonly string _folder;

    private BenchNode(DistributedApplication app, string folder, string connectionString, Uri http)
    {
        _app = app;
        _folder = folder;
        ConnectionString = connectionString;
        Http = http;
    }

    public string ConnectionString { get; }

    /// <summary>The Api's cleartext endpoint.</summary>
    public Uri Http { get; }

    public static async Task<BenchNode> StartAsync(CancellationToken cancellation)
    {
        var folder = Directory.CreateTempSubdirectory("swarm-bench-").FullName;
        var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.Swarm_AppHost>(
            ["--Swarm:Persist=false", $"--Swarm:DataFolder={folder}"], cancellation);
        var app = await builder.BuildAsync(cancellation);
        await app.StartAsync(cancellation);
        await app.ResourceNotifications.WaitForResourceHealthyAsync("api", cancellation);
        return new(
            app,
            folder,
            await app.GetConnectionStringAsync("swarm", cancellation) ?? throw new InvalidOperationException("The AppHost has no database."),
            app.GetEndpoint("api", "http"));
    }

    /// <summary>The Api's process; it is found by the data folder in its environment.</summary>
    public ProcessFigures Api() => ProcessFigures.Find("Swarm.Api.dll", _folder);

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}
