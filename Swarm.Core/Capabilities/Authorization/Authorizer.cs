using System.Diagnostics.CodeAnalysis;
using NSec.Cryptography;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Core.Identity;

namespace Swarm.Core.Capabilities.Authorization;

/// <summary>How a node validates.</summary>
public sealed record AuthorizationRules
{
    /// <summary>How far clocks may differ, in seconds: a certificate is usable that long before it is issued and after it expires, inclusive.</summary>
    public ulong ToleranceSeconds { get; init; } = 15;

    /// <summary>Asked in this order, before all else.</summary>
    public IReadOnlyList<Policy> Policies { get; init; } = [];
}

/// <summary>An intent, with a proof that the last certificate's scope holds it, if its asker has one.</summary>
/// <param name="Proof">Null or empty: the scope is that intent, or its names are known (A1 §20).</param>
public readonly record struct IntentRequest(Intent Intent, MerkleProof? Proof = null);

/// <summary>
/// Decides whether a chain allows what its last delegate wants to do: the order and the errors of A1 §9. It reads no clock and no storage; those
/// answers are given to it, so that equal input has equal output.
/// </summary>
public sealed class Authorizer(PublicKeys keys)
{
    /// <summary>The most intents of a batch.</summary>
    public const int BatchMax = 256;

    /// <summary>The key that claims to act, as a request names it (A1 §14.3).</summary>
    public bool TryReadExecutor(string hex, out Bytes32 executor, [NotNullWhen(false)] out Denial? denial)
    {
        denial = Bytes32.TryParse(hex, out executor)
            ? keys.IsPoint(executor.AsSpan()) ? null : Denial.WireFormat("invalid executor Ed25519 key")
            : Denial.WireFormat(HexText.IsHex(hex) ? "executor_pk must be 32 bytes" : "invalid executor_pk_hex");
        return denial is null;
    }

    /// <summary>Steps 0 to 15 for one intent.</summary>
    /// <param name="chain">As it was read.</param>
    /// <param name="executor">Who acts.</param>
    /// <param name="request">What it wants to do.</param>
    /// <param name="anchor">What is known here of the chain's principal.</param>
    /// <param name="now">Unix seconds.</param>
    /// <param name="rules">The node's.</param>
    public Validation Validate(
        SignedChain chain, Bytes32 executor, IntentRequest request, TrustAnchor anchor, ulong now, AuthorizationRules rules)
    {
        var fingerprints = Array.Empty<Bytes32>();
        var denial = CheckPolicies(chain, anchor, rules) ?? CheckActions(request.Intent, rules) ?? CheckChain(chain, executor, now, rules.ToleranceSeconds);
        if (denial is null)
        {
            var scope = new TerminalScope(chain.Certificates[^1], anchor);
            denial = scope.Holds(request) ? null : Denial.ScopeViolation;
        }

        return (denial ?? CheckPassports(chain, anchor, now, rules.ToleranceSeconds, out fingerprints)) is { } refused
            ? new(refused)
            : Passed(chain, request.Intent, fingerprints, now, rules.ToleranceSeconds, consumes: true);
    }

    /// <summary>The same for up to <see cref="BatchMax"/> intents, which share the chain and its nonces (A1 §9.1).</summary>
    /// <remarks>The door answers <see cref="SignedChain.Fault"/> for the whole batch before it comes here (A1 §14.3).</remarks>
    /// <exception cref="DenialException">There are more intents; <see cref="CheckBatchSize"/> says so before anything is read.</exception>
    public BatchValidation ValidateBatch(
        SignedChain chain, Bytes32 executor, IReadOnlyList<IntentRequest> requests, TrustAnchor anchor, ulong now, AuthorizationRules rules)
    {
        if (CheckBatchSize(requests.Count) is { } tooMany)
        {
            throw new DenialException(tooMany);
        }

        if (requests.Count == 0)
        {
            return new([], null);
        }

        var items = new Denial?[requests.Count];
        if ((CheckPolicies(chain, anchor, rules) ?? CheckChain(chain, executor, now, rules.ToleranceSeconds)) is { } ofChain)
        {
            return Refuse(i => Denial.BatchItem(i, ofChain));
        }

        var scope = new TerminalScope(chain.Certificates[^1], anchor);
        if (!scope.Holds(requests[0]))
        {
            // As A1 does: the first intent stands for all (A1 §9.1).
            return Refuse(i => Denial.BatchItem(i, Denial.ScopeViolation));
        }

        if (CheckPassports(chain, anchor, now, rules.ToleranceSeconds, out var passports) is { } expired)
        {
            return Refuse(_ => expired);
        }

        for (var i = 0; i < items.Length; i++)
        {
            var cause = CheckActions(requests[i].Intent, rules) ?? (scope.Holds(requests[i]) ? null : Denial.ScopeViolation);
            items[i] = cause is null ? null : Denial.BatchItem(i, cause);
        }

        var consumes = Array.TrueForAll(items, item => item is null);
        return new(items, Passed(chain, requests[0].Intent, passports, now, rules.ToleranceSeconds, consumes));

        BatchValidation Refuse(Func<int, Denial> denialOf)
        {
            for (var i = 0; i < items.Length; i++)
            {
                items[i] = denialOf(i);
            }

            return new(items, null);
        }
    }

