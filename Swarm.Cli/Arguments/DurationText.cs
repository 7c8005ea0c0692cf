using System.Globalization;

namespace Swarm.Cli.Arguments;

/// <summary>How long something lives: seconds, or a number with <c>s</c>, <c>m</c>, <c>h</c>, <c>d</c> or <c>y</c> (365 days), as A1 writes it.</summary>
internal static class DurationText
{
    /// <summary>A hundred years; the node has limits of its own.</summary>
    public const long SecondsMax = 100L * 365 * 24 * 3600;

    public static bool TryParse(string text, out long seconds)
    {
        text = text.Trim();
        var unit = text is [.., var letter] ? Unit(letter) : null;
        seconds = 0;
        if (!long.TryParse(unit is null ? text : text.AsSpan()[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var count)
            || count == 0 || count > SecondsMax / (unit ?? 1))
        {
            return false;
        }

        seconds = count * (unit ?? 1);
        return true;
    }

    /// <summary>Null for null.</summary>
    /// <exception cref="CliException">Exit 2: no duration, or a longer one than <see cref="SecondsMax"/>.</exception>
    public static long? Parse(string? text) =>
        text is null ? null
        : TryParse(text, out var seconds) ? seconds
        : throw CliException.BadArguments($"'{Shown.Short(text)}' is no duration.", "Write seconds, or a number with a unit: 90m, 12h, 30d, 1y.");

    private static long? Unit(char letter) => letter switch { 's' => 1, 'm' => 60, 'h' => 3600, 'd' => 24 * 3600, 'y' => 365 * 24 * 3600, _ => null };
}
