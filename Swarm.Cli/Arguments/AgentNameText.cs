using System.Buffers;

namespace Swarm.Cli.Arguments;

/// <summary>
/// An agent id as a person writes it (ASP §2.2, ID-01): trimmed; 1–256 ASCII letters, digits, <c>_</c>, <c>.</c>, <c>-</c>.
/// </summary>
internal static class AgentNameText
{
    public const int LengthMax = 256;

    private static readonly SearchValues<char> Allowed =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");

    public static bool TryParse(string text, out string name)
    {
        name = text.Trim();
        return name.Length is > 0 and <= LengthMax && !name.AsSpan().ContainsAnyExcept(Allowed);
    }

    /// <exception cref="CliException">Exit 2: the text does not follow the grammar.</exception>
    public static string Parse(string text) =>
        TryParse(text, out var name)
            ? name
            : throw CliException.BadArguments(
                $"'{Shown.Short(text)}' is not an agent id.", "An agent id has 1 to 256 characters: letters, digits, '_', '.' and '-'.");
}
