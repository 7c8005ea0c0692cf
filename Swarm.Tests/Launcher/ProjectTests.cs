using System.Net.Http.Json;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Launcher;

/// <summary>What a project's process gets from the app host.</summary>
public sealed class ProjectTests
{
    [Fact]
    public async Task A_project_gets_the_environment_that_Aspire_gives()
    {
        var builder = PrivateServers.CreateBuilder("--Parameters:postgres-password", "pg secret/1", "--Parameters:redis-password", "rs", "--Parameters:key", "k e y");
        var key = builder.AddParameter("key", secret: true);
        var database = builder.AddPostgres("postgres").AddDatabase("orders-db", "orders");
        var redis = builder.AddRedis("redis");
        var other = OnFreePorts(builder.AddProject("other-web", AppHostProcess.ProbeProject));
        OnFreePorts(builder.AddProject("web", AppHostProcess.ProbeProject))
            .WithReference(database).WithReference(redis).WithReference(other).WaitFor(redis)
            .WithEnvironment("KEY", key).WithEnvironment("PLAIN", "value").WithEnvironment("OTHER", other.GetEndpoint("grpc"))
            .WithEnvironment(context => context.EnvironmentVariables["SELF"] = $"{context.Resource.Name} {context.ExecutionContext.IsRunMode}")
            .WithArgs("--some", "argument").WithHttpHealthCheck("/health");
        await using var app = builder.Build();
        await app.StartAsync();
        await app.ResourceNotifications.WaitForResourceHealthyAsync("web");
        using var client = app.CreateHttpClient("web");
        var environment = (await client.GetFromJsonAsync<Dictionary<string, string>>("/environment"))!;

        var pg = ((PostgresServerResource)database.Resource.Parent).PrimaryEndpoint.Port;
        var rs = redis.Resource.PrimaryEndpoint.Port;
        var expected = new Dictionary<string, string>
        {
            ["ConnectionStrings__orders-db"] = $"Host=127.0.0.1;Port={pg};Username=postgres;Password=pg secret/1;Database=orders",
            ["ORDERS_DB_HOST"] = "127.0.0.1",
            ["ORDERS_DB_PORT"] = $"{pg}",
            ["ORDERS_DB_USERNAME"] = "postgres",
            ["ORDERS_DB_PASSWORD"] = "pg secret/1",
            ["ORDERS_DB_URI"] = $"postgresql://postgres:pg%20secret%2F1@127.0.0.1:{pg}/orders",
            ["ORDERS_DB_JDBCCONNECTIONSTRING"] = $"jdbc:postgresql://127.0.0.1:{pg}/orders",
            ["ORDERS_DB_DATABASENAME"] = "orders",
            ["ConnectionStrings__redis"] = $"127.0.0.1:{rs},password=rs",
            ["REDIS_HOST"] = "127.0.0.1",
            ["REDIS_PORT"] = $"{rs}",
            ["REDIS_PASSWORD"] = "rs",
            ["REDIS_URI"] = $"redis://:rs@127.0.0.1:{rs}",
            ["services__other-web__http__0"] = other.GetEndpoint("http").Url,
            ["services__other-web__grpc__0"] = other.GetEndpoint("grpc").Url,
            ["OTHER_WEB_HTTP"] = other.GetEndpoint("http").Url,
            ["OTHER_WEB_GRPC"] = other.GetEndpoint("grpc").Url,
            ["Kestrel__Endpoints__http__Url"] = app.GetEndpoint("web", "http").OriginalString.TrimEnd('/'),
            ["Kestrel__Endpoints__grpc__Url"] = app.GetEndpoint("web", "grpc").OriginalString.TrimEnd('/'),
            ["OTEL_SERVICE_NAME"] = "web",
            ["OTEL_DOTNET_EXPERIMENTAL_OTLP_RETRY"] = "in_memory",
            ["LOGGING__CONSOLE__FORMATTERNAME"] = "simple",
            ["DOTNET_SYSTEM_CONSOLE_ALLOW_ANSI_COLOR_REDIRECTION"] = "true",
            ["KEY"] = "k e y",
            ["PLAIN"] = "value",
            ["OTHER"] = other.GetEndpoint("grpc").Url,
            ["SELF"] = "web True",
        };
        Assert.All(expected, pair => Assert.Equal(pair.Value, environment.GetValueOrDefault(pair.Key)));
        Assert.Matches("^service\\.instance\\.id=[a-z0-9]{8}$", environment["OTEL_RESOURCE_ATTRIBUTES"]);
        Assert.All(["ASPNETCORE_URLS", "DOTNET_ENVIRONMENT", "OTEL_EXPORTER_OTLP_ENDPOINT", "MASTER_KEY"], name => Assert.False(environment.ContainsKey(name), name));
        Assert.Equal(["--some", "argument"], (await client.GetFromJsonAsync<string[]>("/arguments"))!);
    }

