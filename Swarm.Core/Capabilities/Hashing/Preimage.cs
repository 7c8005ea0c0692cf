using System.Buffers;
using System.Buffers.Binary;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.Capabilities.Hashing;

/// <summary>The bytes under a hash, put together on the stack and, when they are many, in a rented array. Dispose it.</summary>
internal ref struct Preimage(Span<byte> stack)
{
    /// <summary>A stack buffer of this many bytes holds every digest of an ordinary certificate.</summary>
    public const int StackBytes = 512;

    private Span<byte> _bytes = stack;
    private byte[]? _rented;
    private int _length;

    public readonly ReadOnlySpan<byte> Written => _bytes[.._length];

    public void Add(byte value) => Next(1)[0] = value;

    public void Add(scoped ReadOnlySpan<byte> bytes) => bytes.CopyTo(Next(bytes.Length));

    public void Add(Bytes32 bytes) => Add(bytes.AsSpan());

    public void AddLittleEndian(ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(Next(sizeof(ulong)), value);

    public void AddBigEndian(ulong value) => BinaryPrimitives.WriteUInt64BigEndian(Next(sizeof(ulong)), value);

    /// <summary><c>LP(text)</c>: its length in UTF-8 bytes as a little-endian number of 64 bits, then the bytes.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: the text holds a lone surrogate.</exception>
    public void AddPrefixed(string text)
    {
        var length = StrictUtf8.GetByteCount(text);
        AddLittleEndian((ulong)length);
        System.Text.Encoding.UTF8.GetBytes(text, Next(length));
    }

    /// <summary>The same for bytes.</summary>
    public void AddPrefixed(scoped ReadOnlySpan<byte> bytes)
    {
        AddLittleEndian((ulong)bytes.Length);
        Add(bytes);
    }

    /// <summary>The text's UTF-8 without its length.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: the text holds a lone surrogate.</exception>
    public void AddText(string text) => System.Text.Encoding.UTF8.GetBytes(text, Next(StrictUtf8.GetByteCount(text)));

    public void Dispose()
    {
        if (_rented is not null)
        {
            ArrayPool<byte>.Shared.Return(_rented);
            _rented = null;
        }
    }

    private Span<byte> Next(int count)
    {
        if (_bytes.Length - _length < count)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(checked(_length + count), 2 * _bytes.Length));
            Written.CopyTo(larger);
            Dispose();
            _bytes = _rented = larger;
        }

        _length += count;
        return _bytes.Slice(_length - count, count);
    }
}
