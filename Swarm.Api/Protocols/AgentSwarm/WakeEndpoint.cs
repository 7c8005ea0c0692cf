using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;
using Swarm.Api.Protocols.AgentSwarm.Wire;
using Swarm.Core.Delivery.Wake;
using Swarm.Core.Identity;

namespace Swarm.Api.Protocols.AgentSwarm;

/// <summary>Section <c>AgentSwarm:Wake</c>: the endpoint that wakes this node's default agent (ASP §11.3, §16).</summary>
public sealed class WakeEndpointOptions
{
    /// <summary>Off unless it is asked for.</summary>
    public bool Enabled { get; set; }

    /// <summary><c>noop</c> or <c>tmux</c>.</summary>
    public string Method { get; set; } = "noop";

    /// <summary>The session, window or pane that <c>tmux</c> types into.</summary>
    public string TmuxTarget { get; set; } = "";

    /// <summary>What <c>X-Wake-Secret</c> must hold; without one only loopback may be listened on.</summary>
    public string Secret { get; set; } = "";

    /// <summary>The agent's session file; empty for none.</summary>
    public string SessionFile { get; set; } = "";

    /// <summary>How long a session counts as fresh, in minutes.</summary>
    public int SessionTimeoutMinutes { get; set; } = 30;

    /// <summary>True when whoever reaches the port may wake.</summary>
    public bool IsOpen => Enabled && Secret.Length == 0;

    public TimeSpan SessionTimeout => TimeSpan.FromMinutes(SessionTimeoutMinutes);

    /// <summary>What is wrong; null when nothing is.</summary>
    public string? Fault() => !Enabled ? null
        : Method is not ("noop" or "tmux") ? $"AgentSwarm:Wake:Method must be noop or tmux, not '{Method}'"
        : Method == "tmux" && (TmuxTarget.Length == 0 || TmuxTarget.StartsWith('-')) ? "AgentSwarm:Wake:TmuxTarget must name a tmux session, window or pane"
        : SessionTimeoutMinutes is < 1 or > 24 * 60 ? "AgentSwarm:Wake:SessionTimeoutMinutes must be from 1 to 1440"
        : null;
}

/// <summary><c>POST /api/wake</c> (ASP §11.3).</summary>
internal static partial class WakeEndpoint
{
    private const string SecretHeader = "X-Wake-Secret";

    /// <summary>The longest of the four texts, in bytes of UTF-8.</summary>
    private const int TextBytesMax = 4_096;

    private static readonly string[] Members = ["message_id", "swarm_id", "sender_id", "notification_level"];
    private static readonly TextRule Text = new(TextBytesMax) { MayHoldNul = true };

    public static async Task PostAsync(HttpContext http, AgentProfile agent)
    {
        var options = http.RequestServices.GetRequiredService<IOptions<AgentSwarmOptions>>().Value.Wake;
        if (!options.Enabled)
        {
            await AgentSwarmEndpoints.NotFound(http);
            return;
        }

        using var body = await RequestBody.ReadAsync(http.Request, AgentSwarmLimits.LocalBodyBytesMax, http.RequestAborted);
        if (body.IsTooLarge)
        {
            await AgentSwarmEndpoints.RefuseBodyAsync(http.Response);
            return;
        }

        if (Read(body, RequestBody.IsJson(http.Request), out var failures) is not { } request)
        {
            await AgentSwarmErrors.WriteShapeAsync(http.Response, failures);
            return;
        }

        // Without a secret, a page that a browser was lured to must not be able to wake.
        if (!IsSecret(http.Request.Headers[SecretHeader], options.Secret)
            || (options.IsOpen && !http.RequestServices.GetRequiredService<Hub.HubGate>().IsOurs(http.Request)))
        {
            await WriteAsync(http.Response, StatusCodes.Status403Forbidden, "error", "The wake secret is missing or wrong.");
            return;
        }

        if (IsActive(http, options))
        {
            await WriteAsync(http.Response, StatusCodes.Status200OK, "already_active", null);
            return;
        }

        http.RequestServices.GetRequiredService<Invocations>().Start(agent.Id, request);
        await WriteAsync(http.Response, StatusCodes.Status202Accepted, "invoked", null);
    }

    /// <summary>In a time that tells nothing of the secret, its length included.</summary>
    internal static bool IsSecret(string? given, string expected) =>
        expected.Length == 0 || CryptographicOperations.FixedTimeEquals(
            SHA256.HashData(Encoding.UTF8.GetBytes(given ?? "")), SHA256.HashData(Encoding.UTF8.GetBytes(expected)));

    private static WakeRequest? Read(RequestBody body, bool isJson, out IReadOnlyList<ShapeFailure> found)
    {
        var failures = new ShapeFailures();
        found = failures.Found;
        using var document = failures.ReadObject(body.Bytes, isJson);
        if (document is null)
        {
            return null;
        }

        var texts = Members.Select(name => failures.RequireText(document.RootElement, Text, name)).ToArray();
        return found.Count > 0
            ? null
            : new(Encoding.UTF8.GetString(texts[0]!), Encoding.UTF8.GetString(texts[1]!), Encoding.UTF8.GetString(texts[2]!), Encoding.UTF8.GetString(texts[3]!));
    }

    private static bool IsActive(HttpContext http, WakeEndpointOptions options)
    {
        if (options.SessionFile.Length == 0)
        {
            return false;
        }

        var session = SessionFile.Read(options.SessionFile, out var problem);
        if (problem is not null)
        {
            BadSessionFile(http.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger("Swarm.Api.AgentSwarm"), options.SessionFile, problem);
        }

        var now = http.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow();
        return session?.IsActive(now, options.SessionTimeout) == true;
    }

    private static Task WriteAsync(HttpResponse response, int status, string word, string? detail) =>
        AgentSwarmErrors.WriteJsonAsync(response, status, (word, detail), static (json, answer) =>
        {
            json.WriteStartObject();
            json.WriteString("status"u8, answer.word);
            json.WriteString("detail"u8, answer.detail);
            json.WriteEndObject();
        });

    [LoggerMessage(EventId = 2106, Level = LogLevel.Warning, Message = "The session file {Path} counts as absent: {Problem}")]
    private static partial void BadSessionFile(ILogger log, string path, string problem);
}
