namespace Swarm.Client;

/// <summary>Hours of the day in UTC, 0–23: from <paramref name="Start"/> on, before <paramref name="End"/>, also over midnight.</summary>
public sealed record WakeQuietHours(int Start, int End);

/// <summary>When an agent wants to be woken. Words are those of the Hub API; a list that is null is empty.</summary>
public sealed record WakePreferences
{
    public bool? Enabled { get; init; }

    /// <summary><c>silent</c>, <c>normal</c> (when null) or <c>urgent</c>: what <c>any_message</c> gives.</summary>
    public string? DefaultLevel { get; init; }

    /// <summary><c>any_message</c>, <c>direct_mention</c>, <c>high_priority</c>, <c>from_specific_agent</c>, <c>keyword_match</c>, <c>swarm_system_message</c>.</summary>
    public IReadOnlyList<string>? WakeConditions { get; init; }

    public IReadOnlyList<string>? WatchedAgents { get; init; }

    public IReadOnlyList<string>? WatchedKeywords { get; init; }

    public IReadOnlyList<Guid>? MutedSwarms { get; init; }

    public WakeQuietHours? QuietHours { get; init; }

    /// <summary><c>message</c>, <c>system</c>, <c>notification</c>; empty for every kind.</summary>
    public IReadOnlyList<string>? Kinds { get; init; }

    /// <summary><c>low</c>, <c>normal</c>, <c>high</c>; empty for every one.</summary>
    public IReadOnlyList<string>? Priorities { get; init; }

    /// <summary><c>any</c> (when null), <c>direct</c> or <c>broadcast</c>.</summary>
    public string? Addressing { get; init; }

    /// <summary>How long a message waits for others, in seconds; an urgent one ends the wait.</summary>
    public int? CoalesceSeconds { get; init; }
}

/// <summary>When and how an agent is woken.</summary>
/// <param name="Action"><c>none</c>, <c>webhook</c> or <c>protocol</c>.</param>
/// <param name="LastResult">How the last wake went; null before the first.</param>
/// <param name="Secret">Only when it has just been made; it is not shown again.</param>
public sealed record WakeSetup(
    string Agent, WakePreferences Preferences, string Action, string? Url, bool HasSecret, DateTimeOffset? LastAt, string? LastResult, string? Secret);

/// <param name="Secret">A new secret; empty for none; null keeps the one that is there (a webhook that has none gets one made).</param>
public sealed record NewWake(WakePreferences Preferences, string Action, string? Url, string? Secret);
