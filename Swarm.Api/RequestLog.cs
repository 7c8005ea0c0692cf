using System.Diagnostics;

namespace Swarm.Api;

/// <summary>
/// One line a request (ASP §16): method, path, who says to ask, protocol, status, milliseconds. Off unless <c>Logging:LogLevel:Requests</c> is
/// <c>Information</c>, because it costs each message its share; then it costs nothing. The agent id is what the header says, and proves nothing.
/// </summary>
internal static partial class RequestLog
{
    /// <summary>The category to switch it on by.</summary>
    public const string Category = "Requests";

    /// <summary>In the place of an agent id that was not sent.</summary>
    public const string Unknown = "unknown";

    private const int HeaderLengthMax = 256;
    private const int PathLengthMax = 1024;

    public static IApplicationBuilder UseRequestLog(this IApplicationBuilder app)
    {
        var logger = app.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger(Category);
        return app.Use(next => http => logger.IsEnabled(LogLevel.Information) ? LoggedAsync(http, next, logger) : next(http));
    }

    private static async Task LoggedAsync(HttpContext http, RequestDelegate next, ILogger logger)
    {
        var start = Stopwatch.GetTimestamp();
        var status = StatusCodes.Status500InternalServerError;
        try
        {
            await next(http);
            status = http.Response.StatusCode;
        }
        finally
        {
            var path = http.Request.Path.ToUriComponent();
            LogRequest(
                logger, Safe(http.Request.Method, Unknown), path.Length <= PathLengthMax ? path : path[..PathLengthMax],
                Safe(http.Request.Headers["X-Agent-ID"], Unknown), Safe(http.Request.Headers["X-Swarm-Protocol"], "none"), status,
                Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
    }

    /// <summary>A header can hold anything; what could be taken for another line or field is not shown.</summary>
    private static string Safe(string? text, string absent) =>
        string.IsNullOrEmpty(text) ? absent
        : text.Length <= HeaderLengthMax && text.All(c => c is > ' ' and <= '~') ? text
        : "invalid";

    [LoggerMessage(2101, LogLevel.Information, "{Method} {Path} agent={AgentId} protocol={Protocol} status={Status} {Milliseconds:0.0} ms")]
    private static partial void LogRequest(
        ILogger logger, string method, string path, string agentId, string protocol, int status, double milliseconds);
}
