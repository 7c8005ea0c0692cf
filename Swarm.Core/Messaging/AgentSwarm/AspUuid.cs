using System.Buffers;
using System.Buffers.Text;

namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>The UUID form of the wire (ASP §3): 8-4-4-4-12 hexadecimal digits in any case, and nothing else.</summary>
public static class AspUuid
{
    /// <summary>Characters, hyphens included.</summary>
    public const int Length = 36;

    private static readonly SearchValues<byte> HexOrHyphen = SearchValues.Create("0123456789abcdefABCDEF-"u8);

    public static bool TryParse(ReadOnlySpan<byte> text, out Guid value)
    {
        // The runtime's parser also takes signs and 0x inside the groups, hence the alphabet test; it checks the positions itself.
        if (text.Length == Length && !text.ContainsAnyExcept(HexOrHyphen) && Utf8Parser.TryParse(text, out value, out var consumed, 'D')
            && consumed == Length)
        {
            return true;
        }

        value = default;
        return false;
    }

    public static bool TryParse(ReadOnlySpan<char> text, out Guid value)
    {
        Span<byte> utf8 = stackalloc byte[Length];
        if (text.Length == Length && System.Text.Ascii.FromUtf16(text, utf8, out _) == OperationStatus.Done)
        {
            return TryParse(utf8, out value);
        }

        value = default;
        return false;
    }

    /// <summary>Writes the lower-case form that is signed (ASP §4.1); needs <see cref="Length"/> bytes.</summary>
    public static void Write(Guid value, Span<byte> destination) => Utf8Formatter.TryFormat(value, destination, out _, 'D');
}
