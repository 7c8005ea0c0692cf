namespace Swarm.Api.Protocols.AgentSwarm.Wire;

/// <summary>Rules on single members that both the reader and the explainer apply (ASP §3).</summary>
internal static class MessageRules
{
    /// <summary>Room for the longest word of <c>type</c> and <c>priority</c>.</summary>
    public const int WordBytesMax = 16;

    /// <summary><c>digits.digits.digits</c>, ASCII digits alone.</summary>
    public static bool IsVersion(ReadOnlySpan<byte> text)
    {
        int dots = 0, digits = 0;
        foreach (var unit in text)
        {
            if (unit == '.' && digits > 0)
            {
                dots++;
                digits = 0;
            }
            else if (unit is >= (byte)'0' and <= (byte)'9')
            {
                digits++;
            }
            else
            {
                return false;
            }
        }

        return dots == 2 && digits > 0;
    }

    /// <summary>Starts with <c>https://</c> and is at most <see cref="AgentSwarmLimits.EndpointCharactersMax"/> code points long.</summary>
    public static bool IsEndpoint(ReadOnlySpan<byte> text) =>
        text.StartsWith("https://"u8) && CodePoints(text) <= AgentSwarmLimits.EndpointCharactersMax;

    public static int CodePoints(ReadOnlySpan<byte> utf8)
    {
        var count = 0;
        foreach (var unit in utf8)
        {
            count += (unit & 0xC0) == 0x80 ? 0 : 1;
        }

        return count;
    }
}
