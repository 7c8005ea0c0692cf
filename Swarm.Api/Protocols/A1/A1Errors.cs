using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Gateway;

namespace Swarm.Api.Protocols.A1;

/// <summary>A refusal of this door, before or beside A1's own denials.</summary>
internal sealed class A1Refusal(int status, string text, string detail, string code = A1Errors.GeneralCode) : Exception(text)
{
    public int Status => status;

    public string Code => code;

    public string Detail => detail;

    public static A1Refusal Invalid(string text) => new(StatusCodes.Status400BadRequest, text, "InvalidRequest");
}

/// <summary>
/// The errors of this door (A1 §20): always JSON with <c>error</c>, <c>error_code</c> and <c>code</c>, because each SDK reads another of them, and the
/// exact cause in <c>detail_code</c>. No text repeats what a request held.
/// </summary>
internal static class A1Errors
{
    /// <summary>What A1 gives where it has no code of its own.</summary>
    public const string GeneralCode = "AUTHORIZATION_FAILED";

    private const string StorageCode = "STORAGE_ERROR";

    public static Task WriteAsync(HttpResponse response, A1Refusal refused) =>
        WriteAsync(response, refused.Status, refused.Message, refused.Code, refused.Detail);

    /// <summary>A denial with the status that its route has for denials; 503 where the storage is to blame.</summary>
    public static Task WriteAsync(HttpResponse response, int status, Denial denial) =>
        WriteAsync(response, denial.IsTransient ? StatusCodes.Status503ServiceUnavailable : status, denial.Text, denial.Code, denial.DetailCode);

    public static Task WriteUnavailableAsync(HttpResponse response) =>
        WriteAsync(response, StatusCodes.Status503ServiceUnavailable, Denial.Storage("the node cannot reach its database", isTransient: true).Text, StorageCode, nameof(DenialKind.StorageFailure));

    public static Task WriteInternalAsync(HttpResponse response) =>
        WriteAsync(response, StatusCodes.Status500InternalServerError, "The node failed to answer this request.", GeneralCode, "InternalError");

    public static Task WriteLimitedAsync(HttpResponse response, int retryAfterSeconds) =>
        WriteAsync(response, StatusCodes.Status429TooManyRequests, "rate limit exceeded", "RATE_LIMIT_EXCEEDED", "RateLimited", retryAfterSeconds);

    /// <summary>What a change was refused for.</summary>
    public static A1Refusal Of(CapabilityException refused) => new(
        refused.Fault switch
        {
            CapabilityFault.SwarmNotFound or CapabilityFault.MemberNotFound or CapabilityFault.PassportNotFound => StatusCodes.Status404NotFound,
            CapabilityFault.NotTheOwner or CapabilityFault.KeyNotHeld or CapabilityFault.MemberExpired => StatusCodes.Status403Forbidden,
            CapabilityFault.Conflict => StatusCodes.Status409Conflict,
            _ => StatusCodes.Status400BadRequest,
        },
        refused.Message,
        refused.Fault.ToString());

    public static Task WriteAsync(HttpResponse response, int status, string text, string code, string detail, int retryAfterSeconds = 1)
    {
        if (status is StatusCodes.Status429TooManyRequests or StatusCodes.Status503ServiceUnavailable)
        {
            response.Headers.RetryAfter = Math.Max(1, retryAfterSeconds).ToString(System.Globalization.CultureInfo.InvariantCulture);
        }

        return AgentSwarmErrors.WriteJsonAsync(response, status, (text, code, detail), static (json, error) =>
        {
            json.WriteStartObject();
            json.WriteString("error"u8, error.text);
            json.WriteString("error_code"u8, error.code);
            json.WriteString("code"u8, error.code);
            json.WriteString("detail_code"u8, error.detail);
            json.WriteEndObject();
        });
    }
}
