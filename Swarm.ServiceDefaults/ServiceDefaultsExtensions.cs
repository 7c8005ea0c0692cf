using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;

namespace Swarm.ServiceDefaults;

/// <summary>How every process of a node starts.</summary>
public static class ServiceDefaultsExtensions
{
    /// <summary>Secrets from files, logging, telemetry, health checks and the clock.</summary>
    public static TBuilder AddServiceDefaults<TBuilder>(this TBuilder builder)
        where TBuilder : IHostApplicationBuilder
    {
        builder.AddSecretFiles();
        builder.AddConsoleLog();
        builder.AddTelemetry();
        builder.AddHealth();
        builder.Services.TryAddSingleton(TimeProvider.System);
        return builder;
    }

    /// <summary><c>/health</c> (ready) and <c>/alive</c>.</summary>
    public static WebApplication MapDefaultEndpoints(this WebApplication app)
    {
        app.MapHealth();
        return app;
    }
}
