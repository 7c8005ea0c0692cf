using System.Net;

namespace Swarm.Client.Transport;

/// <summary>Decides whether a call is tried again: only when a second execution cannot do harm.</summary>
internal sealed class RetryPolicy(SwarmClientOptions options)
{
    /// <summary>After an answer: 502, 503 and 504 of a call that may be repeated.</summary>
    public bool MayRetry(HubRequest request, SwarmApiException refusal, int tries, out TimeSpan delay)
    {
        delay = refusal.RetryAfter ?? Backoff(tries);
        return tries < options.TriesMax
            && request.Idempotent
            && IsPassing((HttpStatusCode)refusal.Status)
            && delay <= options.RetryDelayMax;
    }

    /// <summary>Without an answer: calls that may be repeated, and any call that never left because nobody listened.</summary>
    public bool MayRetry(HubRequest request, SwarmConnectionException failure, int tries, out TimeSpan delay)
    {
        delay = Backoff(tries);
        return tries < options.TriesMax && IsTransport(failure, out var neverSent) && (request.Idempotent || neverSent);
    }

    /// <summary>The delay before try number <paramref name="tries"/> + 1: doubling, capped, a random quarter more or less.</summary>
    public TimeSpan Backoff(int tries)
    {
        var doubled = options.RetryDelay * Math.Pow(2, Math.Min(tries, 16) - 1);
        var capped = doubled < options.RetryDelayMax ? doubled : options.RetryDelayMax;
        return capped * (0.75 + (Random.Shared.NextDouble() / 2));
    }

    private static bool IsPassing(HttpStatusCode status) =>
        status is HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable or HttpStatusCode.GatewayTimeout;

    private static bool IsTransport(SwarmConnectionException failure, out bool neverSent)
    {
        var error = (failure.InnerException as HttpRequestException)?.HttpRequestError;
        neverSent = error is HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError;
        // A certificate that is not trusted will not be trusted in a second either.
        return error is not HttpRequestError.SecureConnectionError and not HttpRequestError.ConfigurationLimitExceeded;
    }
}
