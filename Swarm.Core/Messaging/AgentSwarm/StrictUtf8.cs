using System.Text;

namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>UTF-8 that throws on a lone surrogate instead of writing U+FFFD, which would sign another text (ASP §4.1).</summary>
public static class StrictUtf8
{
    private static readonly UTF8Encoding Encoding = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>The UTF-8 of <paramref name="text"/>.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: the text holds a lone surrogate.</exception>
    public static byte[] GetBytes(string text)
    {
        try
        {
            return Encoding.GetBytes(text);
        }
        catch (EncoderFallbackException)
        {
            throw LoneSurrogate();
        }
    }

    /// <summary>Writes the UTF-8 of <paramref name="text"/> and returns its length, which <see cref="GetByteCount"/> tells beforehand.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: the text holds a lone surrogate.</exception>
    public static int GetBytes(ReadOnlySpan<char> text, Span<byte> utf8)
    {
        try
        {
            return Encoding.GetBytes(text, utf8);
        }
        catch (EncoderFallbackException)
        {
            throw LoneSurrogate();
        }
    }

    /// <summary>How many bytes the text takes.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: the text holds a lone surrogate.</exception>
    public static int GetByteCount(string text)
    {
        try
        {
            return Encoding.GetByteCount(text);
        }
        catch (EncoderFallbackException)
        {
            throw LoneSurrogate();
        }
    }

    private static SwarmException LoneSurrogate() => new(SwarmError.InvalidRequest, "The text holds a lone surrogate and has no UTF-8 form.");
}
