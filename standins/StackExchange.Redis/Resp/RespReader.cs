using System.Buffers;
using System.Buffers.Text;

namespace StackExchange.Redis.Resp;

/// <summary>The server sent something that is not RESP2, or is larger than <see cref="RespReader"/> takes.</summary>
internal sealed class RespException(string message) : Exception(message);

/// <summary>
/// Reads RESP2: <c>+OK\r\n</c>, <c>-ERR why\r\n</c>, <c>:42\r\n</c>, <c>$3\r\nabc\r\n</c>, <c>*2\r\n:1\r\n:2\r\n</c>.
/// </summary>
internal static class RespReader
{
    /// <summary>Longest simple string, error or length line, in bytes.</summary>
    public const int LineBytesMax = 64 * 1024;

    /// <summary>Longest bulk string, in bytes.</summary>
    public const int BulkBytesMax = 64 * 1024 * 1024;

    /// <summary>Most items of one array.</summary>
    public const int ItemsMax = 1024 * 1024;

    /// <summary>Deepest nesting of arrays.</summary>
    public const int DepthMax = 16;

    /// <summary>Reads one whole reply and moves <paramref name="buffer"/> behind it; false, and nothing moved, when more bytes are needed.</summary>
    /// <exception cref="RespException">The bytes are not RESP2, or over a limit.</exception>
    public static bool TryRead(ref ReadOnlySequence<byte> buffer, out RespNode node)
    {
        var reader = new SequenceReader<byte>(buffer);
        if (!TryRead(ref reader, 0, out node))
        {
            return false;
        }

        buffer = buffer.Slice(reader.Position);
        return true;
    }

    private static bool TryRead(ref SequenceReader<byte> reader, int depth, out RespNode node)
    {
        node = default;
        if (!reader.TryPeek(out byte kind))
        {
            return false;
        }

        if (kind is not ((byte)'+' or (byte)'-' or (byte)':' or (byte)'$' or (byte)'*'))
        {
            throw new RespException($"A reply cannot begin with byte 0x{kind:x2}.");
        }

        reader.Advance(1);
        if (!TryReadLine(ref reader, out ReadOnlySequence<byte> line))
        {
            return false;
        }

        switch (kind)
        {
            case (byte)'+':
                node = new RespNode(RespKind.Simple, line.ToArray());
                return true;
            case (byte)'-':
                node = new RespNode(RespKind.Error, line.ToArray());
                return true;
            case (byte)':':
                node = new RespNode(RespKind.Integer, Number: ParseNumber(line));
                return true;
            case (byte)'$':
                return TryReadBulk(ref reader, ParseLength(line, BulkBytesMax), out node);
            default:
                return TryReadArray(ref reader, ParseLength(line, ItemsMax), depth, out node);
        }
    }

    private static bool TryReadBulk(ref SequenceReader<byte> reader, int length, out RespNode node)
    {
        node = new RespNode(RespKind.Bulk);
        if (length < 0)
        {
            return true;
        }

        if (reader.Remaining < length + 2)
        {
            return false;
        }

        byte[] bytes = reader.UnreadSequence.Slice(0, length).ToArray();
        reader.Advance(length);
        if (!reader.IsNext("\r\n"u8, advancePast: true))
        {
            throw new RespException("A bulk string is longer than it said.");
        }

        node = new RespNode(RespKind.Bulk, bytes);
        return true;
    }

    private static bool TryReadArray(ref SequenceReader<byte> reader, int count, int depth, out RespNode node)
    {
        node = new RespNode(RespKind.Array);
        if (count < 0)
        {
            return true;
        }

        if (depth == DepthMax)
        {
            throw new RespException($"Arrays are nested deeper than {DepthMax}.");
        }

        // The shortest item is three bytes ("+\r\n"), so a false count reserves no memory that the peer did not pay for.
        if (reader.Remaining < 3L * count)
        {
            return false;
        }

        var items = new RespNode[count];
        for (int i = 0; i < count; i++)
        {
            if (!TryRead(ref reader, depth + 1, out items[i]))
            {
                return false;
            }
        }

        node = new RespNode(RespKind.Array, Items: items);
        return true;
    }

    private static bool TryReadLine(ref SequenceReader<byte> reader, out ReadOnlySequence<byte> line)
    {
        bool found = reader.TryReadTo(out line, "\r\n"u8, advancePastDelimiter: true);
        if ((found ? line.Length : reader.Remaining) > LineBytesMax)
        {
            throw new RespException($"A line is longer than {LineBytesMax} bytes.");
        }

        return found;
    }

    private static int ParseLength(in ReadOnlySequence<byte> line, int max)
    {
        long length = ParseNumber(line);
        return length >= -1 && length <= max ? (int)length : throw new RespException($"A length of {length} is outside -1…{max}.");
    }

    private static long ParseNumber(in ReadOnlySequence<byte> line)
    {
        const int LongestNumber = 20; // -9223372036854775808
        if (line.Length is 0 or > LongestNumber)
        {
            throw new RespException("A number is malformed.");
        }

        Span<byte> digits = stackalloc byte[(int)line.Length];
        line.CopyTo(digits);
        return Utf8Parser.TryParse(digits, out long value, out int used) && used == digits.Length
            ? value
            : throw new RespException("A number is malformed.");
    }
}
