using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Scopes;

namespace Swarm.Core.Capabilities.Authorization;

/// <summary>
/// What a node asks of every chain beyond A1's own rules (A1 §19), before anything else is looked at. What is null or empty asks nothing.
/// </summary>
public sealed record Policy
{
    public required string Name { get; init; }

    public IReadOnlySet<Bytes32>? TrustedPrincipals { get; init; }

    /// <summary>The most certificates of a chain.</summary>
    public int? ChainLengthMax { get; init; }

    /// <summary>The longest that any certificate may live, in seconds.</summary>
    public ulong? TtlSecondsMax { get; init; }

    /// <summary>Refuses a certificate that narrows its parent's scope and could be delegated further.</summary>
    public bool ForbidsSubDelegation { get; init; }

    public IReadOnlyList<string> RequiredExtensions { get; init; } = [];

    /// <summary>
    /// What may be asked for: <c>*</c> is everything, a trailing <c>*</c> stands for any rest, a trailing dot for anything below it, anything else for
    /// itself. (A1 drops the dot, so that its <c>trade.</c> admits <c>trader</c>, and never asks; A1 §19.)
    /// </summary>
    public IReadOnlyList<string> AllowedActions { get; init; } = [];

    /// <summary>The first violation by the chain, in A1's order; null for none.</summary>
    public Denial? Check(SignedChain chain)
    {
        if (TrustedPrincipals is { Count: > 0 } && !TrustedPrincipals.Contains(chain.Principal))
        {
            return Denial.UntrustedPrincipal;
        }

        if (chain.Certificates.Count > ChainLengthMax)
        {
            return Denial.PolicyViolation($"chain depth {chain.Certificates.Count} exceeds policy maximum {ChainLengthMax}");
        }

        foreach (var certificate in chain.Certificates)
        {
            if (Check(certificate) is { } denial)
            {
                return denial;
            }
        }

        return null;
    }

    /// <summary>The violation by what is asked for; null for none.</summary>
    public Denial? Check(Intent intent) => AllowedActions.Count == 0 || AllowedActions.Any(allowed => Admits(allowed, intent.Action))
        ? null
        : Denial.PolicyViolation($"intent '{intent.Action}' not permitted under policy '{Name}'");

    private Denial? Check(DelegationCertificate certificate)
    {
        var ttl = certificate.ExpiresAt > certificate.IssuedAt ? certificate.ExpiresAt - certificate.IssuedAt : 0;
        if (ttl > TtlSecondsMax)
        {
            return Denial.PolicyViolation($"cert TTL {ttl}s exceeds policy maximum {TtlSecondsMax}s");
        }

        if (ForbidsSubDelegation && !certificate.ScopeProof.IsPassThrough && certificate.MaxDepth > 0)
        {
            return Denial.PolicyViolation("sub-delegation is not permitted under this policy");
        }

        var missing = RequiredExtensions.FirstOrDefault(key => certificate.Extensions[key] is null);
        return missing is null ? null : Denial.PolicyViolation($"required extension '{missing}' is absent from cert");
    }

    private static bool Admits(string allowed, string action) =>
        allowed.EndsWith('*') ? action.StartsWith(allowed.AsSpan(0, allowed.Length - 1), StringComparison.Ordinal)
        : allowed.EndsWith('.') ? action.StartsWith(allowed, StringComparison.Ordinal)
        : action == allowed;
}
