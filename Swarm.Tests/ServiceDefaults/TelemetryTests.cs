using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Swarm.ServiceDefaults;

namespace Swarm.Tests.ServiceDefaults;

public sealed class TelemetryTests
{
    [Fact]
    public async Task Traces_metrics_and_logs_are_exported_when_an_endpoint_is_set()
    {
        var received = new ConcurrentDictionary<string, byte[]>();
        await using WebApplication collector = await StartCollectorAsync(received);
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new() { ApplicationName = "swarm-under-test" });
        builder.Configuration.AddInMemoryCollection([
            new("OTEL_EXPORTER_OTLP_ENDPOINT", collector.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First()),
            new("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
        ]);
        builder.AddServiceDefaults();
        using var source = new ActivitySource("Swarm");
        using var meter = new Meter("Swarm");
        Counter<int> counter = meter.CreateCounter<int>("swarm.test.counter");

        using (IHost host = builder.Build())
        {
            await host.StartAsync();
            using (Activity? activity = source.StartActivity("a-span-of-ours"))
            {
                Assert.NotNull(activity);
            }

            counter.Add(1);
            host.Services.GetRequiredService<ILogger<TelemetryTests>>().LogInformation("a-line-of-ours");
            await host.StopAsync();
        }

        Assert.True(Holds(received, "/v1/traces", "a-span-of-ours") && Holds(received, "/v1/traces", "swarm-under-test"));
        Assert.True(Holds(received, "/v1/metrics", "swarm.test.counter"));
        Assert.True(Holds(received, "/v1/logs", "a-line-of-ours"));
        Assert.Null(source.StartActivity("nobody listens any more"));
    }

    [Fact]
    public void Telemetry_is_set_up_only_when_it_is_asked_for()
    {
        HostApplicationBuilder builder = Host.CreateEmptyApplicationBuilder(new());
        builder.AddServiceDefaults();

        Assert.DoesNotContain(builder.Services, service => service.ServiceType.Name.Contains("Telemetry", StringComparison.Ordinal));
        Assert.DoesNotContain(builder.Services, service => service.ImplementationType?.Name.Contains("OpenTelemetry", StringComparison.Ordinal) == true);
    }

    private static bool Holds(ConcurrentDictionary<string, byte[]> received, string path, string text) =>
        received.TryGetValue(path, out byte[]? body) && body.AsSpan().IndexOf(System.Text.Encoding.UTF8.GetBytes(text)) >= 0;

    private static async Task<WebApplication> StartCollectorAsync(ConcurrentDictionary<string, byte[]> received)
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = Path.GetTempPath() });
        builder.WebHost.UseUrls("http://127.0.0.1:0");
        WebApplication app = builder.Build();
        app.Run(async http =>
        {
            using var body = new MemoryStream();
            await http.Request.Body.CopyToAsync(body);
            received.AddOrUpdate(http.Request.Path, body.ToArray(), (_, before) => [.. before, .. body.ToArray()]);
            http.Response.StatusCode = StatusCodes.Status200OK;
        });
        await app.StartAsync();
        return app;
    }
}
