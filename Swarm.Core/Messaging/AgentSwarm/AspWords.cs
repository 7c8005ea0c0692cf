namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>The words of the wire for <see cref="MessageKind"/> and <see cref="Priority"/> (ASP §3).</summary>
public static class AspWords
{
    /// <summary>The word of <c>type</c>.</summary>
    public static string Of(MessageKind kind) => kind switch
    {
        MessageKind.Message => "message",
        MessageKind.System => "system",
        MessageKind.Notification => "notification",
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "not a message kind"),
    };

    /// <summary>The word of <c>priority</c>.</summary>
    public static string Of(Priority priority) => priority switch
    {
        Priority.Low => "low",
        Priority.Normal => "normal",
        Priority.High => "high",
        _ => throw new ArgumentOutOfRangeException(nameof(priority), priority, "not a priority"),
    };

    /// <summary>The UTF-8 word of <c>type</c>, as the signature covers it.</summary>
    public static ReadOnlySpan<byte> Utf8Of(MessageKind kind) => kind switch
    {
        MessageKind.Message => "message"u8,
        MessageKind.System => "system"u8,
        MessageKind.Notification => "notification"u8,
        _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "not a message kind"),
    };

    public static bool TryParseKind(ReadOnlySpan<byte> word, out MessageKind kind)
    {
        kind = word.SequenceEqual("message"u8) ? MessageKind.Message
            : word.SequenceEqual("system"u8) ? MessageKind.System
            : word.SequenceEqual("notification"u8) ? MessageKind.Notification
            : 0;
        return kind != 0;
    }

    public static bool TryParsePriority(ReadOnlySpan<byte> word, out Priority priority)
    {
        priority = word.SequenceEqual("low"u8) ? Priority.Low : word.SequenceEqual("high"u8) ? Priority.High : Priority.Normal;
        return priority != Priority.Normal || word.SequenceEqual("normal"u8);
    }
}
