using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;

namespace NSec.Cryptography;

/// <summary>A private key with its public key. The secret stays in native memory and is cleared on <see cref="Dispose"/>.</summary>
public sealed class Key : IDisposable
{
    private int _archived;

    private Key(Algorithm algorithm, KeyExportPolicies policy, ReadOnlySpan<byte> seed)
    {
        Algorithm = algorithm;
        ExportPolicy = policy;
        Handle = Libcrypto.ImportSeed(seed);
        Secret = Libsodium.IsUsable ? new SecretHandle(seed) : null;
        Span<byte> point = stackalloc byte[Ed25519.PointSize];
        Libcrypto.ExportPublicKey(Handle, point);
        PublicKey = PublicKey.Import(algorithm, point, KeyBlobFormat.RawPublicKey);
    }

    /// <summary>The instance that the key belongs to.</summary>
    public Algorithm Algorithm { get; }

    /// <summary>Whether the secret may be exported.</summary>
    public KeyExportPolicies ExportPolicy { get; }

    public PublicKey PublicKey { get; }

    internal SafeKeyHandle Handle { get; }

    /// <summary>What libsodium signs with; null where there is none.</summary>
    internal SecretHandle? Secret { get; }

    /// <summary>A new random key.</summary>
    public static Key Create(Algorithm algorithm, in KeyCreationParameters creationParameters = default)
    {
        ArgumentNullException.ThrowIfNull(algorithm);
        Span<byte> seed = stackalloc byte[Ed25519.SeedSize];
        RandomNumberGenerator.Fill(seed);
        try
        {
            return new Key(algorithm, creationParameters.ExportPolicy, seed);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(seed);
        }
    }

    /// <summary>Imports a 32-byte seed.</summary>
    /// <exception cref="ArgumentException">The format is not one of a private key of this algorithm.</exception>
    /// <exception cref="FormatException">The length is wrong.</exception>
    public static Key Import(Algorithm algorithm, ReadOnlySpan<byte> blob, KeyBlobFormat format, in KeyCreationParameters creationParameters = default) =>
        TryImport(algorithm, blob, format, out Key? result, creationParameters) ? result : throw new FormatException("The private key is malformed.");

    /// <summary>Imports a 32-byte seed; false when the length is wrong.</summary>
    /// <exception cref="ArgumentException">The format is not one of a private key of this algorithm.</exception>
    public static bool TryImport(
        Algorithm algorithm,
        ReadOnlySpan<byte> blob,
        KeyBlobFormat format,
        [NotNullWhen(true)] out Key? result,
        in KeyCreationParameters creationParameters = default)
    {
        ArgumentNullException.ThrowIfNull(algorithm);
        if (format != KeyBlobFormat.RawPrivateKey)
        {
            throw new ArgumentException("The format is not supported for private keys of this algorithm.", nameof(format));
        }

        result = blob.Length == Ed25519.SeedSize ? new Key(algorithm, creationParameters.ExportPolicy, blob) : null;
        return result is not null;
    }

    /// <summary>The seed or the public key as bytes.</summary>
    /// <exception cref="InvalidOperationException">The export policy forbids it (with
    /// <see cref="KeyExportPolicies.AllowPlaintextArchiving"/>: it was exported before).</exception>
    /// <exception cref="ArgumentException">The format is not one of this algorithm.</exception>
    public byte[] Export(KeyBlobFormat format)
    {
        ObjectDisposedException.ThrowIf(Handle.IsClosed, this);
        if (format == KeyBlobFormat.RawPublicKey)
        {
            return PublicKey.Export(format);
        }

        RequireExportable();
        if (format != KeyBlobFormat.RawPrivateKey)
        {
            throw new ArgumentException("The format is not supported for keys of this algorithm.", nameof(format));
        }

        byte[] seed = new byte[Ed25519.SeedSize];
        Libcrypto.ExportSeed(Handle, seed);
        return seed;
    }

    public void Dispose()
    {
        Secret?.Dispose();
        Handle.Dispose();
    }

    private void RequireExportable()
    {
        bool allowed = ExportPolicy.HasFlag(KeyExportPolicies.AllowPlaintextExport)
            || (ExportPolicy.HasFlag(KeyExportPolicies.AllowPlaintextArchiving) && Interlocked.Exchange(ref _archived, 1) == 0);
        if (!allowed)
        {
            throw new InvalidOperationException("The key does not permit that its secret is exported.");
        }
    }
}
