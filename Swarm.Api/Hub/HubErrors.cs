using System.Text.Json;
using Microsoft.AspNetCore.Diagnostics;
using Npgsql;
using Swarm.Core;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Gateway;
using Swarm.Core.Storage;

namespace Swarm.Api.Hub;

/// <summary>The face that the catalogue has at the Hub API: problem details with a stable <c>type</c> (RFC 9457).</summary>
internal static partial class HubErrors
{
    private static readonly Dictionary<SwarmError, int> Statuses = new()
    {
        [SwarmError.BodyTooLarge] = 413,
        [SwarmError.LimitReached] = 409,
        [SwarmError.Unauthenticated] = 401,
        [SwarmError.Forbidden] = 403,
        [SwarmError.CapabilityRequired] = 403,
        [SwarmError.UnknownAgent] = 404,
        [SwarmError.NameTaken] = 409,
        [SwarmError.UnknownSwarm] = 404,
        [SwarmError.SwarmExists] = 409,
        [SwarmError.NotAMember] = 404,
        [SwarmError.NotMaster] = 403,
        [SwarmError.MasterMayNotLeave] = 409,
        [SwarmError.MayNotKickOneself] = 409,
        [SwarmError.AlreadyMember] = 409,
        [SwarmError.UnknownRequest] = 404,
        [SwarmError.UnknownGrant] = 404,
        [SwarmError.JoinRejected] = 403,
        [SwarmError.TransferDeclined] = 403,
        [SwarmError.TokenSignature] = 401,
        [SwarmError.TokenExpired] = 401,
        [SwarmError.TokenExhausted] = 403,
        [SwarmError.TokenRevoked] = 403,
        [SwarmError.InvalidSignature] = 401,
        [SwarmError.MessageIdReused] = 409,
        [SwarmError.LeaseLost] = 409,
        [SwarmError.UnknownMessage] = 404,
        [SwarmError.WrongStatus] = 409,
        [SwarmError.UnknownDeadLetter] = 404,
        [SwarmError.PeerUnreachable] = 502,
        [SwarmError.PeerRefused] = 403,
        [SwarmError.RateLimited] = 429,
        [SwarmError.TooBusy] = 503,
        [SwarmError.NotReady] = 503,
        [SwarmError.Unavailable] = 503,
    };

    private static readonly Dictionary<CapabilityFault, SwarmError> Faults = new()
    {
        [CapabilityFault.MemberNotFound] = SwarmError.UnknownGrant,
        [CapabilityFault.MemberExpired] = SwarmError.UnknownGrant,
        [CapabilityFault.NotTheOwner] = SwarmError.KeyNotHeld,
        [CapabilityFault.KeyNotHeld] = SwarmError.KeyNotHeld,
        [CapabilityFault.LimitReached] = SwarmError.LimitReached,
    };

    /// <summary>The status of an error; 422 for every error about what a request says.</summary>
    public static int StatusOf(SwarmError error) => Statuses.GetValueOrDefault(error, 422);

    public static IResult Problem(SwarmError error, string? detail = null, int retryAfterSeconds = 0) =>
        new ProblemResult(
            new($"urn:swarm:error:{error.Id}", error.Meaning, StatusOf(error), detail ?? error.Meaning),
            retryAfterSeconds > 0 ? retryAfterSeconds : StatusOf(error) == 503 ? 1 : 0);

    /// <summary>Turns whatever a handler throws into a problem; null for what is nobody's fault but ours.</summary>
    public static IResult? FromException(Exception exception) => exception switch
    {
        SwarmException e => Problem(e.Error, e.Message),
        DenialException e => Problem(SwarmError.InvalidRequest, $"{e.Denial.Text}."),
        CapabilityException e => Problem(Faults.GetValueOrDefault(e.Fault, SwarmError.InvalidRequest), $"{e.Message}."),
        BadHttpRequestException { StatusCode: 413 } => Problem(SwarmError.BodyTooLarge),
        BadHttpRequestException e => Problem(SwarmError.InvalidRequest, e.Message),
        JsonException e => Problem(SwarmError.InvalidRequest, $"The body is not the JSON that this route takes (at {Shorten(e.Path ?? "$")})."),
        _ when exception.GetBaseException() is PostgresException e && IsBadData(e) => Problem(SwarmError.InvalidRequest, "A value cannot be stored (is there a U+0000 in it?)."),
        _ when DatabaseFailure.Is(exception) => Problem(SwarmError.Unavailable, retryAfterSeconds: 2),
        _ => null,
    };

    /// <summary>A problem for an answer that has a status and nothing else.</summary>
    public static Task WriteBareAsync(StatusCodeContext context)
    {
        var status = context.HttpContext.Response.StatusCode;
        var detail = status switch
        {
            StatusCodes.Status404NotFound => "The Hub API has no such path.",
            StatusCodes.Status405MethodNotAllowed => "This path does not take that method.",
            StatusCodes.Status415UnsupportedMediaType => "The Content-Type must be application/json.",
            _ => SwarmError.InvalidRequest.Meaning,
        };
        var error = SwarmError.InvalidRequest;
        return new ProblemResult(new($"urn:swarm:error:{error.Id}", error.Meaning, status, detail), 0).ExecuteAsync(context.HttpContext);
    }

    private static bool IsBadData(PostgresException e) => e.SqlState.StartsWith("22", StringComparison.Ordinal);

    private static string Shorten(string text) => text.Length <= 200 ? text : text[..200];

    private sealed class ProblemResult(ProblemBody body, int retryAfterSeconds) : IResult
    {
        public Task ExecuteAsync(HttpContext httpContext)
        {
            var response = httpContext.Response;
            response.StatusCode = body.Status;
            if (retryAfterSeconds > 0)
            {
                response.Headers.RetryAfter = retryAfterSeconds.ToString();
            }

            if (body.Status == 401)
            {
                response.Headers.WWWAuthenticate = "Bearer";
            }

            return response.WriteAsJsonAsync(body, HubJson.Default.ProblemBody, "application/problem+json", httpContext.RequestAborted);
        }
    }
}
