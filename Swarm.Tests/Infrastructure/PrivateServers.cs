using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;

namespace Swarm.Tests.Infrastructure;

/// <summary>
/// Servers for one test run, started through the launcher of the product in a data area of their own. They end with the test
/// process: the launcher's supervisor stops them and removes the area however that process ends.
/// </summary>
internal static class PrivateServers
{
    private static readonly Lazy<Task<string>> PostgresServer = new(StartPostgresAsync);
    private static readonly Lazy<Task<string?>> RedisServer = new(StartRedisAsync);

    /// <summary>Connection string of the superuser of a private Postgres.</summary>
    public static Task<string> PostgresAsync() => PostgresServer.Value;

    /// <summary>Connection string of a private Redis; null when this machine has none.</summary>
    public static Task<string?> RedisAsync() => RedisServer.Value;

    /// <summary>A builder whose data, logs and secrets lie in a new folder that is removed when the application ends.</summary>
    public static IDistributedApplicationBuilder CreateBuilder(params IEnumerable<string> args) =>
        DistributedApplication.CreateBuilder(["--Launcher:DataArea", NewArea(), "--Launcher:Ephemeral", "true", .. args]);

    /// <summary>The name of a folder that does not exist yet, and that servers run by other users can reach.</summary>
    public static string NewArea() => Path.Combine(Path.GetTempPath(), $"swarm-test-{Environment.ProcessId}-{Guid.NewGuid():N}");

    private static async Task<string> StartPostgresAsync()
    {
        var builder = CreateBuilder();
        var postgres = builder.AddPostgres("postgres");
        var app = builder.Build();
        await app.StartAsync();
        await app.ResourceNotifications.WaitForResourceHealthyAsync("postgres");
        return await postgres.Resource.GetConnectionStringAsync() ?? throw new InvalidOperationException("Postgres has no connection string.");
    }

    private static async Task<string?> StartRedisAsync()
    {
        var builder = CreateBuilder();
        var redis = builder.AddRedis("redis");
        var app = builder.Build();
        await app.StartAsync();
        var settled = await app.ResourceNotifications.WaitForResourceAsync("redis", e => e.Snapshot.HealthStatus is not null || e.Snapshot.State?.Text == "Absent");
        if (settled.Snapshot.State?.Text == "Absent")
        {
            return null;
        }

        await app.ResourceNotifications.WaitForResourceHealthyAsync("redis");
        return await redis.Resource.GetConnectionStringAsync();
    }
}
