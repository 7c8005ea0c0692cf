using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Npgsql;
using StackExchange.Redis;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.StandIns;

/// <summary>What the Aspire client integrations do with configuration.</summary>
public sealed class ComponentsTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Fact]
    public async Task A_data_source_takes_its_connection_string_by_name_and_is_checked()
    {
        HostApplicationBuilder builder = Builder(("ConnectionStrings:swarm", await postgres.CreateDatabaseAsync()), ("Aspire:Npgsql:ConnectionString", "Host=nowhere"));
        builder.AddNpgsqlDataSource("swarm", configureDataSourceBuilder: source => source.Name = "mine");
        using IHost host = builder.Build();

        await using NpgsqlCommand command = host.Services.GetRequiredService<NpgsqlDataSource>().CreateCommand("select 41 + 1");

        Assert.Equal(42, await command.ExecuteScalarAsync());
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(host)).Entries["PostgreSql"].Status);
    }

    [Fact]
    public void Without_a_connection_string_the_use_fails_and_says_what_to_set()
    {
        HostApplicationBuilder builder = Builder();
        builder.AddNpgsqlDataSource("swarm");
        builder.AddRedisClient("redis");
        using IHost host = builder.Build();

        var noPostgres = Assert.Throws<InvalidOperationException>(host.Services.GetRequiredService<NpgsqlDataSource>);
        var noRedis = Assert.Throws<InvalidOperationException>(host.Services.GetRequiredService<IConnectionMultiplexer>);
        Assert.Contains("ConnectionStrings:swarm", noPostgres.Message, StringComparison.Ordinal);
        Assert.Contains("ConnectionStrings:redis", noRedis.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(null, true)]
    [InlineData("Aspire:Npgsql:EntityFrameworkCore:PostgreSQL:DisableRetry", false)]
    [InlineData("Aspire:Npgsql:EntityFrameworkCore:PostgreSQL:SomeContext:DisableRetry", false)]
    public async Task A_context_retries_unless_told_otherwise_and_is_checked(string? setting, bool retries)
    {
        string database = await postgres.CreateDatabaseAsync();
        HostApplicationBuilder builder = setting is null ? Builder(("ConnectionStrings:swarm", database)) : Builder(("ConnectionStrings:swarm", database), (setting, "true"));
        builder.AddNpgsqlDbContext<SomeContext>("swarm", settings => settings.CommandTimeout = 7);
        using IHost host = builder.Build();

        using IServiceScope scope = host.Services.CreateScope();
        SomeContext context = scope.ServiceProvider.GetRequiredService<SomeContext>();

        Assert.Equal(retries, context.Database.CreateExecutionStrategy().RetriesOnFailure);
        Assert.Equal(7, context.Database.GetCommandTimeout());
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(host)).Entries["SomeContext"].Status);
    }

    [Fact]
    public async Task Enriching_gives_a_registered_context_retry_and_a_check()
    {
        HostApplicationBuilder builder = Builder(("ConnectionStrings:swarm", await postgres.CreateDatabaseAsync()));
        Assert.Throws<InvalidOperationException>(() => builder.EnrichNpgsqlDbContext<SomeContext>());
        builder.AddNpgsqlDataSource("swarm", settings => settings.DisableHealthChecks = true);
        builder.Services.AddPooledDbContextFactory<SomeContext>((services, options) => options.UseNpgsql(services.GetRequiredService<NpgsqlDataSource>()));
        builder.EnrichNpgsqlDbContext<SomeContext>();
        using IHost host = builder.Build();

        await using SomeContext context = await host.Services.GetRequiredService<IDbContextFactory<SomeContext>>().CreateDbContextAsync();

        Assert.True(context.Database.CreateExecutionStrategy().RetriesOnFailure);
        HealthReport report = await CheckAsync(host);
        Assert.Equal("SomeContext", Assert.Single(report.Entries).Key);
        Assert.Equal(HealthStatus.Healthy, report.Status);
    }

    [RedisFact]
    public async Task A_Redis_client_is_configured_from_every_place()
    {
        await using RedisServer server = await RedisServer.StartAsync("secret");
        ConfigurationOptions? seen = null;
        HostApplicationBuilder builder = Builder(
            ("ConnectionStrings:redis", server.ConnectionString),
            ("Aspire:StackExchange:Redis:ConfigurationOptions:ConnectTimeout", "1234"),
            ("Aspire:StackExchange:Redis:redis:ConfigurationOptions:SyncTimeout", "2345"));
        builder.AddRedisClient("redis", configureOptions: options => seen = options);
        using IHost host = builder.Build();

        Assert.True(host.Services.GetRequiredService<IConnectionMultiplexer>().IsConnected);
        Assert.Equal((1234, 2345, false), (seen!.ConnectTimeout, seen.SyncTimeout, seen.AbortOnConnectFail));
        Assert.Equal(HealthStatus.Healthy, (await CheckAsync(host)).Entries["StackExchange.Redis"].Status);
    }

    private static Task<HealthReport> CheckAsync(IHost host) => host.Services.GetRequiredService<HealthCheckService>().CheckHealthAsync();

    private static HostApplicationBuilder Builder(params (string Key, string Value)[] settings)
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new());
        builder.Configuration.AddInMemoryCollection(settings.Select(setting => KeyValuePair.Create(setting.Key, (string?)setting.Value)));
        builder.Services.AddLogging();
        return builder;
    }

    private sealed class SomeContext(DbContextOptions<SomeContext> options) : DbContext(options);
}
