using Swarm.Core.Capabilities.Hashing;

namespace Swarm.Core.Capabilities.Certificates;

/// <summary>
/// Certificates from a principal to the agent that acts, in that order (A1 §8). Whoever reads one knows nothing yet: neither that the principal is
/// anybody, nor that a signature is right.
/// </summary>
public sealed record SignedChain
{
    public const uint SupportedVersion = 1;

    /// <summary>The most certificates that are read; one more than validation allows would do, but A1 tells the two apart (A1 §9, check 3).</summary>
    public const int CertificatesReadMax = 1024;

    /// <summary>The most certificates that validate.</summary>
    public const int CertificatesMax = 255;

    public required Bytes32 Principal { get; init; }

    public required Bytes32 PrincipalScope { get; init; }

    public required IReadOnlyList<DelegationCertificate> Certificates { get; init; }

    /// <summary>Known in process only: the wire has no member for it, so a chain has another fingerprint here than at a gateway.</summary>
    public string? Namespace { get; init; }

    /// <summary>The chain was read, but its version or one of its two hex members is wrong: the first thing that validation reports. Else null.</summary>
    public Denial? Fault { get; init; }

    /// <summary>The principal's scope as one namespace has it (A1 §8.3). Passports do not use it.</summary>
    public static Bytes32 ScopeIn(string @namespace, Bytes32 scope)
    {
        using var data = new Preimage(stackalloc byte[Preimage.StackBytes]);
        data.AddPrefixed(@namespace);
        data.Add(scope);
        return A1Contexts.NamespaceScope.Derive(data.Written);
    }

    /// <summary>What names the chain: principal, scope, namespace and certificates. The intent is not in it.</summary>
    public Bytes32 Fingerprint() => FingerprintOf(Principal, PrincipalScope, Namespace, [.. Certificates.Select(c => c.Fingerprint())]);

    /// <summary>The same where the certificates' fingerprints are known.</summary>
    public static Bytes32 FingerprintOf(Bytes32 principal, Bytes32 principalScope, string? @namespace, ReadOnlySpan<Bytes32> certificates)
    {
        using var data = new Preimage(stackalloc byte[Preimage.StackBytes]);
        data.Add("a1::dyolo::chain::v2.8.0"u8);
        data.Add(principal);
        data.Add(principalScope);
        data.AddPrefixed(@namespace ?? "");
        foreach (var certificate in certificates)
        {
            data.Add(certificate);
        }

        return A1Contexts.ChainFingerprint.Derive(data.Written);
    }
}
