using System.Runtime.CompilerServices;

namespace Swarm.Core.Capabilities.Hashing;

/// <summary>BLAKE3's compression function, written once for any number of lanes.</summary>
internal static class Compression
{
    public const int WordsOfBlock = 16;
    public const int WordsOfValue = 8;
    public const int BlockBytes = 64;

    private const int Rounds = 7;

    /// <summary>The initial chaining value: SHA-256's.</summary>
    public static readonly uint[] InitialValue =
        [0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19];

    /// <summary>Which message word each of the sixteen places of each round takes.</summary>
    private static ReadOnlySpan<byte> Schedule =>
    [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
        2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8,
        3, 4, 10, 12, 13, 2, 7, 14, 6, 5, 9, 0, 11, 15, 8, 1,
        10, 7, 12, 9, 14, 3, 13, 15, 4, 0, 11, 2, 5, 8, 1, 6,
        12, 13, 9, 11, 15, 10, 14, 8, 7, 2, 5, 3, 0, 1, 6, 4,
        9, 14, 11, 5, 8, 12, 15, 1, 13, 3, 0, 10, 2, 6, 4, 7,
        11, 15, 5, 0, 1, 9, 8, 6, 14, 10, 2, 12, 3, 4, 7, 13,
    ];

    /// <summary>Compresses one block in each lane.</summary>
    /// <param name="value">The eight words of the chaining value; replaced by the new one.</param>
    /// <param name="message">The sixteen words of the block.</param>
    /// <param name="rest">Null, or where the other eight words of the output go (only the root's are ever wanted).</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Run<T, TLanes>(ref T value, ref T message, T counterLow, T counterHigh, T blockBytes, T flags, ref T rest)
        where T : unmanaged
        where TLanes : struct, ILanes<T>
    {
        T v0 = value, v1 = Unsafe.Add(ref value, 1), v2 = Unsafe.Add(ref value, 2), v3 = Unsafe.Add(ref value, 3);
        T v4 = Unsafe.Add(ref value, 4), v5 = Unsafe.Add(ref value, 5), v6 = Unsafe.Add(ref value, 6), v7 = Unsafe.Add(ref value, 7);
        T v8 = TLanes.Broadcast(0x6A09E667), v9 = TLanes.Broadcast(0xBB67AE85), v10 = TLanes.Broadcast(0x3C6EF372), v11 = TLanes.Broadcast(0xA54FF53A);
        T v12 = counterLow, v13 = counterHigh, v14 = blockBytes, v15 = flags;
        ref var place = ref System.Runtime.InteropServices.MemoryMarshal.GetReference(Schedule);
        for (var round = 0; round < Rounds; round++)
        {
            Mix<T, TLanes>(ref v0, ref v4, ref v8, ref v12, Unsafe.Add(ref message, place), Unsafe.Add(ref message, Unsafe.Add(ref place, 1)));
            Mix<T, TLanes>(ref v1, ref v5, ref v9, ref v13, Unsafe.Add(ref message, Unsafe.Add(ref place, 2)), Unsafe.Add(ref message, Unsafe.Add(ref place, 3)));
            Mix<T, TLanes>(ref v2, ref v6, ref v10, ref v14, Unsafe.Add(ref message, Unsafe.Add(ref place, 4)), Unsafe.Add(ref message, Unsafe.Add(ref place, 5)));
            Mix<T, TLanes>(ref v3, ref v7, ref v11, ref v15, Unsafe.Add(ref message, Unsafe.Add(ref place, 6)), Unsafe.Add(ref message, Unsafe.Add(ref place, 7)));
            Mix<T, TLanes>(ref v0, ref v5, ref v10, ref v15, Unsafe.Add(ref message, Unsafe.Add(ref place, 8)), Unsafe.Add(ref message, Unsafe.Add(ref place, 9)));
            Mix<T, TLanes>(ref v1, ref v6, ref v11, ref v12, Unsafe.Add(ref message, Unsafe.Add(ref place, 10)), Unsafe.Add(ref message, Unsafe.Add(ref place, 11)));
            Mix<T, TLanes>(ref v2, ref v7, ref v8, ref v13, Unsafe.Add(ref message, Unsafe.Add(ref place, 12)), Unsafe.Add(ref message, Unsafe.Add(ref place, 13)));
            Mix<T, TLanes>(ref v3, ref v4, ref v9, ref v14, Unsafe.Add(ref message, Unsafe.Add(ref place, 14)), Unsafe.Add(ref message, Unsafe.Add(ref place, 15)));
            place = ref Unsafe.Add(ref place, WordsOfBlock);
        }

        if (!Unsafe.IsNullRef(ref rest))
        {
            rest = TLanes.Xor(v8, value);
            Unsafe.Add(ref rest, 1) = TLanes.Xor(v9, Unsafe.Add(ref value, 1));
            Unsafe.Add(ref rest, 2) = TLanes.Xor(v10, Unsafe.Add(ref value, 2));
            Unsafe.Add(ref rest, 3) = TLanes.Xor(v11, Unsafe.Add(ref value, 3));
            Unsafe.Add(ref rest, 4) = TLanes.Xor(v12, Unsafe.Add(ref value, 4));
            Unsafe.Add(ref rest, 5) = TLanes.Xor(v13, Unsafe.Add(ref value, 5));
            Unsafe.Add(ref rest, 6) = TLanes.Xor(v14, Unsafe.Add(ref value, 6));
            Unsafe.Add(ref rest, 7) = TLanes.Xor(v15, Unsafe.Add(ref value, 7));
        }

        value = TLanes.Xor(v0, v8);
        Unsafe.Add(ref value, 1) = TLanes.Xor(v1, v9);
        Unsafe.Add(ref value, 2) = TLanes.Xor(v2, v10);
        Unsafe.Add(ref value, 3) = TLanes.Xor(v3, v11);
        Unsafe.Add(ref value, 4) = TLanes.Xor(v4, v12);
        Unsafe.Add(ref value, 5) = TLanes.Xor(v5, v13);
        Unsafe.Add(ref value, 6) = TLanes.Xor(v6, v14);
        Unsafe.Add(ref value, 7) = TLanes.Xor(v7, v15);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Mix<T, TLanes>(ref T a, ref T b, ref T c, ref T d, T x, T y)
        where T : unmanaged
        where TLanes : struct, ILanes<T>
    {
        a = TLanes.Add(TLanes.Add(a, b), x);
        d = TLanes.RotateRight(TLanes.Xor(d, a), 16);
        c = TLanes.Add(c, d);
        b = TLanes.RotateRight(TLanes.Xor(b, c), 12);
        a = TLanes.Add(TLanes.Add(a, b), y);
        d = TLanes.RotateRight(TLanes.Xor(d, a), 8);
        c = TLanes.Add(c, d);
        b = TLanes.RotateRight(TLanes.Xor(b, c), 7);
    }
}
