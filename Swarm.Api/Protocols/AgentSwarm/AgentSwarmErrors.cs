using System.Buffers;
using System.Collections.Frozen;
using System.Text.Json;
using Swarm.Api.Protocols.AgentSwarm.Wire;
using Swarm.Core;

namespace Swarm.Api.Protocols.AgentSwarm;

/// <summary>
/// The face of every <see cref="SwarmError"/> at this door, and the protocol's error bodies (ASP §7.2). On <c>/swarm/*</c> the member
/// <c>error</c> is always an object: reference clients read <c>message</c> inside it.
/// </summary>
internal static class AgentSwarmErrors
{
    /// <param name="Status">The HTTP status.</param>
    /// <param name="Code">The protocol's code, or null for a plain <c>detail</c>.</param>
    /// <param name="Reason">The word in <c>details.reason</c> where no code says it, or null (ASP §6.3).</param>
    /// <param name="Member">With 422: the member that is wrong, below <c>body</c>.</param>
    internal sealed record Face(int Status, string? Code, string? Reason = null, object[]? Member = null);

    private static readonly Face InternalError = new(StatusCodes.Status500InternalServerError, "INTERNAL_ERROR");

    private static readonly FrozenDictionary<SwarmError, Face> Faces = new Dictionary<SwarmError, Face>
    {
        [SwarmError.InvalidRequest] = new(StatusCodes.Status400BadRequest, "INVALID_FORMAT"),
        [SwarmError.BodyTooLarge] = new(StatusCodes.Status413PayloadTooLarge, "INVALID_FORMAT"),
        [SwarmError.ContentTooLong] = new(StatusCodes.Status422UnprocessableEntity, null, Member: ["content"]),
        [SwarmError.InvalidTimestamp] = new(StatusCodes.Status400BadRequest, "INVALID_FORMAT"),
        [SwarmError.InvalidSchedule] = new(StatusCodes.Status400BadRequest, "INVALID_FORMAT"),
        [SwarmError.InvalidName] = new(StatusCodes.Status422UnprocessableEntity, null, Member: ["sender", "agent_id"]),
        [SwarmError.InvalidKey] = new(StatusCodes.Status422UnprocessableEntity, null, Member: ["sender", "public_key"]),
        [SwarmError.UnsupportedVersion] = new(StatusCodes.Status400BadRequest, "INVALID_FORMAT"),
        [SwarmError.LimitReached] = new(StatusCodes.Status403Forbidden, "NOT_AUTHORIZED", "limit_reached"),
        [SwarmError.Unauthenticated] = new(StatusCodes.Status401Unauthorized, "NOT_AUTHORIZED"),
        [SwarmError.Forbidden] = new(StatusCodes.Status403Forbidden, "NOT_AUTHORIZED"),
        [SwarmError.CapabilityRequired] = new(StatusCodes.Status403Forbidden, "NOT_AUTHORIZED", "capability_required"),
        [SwarmError.UnknownGrant] = new(StatusCodes.Status404NotFound, null),
        [SwarmError.UnknownAgent] = new(StatusCodes.Status404NotFound, null),
        [SwarmError.NameTaken] = new(StatusCodes.Status409Conflict, "NOT_AUTHORIZED"),
        [SwarmError.KeyNotHeld] = new(StatusCodes.Status403Forbidden, "NOT_AUTHORIZED"),
        [SwarmError.UnknownSwarm] = new(StatusCodes.Status404NotFound, "SWARM_NOT_FOUND"),
        [SwarmError.SwarmExists] = new(StatusCodes.Status409Conflict, "NOT_AUTHORIZED"),
        [SwarmError.NotAMember] = new(StatusCodes.Status403Forbidden, "NOT_AUTHORIZED"),
        [SwarmError.NotMaster] = new(StatusCodes.Status404NotFound, "SWARM_NOT_FOUND"),
        [SwarmError.MasterMayNotLeave] = new(StatusCodes.Status403Forbidden, "NOT_AUTHORIZED"),
        [SwarmError.MayNotKickOneself] = new(StatusCodes.Status403Forbidden, "NOT_AUTHORIZED"),
        [SwarmError.AlreadyMember] = new(StatusCodes.Status409Conflict, "NOT_AUTHORIZED"),
        [SwarmError.RemoteMaster] = new(StatusCodes.Status404NotFound, "SWARM_NOT_FOUND"),
        [SwarmError.UnknownRequest] = new(StatusCodes.Status404NotFound, null),
        [SwarmError.JoinRejected] = new(StatusCodes.Status403Forbidden, "NOT_AUTHORIZED", "join_rejected"),
        [SwarmError.TransferDeclined] = new(StatusCodes.Status403Forbidden, "NOT_AUTHORIZED", "transfer_declined"),
        [SwarmError.InvalidToken] = new(StatusCodes.Status400BadRequest, "INVALID_TOKEN"),
        [SwarmError.TokenSignature] = new(StatusCodes.Status401Unauthorized, "INVALID_SIGNATURE"),
        [SwarmError.TokenExpired] = new(StatusCodes.Status401Unauthorized, "INVALID_SIGNATURE"),
        [SwarmError.TokenExhausted] = new(StatusCodes.Status403Forbidden, "NOT_AUTHORIZED", "max_uses_exceeded"),
        [SwarmError.TokenRevoked] = new(StatusCodes.Status403Forbidden, "NOT_AUTHORIZED", "token_revoked"),
        [SwarmError.InvalidSignature] = new(StatusCodes.Status401Unauthorized, "INVALID_SIGNATURE"),
        [SwarmError.WrongRecipient] = new(StatusCodes.Status403Forbidden, "NOT_AUTHORIZED"),
        [SwarmError.MessageIdReused] = new(StatusCodes.Status409Conflict, "MESSAGE_ID_REUSED"),
        [SwarmError.LeaseLost] = new(StatusCodes.Status409Conflict, "NOT_AUTHORIZED"),
        [SwarmError.UnknownMessage] = new(StatusCodes.Status404NotFound, null),
        [SwarmError.WrongStatus] = new(StatusCodes.Status400BadRequest, "INVALID_FORMAT"),
        [SwarmError.UnknownDeadLetter] = new(StatusCodes.Status404NotFound, null),
        [SwarmError.PeerUnreachable] = new(StatusCodes.Status503ServiceUnavailable, "INTERNAL_ERROR"),
        [SwarmError.PeerRefused] = new(StatusCodes.Status403Forbidden, "NOT_AUTHORIZED"),
        [SwarmError.RateLimited] = new(StatusCodes.Status429TooManyRequests, "RATE_LIMITED"),
        [SwarmError.TooBusy] = new(StatusCodes.Status503ServiceUnavailable, "INTERNAL_ERROR"),
        [SwarmError.NotReady] = new(StatusCodes.Status503ServiceUnavailable, "INTERNAL_ERROR"),
        [SwarmError.Unavailable] = new(StatusCodes.Status503ServiceUnavailable, "INTERNAL_ERROR"),
    }.ToFrozenDictionary();

