namespace Swarm.Core.Messaging.Limits;

/// <summary>Where replicas count together.</summary>
public interface IRateLedger
{
    /// <summary>Whether it can be asked now. While it cannot, each replica counts for itself.</summary>
    bool IsAvailable { get; }

    /// <summary>Takes so many of a key's minute.</summary>
    /// <returns>What all replicas together have taken of it with this; null when the ledger did not answer.</returns>
    Task<long?> TakeAsync(RateKey key, long minute, long count);
}
