namespace Swarm.Core.Capabilities.Gateway;

/// <summary>Certificates count in unsigned seconds, Postgres in signed ones.</summary>
public static class UnixTime
{
    public static ulong UnixNow(this TimeProvider time) => (ulong)Math.Max(0, time.GetUtcNow().ToUnixTimeSeconds());

    /// <summary>The latest second that Postgres can hold stands for all later ones.</summary>
    public static long ToStored(ulong seconds) => (long)Math.Min(seconds, long.MaxValue);

    /// <summary>The time of a stored second; the end of the calendar for all that lies behind it.</summary>
    public static DateTimeOffset ToTime(long stored) => DateTimeOffset.FromUnixTimeSeconds(Math.Min(stored, DateTimeOffset.MaxValue.ToUnixTimeSeconds()));
}
