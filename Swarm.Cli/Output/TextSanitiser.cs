using System.Text;

namespace Swarm.Cli.Output;

/// <summary>
/// Makes text from others safe for a person's terminal: nothing in it can move the cursor, change colours, set a title, answer the
/// terminal's questions, or show letters in another order than they are written.
/// </summary>
internal static class TextSanitiser
{
    /// <summary>
    /// The text with every control character except line feed and tab, every explicit bidirectional control, and every line or paragraph
    /// separator replaced by a visible sign. Joiners and direction marks stay: scripts and emoji need them.
    /// </summary>
    public static string Clean(string text)
    {
        if (!text.EnumerateRunes().Any(IsUnsafe))
        {
            return text;
        }

        var clean = new StringBuilder(text.Length);
        foreach (var rune in text.Replace("\r\n", "\n", StringComparison.Ordinal).EnumerateRunes())
        {
            clean.Append(IsUnsafe(rune) ? Replacement(rune) : rune);
        }

        return clean.ToString();
    }

    /// <summary>For a cell of a table: clean, and on one line.</summary>
    public static string CleanLine(string text) => Clean(text).Replace('\n', ' ').Replace('\t', ' ');

    /// <summary>True for what must not reach a terminal. Half a surrogate pair enumerates as U+FFFD, which may.</summary>
    public static bool IsUnsafe(Rune rune) => rune.Value switch
    {
        '\n' or '\t' => false,
        < 0x20 => true, // C0: escape, carriage return, bell, backspace …
        >= 0x7F and <= 0x9F => true, // delete and C1: CSI, OSC … in one character
        0x2028 or 0x2029 => true, // line and paragraph separator
        >= 0x202A and <= 0x202E => true, // bidirectional embeddings and overrides
        >= 0x2066 and <= 0x206F => true, // bidirectional isolates, deprecated formatting
        0xFEFF => true, // byte order mark
        >= 0xFFF9 and <= 0xFFFB => true, // interlinear annotation
        0xE0001 => true, // language tag
        _ => false,
    };

    private static Rune Replacement(Rune rune) => rune.Value switch
    {
        < 0x20 => new Rune(0x2400 + rune.Value), // the control pictures: ␛ for escape
        0x7F => new Rune(0x2421),
        _ => Rune.ReplacementChar,
    };
}
