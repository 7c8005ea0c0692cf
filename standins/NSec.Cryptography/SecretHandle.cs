using System.Runtime.InteropServices;

namespace NSec.Cryptography;

/// <summary>The secret as libsodium wants it, in native memory; cleared when its key is disposed.</summary>
internal sealed unsafe class SecretHandle : SafeHandle
{
    public const int Size = 64;

    public SecretHandle(ReadOnlySpan<byte> seed)
        : base(0, ownsHandle: true)
    {
        SetHandle((nint)NativeMemory.Alloc(Size));
        Libsodium.Expand(seed, new Span<byte>((void*)handle, Size));
    }

    public override bool IsInvalid => handle == 0;

    protected override bool ReleaseHandle()
    {
        System.Security.Cryptography.CryptographicOperations.ZeroMemory(new Span<byte>((void*)handle, Size));
        NativeMemory.Free((void*)handle);
        return true;
    }
}
