namespace Swarm.Cli.Arguments;

/// <summary>Reads input of unknown length without trusting it to end.</summary>
internal static class BoundedInput
{
    /// <summary>Everything up to the end of <paramref name="stream"/>; null when that is more than <paramref name="bytesMax"/>.</summary>
    public static byte[]? Read(Stream stream, int bytesMax)
    {
        var bytes = new byte[bytesMax + 1];
        var length = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        return length > bytesMax ? null : bytes[..length];
    }
}