    /// <summary>
    /// What speaks against a chain whoever its last delegate is and whatever it wants: steps 0 to 14, the intent's policies aside, and the passports'
    /// part of 16. Consumes nothing.
    /// </summary>
    /// <param name="query">What to ask the storage for the rest; null when the chain is refused already.</param>
    public Denial? Check(SignedChain chain, TrustAnchor anchor, ulong now, AuthorizationRules rules, out LedgerQuery? query)
    {
        query = null;
        var executor = chain.Certificates is [.., var last] ? last.Delegate : default;
        var passports = Array.Empty<Bytes32>();
        var denial = CheckPolicies(chain, anchor, rules) ?? CheckChain(chain, executor, now, rules.ToleranceSeconds)
            ?? CheckPassports(chain, anchor, now, rules.ToleranceSeconds, out passports);
        if (denial is null)
        {
            query = new(FingerprintsOf(chain.Certificates), passports, UsesOf(chain.Certificates, rules.ToleranceSeconds));
        }

        return denial;
    }

    /// <summary>What speaks against a certificate by itself: version, times, signature.</summary>
    public Denial? Check(DelegationCertificate certificate, ulong now, AuthorizationRules rules) =>
        CheckHop(certificate, 0, certificate.Delegator, ulong.MaxValue, byte.MaxValue, now, rules.ToleranceSeconds) ?? CheckSignatures([certificate]);

    /// <summary>The refusal of a batch that is too large; null for one that is not.</summary>
    public static Denial? CheckBatchSize(int count) =>
        count > BatchMax ? Denial.WireFormat($"Batch size {count} exceeds maximum allowed of {BatchMax}") : null;

    private static Denial? CheckPolicies(SignedChain chain, TrustAnchor anchor, AuthorizationRules rules)
    {
        if (chain.Fault is not null)
        {
            return chain.Fault;
        }

        if (!anchor.IsTrusted)
        {
            return Denial.UntrustedPrincipal;
        }

        foreach (var policy in rules.Policies)
        {
            if (policy.Check(chain) is { } denial)
            {
                return denial;
            }
        }

        return null;
    }

    private static Denial? CheckActions(Intent intent, AuthorizationRules rules)
    {
        foreach (var policy in rules.Policies)
        {
            if (policy.Check(intent) is { } denial)
            {
                return denial;
            }
        }

        return null;
    }

    /// <summary>Steps 1 to 14. Signatures come last: until then a forged chain costs next to nothing.</summary>
    private Denial? CheckChain(SignedChain chain, Bytes32 executor, ulong now, ulong tolerance)
    {
        var certificates = chain.Certificates;
        if (certificates.Count == 0)
        {
            return Denial.EmptyChain;
        }

        if (certificates[0].Delegator != chain.Principal)
        {
            return Denial.RootMismatch;
        }

        if (certificates.Count > SignedChain.CertificatesMax)
        {
            return Denial.MaxDepthExceeded(SignedChain.CertificatesMax, SignedChain.CertificatesMax);
        }

        var (delegator, scope, expiry, depthMax) = (chain.Principal, chain.PrincipalScope, ulong.MaxValue, (int)byte.MaxValue);
        for (var hop = 0; hop < certificates.Count; hop++)
        {
            var certificate = certificates[hop];
            var denial = CheckHop(certificate, hop, delegator, expiry, depthMax, now, tolerance)
                ?? (IsNonceRepeated(certificates, hop) ? Denial.NonceReplay : null)
                ?? (certificate.ScopeProof.Narrows(scope, certificate.ScopeRoot) ? null : Denial.ScopeEscalation(hop));
            if (denial is not null)
            {
                return denial;
            }

            (delegator, scope, expiry) = (certificate.Delegate, certificate.ScopeRoot, certificate.ExpiresAt);
            depthMax = Math.Min(depthMax, certificate.MaxDepth);
        }

        return delegator == executor ? CheckSignatures(certificates) : Denial.UnauthorizedLeaf;
    }

