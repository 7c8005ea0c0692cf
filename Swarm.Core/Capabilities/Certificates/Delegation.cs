using NSec.Cryptography;
using Swarm.Core.Capabilities.Scopes;

namespace Swarm.Core.Capabilities.Certificates;

/// <summary>
/// Hands on some of the capabilities that a scope has, by name: sub-certificates of passports, members of swarms, and every further hop. The proof is
/// against the immediate parent, so the parent's names are needed, not the principal's (A1 §12).
/// </summary>
public sealed record Delegation
{
    public required Bytes32 Delegate { get; init; }

    /// <summary>The names of the parent's whole scope.</summary>
    public required IReadOnlyList<string> Parent { get; init; }

    /// <summary>What of it is handed on; null for all of it, unchanged.</summary>
    public IReadOnlyList<string>? Capabilities { get; init; }

    /// <summary>What the certificate says of its passport or swarm; informs only.</summary>
    public required string Namespace { get; init; }

    /// <summary>Unix seconds.</summary>
    public required ulong IssuedAt { get; init; }

    /// <summary>Unix seconds; not after the parent's, which validation would refuse.</summary>
    public required ulong ExpiresAt { get; init; }

    public byte MaxDepth { get; init; } = DelegationCertificate.DefaultMaxDepth;

    public required Nonce Nonce { get; init; }

    /// <summary>
    /// The certificate. It lists its names when there are several, from which a gateway finds the proof that A1's requests lack (A1 §20).
    /// </summary>
    /// <exception cref="DenialException">
    /// <see cref="DenialKind.EmptyTree"/>, <see cref="DenialKind.IntentNotFound"/> for a name that the parent lacks, or
    /// <see cref="DenialKind.WireFormatError"/> for a malformed name, times in the wrong order, or too many names.
    /// </exception>
    public DelegationCertificate SignedBy(Key delegator)
    {
        var parent = IntentTree.Of(Parent);
        var names = Capabilities ?? Parent;
        var leaves = names.Select(Intent.LeafOf).ToArray();
        return new DelegationCertificate
        {
            Delegate = Delegate,
            ScopeRoot = Capabilities is null ? parent.Root : IntentTree.Create(leaves).Root,
            ScopeProof = Capabilities is null ? SubScopeProof.PassThrough : SubScopeProof.Of(parent, leaves),
            Nonce = Nonce,
            IssuedAt = IssuedAt,
            ExpiresAt = ExpiresAt,
            MaxDepth = MaxDepth,
            Extensions = CertificateExtensions.OfPassport(Namespace, NarrowingMask.Of(names), names.Count > 1 ? names : null),
        }.SignedBy(delegator);
    }
}
