namespace Swarm.Cli.Arguments;

/// <summary>
/// A swarm id as a person writes it (ASP §15, ID-02): trimmed, 32 hex digits in any case, with or without hyphens, optionally in braces
/// or after <c>urn:uuid:</c>.
/// </summary>
internal static class SwarmIdText
{
    private const string UrnPrefix = "urn:uuid:";

    public static bool TryParse(string text, out Guid id)
    {
        var rest = text.AsSpan().Trim();
        if (rest.StartsWith(UrnPrefix, StringComparison.OrdinalIgnoreCase))
        {
            rest = rest[UrnPrefix.Length..];
        }

        if (rest is ['{', .. var inner, '}'])
        {
            rest = inner;
        }

        return Guid.TryParseExact(rest, rest.Contains('-') ? "D" : "N", out id);
    }

    /// <exception cref="CliException">Exit 2: the text is no UUID.</exception>
    public static Guid Parse(string text, string source) =>
        TryParse(text, out var id)
            ? id
            : throw CliException.BadArguments(
                $"{source} '{Shown.Short(text)}' is not a swarm id.", "A swarm id is a UUID; 'swarm list' shows yours.");
}
