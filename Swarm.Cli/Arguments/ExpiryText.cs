using System.Globalization;

namespace Swarm.Cli.Arguments;

/// <summary>
/// When a message expires: a time (RFC 3339 with a zone), or a duration from now such as <c>90s</c>, <c>30m</c>, <c>2h</c>,
/// <c>7d</c>.
/// </summary>
internal static class ExpiryText
{
    /// <summary>The longest duration, in days; also keeps the sum within the calendar.</summary>
    private const int DaysMax = 3650;

    public static bool TryParse(string text, DateTimeOffset now, out DateTimeOffset expiresAt)
    {
        text = text.Trim();
        if (text.Length > 1
            && TimeSpan.FromDays(DaysMax) is var longest
            && Unit(text[^1]) is { } unit
            && int.TryParse(text.AsSpan()[..^1], NumberStyles.None, CultureInfo.InvariantCulture, out var count)
            && count > 0
            && count <= longest / unit)
        {
            expiresAt = now + (unit * count);
            return true;
        }

        return DateTimeOffset.TryParseExact(
            text,
            ["yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK"],
            CultureInfo.InvariantCulture,
            DateTimeStyles.AdjustToUniversal,
            out expiresAt) && HasZone(text);
    }

    /// <exception cref="CliException">Exit 2: neither a time nor a duration.</exception>
    public static DateTimeOffset Parse(string text, DateTimeOffset now) =>
        TryParse(text, now, out var expiresAt)
            ? expiresAt
            : throw CliException.BadArguments(
                $"'{Shown.Short(text)}' is no time.",
                "Write a duration (90s, 30m, 2h, 7d) or a time such as 2026-12-31T18:00:00Z.");

    private static bool HasZone(string text) =>
        text.EndsWith('Z') || text.LastIndexOfAny(['+', '-']) > text.IndexOf('T', StringComparison.Ordinal);

    private static TimeSpan? Unit(char letter) => letter switch
    {
        's' => TimeSpan.FromSeconds(1),
        'm' => TimeSpan.FromMinutes(1),
        'h' => TimeSpan.FromHours(1),
        'd' => TimeSpan.FromDays(1),
        _ => null,
    };
}
