namespace Swarm.Cli.Arguments;

/// <summary>Names of capabilities: separated by commas, in one option or several.</summary>
internal static class NameList
{
    /// <exception cref="CliException">Exit 2: none is named.</exception>
    public static string[] Parse(string[]? texts, string option) =>
        Split(texts) is { Length: > 0 } names ? names : throw CliException.BadArguments($"{option} names nothing.", $"Write them like {option} trade.equity,portfolio.read.");

    public static string[] Split(string[]? texts) =>
        [.. (texts ?? []).SelectMany(text => text.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))];

    /// <summary>Texts <c>key=value</c>; null for none.</summary>
    /// <exception cref="CliException">Exit 2: one has no <c>=</c>, or a key repeats.</exception>
    public static Dictionary<string, string>? ParsePairs(string[]? texts, string option)
    {
        var pairs = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var text in texts ?? [])
        {
            var at = text.IndexOf('=', StringComparison.Ordinal);
            if (at < 1 || !pairs.TryAdd(text[..at], text[(at + 1)..]))
            {
                throw CliException.BadArguments(at < 1 ? $"{option} '{Shown.Short(text)}' is not KEY=VALUE." : $"{option} gives '{Shown.Short(text[..at])}' twice.");
            }
        }

        return pairs.Count == 0 ? null : pairs;
    }
}
