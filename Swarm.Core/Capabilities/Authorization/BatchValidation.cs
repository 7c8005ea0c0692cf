namespace Swarm.Core.Capabilities.Authorization;

/// <summary>A batch after the steps that need no storage (A1 §9.1).</summary>
public sealed class BatchValidation
{
    private readonly IReadOnlyList<Denial?> _items;
    private readonly Validation? _chain;

    internal BatchValidation(IReadOnlyList<Denial?> items, Validation? chain) => (_items, _chain) = (items, chain);

    /// <summary>
    /// What to ask the storage; null when every item is refused already, or there is none. It names no nonces when an item is refused: then nothing is
    /// consumed.
    /// </summary>
    public LedgerQuery? Query => _chain?.Query;

    /// <summary>The outcome of each item, in order. The answer is not looked at when there was nothing to ask.</summary>
    public BatchResult Conclude(LedgerAnswer answer)
    {
        if (_chain is null)
        {
            return new(_items, null);
        }

        var result = _chain.Conclude(answer);
        var ofAll = result.Denial is { Kind: DenialKind.StorageFailure } fault ? Denial.BatchItem(0, fault) : result.Denial;
        return ofAll is null ? new(_items, result.Receipt) : new([.. _items.Select(_ => (Denial?)ofAll)], null);
    }
}

/// <summary>What became of a batch.</summary>
/// <param name="Items">Null for an authorized item. Those stand even when others are refused, though nothing was consumed then (A1 §9.1).</param>
/// <param name="Receipt">Of the chain and the first intent; null when every item is refused, or there is none.</param>
public sealed record BatchResult(IReadOnlyList<Denial?> Items, VerificationReceipt? Receipt)
{
    public int AuthorizedCount => Items.Count(item => item is null);

    public bool AllAuthorized => Items.All(item => item is null);
}
