using System.Reflection;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace NSec.Cryptography;

/// <summary>The few calls of OpenSSL 3's libcrypto that Ed25519 needs.</summary>
internal static unsafe partial class Libcrypto
{
    private const string Library = "libcrypto";
    private const int Ed25519Id = 1087; // NID_ED25519

    // One context a thread: a call allocates nothing on the managed side, and threads share nothing.
    [ThreadStatic]
    private static SafeContextHandle? s_context;

    static Libcrypto() => NativeLibrary.SetDllImportResolver(typeof(Libcrypto).Assembly, Resolve);

    public static SafeKeyHandle ImportPublicKey(ReadOnlySpan<byte> point)
    {
        fixed (byte* p = point)
        {
            return Own(EVP_PKEY_new_raw_public_key(Ed25519Id, 0, p, (nuint)point.Length));
        }
    }

    public static SafeKeyHandle ImportSeed(ReadOnlySpan<byte> seed)
    {
        fixed (byte* p = seed)
        {
            return Own(EVP_PKEY_new_raw_private_key(Ed25519Id, 0, p, (nuint)seed.Length));
        }
    }

    public static void ExportPublicKey(SafeKeyHandle key, Span<byte> point)
    {
        nuint length = (nuint)point.Length;
        fixed (byte* p = point)
        {
            Require(EVP_PKEY_get_raw_public_key(key, p, &length));
        }
    }

    public static void ExportSeed(SafeKeyHandle key, Span<byte> seed)
    {
        nuint length = (nuint)seed.Length;
        fixed (byte* p = seed)
        {
            Require(EVP_PKEY_get_raw_private_key(key, p, &length));
        }
    }

    public static void Sign(nint key, ReadOnlySpan<byte> data, Span<byte> signature)
    {
        nint context = Context();
        nuint length = (nuint)signature.Length;
        fixed (byte* d = data)
        fixed (byte* s = signature)
        {
            _ = EVP_MD_CTX_reset(context);
            bool signed = EVP_DigestSignInit(context, 0, 0, 0, key) == 1
                && EVP_DigestSign(context, s, &length, d, (nuint)data.Length) == 1;

            // The context must not keep the private key alive after its owner disposed it.
            _ = EVP_MD_CTX_reset(context);
            Require(signed ? 1 : 0);
        }
    }

    public static bool Verify(nint key, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature)
    {
        nint context = Context();
        fixed (byte* d = data)
        fixed (byte* s = signature)
        {
            // An initialized context keeps its key, so it is reset before it is given another.
            _ = EVP_MD_CTX_reset(context);
            if (EVP_DigestVerifyInit(context, 0, 0, 0, key) == 1
                && EVP_DigestVerify(context, s, (nuint)signature.Length, d, (nuint)data.Length) == 1)
            {
                return true;
            }
        }

        ERR_clear_error();
        return false;
    }

    private static nint Context()
    {
        SafeContextHandle? context = s_context;
        if (context is null)
        {
            nint created = EVP_MD_CTX_new();
            Require(created == 0 ? 0 : 1);
            s_context = context = new SafeContextHandle(created);
        }

        return context.DangerousGetHandle();
    }

    private static SafeKeyHandle Own(nint key)
    {
        Require(key == 0 ? 0 : 1);
        return new SafeKeyHandle(key);
    }

    private static void Require(int result)
    {
        if (result != 1)
        {
            ERR_clear_error();
            throw new CryptographicException("libcrypto refused an Ed25519 operation; is the algorithm disabled by its configuration?");
        }
    }

    private static nint Resolve(string name, Assembly assembly, DllImportSearchPath? path)
    {
        if (name != Library)
        {
            return 0;
        }

        ReadOnlySpan<string> candidates =
            OperatingSystem.IsWindows() ? ["libcrypto-3-x64.dll", "libcrypto-3-arm64.dll", "libcrypto-3.dll"]
            : OperatingSystem.IsMacOS() ? ["/opt/homebrew/opt/openssl@3/lib/libcrypto.3.dylib", "/usr/local/opt/openssl@3/lib/libcrypto.3.dylib", "libcrypto.3.dylib"]
            : ["libcrypto.so.3"];
        foreach (string candidate in candidates)
        {
            if (NativeLibrary.TryLoad(candidate, assembly, path, out nint handle))
            {
                return handle;
            }
        }

        throw new DllNotFoundException(
            $"OpenSSL 3's libcrypto was not found (looked for {string.Join(", ", candidates.ToArray())}). Ed25519 needs it: install OpenSSL 3 "
            + "(Debian, Ubuntu: libssl3; Fedora: openssl-libs; Alpine: libcrypto3; macOS: brew install openssl@3).");
    }

    [LibraryImport(Library)]
    private static partial nint EVP_PKEY_new_raw_public_key(int type, nint engine, byte* key, nuint length);

    [LibraryImport(Library)]
    private static partial nint EVP_PKEY_new_raw_private_key(int type, nint engine, byte* key, nuint length);

    [LibraryImport(Library)]
    private static partial int EVP_PKEY_get_raw_public_key(SafeKeyHandle key, byte* output, nuint* length);

    [LibraryImport(Library)]
    private static partial int EVP_PKEY_get_raw_private_key(SafeKeyHandle key, byte* output, nuint* length);

    [LibraryImport(Library)]
    private static partial nint EVP_MD_CTX_new();

    [LibraryImport(Library)]
    private static partial int EVP_MD_CTX_reset(nint context);

    [LibraryImport(Library)]
    private static partial int EVP_DigestSignInit(nint context, nint keyContext, nint digest, nint engine, nint key);

    [LibraryImport(Library)]
    private static partial int EVP_DigestSign(nint context, byte* signature, nuint* signatureLength, byte* data, nuint dataLength);

    [LibraryImport(Library)]
    private static partial int EVP_DigestVerifyInit(nint context, nint keyContext, nint digest, nint engine, nint key);

    [LibraryImport(Library)]
    private static partial int EVP_DigestVerify(nint context, byte* signature, nuint signatureLength, byte* data, nuint dataLength);

    [LibraryImport(Library)]
    private static partial void ERR_clear_error();

    [LibraryImport(Library)]
    internal static partial void EVP_PKEY_free(nint key);

    [LibraryImport(Library)]
    internal static partial void EVP_MD_CTX_free(nint context);
}

/// <summary>An EVP_PKEY; freeing it clears the secret.</summary>
internal sealed class SafeKeyHandle : SafeHandle
{
    public SafeKeyHandle(nint key)
        : base(0, ownsHandle: true) => SetHandle(key);

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        Libcrypto.EVP_PKEY_free(handle);
        return true;
    }
}

/// <summary>An EVP_MD_CTX, freed after its thread has ended.</summary>
internal sealed class SafeContextHandle : SafeHandle
{
    public SafeContextHandle(nint context)
        : base(0, ownsHandle: true) => SetHandle(context);

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        Libcrypto.EVP_MD_CTX_free(handle);
        return true;
    }
}
