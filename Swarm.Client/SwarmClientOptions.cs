namespace Swarm.Client;

/// <summary>How a <see cref="SwarmClient"/> reaches a node. All limits have working defaults.</summary>
public sealed record SwarmClientOptions
{
    /// <summary>The node's base URL, for example <c>http://127.0.0.1:8700</c>; the path <c>/hub/v1</c> is added.</summary>
    public required Uri Url { get; init; }

    /// <summary>An operator's or an agent's token; null sends none, which only enrolment and health allow.</summary>
    public string? Token { get; init; }

    /// <summary>
    /// A PEM file with the node's own certificate authority. When given, an https node is trusted only if its certificate leads to
    /// it; when null, the system's roots decide.
    /// </summary>
    public string? CaFile { get; init; }

    /// <summary>The longest wait for one answer, per try; a lease's own wait is added to it.</summary>
    public TimeSpan RequestTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How often a call that is safe to repeat is tried in all; 1 means no retry.</summary>
    public int TriesMax { get; init; } = 3;

    /// <summary>The first delay between tries; it doubles, with a random quarter more or less.</summary>
    public TimeSpan RetryDelay { get; init; } = TimeSpan.FromMilliseconds(200);

    /// <summary>The longest delay that is waited for, also when the node asks for a longer one (then the call fails and says so).</summary>
    public TimeSpan RetryDelayMax { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>A stream on which not even a heartbeat (every 15 s) came for this long is opened again.</summary>
    public TimeSpan StreamSilenceMax { get; init; } = TimeSpan.FromSeconds(45);

    /// <summary>The clock behind every time-out and delay.</summary>
    public TimeProvider TimeProvider { get; init; } = TimeProvider.System;
}
