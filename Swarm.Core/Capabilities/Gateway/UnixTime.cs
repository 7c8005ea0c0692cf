namespace Swarm.Core.Capabilities.Gateway;

/// <summary>Certificates count in unsigned seconds, Postgres in signed ones.</summary>
internal static class UnixTime
{
    public static ulong UnixNow(this TimeProvider time) => (ulong)Math.Max(0, time.GetUtcNow().ToUnixTimeSeconds());

    /// <summary>The latest second that Postgres can hold stands for all later ones.</summary>
    public static long ToStored(ulong seconds) => (long)Math.Min(seconds, long.MaxValue);
}
