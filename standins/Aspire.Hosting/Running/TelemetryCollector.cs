using System.Net.Sockets;
using Microsoft.Extensions.Configuration;

namespace Aspire.Hosting.Running;

/// <summary>Tells projects where telemetry goes. This launcher brings no dashboard, so it says so only when a collector listens.</summary>
internal static class TelemetryCollector
{
    private const string DefaultEndpoint = "http://localhost:18889";
    private static readonly TimeSpan ProbeTimeout = TimeSpan.FromMilliseconds(300);

    public static void Describe(IConfiguration configuration, Dictionary<string, object> environment)
    {
        var grpc = configuration["ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL"];
        var http = configuration["ASPIRE_DASHBOARD_OTLP_HTTP_ENDPOINT_URL"];
        var endpoint = new Uri(grpc ?? http ?? DefaultEndpoint);
        if (!Listens(endpoint))
        {
            return;
        }

        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint.OriginalString;
        environment["OTEL_EXPORTER_OTLP_PROTOCOL"] = grpc is null && http is not null ? "http/protobuf" : "grpc";
        if (configuration["AppHost:OtlpApiKey"] is { } key)
        {
            environment["OTEL_EXPORTER_OTLP_HEADERS"] = $"x-otlp-api-key={key}";
        }
    }

    private static bool Listens(Uri endpoint)
    {
        try
        {
            using var client = new TcpClient();
            return client.ConnectAsync(endpoint.Host, endpoint.Port).Wait(ProbeTimeout);
        }
        catch (AggregateException e) when (e.InnerException is SocketException)
        {
            return false;
        }
    }
}
