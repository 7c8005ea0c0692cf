using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace Swarm.ServiceDefaults;

/// <summary>What a protocol wants to find in <c>/health</c> beside the node's own members.</summary>
public interface IHealthMembers
{
    void Write(Utf8JsonWriter json);
}

/// <summary>
/// <c>/health</c> asks every check and answers 200 or 503; <c>/alive</c> only says that the process serves requests. A check that
/// reports <see cref="HealthStatus.Degraded"/> does not take the node out of service.
/// </summary>
internal static class Health
{
    private const string LiveTag = "live";

    /// <summary>The check of <c>AddRedisClient</c>: losing Redis costs latency, never messages (design §3 promise 6), so the node stays in service.</summary>
    private const string RedisCheck = "StackExchange.Redis";

    private static readonly TimeSpan CheckTimeMax = TimeSpan.FromSeconds(5);

    public static void AddHealth(this IHostApplicationBuilder builder)
    {
        builder.Services.AddHealthChecks().AddCheck("self", () => HealthCheckResult.Healthy(), [LiveTag]);
        builder.Services.PostConfigure<HealthCheckServiceOptions>(options =>
        {
            foreach (HealthCheckRegistration check in options.Registrations)
            {
                check.Timeout = check.Timeout == Timeout.InfiniteTimeSpan ? CheckTimeMax : check.Timeout;
                check.FailureStatus = check.Name == RedisCheck ? HealthStatus.Degraded : check.FailureStatus;
            }
        });
    }

    public static void MapHealth(this WebApplication app)
    {
        foreach (var path in new[] { "/health", "/healthz" })
        {
            app.MapHealthChecks(path, new HealthCheckOptions { ResponseWriter = WriteAsync }).AllowAnonymous();
        }

        app.MapHealthChecks("/alive", new HealthCheckOptions { ResponseWriter = WriteAsync, Predicate = check => check.Tags.Contains(LiveTag) })
            .AllowAnonymous();
    }

    // Descriptions are ours and safe; an exception's message may hold a connection string, so it stays in the log.
    private static async Task WriteAsync(HttpContext http, HealthReport report)
    {
        http.Response.ContentType = "application/json";
        await using var json = new Utf8JsonWriter(http.Response.BodyWriter);
        json.WriteStartObject();
        json.WriteString("status", Word(report.Status));
        json.WriteStartObject("entries");
        foreach ((string name, HealthReportEntry entry) in report.Entries)
        {
            json.WriteStartObject(name);
            json.WriteString("status", entry.Status == HealthStatus.Degraded ? "degraded" : Word(entry.Status));
            if (entry.Exception is null && entry.Description is { } description)
            {
                json.WriteString("description", description);
            }

            json.WriteNumber("duration_ms", Math.Round(entry.Duration.TotalMilliseconds, 1));
            json.WriteEndObject();
        }

        json.WriteEndObject();
        foreach (var members in http.RequestServices.GetServices<IHealthMembers>())
        {
            members.Write(json);
        }

        json.WriteEndObject();
        await json.FlushAsync(http.RequestAborted);
    }

    private static string Word(HealthStatus status) => status == HealthStatus.Unhealthy ? "unavailable" : "ok";
}
