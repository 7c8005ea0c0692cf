using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Identity;

namespace Swarm.Core.Capabilities.Inspection;

/// <summary>One certificate: who lets whom do what.</summary>
/// <param name="Capabilities">By name; null when only the scope's hash is known.</param>
/// <param name="IsSigned">Whether the signature is the delegator's.</param>
/// <param name="IsRevoked">Whether it is revoked here.</param>
/// <param name="IsUsed">Whether its nonce was consumed here, so that no chain with it is authorized again.</param>
public sealed record InspectedHop(
    DelegationCertificate Certificate, Bytes32 Fingerprint, IReadOnlyList<string>? Capabilities, bool IsSigned, bool IsRevoked, bool IsUsed);

/// <summary>What the node's storage knows of a document.</summary>
/// <param name="Revoked">Those of the asked fingerprints that are revoked.</param>
/// <param name="Used">Those of the asked nonces that were consumed.</param>
public sealed record LedgerFacts(IReadOnlySet<Bytes32> Revoked, IReadOnlySet<Nonce> Used);

/// <summary>What a document says, and what would be said to it now. Reads no clock and no storage.</summary>
public sealed record CapabilityReport
{
    public required CapabilityDocument Document { get; init; }

    /// <summary>The principal first. Empty for a token.</summary>
    public required IReadOnlyList<InspectedHop> Hops { get; init; }

    /// <summary>Of a chain: what its principal may hand on, by name; null when that is not known.</summary>
    public IReadOnlyList<string>? PrincipalCapabilities { get; init; }

    /// <summary>
    /// Why it is of no use now: for a chain the first refusal of A1 §9 that does not depend on who acts and what is wanted. Null when nothing speaks
    /// against it.
    /// </summary>
    public required Denial? Refusal { get; init; }

    /// <summary>The certificates of a document: none for a token.</summary>
    public static IReadOnlyList<DelegationCertificate> CertificatesOf(CapabilityDocument document) => document switch
    {
        { Certificate: { } certificate } => [certificate],
        { Chain: { } chain } => chain.Certificates,
        { Passport: { } passport } => [passport.Root],
        _ => [],
    };

    /// <param name="document">As it was read.</param>
    /// <param name="anchor">What is known here of the chain's principal; of no account for other documents.</param>
    /// <param name="facts">For the document's certificates, and the anchor's passports.</param>
    /// <param name="tokenFault">What is wrong with a token's MAC; null for a good one, and for other documents.</param>
    /// <param name="authorizer">Judges.</param>
    /// <param name="keys">Verifies.</param>
    /// <param name="now">Unix seconds.</param>
    /// <param name="rules">The node's.</param>
    public static CapabilityReport Of(
        CapabilityDocument document, TrustAnchor anchor, LedgerFacts facts, Denial? tokenFault, Authorizer authorizer, PublicKeys keys, ulong now,
        AuthorizationRules rules)
    {
        var certificates = CertificatesOf(document);
        var names = NamesOf(document, anchor, certificates);
        var hops = certificates.Select(certificate =>
        {
            var fingerprint = certificate.Fingerprint();
            return new InspectedHop(
                certificate, fingerprint, names.Of(certificate), certificate.IsSigned(keys), facts.Revoked.Contains(fingerprint), facts.Used.Contains(certificate.Nonce));
        }).ToArray();
        return new()
        {
            Document = document,
            Hops = hops,
            PrincipalCapabilities = document.Chain is { } chain ? names.Of(chain.PrincipalScope) : null,
            Refusal = document switch
            {
                { Chain: { } presented } => RefusalOf(presented, anchor, facts, authorizer, now, rules),
                { Passport: { } passport } => passport.Check(keys, now, rules.ToleranceSeconds) ?? (hops[0].IsRevoked ? Denial.Revoked : null),
                { Certificate: { } alone } => authorizer.Check(alone, now, rules)
                    ?? (hops[0].IsRevoked ? Denial.Revoked : hops[0].IsUsed ? Denial.NonceReplay : null),
                _ => tokenFault,
            },
        };
    }

    private static Denial? RefusalOf(SignedChain chain, TrustAnchor anchor, LedgerFacts facts, Authorizer authorizer, ulong now, AuthorizationRules rules) =>
        authorizer.Check(chain, anchor, now, rules, out var query)
        ?? (query!.Certificates.Any(facts.Revoked.Contains) || (query.Passports.Count > 0 && query.Passports.All(facts.Revoked.Contains)) ? Denial.Revoked
            : query.Nonces.Any(use => facts.Used.Contains(use.Nonce)) ? Denial.NonceReplay
            : null);

    private static ScopeNames NamesOf(CapabilityDocument document, TrustAnchor anchor, IReadOnlyList<DelegationCertificate> certificates)
    {
        var names = new ScopeNames();
        names.Learn(document.Passport?.Capabilities);
        foreach (var passport in anchor.Passports.Where(p => p.ScopeRoot == document.Chain?.PrincipalScope))
        {
            names.Learn(passport.Capabilities);
        }

        foreach (var certificate in certificates)
        {
            names.Learn(certificate.Extensions.Capabilities);
        }

        return names;
    }
}