    [Fact]
    public async Task Without_Redis_a_project_starts_and_is_told_nothing_of_it()
    {
        var builder = PrivateServers.CreateBuilder("--Launcher:redis", "none");
        var redis = builder.AddRedis("redis");
        OnFreePorts(builder.AddProject("web", AppHostProcess.ProbeProject)).WithReference(redis).WaitFor(redis).WithHttpHealthCheck("/health");
        await using var app = builder.Build();
        await app.StartAsync();
        await app.ResourceNotifications.WaitForResourceHealthyAsync("web");
        using var client = app.CreateHttpClient("web");
        var environment = (await client.GetFromJsonAsync<Dictionary<string, string>>("/environment"))!;
        Assert.DoesNotContain(environment.Keys, name => name.Contains("redis", StringComparison.OrdinalIgnoreCase));
        Assert.True(app.ResourceNotifications.TryGetCurrentState("redis", out var state));
        Assert.Equal("Absent", state.Snapshot.State?.Text);
    }

    [Fact]
    public async Task Without_Postgres_the_start_fails_with_what_to_install()
    {
        var builder = PrivateServers.CreateBuilder("--Launcher:postgres", "none");
        builder.AddPostgres("postgres");
        await using var app = builder.Build();
        await app.StartAsync();
        var error = await Assert.ThrowsAsync<DistributedApplicationException>(() => app.ResourceNotifications.WaitForResourceHealthyAsync("postgres"));
        Assert.Contains("apt-get install postgresql", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Replicas_share_one_public_port_and_take_turns()
    {
        var builder = PrivateServers.CreateBuilder();
        OnFreePorts(builder.AddProject("web", AppHostProcess.ProbeProject)).WithReplicas(2).WithHttpHealthCheck("/health");
        await using var app = builder.Build();
        await app.StartAsync();
        await app.ResourceNotifications.WaitForResourceHealthyAsync("web");
        var processes = new HashSet<int>();
        await Eventually.TrueAsync(
            "both replicas answer on the public port",
            async () =>
            {
                using var client = app.CreateHttpClient("web");
                processes.Add(await client.GetFromJsonAsync<int>("/process"));
                return processes.Count == 2;
            },
            TimeSpan.FromSeconds(20));
    }

    [Fact]
    public async Task A_taken_port_is_named_before_anything_starts()
    {
        using var holder = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        holder.Start();
        var port = ((System.Net.IPEndPoint)holder.LocalEndpoint).Port;
        var builder = PrivateServers.CreateBuilder();
        builder.AddProject("web", AppHostProcess.ProbeProject).WithEndpoint("grpc", e => e.Port = null).WithEndpoint("http", e => e.Port = port);
        await using var app = builder.Build();
        var error = await Assert.ThrowsAsync<DistributedApplicationException>(() => app.StartAsync());
        Assert.Contains($"port {port} (web, http)", error.Message, StringComparison.Ordinal);
    }

    private static IResourceBuilder<ProjectResource> OnFreePorts(IResourceBuilder<ProjectResource> project) =>
        project.WithEndpoint("http", e => e.Port = null).WithEndpoint("grpc", e => e.Port = null);
}
