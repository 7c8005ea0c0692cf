using System.Buffers;
using System.Buffers.Text;

namespace StackExchange.Redis.Resp;

/// <summary>Writes a command as an array of bulk strings, the only form that a server takes binary-safe.</summary>
internal static class RespWriter
{
    private const int LengthLineMax = 14; // "$2147483647\r\n" and one to spare

    public static void Write(IBufferWriter<byte> output, ReadOnlySpan<ReadOnlyMemory<byte>> words)
    {
        WriteLength(output, (byte)'*', words.Length);
        foreach (ReadOnlyMemory<byte> word in words)
        {
            WriteLength(output, (byte)'$', word.Length);
            output.Write(word.Span);
            output.Write("\r\n"u8);
        }
    }

    private static void WriteLength(IBufferWriter<byte> output, byte kind, int length)
    {
        Span<byte> line = output.GetSpan(LengthLineMax);
        line[0] = kind;
        _ = Utf8Formatter.TryFormat(length, line[1..], out int digits);
        "\r\n"u8.CopyTo(line[(digits + 1)..]);
        output.Advance(digits + 3);
    }
}
