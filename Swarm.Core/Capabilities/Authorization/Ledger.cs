using Swarm.Core.Capabilities.Certificates;

namespace Swarm.Core.Capabilities.Authorization;

/// <summary>A nonce to be consumed.</summary>
/// <param name="Nonce">The certificate's.</param>
/// <param name="KeepUntil">Unix seconds; forgetting it before would allow a replay (A1 §20, Nonces).</param>
public readonly record struct NonceUse(Nonce Nonce, ulong KeepUntil);

/// <summary>
/// What only the node's storage can answer, for steps 16 and 17 of A1 §9. One transaction should: look for a revocation, and only if there is none
/// consume every nonce or none of them.
/// </summary>
/// <param name="Certificates">Fingerprints from root to leaf; none may be revoked.</param>
/// <param name="Passports">Fingerprints of which at least one must not be revoked; empty when no passport matters.</param>
/// <param name="Nonces">All to be consumed, or none; empty when nothing is to be consumed.</param>
public sealed record LedgerQuery(IReadOnlyList<Bytes32> Certificates, IReadOnlyList<Bytes32> Passports, IReadOnlyList<NonceUse> Nonces);

/// <summary>The storage's answer to a <see cref="LedgerQuery"/>. Revocation is reported before a replay, whichever the storage saw first.</summary>
/// <param name="IsRevoked">A certificate is, or all of the passports are.</param>
/// <param name="IsReplay">A nonce was consumed before; none of them was consumed now.</param>
/// <param name="Fault">The storage did not answer; nothing was consumed that counts.</param>
public readonly record struct LedgerAnswer(bool IsRevoked, bool IsReplay, Denial? Fault = null)
{
    public static readonly LedgerAnswer Clear = new(false, false);

    internal Denial? ToDenial() => Fault ?? (IsRevoked ? Denial.Revoked : IsReplay ? Denial.NonceReplay : null);
}
