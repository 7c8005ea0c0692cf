using Swarm.Core.Messaging;

namespace Swarm.Core.Delivery.Wake;

/// <summary>What the rules look at in a message.</summary>
/// <param name="Text">The stored text (ASP §5.3): keywords are searched in all of it.</param>
/// <param name="IsDirect">Addressed to the recipient by name (hardened input; the reference asks for the kind).</param>
/// <param name="Hour">The hour of the day now, UTC.</param>
public sealed record WakeInput(string Sender, Guid Swarm, string Text, MessageKind Kind, Priority Priority, bool IsDirect, int Hour);

/// <summary>How loud a message is (ASP §11.2). Pure: the same preferences and input give the same level.</summary>
public static class WakeRules
{
    public static WakeLevel Evaluate(WakePreferences preferences, WakeInput input)
    {
        var isHigh = input.Priority == Priority.High;
        var isSystem = input.Kind == MessageKind.System;
        if (!preferences.Enabled || preferences.MutedSwarms.Contains(input.Swarm) || !IsWanted(preferences, input))
        {
            return WakeLevel.Silent;
        }

        if (preferences.QuietHours?.Holds(input.Hour) == true)
        {
            return isHigh || isSystem ? WakeLevel.Urgent : WakeLevel.Silent;
        }

        var level = WakeLevel.Silent;
        foreach (var condition in preferences.WakeConditions)
        {
            var given = condition switch
            {
                WakeCondition.AnyMessage => preferences.DefaultLevel,
                WakeCondition.DirectMention => Urgent(input.IsDirect),
                WakeCondition.HighPriority => Urgent(isHigh),
                WakeCondition.FromSpecificAgent => Urgent(preferences.WatchedAgents.Contains(input.Sender, StringComparer.Ordinal)),
                WakeCondition.KeywordMatch => Urgent(preferences.WatchedKeywords.Any(word => input.Text.Contains(word, StringComparison.OrdinalIgnoreCase))),
                WakeCondition.SwarmSystemMessage => Urgent(isSystem),
                _ => WakeLevel.Silent,
            };
            level = given > level ? given : level;
        }

        return level;
    }

    private static bool IsWanted(WakePreferences preferences, WakeInput input) =>
        (preferences.Kinds.Count == 0 || preferences.Kinds.Contains(input.Kind))
        && (preferences.Priorities.Count == 0 || preferences.Priorities.Contains(input.Priority))
        && preferences.Addressing switch { WakeAddressing.Direct => input.IsDirect, WakeAddressing.Broadcast => !input.IsDirect, _ => true };

    private static WakeLevel Urgent(bool matches) => matches ? WakeLevel.Urgent : WakeLevel.Silent;
}
