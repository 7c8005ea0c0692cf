using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;
using Spectre.Console;
using Swarm.Benchmarks.Load;

namespace Swarm.Benchmarks.Node;

/// <summary>How a node differs from the shipped one.</summary>
/// <param name="ApiReplicas">Processes of the Api.</param>
/// <param name="Environment">Environment variables of Api and Worker beside the AppHost's.</param>
internal sealed record BenchNodeOptions(int ApiReplicas = 1, IReadOnlyDictionary<string, string>? Environment = null);

/// <summary>The whole product, started by its AppHost on free ports with temporary data.</summary>
internal sealed class BenchNode : IAsyncDisposable
{
    private readonly DistributedApplication _app;
    private readonly string _folder;

    private BenchNode(DistributedApplication app, string folder, string connectionString, string masterKey, JsonObject machine)
    {
        _app = app;
        _folder = folder;
        ConnectionString = connectionString;
        MasterKey = masterKey;
        Machine = machine;
        Http = new(app.GetEndpoint("api", "http"), null);
        Https = new(app.GetEndpoint("api", "https"), Path.Combine(folder, "ca.pem"));
        OperatorToken = File.ReadAllText(Path.Combine(folder, "operator.token")).Trim();
    }

    public string ConnectionString { get; }

    /// <summary>The node's master key, so that hosted agents can be written straight into its database.</summary>
    public string MasterKey { get; }

    /// <summary>The machine and the servers, as every result says them.</summary>
    public JsonObject Machine { get; }

    /// <summary>The Api's cleartext endpoint.</summary>
    public Target Http { get; }

    /// <summary>The Api's TLS endpoint, under the node's own authority.</summary>
    public Target Https { get; }

    public string OperatorToken { get; }

    public static async Task<BenchNode> StartAsync(CancellationToken cancellation, BenchNodeOptions? options = null)
    {
        AnsiConsole.MarkupLine("Measuring this machine …");
        var machine = Node.Machine.Measure();
        AnsiConsole.MarkupLine("Starting Postgres, Redis and the node …");
        var folder = Directory.CreateTempSubdirectory("swarm-bench-").FullName;
        var masterKey = RandomNumberGenerator.GetHexString(64);
        var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.Swarm_AppHost>(
            ["--Swarm:Persist=false", $"--Swarm:DataFolder={folder}", $"--Swarm:ApiReplicas={options?.ApiReplicas ?? 1}", $"--Parameters:master-key={masterKey}"],
            cancellation);
        foreach (var (name, value) in options?.Environment ?? new Dictionary<string, string>())
        {
            foreach (var project in builder.Resources.OfType<ProjectResource>().ToArray())
            {
                builder.CreateResourceBuilder(project).WithEnvironment(name, value);
            }
        }

        var app = await builder.BuildAsync(cancellation);
        try
        {
            await app.StartAsync(cancellation);
            await app.ResourceNotifications.WaitForResourceHealthyAsync("api", cancellation);
            await app.ResourceNotifications.WaitForResourceHealthyAsync("worker", cancellation);
            var database = await app.GetConnectionStringAsync("swarm", cancellation) ?? throw new InvalidOperationException("The AppHost has no database.");
            await Node.Machine.AddServersAsync(machine, database, await RedisAsync(app, cancellation), cancellation);
            return new(app, folder, database, masterKey, machine);
        }
        catch
        {
            await app.DisposeAsync();
            throw;
        }
    }

    /// <summary>The Api's processes; they are found by the data folder in their environment.</summary>
    public ProcessFigures Api() => ProcessFigures.Find("Swarm.Api.dll", _folder);

    /// <summary>The Worker's process.</summary>
    public ProcessFigures Worker() => ProcessFigures.Find("Swarm.Worker.dll", _folder);

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    private static async Task<string?> RedisAsync(DistributedApplication app, CancellationToken cancellation)
    {
        try
        {
            return await app.GetConnectionStringAsync("redis", cancellation);
        }
        catch (Exception e) when (e is InvalidOperationException or DistributedApplicationException)
        {
            // The node runs without one.
            return null;
        }
    }
}
