using System.Globalization;
using System.Text;

namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>The time form of the wire (ASP §4.1): <c>YYYY-MM-DDTHH:MM:SS.mmmZ</c>, UTC, milliseconds truncated and never rounded.</summary>
public static class AspTimestamp
{
    /// <summary>Characters of the one form that a door accepts.</summary>
    public const int Length = 24;

    private const int RoundTripLengthMax = 33;

    /// <summary>The 24 characters for <paramref name="time"/>, in UTC.</summary>
    public static string Format(DateTimeOffset time)
    {
        // The round-trip form begins with the same 23 characters, and costs a third of a form that must be interpreted.
        Span<char> text = stackalloc char[RoundTripLengthMax];
        time.UtcDateTime.TryFormat(text, out _, "O", CultureInfo.InvariantCulture);
        text[Length - 1] = 'Z';
        return new(text[..Length]);
    }

    /// <summary>The form of local answers and exports (ASP §9, §12): six digits, left out when zero, and <c>+00:00</c>.</summary>
    public static string FormatLocal(DateTimeOffset time) => time.UtcDateTime.ToString(
        time.UtcTicks % TimeSpan.TicksPerSecond / TimeSpan.TicksPerMicrosecond == 0 ? "yyyy-MM-dd'T'HH:mm:ss'+00:00'" : "yyyy-MM-dd'T'HH:mm:ss.ffffff'+00:00'",
        CultureInfo.InvariantCulture);

    /// <summary>Reads exactly the 24-character form; anything else is false.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out DateTimeOffset time)
    {
        time = default;
        if (text.Length != Length || text[4] != '-' || text[7] != '-' || text[10] != 'T' || text[13] != ':' || text[16] != ':'
            || text[19] != '.' || text[23] != 'Z')
        {
            return false;
        }

        int year = Digits(text[..4]), month = Digits(text[5..7]), day = Digits(text[8..10]);
        int hour = Digits(text[11..13]), minute = Digits(text[14..16]), second = Digits(text[17..19]), millisecond = Digits(text[20..23]);
        if (year < 1 || month is < 1 or > 12 || day < 1 || hour is < 0 or > 23 || minute is < 0 or > 59 || second is < 0 or > 59
            || millisecond < 0 || day > DateTime.DaysInMonth(year, month))
        {
            return false;
        }

        time = new DateTimeOffset(year, month, day, hour, minute, second, millisecond, TimeSpan.Zero);
        return true;
    }

    public static bool TryParse(string text, out DateTimeOffset time)
    {
        Span<byte> utf8 = stackalloc byte[Length];
        if (text.Length == Length && Ascii.FromUtf16(text, utf8, out _) == System.Buffers.OperationStatus.Done)
        {
            return TryParse(utf8, out time);
        }

        time = default;
        return false;
    }

    /// <summary>
    /// The form that the reference verifier hashes: digits beyond the third are dropped, a missing fraction becomes <c>.000</c>, and
    /// an offset is ignored without conversion (ASP §4.1, UNS-05, UNS-06). False when the text is no time at all.
    /// </summary>
    public static bool TryNormalise(string text, out string normal)
    {
        normal = "";
        if (!TryParseAny(text, out var time))
        {
            return false;
        }

        normal = Format(new DateTimeOffset(time.DateTime, TimeSpan.Zero));
        return true;
    }

    /// <summary>
    /// Reads the ISO 8601 forms that peers write elsewhere (expiry of messages and of invites): a fraction of any length or none,
    /// <c>Z</c>, an offset or no zone, which means UTC; a date alone is its midnight.
    /// </summary>
    public static bool TryParseAny(string text, out DateTimeOffset time)
    {
        time = default;
        if (text.Length is < 10 or > AnyLengthMax)
        {
            return false;
        }

        return DateTimeOffset.TryParseExact(
            ShortenFraction(text), AnyForms, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out time);
    }

    private const int AnyLengthMax = 64;
    private const int RuntimeFractionDigits = 7;

    private static readonly string[] AnyForms =
    [
        "yyyy-MM-dd'T'HH:mm:ss.FFFFFFFK", "yyyy-MM-dd HH:mm:ss.FFFFFFFK", "yyyy-MM-dd'T'HH:mmK", "yyyy-MM-dd HH:mmK", "yyyy-MM-dd",
    ];

    private static string ShortenFraction(string text)
    {
        var dot = text.IndexOf('.');
        var end = dot + 1;
        while (dot >= 0 && end < text.Length && char.IsAsciiDigit(text[end]))
        {
            end++;
        }

        return dot >= 0 && end - dot - 1 > RuntimeFractionDigits ? text.Remove(dot + 1 + RuntimeFractionDigits, end - dot - 1 - RuntimeFractionDigits) : text;
    }

    private static int Digits(ReadOnlySpan<byte> digits)
    {
        var value = 0;
        foreach (var digit in digits)
        {
            if (digit is < (byte)'0' or > (byte)'9')
            {
                return -1;
            }

            value = (value * 10) + (digit - '0');
        }

        return value;
    }
}
