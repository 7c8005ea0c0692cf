using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Logging;
using Npgsql;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Doors;

/// <summary>The door when the node itself is in trouble, or configured dangerously.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class AgentSwarmNodeTests(PostgresFixture postgres)
{
    [Fact]
    [Conforms("ASP-38")]
    public async Task Without_its_database_the_door_answers_503_with_a_delay_in_whole_seconds()
    {
        await using var world = await DoorWorld.StartAsync(postgres);
        await CloseDatabaseAsync(world);
        foreach (var answer in new[]
                 {
                     await world.PostAsync(world.FromBob()),
                     await world.Http.SendAsync(HttpMethod.Get, "/agents/never-asked-for/swarm/info"),
                     await world.JoinAsync("erin", world.Mallory.PublicKey, VectorFile.Published.Base("TOK-01").Text("jwt")),
                 })
        {
            Assert.Equal((503, "INTERNAL_ERROR"), (answer.Code, answer.ErrorCode));
            Assert.InRange(answer.Http.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
            Assert.InRange(answer.Json.GetProperty("error").GetProperty("details").GetProperty("retry_after").GetInt32(), 1, 60);
        }
    }

    [Theory]
    [InlineData("http://0.0.0.0:0", null)]
    [InlineData(null, "http://0.0.0.0:0")]
    [InlineData("http://[::]:0", null)]
    public async Task The_reference_mode_does_not_start_where_others_could_reach_it(string? configured, string? added)
    {
        await using var app = Build("Reference", configured, added);
        var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => app.StartAsync());
        Assert.Contains("AgentSwarm:Compatibility=Reference", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("AgentSwarm:LocalApi", "Open")]
    [InlineData("AgentSwarm:Wake:Enabled", "true")]
    [Conforms("ASP-71", "ASP-78")]
    public async Task An_open_local_endpoint_does_not_start_where_others_could_reach_it(string setting, string value)
    {
        await using (var open = Build("Strict", "http://0.0.0.0:0", null, setting, value))
        {
            Assert.Contains(setting, (await Assert.ThrowsAsync<InvalidOperationException>(() => open.StartAsync())).Message, StringComparison.Ordinal);
        }

        await using var app = Build("Strict", "http://127.0.0.1:0", null, setting, value);
        await app.StartAsync();
        await app.StopAsync();
    }

    [Theory]
    [InlineData("Reference", "http://127.0.0.1:0")]
    [InlineData("Strict", "http://0.0.0.0:0")]
    public async Task Loopback_may_have_the_reference_mode_and_the_strict_mode_listens_anywhere(string mode, string url)
    {
        await using var app = Build(mode, url, null);
        await app.StartAsync();
        await app.StopAsync();
    }

    private static WebApplication Build(string mode, string? configured, string? added, string? setting = null, string? value = null)
    {
        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = Path.GetTempPath() });
        builder.Logging.ClearProviders();
        builder.Configuration["AgentSwarm:Compatibility"] = mode;
        if (setting is not null)
        {
            builder.Configuration[setting] = value;
        }

        if (configured is not null)
        {
            builder.Configuration["Kestrel:Endpoints:some:Url"] = configured;
        }

        builder.Services.AddAgentSwarm();
        var app = builder.Build();
        if (added is not null)
        {
            app.Urls.Add(added);
        }

        return app;
    }

    /// <summary>Nobody may connect any more, and who is connected is thrown out.</summary>
    private async Task CloseDatabaseAsync(DoorWorld world)
    {
        var name = new NpgsqlConnectionStringBuilder(world.Node.Database.ConnectionString).Database!;
        await using var server = new NpgsqlConnection(postgres.ServerConnectionString);
        await server.OpenAsync();
        await using var close = new NpgsqlCommand(
            $"alter database {name} allow_connections false; select pg_terminate_backend(pid) from pg_stat_activity where datname = '{name}'", server);
        await close.ExecuteNonQueryAsync();
    }
}
