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

    /// <summary>Resident memory of the Api, in MB; it is found by the data folder in its environment.</summary>
    public double ApiMemoryMb() => ProcessMemory.OfMb("Swarm.Api.dll", _folder);

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }
}

/// <summary>Memory of other processes of ours, from /proc.</summary>
internal static class ProcessMemory
{
    /// <summary>Resident megabytes of the process whose command line and environment hold the texts; 0 when it is not found.</summary>
    public static double OfMb(string command, string environment)
    {
        foreach (var folder in Directory.EnumerateDirectories("/proc").Where(d => int.TryParse(Path.GetFileName(d), out _)))
        {
            try
            {
                if (File.ReadAllText(Path.Combine(folder, "cmdline")).Contains(command, StringComparison.Ordinal)
                    && File.ReadAllText(Path.Combine(folder, "environ")).Contains(environment, StringComparison.Ordinal))
                {
                    var line = File.ReadLines(Path.Combine(folder, "status")).First(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
                    return double.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]) / 1024;
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidOperationException)
            {
                // It ended while we looked, or is not ours.
            }
        }

        return 0;
    }
}
