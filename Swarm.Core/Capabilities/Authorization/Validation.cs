using Swarm.Core.Capabilities.Certificates;

namespace Swarm.Core.Capabilities.Authorization;

/// <summary>
/// A chain after the steps that need no storage (A1 §9, 0 to 15): refused, or waiting for the storage's answer to <see cref="Query"/>.
/// </summary>
public sealed class Validation
{
    private readonly VerificationReceipt? _receipt;
    private readonly DelegationCertificate? _last;

    internal Validation(Denial denial) => Denial = denial;

    internal Validation(LedgerQuery query, VerificationReceipt receipt, DelegationCertificate last) => (Query, _receipt, _last) = (query, receipt, last);

    /// <summary>The refusal; null when the storage is to be asked.</summary>
    public Denial? Denial { get; }

    /// <summary>What to ask; null when the chain is refused already.</summary>
    public LedgerQuery? Query { get; }

    /// <summary>The outcome. The answer is not looked at when the chain is refused already.</summary>
    public AuthorizationResult Conclude(LedgerAnswer answer) =>
        (Denial ?? answer.ToDenial()) is { } denial ? new(denial, null, null) : new(null, _receipt, GatewayReceipt.Of(_receipt!, _last!.Extensions));
}

/// <summary>Authorized, with receipts, or denied; exactly one of <see cref="Denial"/> and the receipts is set.</summary>
public sealed record AuthorizationResult(Denial? Denial, VerificationReceipt? Receipt, GatewayReceipt? GatewayReceipt)
{
    public bool IsAuthorized => Denial is null;
}
