namespace Swarm.Client;

/// <summary>The node answered, and refused. Nothing was changed by the call unless the error says otherwise.</summary>
public sealed class SwarmApiException : Exception
{
    /// <summary>The <see cref="ErrorId"/> of an answer that carries none, for example one made by a proxy.</summary>
    public const string UnknownErrorId = "unknown";

    public SwarmApiException(string errorId, int status, string detail, TimeSpan? retryAfter = null)
        : base(detail)
    {
        ErrorId = errorId;
        Status = status;
        RetryAfter = retryAfter;
    }

    /// <summary>
    /// The stable id of the error: the last segment of the problem's <c>type</c>, such as <c>unknown-swarm</c>, or of A1's routes the exact cause, such
    /// as <c>MemberNotFound</c>.
    /// </summary>
    public string ErrorId { get; }

    /// <summary>A1's machine code, such as <c>CERT_EXPIRED</c> (A1 §9); null where another route refused.</summary>
    public string? Code { get; init; }

    /// <summary>The HTTP status.</summary>
    public int Status { get; }

    /// <summary>What went wrong, in words; the same as <see cref="Exception.Message"/>.</summary>
    public string Detail => Message;

    /// <summary>How long the node asks to wait before the next try; null when it does not say.</summary>
    public TimeSpan? RetryAfter { get; }
}

/// <summary>
/// No usable answer came: the node is not there, the connection broke, or the time ran out. Whether the call took effect is
/// unknown.
/// </summary>
public sealed class SwarmConnectionException : Exception
{
    public SwarmConnectionException(string message, Exception? inner = null)
        : base(message, inner)
    {
    }
}
