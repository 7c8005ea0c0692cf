using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http.Features;
using Swarm.Core;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.Limits;

namespace Swarm.Api.Hub;

/// <summary>Which hosts the Hub API answers to.</summary>
public sealed class HubOptions
{
    /// <summary>Host names besides loopback and the one of <c>Swarm:PublicUrl</c> (configuration <c>Hub:Hosts</c>).</summary>
    public string[] Hosts { get; set; } = [];
}

/// <summary>
/// What every Hub route passes first: the right host and origin (against pages that a browser was lured to), then a token; and last,
/// whatever went wrong becomes a problem. Authority over an agent is checked before the agent is looked up.
/// </summary>
internal sealed partial class HubGate(
    Tokens tokens, HubOptions options, AgentOptions agents, ClientAddress clients, RateLimiter limits, ILogger<HubGate> logger) : IEndpointFilter
{
    private static readonly object PrincipalKey = new();

    private readonly HashSet<string> _hosts = new(
        [.. options.Hosts, "localhost", "127.0.0.1", "[::1]", new Uri(agents.PublicUrl).Host], StringComparer.OrdinalIgnoreCase);

    public async ValueTask<object?> InvokeAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        var address = clients.Of(http);
        if (address is not null && limits.Peek(RateKey.Address(address)) is { IsAllowed: false } spent)
        {
            return HubErrors.Problem(SwarmError.RateLimited, retryAfterSeconds: spent.RetryAfterSeconds);
        }

        try
        {
            CheckHost(http.Request);
            CheckPath(http.Request);
            if (http.GetEndpoint()?.Metadata.GetMetadata<OpenRoute>() is null)
            {
                http.Items[PrincipalKey] = await AuthenticateAsync(http) ?? throw new SwarmException(SwarmError.Unauthenticated);
            }

            return await next(context);
        }
        catch (OperationCanceledException) when (http.RequestAborted.IsCancellationRequested)
        {
            return Results.Empty;
        }
        catch (Exception e) when (!http.Response.HasStarted)
        {
            if (address is not null && e is SwarmException { Error: var error } && error == SwarmError.Unauthenticated)
            {
                limits.Take(RateKey.Address(address));
            }

            if (HubErrors.FromException(e) is { } problem)
            {
                return problem;
            }

            LogUnexpected(e, http.Request.Path);
            return HubErrors.Problem(SwarmError.Unavailable);
        }
    }

    public static Principal PrincipalOf(HttpContext http) => (Principal)http.Items[PrincipalKey]!;

    private ValueTask<Principal?> AuthenticateAsync(HttpContext http)
    {
        const string Bearer = "Bearer ";
        string? header = http.Request.Headers.Authorization;
        return header is not null && header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase)
            ? tokens.AuthenticateAsync(header[Bearer.Length..].Trim(), http.RequestAborted)
            : new((Principal?)null);
    }

    /// <summary>A client that resolves <c>tokens/..</c> by itself asks for <c>agents/NAME/</c>: that must not mean the agent.</summary>
    private static void CheckPath(HttpRequest request)
    {
        if (request.Path.Value is [.., '/'])
        {
            throw new SwarmException(SwarmError.InvalidRequest, "No route of the Hub API ends with a slash.");
        }
    }

    /// <summary>Whether the request names a host of this node, and comes from no page of another origin.</summary>
    public bool IsOurs(HttpRequest request)
    {
        try
        {
            CheckHost(request);
            return true;
        }
        catch (SwarmException)
        {
            return false;
        }
    }

    /// <summary>Whose token the request came with; null for none that is valid.</summary>
    public ValueTask<Principal?> WhoAsync(HttpContext http) => AuthenticateAsync(http);

    private void CheckHost(HttpRequest request)
    {
        if (!_hosts.Contains(request.Host.Host))
        {
            throw new SwarmException(SwarmError.Forbidden, "The Hub API does not answer under this host name (see Hub:Hosts).");
        }

        string? origin = request.Headers.Origin;
        if (!string.IsNullOrEmpty(origin) && !(Uri.TryCreate(origin, UriKind.Absolute, out var from) && _hosts.Contains(from.Host)))
        {
            throw new SwarmException(SwarmError.Forbidden, "The Hub API does not answer to pages of another origin.");
        }
    }

    [LoggerMessage(2001, LogLevel.Error, "A Hub request to {Path} failed unexpectedly.")]
    private partial void LogUnexpected(Exception e, string path);
}

/// <summary>Marks a route that brings its own proof instead of a bearer token.</summary>
internal sealed class OpenRoute;

/// <summary>What Hub handlers share: who asks, for which agent, with which body.</summary>
internal static class HubRequests
{
    /// <summary>The largest body of a route that carries no messages, in bytes.</summary>
    public const int SmallBodyBytesMax = 64 * 1024;

    /// <summary>The largest body of one message, in bytes: 1 MiB of content may take six times that in escapes.</summary>
    public const int SendBodyBytesMax = 8 * 1024 * 1024;

