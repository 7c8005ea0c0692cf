using System.Buffers.Text;
using System.Text;

namespace Swarm.Api.Protocols.AgentSwarm.Wire;

/// <summary>The inside of a JSON string as it stands in a body: where it is, and how long it is once its escapes are resolved.</summary>
/// <param name="Start">Offset of its first byte, after the quote; 0 means that the member is absent or null.</param>
/// <param name="Length">Bytes in the body.</param>
/// <param name="DecodedLength">Bytes of UTF-8 after decoding; equal to <paramref name="Length"/> exactly when nothing is escaped.</param>
internal readonly record struct JsonText(int Start, int Length, int DecodedLength)
{
    public bool IsSet => Start > 0;

    public bool IsEscaped => DecodedLength != Length;

    /// <summary>The decoded text: in place when nothing is escaped, else in <paramref name="scratch"/>, which must have room for it.</summary>
    public ReadOnlySpan<byte> Decode(ReadOnlySpan<byte> body, Span<byte> scratch)
    {
        var raw = body.Slice(Start, Length);
        if (!IsEscaped)
        {
            return raw;
        }

        JsonStrings.Unescape(raw, scratch);
        return scratch[..DecodedLength];
    }
}

/// <summary>Resolves JSON escapes over UTF-8 without exceptions, and tells the strings that are no Unicode text.</summary>
internal static class JsonStrings
{
    /// <summary>
    /// Measures the inside of a syntactically correct JSON string. False when it holds a lone surrogate, which has no UTF-8 form
    /// (ASP §4.1).
    /// </summary>
    public static bool TryMeasure(ReadOnlySpan<byte> raw, out int decodedLength, out bool holdsNul)
    {
        decodedLength = raw.Length;
        holdsNul = false;
        for (var i = raw.IndexOf((byte)'\\'); i >= 0 && i < raw.Length;)
        {
            var size = ReadEscape(raw[i..], out var rune);
            if (size == 0)
            {
                return false;
            }

            holdsNul |= rune.Value == 0;
            decodedLength += rune.Utf8SequenceLength - size;
            i += size;
            var next = raw[i..].IndexOf((byte)'\\');
            if (next < 0)
            {
                break;
            }

            i += next;
        }

        return true;
    }

    /// <summary>Writes the decoded text; <paramref name="raw"/> has been measured.</summary>
    public static void Unescape(ReadOnlySpan<byte> raw, Span<byte> destination)
    {
        while (true)
        {
            var plain = raw.IndexOf((byte)'\\');
            if (plain < 0)
            {
                raw.CopyTo(destination);
                return;
            }

            raw[..plain].CopyTo(destination);
            var size = ReadEscape(raw[plain..], out var rune);
            destination = destination[(plain + rune.EncodeToUtf8(destination[plain..]))..];
            raw = raw[(plain + size)..];
        }
    }

    /// <summary>The decoded text as a string; the raw text has been measured.</summary>
    public static string Decode(ReadOnlySpan<byte> raw)
    {
        if (raw.IndexOf((byte)'\\') < 0)
        {
            return Encoding.UTF8.GetString(raw);
        }

        var decoded = new byte[raw.Length];
        TryMeasure(raw, out var length, out _);
        Unescape(raw, decoded);
        return Encoding.UTF8.GetString(decoded.AsSpan(0, length));
    }

    /// <summary>Bytes of the escape (or pair of escapes) that <paramref name="raw"/> begins with; 0 for a lone surrogate.</summary>
    private static int ReadEscape(ReadOnlySpan<byte> raw, out Rune rune)
    {
        if (raw[1] != 'u')
        {
            rune = new Rune((char)(raw[1] switch
            {
                (byte)'n' => '\n',
                (byte)'r' => '\r',
                (byte)'t' => '\t',
                (byte)'b' => '\b',
                (byte)'f' => '\f',
                var same => (char)same,
            }));
            return 2;
        }

        var first = Hex(raw[2..]);
        if (!char.IsSurrogate(first))
        {
            rune = new Rune(first);
            return 6;
        }

        var isPair = raw.Length >= 12 && raw[6] == '\\' && raw[7] == 'u';
        return Rune.TryCreate(first, isPair ? Hex(raw[8..]) : '\0', out rune) ? 12 : 0;
    }

    private static char Hex(ReadOnlySpan<byte> digits) => Utf8Parser.TryParse(digits[..4], out ushort value, out _, 'x') ? (char)value : '\0';
}
