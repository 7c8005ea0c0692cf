using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Swarm.ServiceDefaults;

/// <summary>
/// Traces, metrics and logs by OTLP when <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> is set; nothing at all is set up otherwise. The exporter
/// reads the other <c>OTEL_…</c> settings itself.
/// </summary>
internal static class Telemetry
{
    private const string EndpointKey = "OTEL_EXPORTER_OTLP_ENDPOINT";

    /// <summary>Our own name as activity source and meter, and the frameworks'.</summary>
    private static readonly string[] Sources = ["Swarm", "Microsoft.AspNetCore", "System.Net.Http", "Npgsql"];
    private static readonly string[] Meters = ["Swarm", "Microsoft.AspNetCore.*", "System.Net.Http", "Npgsql", "System.Runtime"];

    public static void AddTelemetry(this IHostApplicationBuilder builder)
    {
        if (string.IsNullOrWhiteSpace(builder.Configuration[EndpointKey]))
        {
            return;
        }

        IConfiguration configuration = builder.Configuration;
        string application = builder.Environment.ApplicationName;
        builder.Logging.AddOpenTelemetry(logs =>
        {
            logs.IncludeScopes = true;
            logs.SetResourceBuilder(Describe(ResourceBuilder.CreateDefault(), configuration, application));
            logs.AddOtlpExporter();
        });
        builder.Services.AddSingleton(_ => new TelemetryProviders(
            Sdk.CreateTracerProviderBuilder()
                .ConfigureServices(services => services.AddSingleton(configuration))
                .ConfigureResource(resource => Describe(resource, configuration, application))
                .AddSource(Sources)
                .AddOtlpExporter()
                .Build(),
            Sdk.CreateMeterProviderBuilder()
                .ConfigureServices(services => services.AddSingleton(configuration))
                .ConfigureResource(resource => Describe(resource, configuration, application))
                .AddMeter(Meters)
                .AddOtlpExporter()
                .Build()));

        // Resolving the providers at start is what makes them listen; the container disposes them, which sends what is left.
        builder.Services.AddHostedService<TelemetryStart>();
    }

    private static ResourceBuilder Describe(ResourceBuilder resource, IConfiguration configuration, string application) =>
        configuration["OTEL_SERVICE_NAME"] is null ? resource.AddService(application) : resource;

    private sealed class TelemetryStart(TelemetryProviders providers) : IHostedService
    {
        public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken)
        {
            providers.Flush();
            return Task.CompletedTask;
        }
    }
}

/// <summary>What listens to our sources and exports what it hears.</summary>
internal sealed class TelemetryProviders(TracerProvider traces, MeterProvider meters) : IDisposable
{
    private const int FlushTimeMaxMs = 2000;

    public void Flush()
    {
        _ = traces.ForceFlush(FlushTimeMaxMs);
        _ = meters.ForceFlush(FlushTimeMaxMs);
    }

    public void Dispose()
    {
        traces.Dispose();
        meters.Dispose();
    }
}