    /// <summary>The largest body of a batch, in bytes.</summary>
    public const int BatchBodyBytesMax = 16 * 1024 * 1024;

    /// <summary>The most items of a page.</summary>
    public const int PageMax = 100;

    private const int PageDefault = 20;

    /// <summary>Objects and arrays within each other in a request.</summary>
    public const int RequestDepthMax = 32;

    /// <summary>
    /// Reads requests. Answers may be deeper: they hold messages whose metadata may itself be as deep as a door allows, and one such
    /// message must not make an inbox unreadable.
    /// </summary>
    private static readonly HubJson ForRequests = new(new JsonSerializerOptions(HubJson.Default.Options) { MaxDepth = RequestDepthMax });

    /// <summary>Reads the body; every way in which it can be wrong is an <see cref="SwarmError.InvalidRequest"/>.</summary>
    public static async Task<T> ReadAsync<T>(this HttpContext http, JsonTypeInfo<T> type, int bytesMax = SmallBodyBytesMax)
        where T : class
    {
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } limit)
        {
            limit.MaxRequestBodySize = bytesMax;
        }

        if (http.Request.ContentLength > bytesMax)
        {
            throw new SwarmException(SwarmError.BodyTooLarge);
        }

        if (!http.Request.HasJsonContentType())
        {
            throw new SwarmException(SwarmError.InvalidRequest, "The Content-Type must be application/json.");
        }

        try
        {
            return await JsonSerializer.DeserializeAsync(http.Request.Body, (JsonTypeInfo<T>)ForRequests.GetTypeInfo(typeof(T))!, http.RequestAborted)
                ?? throw new SwarmException(SwarmError.InvalidRequest, "The body is null.");
        }
        catch (Exception e) when (e is InvalidOperationException or FormatException or ArgumentException)
        {
            throw new SwarmException(SwarmError.InvalidRequest, "The body holds text that is not Unicode, or a value out of range.");
        }
    }

    /// <summary>The agent that the caller acts as.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.Forbidden"/> before anything is told, or <see cref="SwarmError.UnknownAgent"/>.</exception>
    public static ValueTask<AgentProfile> ActAsAsync(this HttpContext http, AgentDirectory directory, string? name) =>
        FindAsync(http, directory, name, static (principal, agent) => principal.MayActAs(agent), static principal => principal.IsAdmin);

    /// <summary>The agent that the caller may look at.</summary>
    /// <exception cref="SwarmException">As for <see cref="ActAsAsync"/>.</exception>
    public static ValueTask<AgentProfile> SeeAsync(this HttpContext http, AgentDirectory directory, string? name) =>
        FindAsync(http, directory, name, static (principal, agent) => principal.MaySee(agent), static principal => principal.IsOperator);

    public static void RequireAdmin(this HttpContext http)
    {
        if (!HubGate.PrincipalOf(http).IsAdmin)
        {
            throw new SwarmException(SwarmError.Forbidden);
        }
    }

    public static void RequireOperator(this HttpContext http)
    {
        if (!HubGate.PrincipalOf(http).IsOperator)
        {
            throw new SwarmException(SwarmError.Forbidden);
        }
    }

    /// <summary>The <c>limit</c> of a list.</summary>
    public static int PageLimit(this HttpContext http) => (int)http.Number("limit", 1, PageMax, PageDefault);

    /// <summary>A whole number of the query: digits and nothing else (the parser by itself would take blanks, a sign, and U+0000 at the end).</summary>
    public static long Number(this HttpContext http, string name, long min, long max, long absent)
    {
        string? text = http.Request.Query[name];
        return string.IsNullOrEmpty(text) ? absent
            : text.All(char.IsAsciiDigit) && long.TryParse(text, out var number) && number >= min && number <= max ? number
            : throw new SwarmException(SwarmError.InvalidRequest, $"{name} must be a whole number from {min} to {max}.");
    }

    public static T Required<T>(T? value, string name)
        where T : class => value ?? throw new SwarmException(SwarmError.InvalidRequest, $"{name} is missing.");

    public static byte[] Base64(string text, string name)
    {
        var bytes = new byte[text.Length];
        return Convert.TryFromBase64String(text, bytes, out var written)
            ? bytes[..written]
            : throw new SwarmException(SwarmError.InvalidRequest, $"{name} is not base64.");
    }

    private static async ValueTask<AgentProfile> FindAsync(
        HttpContext http, AgentDirectory directory, string? name, Func<Principal, AgentId, bool> may, Func<Principal, bool> mayAll)
    {
        var principal = HubGate.PrincipalOf(http);
        var agent = await directory.FindAsync(Required(name, "agent"), http.RequestAborted);
        return agent is not null && may(principal, agent.Id) ? agent
            : throw new SwarmException(mayAll(principal) ? SwarmError.UnknownAgent : SwarmError.Forbidden);
    }
}
