using System.Text.Json.Serialization;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;

namespace Swarm.Core.Delivery.Wake;

/// <summary>How loud a message is for its recipient (ASP §11.2).</summary>
public enum WakeLevel
{
    /// <summary>It waits; nobody is woken.</summary>
    Silent = 0,
    Normal = 1,

    /// <summary>It is not held back to be woken for together with others.</summary>
    Urgent = 2,
}

/// <summary>What makes a message loud (ASP §11.2).</summary>
public enum WakeCondition
{
    /// <summary>Every message, with <see cref="WakePreferences.DefaultLevel"/>; each of the others makes it urgent.</summary>
    AnyMessage,

    /// <summary>Addressed to the agent itself, not to all.</summary>
    DirectMention,

    HighPriority,
    FromSpecificAgent,
    KeywordMatch,
    SwarmSystemMessage,
}

/// <summary>Whom a message must be addressed to.</summary>
public enum WakeAddressing
{
    Any,
    Direct,
    Broadcast,
}

/// <summary>Hours of the day in UTC, 0–23: from <paramref name="Start"/> on, before <paramref name="End"/>, also over midnight; equal is never.</summary>
public sealed record QuietHours(int Start, int End)
{
    public bool Holds(int hour) => Start <= End ? hour >= Start && hour < End : hour >= Start || hour < End;
}

/// <summary>When an agent wants to be woken (ASP §11.2), and what this node adds: kinds, priorities, addressing, a window.</summary>
/// <remarks>Members have setters because a generated JSON reader forgets the defaults of members that can only be initialised.</remarks>
[JsonUnmappedMemberHandling(JsonUnmappedMemberHandling.Disallow)]
public sealed record WakePreferences
{
    /// <summary>The most entries of each list.</summary>
    public const int ListMax = 100;

    /// <summary>The longest keyword, in characters.</summary>
    public const int KeywordLengthMax = 200;

    /// <summary>The longest window, in seconds.</summary>
    public const int CoalesceSecondsMax = 3_600;

    public static WakePreferences Default => new();

    public bool Enabled { get; set; } = true;

    /// <summary>The level that <see cref="WakeCondition.AnyMessage"/> gives.</summary>
    public WakeLevel DefaultLevel { get; set; } = WakeLevel.Normal;

    public IReadOnlyList<WakeCondition> WakeConditions { get; set; } = [WakeCondition.AnyMessage];

    /// <summary>Text ids, for <see cref="WakeCondition.FromSpecificAgent"/>.</summary>
    public IReadOnlyList<string> WatchedAgents { get; set; } = [];

    /// <summary>Parts of the stored text in any case, for <see cref="WakeCondition.KeywordMatch"/>.</summary>
    public IReadOnlyList<string> WatchedKeywords { get; set; } = [];

    /// <summary>Swarms that never wake; their messages arrive (unlike those of a muted swarm).</summary>
    public IReadOnlyList<Guid> MutedSwarms { get; set; } = [];

    /// <summary>Only high priority and system messages wake then.</summary>
    public QuietHours? QuietHours { get; set; }

    /// <summary>Which kinds wake; empty for every kind.</summary>
    public IReadOnlyList<MessageKind> Kinds { get; set; } = [];

    /// <summary>Which priorities wake; empty for every one.</summary>
    public IReadOnlyList<Priority> Priorities { get; set; } = [];

    public WakeAddressing Addressing { get; set; }

    /// <summary>How long a message waits for others to be woken for together, in seconds; an urgent one ends the wait.</summary>
    public int CoalesceSeconds { get; set; }

    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>, and what is wrong.</exception>
    public void Check()
    {
        // A request may say null where a list belongs.
        if (WakeConditions is null || WatchedAgents is null || WatchedKeywords is null || MutedSwarms is null || Kinds is null || Priorities is null)
        {
            throw new SwarmException(SwarmError.InvalidRequest, "A list of wake preferences is null.");
        }

        if (WakeConditions.Count > ListMax || WatchedAgents.Count > ListMax || WatchedKeywords.Count > ListMax || MutedSwarms.Count > ListMax
            || Kinds.Count > ListMax || Priorities.Count > ListMax)
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"A list of wake preferences has at most {ListMax} entries.");
        }

        if (WatchedAgents.Any(name => !AgentName.IsValid(name)))
        {
            throw new SwarmException(SwarmError.InvalidRequest, "watched_agents holds something that is no agent id.");
        }

        if (WatchedKeywords.Any(word => word is not { Length: > 0 and <= KeywordLengthMax } || word.Contains('\0')))
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"A keyword has 1 to {KeywordLengthMax} characters.");
        }

        if (QuietHours is { Start: < 0 or > 23 } or { End: < 0 or > 23 })
        {
            throw new SwarmException(SwarmError.InvalidRequest, "Quiet hours are from 0 to 23.");
        }

        if (CoalesceSeconds is < 0 or > CoalesceSecondsMax)
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"coalesce_seconds is from 0 to {CoalesceSecondsMax}.");
        }
    }
}

/// <summary>Preferences as they are stored and shown: snake_case, words for enums, unknown members refused.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, AllowDuplicateProperties = false, RespectNullableAnnotations = true,
    UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
    Converters = [
        typeof(Words<WakeLevel>), typeof(Words<WakeCondition>), typeof(Words<WakeAddressing>), typeof(Words<MessageKind>), typeof(Words<Priority>)])]
[JsonSerializable(typeof(WakePreferences))]
public sealed partial class WakeJson : JsonSerializerContext;

/// <summary>An enum as its snake_case word; numbers are refused.</summary>
public sealed class Words<T>() : JsonStringEnumConverter<T>(System.Text.Json.JsonNamingPolicy.SnakeCaseLower, allowIntegerValues: false)
    where T : struct, Enum;
