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
        return trimmed.StartsWith("https://", StringComparison.Ordinal) && trimmed.Length <= LengthMax && Uri.TryCreate(trimmed, UriKind.Absolute, out _)
            ? trimmed
            : throw CliException.BadArguments($"'{Shown.Short(trimmed)}' is not an endpoint.", "An endpoint begins with https:// and has at most 2048 characters.");
    }
}