    /// <summary>What this door answers for an error; 500 for one that it does not know, which a test rules out.</summary>
    internal static Face FaceOf(SwarmError error) => Faces.GetValueOrDefault(error, InternalError);

    /// <summary>Answers a refusal.</summary>
    /// <param name="response">Not started.</param>
    /// <param name="error">Why.</param>
    /// <param name="message">A better sentence than the catalogue's, or null.</param>
    /// <param name="reason">A better word than the table's, or null.</param>
    /// <param name="retryAfterSeconds">Whole seconds; 1 at least is sent with 429 and 503.</param>
    public static Task WriteAsync(HttpResponse response, SwarmError error, string? message = null, string? reason = null, int retryAfterSeconds = 0)
    {
        var face = FaceOf(error);
        return face.Member is { } member
            ? WriteShapeAsync(response, [new("value_error", member, $"Value error, {message ?? error.Meaning}", null, ("error", message ?? error.Meaning))])
            : face.Code is null ? WriteDetailAsync(response, face.Status, "Not Found")
            : WriteFaceAsync(response, face, message ?? error.Meaning, reason ?? face.Reason, retryAfterSeconds);
    }

    /// <summary>The answer when something failed that should not: no detail leaves the node.</summary>
    public static Task WriteInternalErrorAsync(HttpResponse response) =>
        WriteFaceAsync(response, InternalError, "The node failed to answer this request.", null, 0);

    /// <summary>A plain <c>detail</c>: unknown paths and methods.</summary>
    public static Task WriteDetailAsync(HttpResponse response, int status, string detail) => WriteJsonAsync(
        response, status, detail, static (json, text) =>
        {
            json.WriteStartObject();
            json.WriteString("detail"u8, text);
            json.WriteEndObject();
        });

    /// <summary>422 with every failure of the shape.</summary>
    public static Task WriteShapeAsync(HttpResponse response, IReadOnlyList<ShapeFailure> failures) =>
        WriteJsonAsync(response, StatusCodes.Status422UnprocessableEntity, failures, ShapeJson.Write);

    /// <summary>Answers JSON written by <paramref name="write"/>.</summary>
    public static async Task WriteJsonAsync<T>(HttpResponse response, int status, T value, Action<Utf8JsonWriter, T> write)
    {
        var buffer = new ArrayBufferWriter<byte>(512);
        await using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Encoder = Relaxed }))
        {
            write(json, value);
        }

        response.StatusCode = status;
        response.ContentType = "application/json";
        response.ContentLength = buffer.WrittenCount;
        await response.Body.WriteAsync(buffer.WrittenMemory);
    }

    // The bodies are JSON for programs and never part of a page; base64 stays readable this way.
    private static readonly System.Text.Encodings.Web.JavaScriptEncoder Relaxed = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping;

    private static Task WriteFaceAsync(HttpResponse response, Face face, string message, string? reason, int retryAfterSeconds)
    {
        var retryAfter = face.Status is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable
            ? Math.Max(1, retryAfterSeconds)
            : 0;
        if (retryAfter > 0)
        {
            response.Headers.RetryAfter = retryAfter.ToString();
        }

        return WriteJsonAsync(response, face.Status, (face.Code, message, reason, retryAfter), static (json, error) =>
        {
            json.WriteStartObject();
            json.WriteStartObject("error"u8);
            json.WriteString("code"u8, error.Code);
            json.WriteString("message"u8, error.message);
            if (error.reason is null && error.retryAfter == 0)
            {
                json.WriteNull("details"u8);
            }
            else
            {
                json.WriteStartObject("details"u8);
                if (error.reason is not null)
                {
                    json.WriteString("reason"u8, error.reason);
                }

                if (error.retryAfter > 0)
                {
                    json.WriteNumber("retry_after"u8, error.retryAfter);
                }

                json.WriteEndObject();
            }

            json.WriteEndObject();
            json.WriteEndObject();
        });
    }
}
