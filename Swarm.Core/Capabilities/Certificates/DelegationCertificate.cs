using NSec.Cryptography;
using Swarm.Core.Capabilities.Hashing;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Core.Identity;

namespace Swarm.Core.Capabilities.Certificates;

/// <summary>
/// "The delegate may do this, in my name, until then" (A1 §7). A certificate is usable once, by its nonce. Times are Unix seconds.
/// </summary>
public sealed record DelegationCertificate
{
    public const byte SupportedVersion = 1;

    /// <summary>Where an issuer says nothing.</summary>
    public const byte DefaultMaxDepth = 16;

    // Version, tag, five hashes, nonce, two times, depth.
    private const int SignedLength = 1 + 28 + (5 * Bytes32.SizeBytes) + Nonce.SizeBytes + (2 * sizeof(ulong)) + 1;

    private static ReadOnlySpan<byte> SigningTag => "a1::dyolo::cert::sig::v2.8.0"u8;

    public byte Version { get; init; } = SupportedVersion;

    /// <summary>Whose key signed.</summary>
    public Bytes32 Delegator { get; init; }

    public required Bytes32 Delegate { get; init; }

    /// <summary>The root of the tree of what is allowed.</summary>
    public required Bytes32 ScopeRoot { get; init; }

    public SubScopeProof ScopeProof { get; init; } = SubScopeProof.PassThrough;

    public required Nonce Nonce { get; init; }

    public required ulong IssuedAt { get; init; }

    public required ulong ExpiresAt { get; init; }

    /// <summary>How long a chain with this certificate may be in all, not how many more may follow (A1 §9): 0 and 1 allow none after the first.</summary>
    public byte MaxDepth { get; init; } = DefaultMaxDepth;

    public CertificateExtensions Extensions { get; init; } = CertificateExtensions.Empty;

    public Signature Signature { get; init; }

    /// <summary>The same with the delegator and the signature of <paramref name="key"/>.</summary>
    /// <exception cref="DenialException">It would expire before, or as, it is issued.</exception>
    public DelegationCertificate SignedBy(Key key)
    {
        if (IssuedAt >= ExpiresAt)
        {
            throw new DenialException(Denial.WireFormat($"issued_at ({IssuedAt}) must be strictly less than expiration_unix ({ExpiresAt})"));
        }

        var unsigned = this with { Delegator = Bytes32.Read(key.PublicKey.Export(KeyBlobFormat.RawPublicKey)) };
        return unsigned with { Signature = Signature.Read(SignatureAlgorithm.Ed25519.Sign(key, unsigned.Digest().AsSpan())) };
    }

    /// <summary>What is signed.</summary>
    public Bytes32 Digest()
    {
        Span<byte> signed = stackalloc byte[SignedLength];
        WriteSigned(signed);
        return A1Contexts.CertificateDigest.Derive(signed);
    }

    /// <summary>What the digest is taken of, for people who compare implementations.</summary>
    public byte[] SignedBytes()
    {
        var signed = new byte[SignedLength];
        WriteSigned(signed);
        return signed;
    }

    /// <summary>What names the certificate, in chains and where it is revoked. It depends on the signature alone.</summary>
    public Bytes32 Fingerprint()
    {
        using var data = new Preimage(stackalloc byte[Preimage.StackBytes]);
        data.Add(Version);
        data.Add("a1::dyolo::cert::fp::v2.8.0"u8);
        data.Add(Signature.AsSpan());
        return A1Contexts.CertificateFingerprint.Derive(data.Written);
    }

    /// <summary>Strictly: no small-order or non-canonical points, canonical S (stricter than A1, which honest certificates do not notice).</summary>
    public bool IsSigned(PublicKeys keys) => SignatureAlgorithm.Ed25519.Verify(keys.Get(Delegator.AsSpan()), Digest().AsSpan(), Signature.AsSpan());

    private void WriteSigned(Span<byte> signed)
    {
        using var data = new Preimage(signed);
        data.Add(Version);
        data.Add(SigningTag);
        data.Add(Delegator);
        data.Add(Delegate);
        data.Add(ScopeRoot);
        data.Add(ScopeProof.Commitment());
        data.Add(Nonce.AsSpan());
        data.AddBigEndian(IssuedAt);
        data.AddBigEndian(ExpiresAt);
        data.Add(MaxDepth);
        data.Add(Extensions.Commitment());
    }
}
