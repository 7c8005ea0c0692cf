namespace Swarm.Core.Messaging.Limits;

/// <summary>Section <c>Limits</c>: how much of each a minute. Zero switches a limit off. A node's replicas must have the same figures.</summary>
public sealed class LimitOptions
{
    public const string Section = "Limits";

    /// <summary>Messages of one verified sender, over all swarms and doors.</summary>
    public int SenderPerMinute { get; set; } = 6_000;

    /// <summary>
    /// How much one verified sender may send in messages of more than <see cref="SmallBytes"/>, in mebibytes: without it the number alone would let one member
    /// fill a disk (ASP §20, W-21). Smaller ones are bounded by their number.
    /// </summary>
    public int SenderMegabytesPerMinute { get; set; } = 256;

    /// <summary>Up to this size a message counts by number alone, in bytes as it arrived.</summary>
    public const int SmallBytes = 4_096;

    /// <summary>Messages of all members of one swarm.</summary>
    public int SwarmPerMinute { get; set; } = 120_000;

    /// <summary>Refused requests of one address, before it is not listened to any more. Loopback has no such limit.</summary>
    public int RefusedPerAddressPerMinute { get; set; } = 600;

    /// <summary>Pushes to one destination.</summary>
    public int DestinationPerMinute { get; set; } = 240_000;
}
