namespace Swarm.Cli;

/// <summary>A failure with what to say, what to do about it, and how to exit.</summary>
internal sealed class CliException(int exitCode, string message, string? hint = null, Exception? inner = null) : Exception(message, inner)
{
    public int ExitCode { get; } = exitCode;

    public string? Hint { get; } = hint;

    public static CliException BadArguments(string message, string? hint = null) => new(Cli.ExitCode.BadArguments, message, hint);
}

/// <summary>Input quoted in an error: cut, so that a mistake does not flood the screen or repeat a secret in full.</summary>
internal static class Shown
{
    private const int CharactersMax = 60;

    public static string Short(string text) => text.Length <= CharactersMax ? text : string.Concat(text.AsSpan(0, CharactersMax), "…");
}
