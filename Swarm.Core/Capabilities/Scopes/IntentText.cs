using System.Globalization;
using System.Text;

namespace Swarm.Core.Capabilities.Scopes;

/// <summary>
/// The normal form of an intent's parameters (A1 §2): trimmed of Unicode white space, then in lower case by Unicode's full mapping, which .NET does
/// not offer. It differs from .NET's in two letters: <c>İ</c> becomes two code points, and <c>Σ</c> at the end of a word becomes <c>ς</c>.
/// </summary>
internal static class IntentText
{
    private const char DottedCapitalI = '\u0130';
    private const char CapitalSigma = '\u03A3';

    /// <summary>The text must hold no lone surrogate.</summary>
    public static string Normalise(string text)
    {
        var trimmed = text.AsSpan().Trim();
        if (!trimmed.ContainsAny(DottedCapitalI, CapitalSigma))
        {
            return trimmed.ToString().ToLowerInvariant();
        }

        var lower = new StringBuilder(trimmed.Length + 1);
        for (var i = 0; i < trimmed.Length; i++)
        {
            switch (trimmed[i])
            {
                case DottedCapitalI:
                    lower.Append("i\u0307");
                    break;
                case CapitalSigma:
                    lower.Append(EndsWord(trimmed, i) ? 'ς' : 'σ');
                    break;
                default:
                    Rune.DecodeFromUtf16(trimmed[i..], out var rune, out var length);
                    lower.Append(Rune.ToLowerInvariant(rune).ToString());
                    i += length - 1;
                    break;
            }
        }

        return lower.ToString();
    }

    /// <summary>Unicode's condition Final_Sigma: a cased letter before, none after, whatever is case-ignorable left out.</summary>
    private static bool EndsWord(ReadOnlySpan<char> text, int sigma) => IsCasedBefore(text[..sigma]) && !IsCasedAfter(text[(sigma + 1)..]);

    private static bool IsCasedBefore(ReadOnlySpan<char> text)
    {
        while (Rune.DecodeLastFromUtf16(text, out var rune, out var length) == System.Buffers.OperationStatus.Done)
        {
            if (!IsCaseIgnorable(rune))
            {
                return IsCased(rune);
            }

            text = text[..^length];
        }

        return false;
    }

    private static bool IsCasedAfter(ReadOnlySpan<char> text)
    {
        while (Rune.DecodeFromUtf16(text, out var rune, out var length) == System.Buffers.OperationStatus.Done)
        {
            if (!IsCaseIgnorable(rune))
            {
                return IsCased(rune);
            }

            text = text[length..];
        }

        return false;
    }

    /// <summary>The derived property Case_Ignorable.</summary>
    private static bool IsCaseIgnorable(Rune rune) => Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.NonSpacingMark or UnicodeCategory.EnclosingMark or UnicodeCategory.Format or UnicodeCategory.ModifierLetter
            or UnicodeCategory.ModifierSymbol => true,

        // Word_Break is MidLetter, MidNumLet or Single_Quote.
        _ => rune.Value is '\'' or '.' or ':' or 0xB7 or 0x387 or 0x55F or 0x5F4 or 0x2018 or 0x2019 or 0x2024 or 0x2027
            or 0xFE13 or 0xFE52 or 0xFE55 or 0xFF07 or 0xFF0E or 0xFF1A,
    };

    /// <summary>The derived property Cased, of what is not case-ignorable.</summary>
    private static bool IsCased(Rune rune) => Rune.GetUnicodeCategory(rune) switch
    {
        UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter => true,

        // Other_Lowercase and Other_Uppercase: ordinal indicators, Roman numerals, letters in circles and squares.
        _ => rune.Value is 0xAA or 0xBA or (>= 0x2160 and <= 0x217F) or (>= 0x24B6 and <= 0x24E9)
            or (>= 0x1F130 and <= 0x1F149) or (>= 0x1F150 and <= 0x1F169) or (>= 0x1F170 and <= 0x1F189),
    };
}
