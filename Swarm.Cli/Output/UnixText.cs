using Swarm.Client;

namespace Swarm.Cli.Output;

/// <summary>Unix seconds as A1 has them, for people.</summary>
internal static class UnixText
{
    public static string Format(ulong seconds) =>
        seconds <= (ulong)DateTimeOffset.MaxValue.ToUnixTimeSeconds() ? SwarmTime.Format(DateTimeOffset.FromUnixTimeSeconds((long)seconds)) : "no end";
}
