namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>
/// Base64 as reference peers decode it (ASP §2.1): ASCII characters outside the standard alphabet are skipped, a complete padding ends the
/// input, incomplete groups are an error. So an embedded newline does no harm, and URL-safe text comes out too short.
/// </summary>
public static class LenientBase64
{
    /// <summary>Decodes into <paramref name="destination"/>; false when the text is not base64 or does not fit.</summary>
    public static bool TryDecode(ReadOnlySpan<byte> text, Span<byte> destination, out int written)
    {
        written = 0;
        int bits = 0, inGroup = 0, padding = 0;
        foreach (var character in text)
        {
            if (character == '=')
            {
                if (inGroup >= 2 && inGroup + ++padding >= 4)
                {
                    return true;
                }

                continue;
            }

            var value = ValueOf(character);
            if (value < 0)
            {
                if (character > 0x7F)
                {
                    return false;
                }

                continue;
            }

            padding = 0;
            bits = ((bits << 6) | value) & 0xFFFFFF;
            inGroup = (inGroup + 1) & 3;
            if (inGroup == 1)
            {
                continue;
            }

            if (written == destination.Length)
            {
                return false;
            }

            destination[written++] = (byte)(bits >> (inGroup switch { 2 => 4, 3 => 2, _ => 0 }));
        }

        return inGroup == 0;
    }

    private static int ValueOf(byte character) => character switch
    {
        >= (byte)'A' and <= (byte)'Z' => character - 'A',
        >= (byte)'a' and <= (byte)'z' => character - 'a' + 26,
        >= (byte)'0' and <= (byte)'9' => character - '0' + 52,
        (byte)'+' => 62,
        (byte)'/' => 63,
        _ => -1,
    };
}
