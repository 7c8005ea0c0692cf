using Swarm.Core.Delivery;

namespace Swarm.Worker.Push;

/// <summary>The leased deliveries of one lane, sent one after the other by one task.</summary>
internal sealed class Lane(PeerState recipient, Destination destination, IPushCarrier? carrier, Guid lease, DateTimeOffset until)
{
    public PeerState Recipient => recipient;

    public Destination Destination => destination;

    /// <summary>Null when no carrier speaks the message's protocol.</summary>
    public IPushCarrier? Carrier => carrier;

    public Guid Lease => lease;

    /// <summary>When the lease ends.</summary>
    public DateTimeOffset Until => until;

    public List<PushItem> Items { get; } = [];

    /// <summary>It has a place; guarded by <see cref="PushDestinations"/>.</summary>
    public bool IsActive { get; set; }

    /// <summary>It counts against the places of the unproven; guarded by <see cref="PushDestinations"/>.</summary>
    public bool IsUnproven { get; set; }
}

/// <summary>What the pusher knows of a remote agent. Guarded by the pusher's lock.</summary>
internal sealed class PeerState(long no)
{
    public long No => no;

    /// <summary>Where its last lane went; null before the first. Only a guess of where the next will go.</summary>
    public Destination? Destination { get; set; }

    /// <summary>Leased lanes that are not settled yet.</summary>
    public int Lanes { get; set; }

    /// <summary>It is in the queue of those to look at.</summary>
    public bool IsQueued { get; set; }

    /// <summary>There may be more for it than the last look could lease: look again when a lane is settled.</summary>
    public bool LookAgain { get; set; }

    /// <summary>A sweep found it: look deep, and go on so while that finds something.</summary>
    public bool IsDeep { get; set; }

    /// <summary>It waits in <see cref="Destination.Parked"/>.</summary>
    public bool IsParked { get; set; }

    /// <summary>Before this its destination is not called, so it is not looked at.</summary>
    public DateTimeOffset NotBefore { get; set; }
}
