using Swarm.Core.Identity;

namespace Swarm.Core.Signals;

/// <summary>
/// Tells the other replicas that something may be new. A signal may be lost: <see cref="DatabaseWatch"/> finds within a second what one missed.
/// </summary>
public interface ISignalBus
{
    /// <summary>What carries the signals: <c>redis</c> or <c>postgres</c>.</summary>
    string Name { get; }

    /// <summary>The transport is back after an outage: whatever happened meanwhile is unknown.</summary>
    event Action? Reconnected;

    /// <summary>Wakes who waits for one of these inboxes: in this process at once, elsewhere soon. Never blocks, never throws.</summary>
    void Publish(ReadOnlySpan<AgentId> recipients);

    /// <summary>Tells the other replicas of a change; this one has raised it itself. Never blocks, never throws.</summary>
    void PublishControl(ControlEvent change);
}
