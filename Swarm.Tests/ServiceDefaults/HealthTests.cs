using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;
using Swarm.ServiceDefaults;
using Swarm.Tests.StandIns;

namespace Swarm.Tests.ServiceDefaults;

public sealed class HealthTests
{
    [Fact]
    public async Task Health_is_ok_with_an_entry_a_check()
    {
        (HttpStatusCode status, JsonElement body) = await AskAsync("/health", builder => builder.Services.AddHealthChecks()
            .AddCheck("fine", () => HealthCheckResult.Healthy("all well"))
            .AddCheck("slow", () => HealthCheckResult.Degraded()));

        Assert.Equal((HttpStatusCode.OK, "ok"), (status, body.GetProperty("status").GetString()));
        JsonElement entries = body.GetProperty("entries");
        Assert.Equal("ok", entries.GetProperty("fine").GetProperty("status").GetString());
        Assert.Equal("all well", entries.GetProperty("fine").GetProperty("description").GetString());
        Assert.Equal("degraded", entries.GetProperty("slow").GetProperty("status").GetString());
    }

    [Fact]
    public async Task A_failing_check_makes_it_unavailable_and_shows_no_exception()
    {
        (HttpStatusCode status, JsonElement body) = await AskAsync("/health", builder => builder.Services.AddHealthChecks()
            .AddCheck("bad", () => throw new InvalidOperationException("Password=secret")));

        Assert.Equal((HttpStatusCode.ServiceUnavailable, "unavailable"), (status, body.GetProperty("status").GetString()));
        Assert.Equal("unavailable", body.GetProperty("entries").GetProperty("bad").GetProperty("status").GetString());
        Assert.DoesNotContain("secret", body.GetRawText(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Alive_asks_no_dependency()
    {
        (HttpStatusCode status, JsonElement body) = await AskAsync("/alive", builder => builder.Services.AddHealthChecks()
            .AddCheck("bad", () => HealthCheckResult.Unhealthy()));

        Assert.Equal((HttpStatusCode.OK, "ok"), (status, body.GetProperty("status").GetString()));
        Assert.Equal(["self"], body.GetProperty("entries").EnumerateObject().Select(entry => entry.Name));
    }

    [Fact]
    public async Task A_Redis_that_is_away_degrades_and_a_Postgres_that_is_away_does_not_serve()
    {
        int nowhere = RedisServer.FreePort();
        (HttpStatusCode status, JsonElement body) = await AskAsync("/health", builder =>
        {
            builder.Configuration["ConnectionStrings:redis"] = $"127.0.0.1:{nowhere}";
            builder.AddRedisClient("redis");
        });
        (HttpStatusCode without, JsonElement _) = await AskAsync("/health", builder =>
        {
            builder.Configuration["ConnectionStrings:swarm"] = $"Host=127.0.0.1;Port={nowhere};Username=u;Password=p;Database=d";
            builder.AddNpgsqlDataSource("swarm");
        });

        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("degraded", body.GetProperty("entries").GetProperty("StackExchange.Redis").GetProperty("status").GetString());
        Assert.Equal(HttpStatusCode.ServiceUnavailable, without);
    }

    private static async Task<(HttpStatusCode Status, JsonElement Body)> AskAsync(string path, Action<WebApplicationBuilder> configure)
    {
        // A folder without the Api's settings, which lie beside the tests.
        WebApplicationBuilder builder = WebApplication.CreateBuilder(new WebApplicationOptions { ContentRootPath = Path.GetTempPath() });
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        builder.AddServiceDefaults();
        configure(builder);
        await using WebApplication app = builder.Build();
        app.MapDefaultEndpoints();
        await app.StartAsync();
        string address = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        using var client = new HttpClient { BaseAddress = new Uri(address) };
        using HttpResponseMessage response = await client.GetAsync(new Uri(path, UriKind.Relative));
        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        return (response.StatusCode, JsonSerializer.Deserialize<JsonElement>(await response.Content.ReadAsStringAsync()));
    }
}
