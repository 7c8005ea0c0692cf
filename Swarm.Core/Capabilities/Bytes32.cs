using System.Diagnostics.CodeAnalysis;
using System.Runtime.InteropServices;

namespace Swarm.Core.Capabilities;

/// <summary>32 bytes: a hash, a fingerprint, a scope root or a public key. Compared byte by byte, written in lower-case hex.</summary>
public readonly record struct Bytes32(ulong Word0, ulong Word1, ulong Word2, ulong Word3) : IComparable<Bytes32>
{
    public const int SizeBytes = 32;
    public const int HexLength = 2 * SizeBytes;

    /// <summary>The bytes themselves, without a copy.</summary>
    [UnscopedRef]
    public ReadOnlySpan<byte> AsSpan() => MemoryMarshal.AsBytes(new ReadOnlySpan<Bytes32>(in this));

    /// <exception cref="ArgumentOutOfRangeException">Fewer than 32 bytes.</exception>
    public static Bytes32 Read(ReadOnlySpan<byte> bytes) => MemoryMarshal.Read<Bytes32>(bytes);

    /// <summary>Exactly 64 hex digits of either case.</summary>
    public static bool TryParse(ReadOnlySpan<char> hex, out Bytes32 value)
    {
        value = default;
        return hex.Length == HexLength
            && Convert.FromHexString(hex, MemoryMarshal.AsBytes(new Span<Bytes32>(ref value)), out _, out _) == System.Buffers.OperationStatus.Done;
    }

    /// <exception cref="FormatException">Not 64 hex digits.</exception>
    public static Bytes32 Parse(ReadOnlySpan<char> hex) => TryParse(hex, out var value) ? value : throw new FormatException("64 hex digits are needed.");

    public int CompareTo(Bytes32 other) => AsSpan().SequenceCompareTo(other.AsSpan());

    public byte[] ToArray() => AsSpan().ToArray();

    public override string ToString() => Convert.ToHexStringLower(AsSpan());
}

/// <summary>The 16 random bytes that make a certificate usable once (A1 §7, §10).</summary>
public readonly record struct Nonce(ulong Word0, ulong Word1)
{
    public const int SizeBytes = 16;

    [UnscopedRef]
    public ReadOnlySpan<byte> AsSpan() => MemoryMarshal.AsBytes(new ReadOnlySpan<Nonce>(in this));

    public static Nonce Read(ReadOnlySpan<byte> bytes) => MemoryMarshal.Read<Nonce>(bytes);

    public byte[] ToArray() => AsSpan().ToArray();

    public override string ToString() => Convert.ToHexStringLower(AsSpan());
}

/// <summary>An Ed25519 signature: its two halves.</summary>
public readonly record struct Signature(Bytes32 R, Bytes32 S)
{
    public const int SizeBytes = 64;

    [UnscopedRef]
    public ReadOnlySpan<byte> AsSpan() => MemoryMarshal.AsBytes(new ReadOnlySpan<Signature>(in this));

    public static Signature Read(ReadOnlySpan<byte> bytes) => MemoryMarshal.Read<Signature>(bytes);

    public byte[] ToArray() => AsSpan().ToArray();

    public override string ToString() => Convert.ToHexStringLower(AsSpan());
}
