using System.Globalization;

namespace Swarm.Core.Delivery;

/// <summary>The <c>Retry-After</c> of an answer: seconds, an HTTP date (RFC 9110 §10.2.3), or the epoch second that reference peers send (ASP §7.3).</summary>
public static class RetryAfter
{
    /// <summary>A number above a year of seconds is no delay but an epoch second.</summary>
    public const long DelaySecondsMax = 365 * 24 * 3600;

    private static readonly string[] DateForms = ["r", "dddd, dd-MMM-yy HH:mm:ss 'GMT'", "ddd MMM d HH:mm:ss yyyy", "ddd MMM  d HH:mm:ss yyyy"];

    /// <summary>How long to wait from now, not negative; null when the text says nothing that can be read.</summary>
    public static TimeSpan? Parse(string? text, DateTimeOffset now)
    {
        text = text?.Trim();
        if (string.IsNullOrEmpty(text))
        {
            return null;
        }

        TimeSpan delay;
        if (text.All(char.IsAsciiDigit))
        {
            // More digits than a number holds is a wait without end, which the caller's own limit cuts.
            var seconds = long.TryParse(text, CultureInfo.InvariantCulture, out var number) ? number : long.MaxValue;
            delay = seconds <= DelaySecondsMax ? TimeSpan.FromSeconds(seconds)
                : seconds <= DateTimeOffset.MaxValue.ToUnixTimeSeconds() ? DateTimeOffset.FromUnixTimeSeconds(seconds) - now
                : TimeSpan.FromSeconds(DelaySecondsMax);
        }
        else if (DateTimeOffset.TryParseExact(text, DateForms, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var at))
        {
            delay = at - now;
        }
        else
        {
            return null;
        }

        return delay > TimeSpan.Zero ? delay : TimeSpan.Zero;
    }
}
