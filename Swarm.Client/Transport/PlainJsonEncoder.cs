using System.Text.Encodings.Web;

namespace Swarm.Client.Transport;

/// <summary>
/// Escapes in JSON strings what RFC 8259 demands (quotation mark, backslash, controls below U+0020) and nothing else, unless told so. The
/// built-in encoders write every emoji as twelve characters, and so let large messages grow threefold.
/// </summary>
/// <param name="isEscapedToo">Scalars to escape beside those; null for none.</param>
public sealed unsafe class PlainJsonEncoder(Func<int, bool>? isEscapedToo = null) : JavaScriptEncoder
{
    private const int EscapeLength = 6; // \uXXXX

    /// <summary>A scalar beyond U+FFFF takes two escapes.</summary>
    public override int MaxOutputCharactersPerInputCharacter => 2 * EscapeLength;

    public override bool WillEncode(int unicodeScalar) =>
        unicodeScalar is < 0x20 or '"' or '\\' or (>= 0xD800 and <= 0xDFFF) || (isEscapedToo?.Invoke(unicodeScalar) ?? false);

    public override int FindFirstCharacterToEncode(char* text, int textLength)
    {
        for (var i = 0; i < textLength; i++)
        {
            var isPair = i + 1 < textLength && char.IsSurrogatePair(text[i], text[i + 1]);
            if (WillEncode(isPair ? char.ConvertToUtf32(text[i], text[i + 1]) : text[i]))
            {
                return i;
            }

            i += isPair ? 1 : 0;
        }

        return -1;
    }

    public override bool TryEncodeUnicodeScalar(int unicodeScalar, char* buffer, int bufferLength, out int numberOfCharactersWritten)
    {
        var output = new Span<char>(buffer, bufferLength);
        numberOfCharactersWritten = 0;
        if (ShortEscape(unicodeScalar) is { } letter)
        {
            numberOfCharactersWritten = 2;
            return "\\".TryCopyTo(output) && new ReadOnlySpan<char>(in letter).TryCopyTo(output[1..]);
        }

        foreach (var unit in char.ConvertFromUtf32(unicodeScalar))
        {
            if (!output[numberOfCharactersWritten..].TryWrite($"\\u{(int)unit:x4}", out var written))
            {
                numberOfCharactersWritten = 0;
                return false;
            }

            numberOfCharactersWritten += written;
        }

        return true;
    }

    private static char? ShortEscape(int unicodeScalar) => unicodeScalar switch
    {
        '"' or '\\' => (char)unicodeScalar,
        '\n' => 'n',
        '\r' => 'r',
        '\t' => 't',
        _ => null,
    };
}
