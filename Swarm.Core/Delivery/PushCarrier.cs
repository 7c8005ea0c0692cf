using Swarm.Core.Messaging;

namespace Swarm.Core.Delivery;

/// <summary>One leased delivery to a remote agent.</summary>
/// <param name="Wire">The message exactly as it was signed and accepted.</param>
/// <param name="Endpoint">The recipient's base URL.</param>
/// <param name="Sender">The sender's text id in the swarm.</param>
/// <param name="RefusedSince">When the peer first said 401, 403 or 404 to it; null when it did not.</param>
/// <param name="Trace">W3C traceparent of the accept, or null.</param>
public sealed record PushItem(
    long MessageNo, long Recipient, long SenderNo, short Priority, int Attempts, Protocol Protocol, ReadOnlyMemory<byte> Wire, string? Trace,
    DateTimeOffset SentAt, DateTimeOffset? ExpiresAt, string Endpoint, string Sender, DateTimeOffset? RefusedSince);

/// <summary>What came of one try to push.</summary>
/// <param name="Status">The HTTP status (or the protocol's nearest); 0 when no answer came.</param>
/// <param name="Reason">In a few words, for operators; no secrets.</param>
public readonly record struct PushAnswer(int Status, string Reason)
{
    /// <summary>The peer's <c>Retry-After</c>, as it was sent.</summary>
    public string? RetryAfter { get; init; }

    /// <summary>The peer may not be called at all, now or later.</summary>
    public bool IsForbidden { get; init; }

    /// <summary>The message was taken. Of a message that the peer had already, this is its answer too.</summary>
    public bool IsSuccess => Status is >= 200 and < 300;

    /// <summary>The destination is up, whatever it said: an answer of its own, and no gateway's.</summary>
    public bool IsAlive => Status is > 0 and < 500;
}

/// <summary>Takes messages to remote peers in one protocol. Thread-safe.</summary>
public interface IPushCarrier
{
    Protocol Protocol { get; }

    /// <summary>What shares a budget and a circuit breaker: scheme, host and port. Null when the endpoint cannot be called.</summary>
    string? DestinationOf(string endpoint);

    /// <summary>Tries once. Failures are answers; only the caller's cancellation throws.</summary>
    Task<PushAnswer> PushAsync(PushItem item, TimeSpan timeMax, CancellationToken cancellation);
}
