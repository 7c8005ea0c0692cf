namespace NSec.Cryptography;

/// <summary>An algorithm that signs with a private key and verifies with the public one.</summary>
public abstract class SignatureAlgorithm : Algorithm
{
    private static readonly Ed25519 Shared = new();

    private protected SignatureAlgorithm(int privateKeySize, int publicKeySize, int signatureSize)
    {
        PrivateKeySize = privateKeySize;
        PublicKeySize = publicKeySize;
        SignatureSize = signatureSize;
    }

    /// <summary>Ed25519 (RFC 8032), always the same instance.</summary>
    public static Ed25519 Ed25519 => Shared;

    /// <summary>Size of a private key (its seed), in bytes.</summary>
    public int PrivateKeySize { get; }

    /// <summary>Size of a public key, in bytes.</summary>
    public int PublicKeySize { get; }

    /// <summary>Size of a signature, in bytes.</summary>
    public int SignatureSize { get; }

    /// <summary>Signs <paramref name="data"/>.</summary>
    /// <exception cref="ArgumentException">The key was made with another algorithm instance.</exception>
    public byte[] Sign(Key key, ReadOnlySpan<byte> data)
    {
        RequireOwn(key);
        byte[] signature = new byte[SignatureSize];
        SignCore(key, data, signature);
        return signature;
    }

    /// <summary>Signs <paramref name="data"/> into <paramref name="signature"/>.</summary>
    /// <exception cref="ArgumentException">The key was made with another algorithm instance, or the span is not exactly
    /// <see cref="SignatureSize"/> bytes.</exception>
    public void Sign(Key key, ReadOnlySpan<byte> data, Span<byte> signature)
    {
        RequireOwn(key);
        if (signature.Length != SignatureSize)
        {
            throw new ArgumentException($"The signature is {SignatureSize} bytes long.", nameof(signature));
        }

        SignCore(key, data, signature);
    }

    /// <summary>True when <paramref name="signature"/> is a valid signature of <paramref name="data"/>; false for any other length.</summary>
    /// <exception cref="ArgumentException">The key was made with another algorithm instance.</exception>
    public bool Verify(PublicKey publicKey, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature)
    {
        ArgumentNullException.ThrowIfNull(publicKey);
        if (publicKey.Algorithm != this)
        {
            throw new ArgumentException("The key belongs to another algorithm.", nameof(publicKey));
        }

        return signature.Length == SignatureSize && VerifyCore(publicKey, data, signature);
    }

    private protected abstract void SignCore(Key key, ReadOnlySpan<byte> data, Span<byte> signature);

    private protected abstract bool VerifyCore(PublicKey publicKey, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature);

    private void RequireOwn(Key key)
    {
        ArgumentNullException.ThrowIfNull(key);
        if (key.Algorithm != this)
        {
            throw new ArgumentException("The key belongs to another algorithm.", nameof(key));
        }
    }
}
