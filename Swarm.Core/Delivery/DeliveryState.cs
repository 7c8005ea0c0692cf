namespace Swarm.Core.Delivery;

/// <summary>The states of a delivery (design §3). Every protocol's own states are views of these.</summary>
public enum DeliveryState : short
{
    /// <summary>Waits for its recipient.</summary>
    Pending = 0,

    /// <summary>A consumer holds it until its lease runs out.</summary>
    Leased = 1,

    /// <summary>Acknowledged.</summary>
    Delivered = 2,

    /// <summary>Marked as read.</summary>
    Read = 3,

    Fulfilled = 4,
    Rejected = 5,
    Failed = 6,

    /// <summary>Retries are spent, or it cannot be delivered at all.</summary>
    Dead = 7,

    /// <summary>Its time to live ran out before it was delivered.</summary>
    Expired = 8,

    TimedOut = 9,
}
