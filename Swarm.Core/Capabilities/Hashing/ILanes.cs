using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Swarm.Core.Capabilities.Hashing;

/// <summary>What the compression function does with a word: on one input, or on several at once, one in each lane of a vector.</summary>
internal interface ILanes<T>
    where T : unmanaged
{
    static abstract int Count { get; }

    static abstract T Broadcast(uint word);

    static abstract T Add(T left, T right);

    static abstract T Xor(T left, T right);

    static abstract T RotateRight(T value, [ConstantExpected] byte bits);

    /// <summary>Sixteen words of each lane's input; the inputs lie <paramref name="stride"/> bytes apart.</summary>
    static abstract void Load(ref byte first, nint stride, Span<T> words);
}

internal readonly struct OneLane : ILanes<uint>
{
    public static int Count => 1;

    public static uint Broadcast(uint word) => word;

    public static uint Add(uint left, uint right) => left + right;

    public static uint Xor(uint left, uint right) => left ^ right;

    public static uint RotateRight(uint value, [ConstantExpected] byte bits) => BitOperations.RotateRight(value, bits);

    public static void Load(ref byte first, nint stride, Span<uint> words)
    {
        for (var i = 0; i < words.Length; i++)
        {
            words[i] = Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref first, i * sizeof(uint)));
        }
    }
}

internal readonly struct FourLanes : ILanes<Vector128<uint>>
{
    public static int Count => 4;

    public static Vector128<uint> Broadcast(uint word) => Vector128.Create(word);

    public static Vector128<uint> Add(Vector128<uint> left, Vector128<uint> right) => left + right;

    public static Vector128<uint> Xor(Vector128<uint> left, Vector128<uint> right) => left ^ right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector128<uint> RotateRight(Vector128<uint> value, [ConstantExpected] byte bits) =>
        Avx512F.VL.IsSupported ? Avx512F.VL.RotateRight(value, bits)
        : bits == 16 ? Vector128.Shuffle(value.AsByte(), Vector128.Create((byte)2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)).AsUInt32()
        : bits == 8 ? Vector128.Shuffle(value.AsByte(), Vector128.Create((byte)1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12)).AsUInt32()
        : (value >>> bits) | (value << (32 - bits));

    public static void Load(ref byte first, nint stride, Span<Vector128<uint>> words)
    {
        for (var i = 0; i < words.Length; i++)
        {
            ref var word = ref Unsafe.Add(ref first, i * sizeof(uint));
            words[i] = Vector128.Create(
                Unsafe.ReadUnaligned<uint>(ref word),
                Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref word, stride)),
                Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref word, 2 * stride)),
                Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref word, 3 * stride)));
        }
    }
}

internal readonly struct EightLanes : ILanes<Vector256<uint>>
{
    public static int Count => 8;

    public static Vector256<uint> Broadcast(uint word) => Vector256.Create(word);

    public static Vector256<uint> Add(Vector256<uint> left, Vector256<uint> right) => left + right;

    public static Vector256<uint> Xor(Vector256<uint> left, Vector256<uint> right) => left ^ right;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector256<uint> RotateRight(Vector256<uint> value, [ConstantExpected] byte bits) =>
        Avx512F.VL.IsSupported ? Avx512F.VL.RotateRight(value, bits)
        : bits == 16 ? Vector256.Shuffle(value.AsByte(), Vector256.Create(Vector128.Create((byte)2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13), Vector128.Create((byte)18, 19, 16, 17, 22, 23, 20, 21, 26, 27, 24, 25, 30, 31, 28, 29))).AsUInt32()
        : bits == 8 ? Vector256.Shuffle(value.AsByte(), Vector256.Create(Vector128.Create((byte)1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12), Vector128.Create((byte)17, 18, 19, 16, 21, 22, 23, 20, 25, 26, 27, 24, 29, 30, 31, 28))).AsUInt32()
        : (value >>> bits) | (value << (32 - bits));

    public static void Load(ref byte first, nint stride, Span<Vector256<uint>> words)
    {
        for (var i = 0; i < words.Length; i++)
        {
            ref var word = ref Unsafe.Add(ref first, i * sizeof(uint));
            words[i] = Vector256.Create(
                Unsafe.ReadUnaligned<uint>(ref word),
                Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref word, stride)),
                Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref word, 2 * stride)),
                Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref word, 3 * stride)),
                Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref word, 4 * stride)),
                Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref word, 5 * stride)),
                Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref word, 6 * stride)),
                Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref word, 7 * stride)));
        }
    }
}
