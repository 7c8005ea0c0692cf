using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Swarm.Core.Capabilities.Hashing;

/// <summary>
/// BLAKE3 over bytes that lie in one piece: hash, keyed hash, key derivation, with output of any length. Inputs of several 1,024-byte chunks go
/// eight or four chunks at a time through vectors where the processor has them. Words are read as the machine stores them: little-endian.
/// </summary>
public static class Blake3
{
    /// <summary>The length of a hash and of a key, in bytes.</summary>
    public const int SizeBytes = 32;

    internal const int ChunkBytes = 1024;

    // Chaining values of up to 32 KiB of input stay on the stack.
    private const int StackChunks = 32;

    /// <summary>The most lanes that this machine runs at once: 8, 4 or 1.</summary>
    internal static int LanesMax => Vector256.IsHardwareAccelerated ? EightLanes.Count : Vector128.IsHardwareAccelerated ? FourLanes.Count : OneLane.Count;

    /// <summary>The plain hash; <paramref name="output"/> may have any length, 32 bytes are usual.</summary>
    public static void Hash(ReadOnlySpan<byte> data, Span<byte> output) => Run(Compression.InitialValue, Mode.Hash, data, output, LanesMax);

    /// <summary>The hash under a key of 32 bytes: a message authentication code.</summary>
    /// <exception cref="ArgumentException">The key has another length.</exception>
    public static void KeyedHash(ReadOnlySpan<byte> key, ReadOnlySpan<byte> data, Span<byte> output)
    {
        if (key.Length != SizeBytes)
        {
            throw new ArgumentException($"A key is {SizeBytes} bytes long.", nameof(key));
        }

        Span<uint> words = stackalloc uint[Compression.WordsOfValue];
        key.CopyTo(MemoryMarshal.AsBytes(words));
        Run(words, Mode.KeyedHash, data, output, LanesMax);
    }

    /// <summary>The whole function with at most <paramref name="lanes"/> chunks at once; every number of lanes gives the same output.</summary>
    internal static void Run(ReadOnlySpan<uint> key, Mode mode, ReadOnlySpan<byte> data, Span<byte> output, int lanes)
    {
        Span<uint> value = stackalloc uint[Compression.WordsOfValue];
        Span<uint> block = stackalloc uint[Compression.WordsOfBlock];
        if (data.Length <= ChunkBytes)
        {
            var blockBytes = RunChunk(key, (uint)mode, data, counter: 0, value, block, out var flags);
            WriteRoot(value, block, (uint)blockBytes, flags, output);
            return;
        }

        var chunks = (data.Length + ChunkBytes - 1) / ChunkBytes;
        var rented = chunks > StackChunks ? ArrayPool<uint>.Shared.Rent(chunks * Compression.WordsOfValue) : null;
        var values = rented is null ? stackalloc uint[StackChunks * Compression.WordsOfValue] : rented.AsSpan();
        try
        {
            RunChunks(key, (uint)mode, data, values, lanes);
            for (; chunks > 2; chunks = (chunks + 1) / 2)
            {
                RunParents(key, (uint)mode, values, chunks, lanes);
            }

            key.CopyTo(value);
            WriteRoot(value, values[..Compression.WordsOfBlock], Compression.BlockBytes, (uint)mode | Flag.Parent, output);
        }
        finally
        {
            if (rented is not null)
            {
                ArrayPool<uint>.Shared.Return(rented);
            }
        }
    }

    /// <summary>The chaining value of each chunk of an input that has several.</summary>
    private static void RunChunks(ReadOnlySpan<uint> key, uint mode, ReadOnlySpan<byte> data, Span<uint> values, int lanes)
    {
        var chunk = 0;
        var whole = data.Length / ChunkBytes;
        ref var first = ref MemoryMarshal.GetReference(data);
        var work = new Work(ChunkBytes / Compression.BlockBytes, mode, Flag.ChunkStart, Flag.ChunkEnd, CountsUp: true);
        for (; lanes >= EightLanes.Count && whole - chunk >= EightLanes.Count; chunk += EightLanes.Count)
        {
            RunLanes<Vector256<uint>, EightLanes>(ref Unsafe.Add(ref first, chunk * ChunkBytes), key, (ulong)chunk, work, Of(values, chunk));
        }

        for (; lanes >= FourLanes.Count && whole - chunk >= FourLanes.Count; chunk += FourLanes.Count)
        {
            RunLanes<Vector128<uint>, FourLanes>(ref Unsafe.Add(ref first, chunk * ChunkBytes), key, (ulong)chunk, work, Of(values, chunk));
        }

        Span<uint> block = stackalloc uint[Compression.WordsOfBlock];
        for (; chunk * ChunkBytes < data.Length; chunk++)
        {
            var value = Of(values, chunk)[..Compression.WordsOfValue];
            var blockBytes = RunChunk(key, mode, data[(chunk * ChunkBytes)..Math.Min(data.Length, (chunk + 1) * ChunkBytes)], (ulong)chunk, value, block, out var flags);
            Compression.Run<uint, OneLane>(
                ref value[0], ref block[0], (uint)chunk, 0, (uint)blockBytes, flags, ref Unsafe.NullRef<uint>());
        }
    }

