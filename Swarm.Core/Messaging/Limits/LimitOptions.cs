namespace Swarm.Core.Messaging.Limits;

/// <summary>Section <c>Limits</c>: how much of each a minute. Zero switches a limit off. A node's replicas must have the same figures.</summary>
public sealed class LimitOptions
{
    public const string Section = "Limits";

    /// <summary>Messages of one verified sender, over all swarms and doors.</summary>
    public int SenderPerMinute { get; set; } = 6_000;

    /// <summary>Messages of all members of one swarm.</summary>
    public int SwarmPerMinute { get; set; } = 120_000;

    /// <summary>Refused requests of one address, before it is not listened to any more. Loopback has no such limit.</summary>
    public int RefusedPerAddressPerMinute { get; set; } = 600;

    /// <summary>Pushes to one destination.</summary>
    public int DestinationPerMinute { get; set; } = 240_000;
}
