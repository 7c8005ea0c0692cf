using System.Globalization;

namespace Swarm.Client;

/// <summary>How times are written: RFC 3339, UTC, milliseconds.</summary>
public static class SwarmTime
{
    /// <summary>For example <c>2026-11-21T15:30:00.123Z</c>; what is finer than a millisecond is cut off.</summary>
    public static string Format(DateTimeOffset time) =>
        time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
}