    /// <summary>One level of the tree, in place: two neighbours become their parent, a last odd one moves up as it is.</summary>
    private static void RunParents(ReadOnlySpan<uint> key, uint mode, Span<uint> values, int count, int lanes)
    {
        var parent = 0;
        var parents = count / 2;
        ref var first = ref MemoryMarshal.GetReference(MemoryMarshal.AsBytes(values));
        var work = new Work(1, mode | Flag.Parent, 0, 0, CountsUp: false);
        for (; lanes >= EightLanes.Count && parents - parent >= EightLanes.Count; parent += EightLanes.Count)
        {
            RunLanes<Vector256<uint>, EightLanes>(ref Unsafe.Add(ref first, parent * Compression.BlockBytes), key, 0, work, Of(values, parent));
        }

        for (; lanes >= FourLanes.Count && parents - parent >= FourLanes.Count; parent += FourLanes.Count)
        {
            RunLanes<Vector128<uint>, FourLanes>(ref Unsafe.Add(ref first, parent * Compression.BlockBytes), key, 0, work, Of(values, parent));
        }

        for (; parent < parents; parent++)
        {
            RunLanes<uint, OneLane>(ref Unsafe.Add(ref first, parent * Compression.BlockBytes), key, 0, work, Of(values, parent));
        }

        if (count % 2 == 1)
        {
            Of(values, count - 1)[..Compression.WordsOfValue].CopyTo(Of(values, parents));
        }
    }

    /// <summary>As many equally long inputs as there are lanes, one after the other in memory; writes their chaining values one after the other.</summary>
    private static void RunLanes<T, TLanes>(ref byte first, ReadOnlySpan<uint> key, ulong counter, Work work, Span<uint> values)
        where T : unmanaged
        where TLanes : struct, ILanes<T>
    {
        Span<uint> low = stackalloc uint[TLanes.Count], high = stackalloc uint[TLanes.Count];
        for (var lane = 0; lane < TLanes.Count; lane++)
        {
            var number = work.CountsUp ? counter + (ulong)lane : counter;
            (low[lane], high[lane]) = ((uint)number, (uint)(number >> 32));
        }

        Span<T> value = stackalloc T[Compression.WordsOfValue], block = stackalloc T[Compression.WordsOfBlock];
        for (var i = 0; i < value.Length; i++)
        {
            value[i] = TLanes.Broadcast(key[i]);
        }

        T counterLow = MemoryMarshal.Cast<uint, T>(low)[0], counterHigh = MemoryMarshal.Cast<uint, T>(high)[0];
        var blockBytes = TLanes.Broadcast(Compression.BlockBytes);
        for (var i = 0; i < work.Blocks; i++)
        {
            var flags = work.Flags | (i == 0 ? work.FlagsOfFirst : 0) | (i == work.Blocks - 1 ? work.FlagsOfLast : 0);
            TLanes.Load(ref Unsafe.Add(ref first, i * Compression.BlockBytes), work.Blocks * Compression.BlockBytes, block);
            Compression.Run<T, TLanes>(
                ref value[0], ref block[0], counterLow, counterHigh, blockBytes, TLanes.Broadcast(flags), ref Unsafe.NullRef<T>());
        }

        var words = MemoryMarshal.Cast<T, uint>(value);
        for (var lane = 0; lane < TLanes.Count; lane++)
        {
            for (var i = 0; i < Compression.WordsOfValue; i++)
            {
                values[(lane * Compression.WordsOfValue) + i] = words[(i * TLanes.Count) + lane];
            }
        }
    }

    /// <summary>Compresses a chunk of at most 1,024 bytes but for its last block, which it leaves with its flags; returns that block's length.</summary>
    private static int RunChunk(ReadOnlySpan<uint> key, uint mode, ReadOnlySpan<byte> data, ulong counter, Span<uint> value, Span<uint> block, out uint flags)
    {
        key.CopyTo(value);
        flags = mode | Flag.ChunkStart;
        for (; data.Length > Compression.BlockBytes; data = data[Compression.BlockBytes..])
        {
            data[..Compression.BlockBytes].CopyTo(MemoryMarshal.AsBytes(block));
            Compression.Run<uint, OneLane>(
                ref value[0], ref block[0], (uint)counter, (uint)(counter >> 32), Compression.BlockBytes, flags, ref Unsafe.NullRef<uint>());
            flags = mode;
        }

        block.Clear();
        data.CopyTo(MemoryMarshal.AsBytes(block));
        flags |= Flag.ChunkEnd;
        return data.Length;
    }

    /// <summary>The root's block again and again, with a rising counter, until the output is full.</summary>
    private static void WriteRoot(ReadOnlySpan<uint> value, Span<uint> block, uint blockBytes, uint flags, Span<byte> output)
    {
        Span<uint> words = stackalloc uint[Compression.WordsOfBlock];
        for (ulong counter = 0; output.Length > 0; counter++)
        {
            value.CopyTo(words);
            ref var rest = ref output.Length > SizeBytes ? ref words[Compression.WordsOfValue] : ref Unsafe.NullRef<uint>();
            Compression.Run<uint, OneLane>(
                ref words[0], ref block[0], (uint)counter, (uint)(counter >> 32), blockBytes, flags | Flag.Root, ref rest);
            var bytes = Math.Min(output.Length, Compression.BlockBytes);
            MemoryMarshal.AsBytes(words)[..bytes].CopyTo(output);
            output = output[bytes..];
        }
    }

    private static Span<uint> Of(Span<uint> values, int index) => values[(index * Compression.WordsOfValue)..];

    internal enum Mode : uint
    {
        Hash = 0,
        KeyedHash = 16,
        DeriveKeyContext = 32,
        DeriveKeyMaterial = 64,
    }

    private static class Flag
    {
        public const uint ChunkStart = 1;
        public const uint ChunkEnd = 2;
        public const uint Parent = 4;
        public const uint Root = 8;
    }

    /// <summary>What is the same for every lane: chunks have sixteen blocks and are counted, parents have one and are not.</summary>
    private readonly record struct Work(int Blocks, uint Flags, uint FlagsOfFirst, uint FlagsOfLast, bool CountsUp);
}
