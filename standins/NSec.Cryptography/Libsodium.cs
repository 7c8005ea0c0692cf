using System.Runtime.InteropServices;

namespace NSec.Cryptography;

/// <summary>
/// Signing and verification by the system's libsodium, where there is one: it is the library of the real package, and half again to three times
/// as fast as OpenSSL's. It is used only if it gives the answers that Swarm's doors promise (cofactorless equation, RFC 8032), which is tried once.
/// </summary>
internal static unsafe class Libsodium
{
    // Debian 12, Ubuntu 22.04 and 24.04: 23; Debian 13: 26.
    private static readonly string[] Candidates =
        OperatingSystem.IsWindows() ? ["libsodium.dll"]
        : OperatingSystem.IsMacOS() ? ["/opt/homebrew/lib/libsodium.dylib", "/usr/local/lib/libsodium.dylib"]
        : ["libsodium.so.26", "libsodium.so.23"];

    private static readonly delegate* unmanaged[Cdecl]<byte*, byte*, ulong, byte*, int> s_verify;
    private static readonly delegate* unmanaged[Cdecl]<byte*, ulong*, byte*, ulong, byte*, int> s_sign;
    private static readonly delegate* unmanaged[Cdecl]<byte*, byte*, byte*, int> s_expand;

    static Libsodium()
    {
        if (AppContext.TryGetSwitch("NSec.Cryptography.OpenSsl", out bool isOpenSsl) && isOpenSsl)
        {
            return;
        }

        foreach (string candidate in Candidates)
        {
            if (!NativeLibrary.TryLoad(candidate, out nint library)
                || !NativeLibrary.TryGetExport(library, "sodium_init", out nint init)
                || !NativeLibrary.TryGetExport(library, "crypto_sign_verify_detached", out nint verifyExport)
                || !NativeLibrary.TryGetExport(library, "crypto_sign_detached", out nint signExport)
                || !NativeLibrary.TryGetExport(library, "crypto_sign_seed_keypair", out nint expandExport)
                || ((delegate* unmanaged[Cdecl]<int>)init)() < 0)
            {
                continue;
            }

            var verify = (delegate* unmanaged[Cdecl]<byte*, byte*, ulong, byte*, int>)verifyExport;
            var sign = (delegate* unmanaged[Cdecl]<byte*, ulong*, byte*, ulong, byte*, int>)signExport;
            var expand = (delegate* unmanaged[Cdecl]<byte*, byte*, byte*, int>)expandExport;
            if (VerifiesRightly(verify) && SignsRightly(expand, sign))
            {
                s_verify = verify;
                s_sign = sign;
                s_expand = expand;
                return;
            }
        }
    }

    /// <summary>Whether it is there and gives the right answers.</summary>
    public static bool IsUsable => s_verify != null;

    /// <summary>The 64 bytes that <see cref="Sign"/> wants. Only when <see cref="IsUsable"/>.</summary>
    public static void Expand(ReadOnlySpan<byte> seed, Span<byte> secret)
    {
        byte* publicKey = stackalloc byte[Ed25519.PointSize];
        fixed (byte* s = seed)
        fixed (byte* k = secret)
        {
            _ = s_expand(publicKey, k, s);
        }
    }

    /// <summary>Only when <see cref="IsUsable"/>.</summary>
    public static void Sign(byte* secret, ReadOnlySpan<byte> data, Span<byte> signature)
    {
        ulong length;
        fixed (byte* d = data)
        fixed (byte* s = signature)
        {
            _ = s_sign(s, &length, d, (ulong)data.Length, secret);
        }
    }

    /// <summary>Only when <see cref="IsUsable"/>.</summary>
    public static bool Verify(ReadOnlySpan<byte> publicKey, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature)
    {
        fixed (byte* k = publicKey)
        fixed (byte* d = data)
        fixed (byte* s = signature)
        {
            return s_verify(s, d, (ulong)data.Length, k) == 0;
        }
    }

    /// <summary>RFC 8032 §7.1 test 1 verifies; a signature for which only the cofactored equation holds does not.</summary>
    private static bool VerifiesRightly(delegate* unmanaged[Cdecl]<byte*, byte*, ulong, byte*, int> verify)
    {
        byte[] goodKey = Convert.FromHexString("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        byte[] good = Convert.FromHexString(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
        byte[] mixedKey = Convert.FromHexString("cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d");
        byte[] mixedData = Convert.FromHexString("e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c");
        byte[] mixed = Convert.FromHexString(
            "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09");
        byte nothing = 0;
        fixed (byte* k = goodKey)
        fixed (byte* s = good)
        fixed (byte* mk = mixedKey)
        fixed (byte* md = mixedData)
        fixed (byte* ms = mixed)
        {
            return verify(s, &nothing, 0, k) == 0 && verify(ms, md, (ulong)mixedData.Length, mk) != 0;
        }
    }

    /// <summary>RFC 8032 §7.1 test 1: signatures are deterministic.</summary>
    private static bool SignsRightly(
        delegate* unmanaged[Cdecl]<byte*, byte*, byte*, int> expand, delegate* unmanaged[Cdecl]<byte*, ulong*, byte*, ulong, byte*, int> sign)
    {
        byte[] seed = Convert.FromHexString("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        byte[] wanted = Convert.FromHexString(
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
        byte[] signature = new byte[wanted.Length];
        byte* publicKey = stackalloc byte[Ed25519.PointSize];
        byte* secret = stackalloc byte[SecretHandle.Size];
        byte nothing = 0;
        ulong length;
        fixed (byte* s = seed)
        fixed (byte* g = signature)
        {
            return expand(publicKey, secret, s) == 0 && sign(g, &length, &nothing, 0, secret) == 0 && signature.AsSpan().SequenceEqual(wanted);
        }
    }
}
