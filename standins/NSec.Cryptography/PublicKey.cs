using System.Diagnostics.CodeAnalysis;

namespace NSec.Cryptography;

/// <summary>A public key, parsed once. Any 32 bytes are imported; a bad point shows only as a signature that does not verify.</summary>
public sealed class PublicKey : IEquatable<PublicKey>
{
    private readonly byte[] _bytes;
    private SafeKeyHandle? _handle;

    private PublicKey(Algorithm algorithm, ReadOnlySpan<byte> bytes)
    {
        Algorithm = algorithm;
        _bytes = bytes.ToArray();
        IsStrict = Strictness.AllowsKey(bytes);
    }

    /// <summary>The instance that the key belongs to.</summary>
    public Algorithm Algorithm { get; }

    /// <summary>Size of the key, in bytes.</summary>
    public int Size => _bytes.Length;

    internal ReadOnlySpan<byte> Bytes => _bytes;

    /// <summary>Made when libcrypto is first asked about the key.</summary>
    internal SafeKeyHandle Handle => LazyInitializer.EnsureInitialized(ref _handle, () => Libcrypto.ImportPublicKey(_bytes));

    /// <summary>False for a key under which nothing verifies (small order, or not canonical).</summary>
    internal bool IsStrict { get; }

    /// <summary>Imports a key.</summary>
    /// <exception cref="ArgumentException">The format is not one of a public key of this algorithm.</exception>
    /// <exception cref="FormatException">The length is wrong.</exception>
    public static PublicKey Import(Algorithm algorithm, ReadOnlySpan<byte> blob, KeyBlobFormat format) =>
        TryImport(algorithm, blob, format, out PublicKey? result) ? result : throw new FormatException("The public key is malformed.");

    /// <summary>Imports a key; false when the length is wrong.</summary>
    /// <exception cref="ArgumentException">The format is not one of a public key of this algorithm.</exception>
    public static bool TryImport(Algorithm algorithm, ReadOnlySpan<byte> blob, KeyBlobFormat format, [NotNullWhen(true)] out PublicKey? result)
    {
        ArgumentNullException.ThrowIfNull(algorithm);
        RequireRaw(format);
        result = blob.Length == Ed25519.PointSize ? new PublicKey(algorithm, blob) : null;
        return result is not null;
    }

    /// <summary>The key as bytes.</summary>
    /// <exception cref="ArgumentException">The format is not one of a public key of this algorithm.</exception>
    public byte[] Export(KeyBlobFormat format)
    {
        RequireRaw(format);
        return _bytes.AsSpan().ToArray();
    }

    public bool Equals([NotNullWhen(true)] PublicKey? other) =>
        other is not null && (ReferenceEquals(this, other) || (Algorithm == other.Algorithm && _bytes.AsSpan().SequenceEqual(other._bytes)));

    public override bool Equals([NotNullWhen(true)] object? obj) => Equals(obj as PublicKey);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        hash.AddBytes(_bytes);
        return hash.ToHashCode();
    }

    private static void RequireRaw(KeyBlobFormat format)
    {
        if (format != KeyBlobFormat.RawPublicKey)
        {
            throw new ArgumentException("The format is not supported for public keys of this algorithm.", nameof(format));
        }
    }
}
