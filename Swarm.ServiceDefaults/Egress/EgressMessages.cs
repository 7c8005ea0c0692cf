namespace Swarm.ServiceDefaults.Egress;

/// <summary>Why a call brought no answer. Each says nothing of the inside of this network.</summary>
public enum EgressFailure
{
    /// <summary>The URL is malformed, or leads to an address that may not be called.</summary>
    NotAllowed,

    /// <summary>The host has no address now.</summary>
    Unresolvable,

    /// <summary>No connection was made.</summary>
    ConnectFailed,

    /// <summary>The peer could not prove that it is the host, or TLS failed in another way.</summary>
    TlsFailed,

    /// <summary>The answer was not complete in time. The peer may have acted on the request.</summary>
    TimedOut,

    /// <summary>Headers or body are larger than the cap.</summary>
    TooLarge,

    /// <summary>The answer broke off, or is no HTTP.</summary>
    ProtocolError,
}

/// <summary>One call to a URL that an agent supplied.</summary>
public sealed record EgressRequest(HttpMethod Method, string Url)
{
    /// <summary>Further headers. A name or value that is none makes the call <see cref="EgressFailure.NotAllowed"/>.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Headers { get; init; } = [];

    /// <summary>Sent with Content-Length. Empty means that no body is sent.</summary>
    public ReadOnlyMemory<byte> Body { get; init; }

    public string ContentType { get; init; } = "application/json";

    /// <summary>From the call to the last byte of the answer, waiting for a free place included; at most <see cref="GuardedHttp.TimeMax"/>.</summary>
    public TimeSpan TimeMax { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The largest answer body, in bytes; at most <see cref="GuardedHttp.BodyBytesMax"/>.</summary>
    public int BodyBytesMax { get; init; } = 64 * 1024;
}

/// <summary>What came of a call: an answer of any status (redirects too, they are not followed), or a failure.</summary>
public sealed record EgressResponse
{
    private static readonly Dictionary<string, string> NoHeaders = [];

    /// <summary>Null when an answer arrived whole.</summary>
    public EgressFailure? Failure { get; private init; }

    /// <summary>The HTTP status; 0 with a failure.</summary>
    public int Status { get; private init; }

    /// <summary>Those of <see cref="KeptHeaders"/> that the answer had, by names without case.</summary>
    public IReadOnlyDictionary<string, string> Headers { get; private init; } = NoHeaders;

    public ReadOnlyMemory<byte> Body { get; private init; }

    /// <summary>The answer's headers that callers need; the others are dropped.</summary>
    public static IReadOnlyList<string> KeptHeaders { get; } =
        ["Retry-After", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Content-Type", "Date", "ETag", "Link"];

    /// <summary>A status of 200 to 299.</summary>
    public bool IsSuccess => Status is >= 200 and < 300;

    /// <summary>The outcome in a few words, safe to show to anybody.</summary>
    public string Reason => Failure switch
    {
        null => $"HTTP {Status}",
        EgressFailure.NotAllowed => "The address may not be called.",
        EgressFailure.Unresolvable => "The host name does not resolve.",
        EgressFailure.ConnectFailed => "No connection could be made.",
        EgressFailure.TlsFailed => "TLS failed.",
        EgressFailure.TimedOut => "No complete answer came in time.",
        EgressFailure.TooLarge => "The answer is too large.",
        _ => "The answer is broken.",
    };

    public static EgressResponse Failed(EgressFailure failure) => new() { Failure = failure };

    public static EgressResponse Answered(int status, IReadOnlyDictionary<string, string> headers, ReadOnlyMemory<byte> body) =>
        new() { Status = status, Headers = headers, Body = body };
}
