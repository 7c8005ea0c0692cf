namespace Swarm.Cli.Arguments;

/// <summary>An agent's address for other nodes (ASP §2.3): https, at most 2,048 characters.</summary>
internal static class EndpointText
{
    public const int LengthMax = 2048;

    /// <exception cref="CliException">Exit 2: not an https URL.</exception>
    public static string? Parse(string? text)
    {
        if (text is null)
        {
            return null;
        }

        var trimmed = text.Trim();
        var isHttps = trimmed.StartsWith("https://", StringComparison.Ordinal) && Uri.TryCreate(trimmed, UriKind.Absolute, out _);
        return isHttps && trimmed.Length <= LengthMax
            ? trimmed
            : throw CliException.BadArguments(
                $"'{Shown.Short(trimmed)}' is not an endpoint.", "An endpoint begins with https:// and has at most 2048 characters.");
    }
}
