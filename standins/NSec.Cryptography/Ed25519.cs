using System.Runtime.InteropServices;

namespace NSec.Cryptography;

/// <summary>Ed25519 (RFC 8032) with the cofactorless equation and libsodium's strictness: see <see cref="Strictness"/>.</summary>
public sealed class Ed25519 : SignatureAlgorithm
{
    internal const int SeedSize = 32;
    internal const int PointSize = 32;
    internal const int SigSize = 64;

    public Ed25519()
        : base(SeedSize, PointSize, SigSize)
    {
    }

    private protected override unsafe void SignCore(Key key, ReadOnlySpan<byte> data, Span<byte> signature)
    {
        SafeHandle handle = key.Secret ?? (SafeHandle)key.Handle;
        bool held = false;
        try
        {
            handle.DangerousAddRef(ref held);
            if (key.Secret is null)
            {
                Libcrypto.Sign(handle.DangerousGetHandle(), data, signature);
            }
            else
            {
                Libsodium.Sign((byte*)handle.DangerousGetHandle(), data, signature);
            }
        }
        finally
        {
            if (held)
            {
                handle.DangerousRelease();
            }
        }
    }

    private protected override bool VerifyCore(PublicKey publicKey, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature)
    {
        if (!publicKey.IsStrict || !Strictness.Allows(signature))
        {
            return false;
        }

        if (Libsodium.IsUsable)
        {
            return Libsodium.Verify(publicKey.Bytes, data, signature);
        }

        // Nothing disposes the handle of a public key, so it lives as long as the key does.
        bool valid = Libcrypto.Verify(publicKey.Handle.DangerousGetHandle(), data, signature);
        GC.KeepAlive(publicKey);
        return valid;
    }
}