    private static Denial? CheckHop(
        DelegationCertificate certificate, int hop, Bytes32 delegator, ulong parentExpiry, int depthMax, ulong now, ulong tolerance) =>
        certificate.Delegator != delegator ? Denial.BrokenLinkage(hop)
        : certificate.Version != DelegationCertificate.SupportedVersion ? Denial.UnsupportedVersion(certificate.Version)
        : certificate.IssuedAt > Later(now, tolerance) ? Denial.NotYetValid(hop, certificate.IssuedAt, now)
        : IsOver(certificate.ExpiresAt, now, tolerance) ? Denial.Expired(hop, certificate.ExpiresAt, now)
        : certificate.ExpiresAt > parentExpiry ? Denial.TemporalViolation(hop, certificate.ExpiresAt, parentExpiry)
        : hop + 1 > depthMax ? Denial.MaxDepthExceeded(hop, depthMax)
        : null;

    private static bool IsNonceRepeated(IReadOnlyList<DelegationCertificate> certificates, int hop)
    {
        for (var earlier = 0; earlier < hop; earlier++)
        {
            if (certificates[earlier].Nonce == certificates[hop].Nonce)
            {
                return true;
            }
        }

        return false;
    }

    private Denial? CheckSignatures(IReadOnlyList<DelegationCertificate> certificates)
    {
        for (var hop = 0; hop < certificates.Count; hop++)
        {
            if (!certificates[hop].IsSigned(keys))
            {
                return Denial.InvalidSignature(hop);
            }
        }

        return null;
    }

    /// <summary>The part of step 16 that needs no storage (A1 §20): the principal's passports that still count, by their fingerprints.</summary>
    private static Denial? CheckPassports(SignedChain chain, TrustAnchor anchor, ulong now, ulong tolerance, out Bytes32[] fingerprints)
    {
        var relevant = anchor.Relevant(chain.PrincipalScope);
        fingerprints = [.. relevant.Where(p => !IsOver(p.ExpiresAt, now, tolerance)).Select(p => p.Fingerprint)];
        return relevant.Count > 0 && fingerprints.Length == 0 ? Denial.PassportExpired(relevant.Max(p => p.ExpiresAt), now) : null;
    }

    private static Validation Passed(SignedChain chain, Intent intent, Bytes32[] passports, ulong now, ulong tolerance, bool consumes)
    {
        var certificates = chain.Certificates;
        var fingerprints = FingerprintsOf(certificates);
        var fingerprint = SignedChain.FingerprintOf(chain.Principal, chain.PrincipalScope, chain.Namespace, fingerprints);
        return new(
            new LedgerQuery(fingerprints, passports, consumes ? UsesOf(certificates, tolerance) : []),
            new VerificationReceipt((ulong)certificates.Count, certificates[^1].ScopeRoot, intent.Hash, now, fingerprint, chain.Namespace),
            certificates[^1]);
    }

    private static Bytes32[] FingerprintsOf(IReadOnlyList<DelegationCertificate> certificates)
    {
        var fingerprints = new Bytes32[certificates.Count];
        for (var i = 0; i < fingerprints.Length; i++)
        {
            fingerprints[i] = certificates[i].Fingerprint();
        }

        return fingerprints;
    }

    private static NonceUse[] UsesOf(IReadOnlyList<DelegationCertificate> certificates, ulong tolerance)
    {
        var uses = new NonceUse[certificates.Count];
        for (var i = 0; i < uses.Length; i++)
        {
            uses[i] = new(certificates[i].Nonce, Later(certificates[i].ExpiresAt, tolerance));
        }

        return uses;
    }

    private static bool IsOver(ulong expiresAt, ulong now, ulong tolerance) => expiresAt < (now > tolerance ? now - tolerance : 0);

    private static ulong Later(ulong time, ulong seconds) => time > ulong.MaxValue - seconds ? ulong.MaxValue : time + seconds;
}
