namespace Swarm.Core.Signals;

/// <summary>What a control event is about.</summary>
public enum ControlKind
{
    /// <summary>A swarm's members, settings or keys changed.</summary>
    Swarm = 1,

    /// <summary>An agent was made, changed or revoked.</summary>
    Agent = 2,

    /// <summary>A token was revoked.</summary>
    Token = 3,

    /// <summary>A passport was made, renewed or revoked.</summary>
    Passport = 4,
}

/// <summary>A change that every replica must know at once (design §3 promise 7). On a wire it is <c>kind:no</c>, e.g. <c>1:42</c>.</summary>
/// <param name="Kind">What changed.</param>
/// <param name="No">The number of its row.</param>
public readonly record struct ControlEvent(ControlKind Kind, long No)
{
    /// <summary>The NOTIFY channel on which control events travel, inside their own transaction.</summary>
    public const string Channel = "swarm_control";

    /// <summary>Before the number of the control epoch on the same channel: everything up to it has been told.</summary>
    public const string EpochPrefix = "epoch ";

    public override string ToString() => $"{(int)Kind}:{No}";

    /// <summary>Reads what <see cref="ToString"/> wrote; false for anything else.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out ControlEvent result)
    {
        var colon = text.IndexOf(':');
        if (colon > 0
            && int.TryParse(text[..colon], out var kind) && Enum.IsDefined((ControlKind)kind)
            && long.TryParse(text[(colon + 1)..], out var no))
        {
            result = new((ControlKind)kind, no);
            return true;
        }

        result = default;
        return false;
    }
}

/// <summary>Control events within this process: caches and streams listen here, whatever transport brought the event.</summary>
public sealed class ControlEvents
{
    /// <summary>Something changed; raised on the thread that learnt of it, so handlers must be short.</summary>
    public event Action<ControlEvent>? Changed;

    /// <summary>Events may have been missed: forget everything that they keep current.</summary>
    public event Action? Missed;

    public void Raise(ControlEvent change) => Changed?.Invoke(change);

    public void RaiseMissed() => Missed?.Invoke();
}
