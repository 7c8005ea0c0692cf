using System.Text;
using Swarm.Cli.Output;

namespace Swarm.Cli.Arguments;

/// <summary>Where the content of a message comes from (ASP §15 <c>send</c>): an option, a file, or standard input.</summary>
internal static class MessageContent
{
    /// <summary>The most code points of a text given by option or standard input (ASP §15).</summary>
    public const int TextCodePointsMax = 65_536;

    /// <summary>The most bytes of a file's content.</summary>
    public const int FileBytesMax = 1024 * 1024;

    /// <summary>A code point takes up to four bytes of UTF-8; the rest is room for white space that is trimmed.</summary>
    private const int InputBytesMax = (4 * TextCodePointsMax) + (64 * 1024);

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <exception cref="CliException">Exit 2: nothing given, too much given, or no valid UTF-8; exit 5: no such file.</exception>
    public static string Read(string? text, string? file, bool allowEmpty, Terminal terminal)
    {
        if (text is not null && file is not null)
        {
            throw CliException.BadArguments("Give either --message or --file, not both.");
        }

        var content = file is not null ? ReadFile(file, terminal) : Limited(text ?? ReadInput(allowEmpty, terminal));
        if (content.Length == 0 && !allowEmpty)
        {
            throw CliException.BadArguments("The message is empty.", "Use --allow-empty to send an empty message on purpose.");
        }

        return content;
    }

    private static string ReadInput(bool allowEmpty, Terminal terminal)
    {
        if (terminal.InIsTerminal)
        {
            return allowEmpty
                ? ""
                : throw CliException.BadArguments("There is no message to send.", "Use -m TEXT, --file PATH, or pipe the text in.");
        }

        var bytes = terminal.ReadInput(InputBytesMax)
            ?? throw CliException.BadArguments(
                $"The text is longer than {TextCodePointsMax} characters.", "Send it with --file - (up to 1 MiB).");
        return Decode(bytes, "Standard input").Trim();
    }

    private static string ReadFile(string path, Terminal terminal)
    {
        byte[]? bytes;
        try
        {
            bytes = path == "-" ? terminal.ReadInput(FileBytesMax) : ReadAtMost(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new CliException(ExitCode.NotFound, $"There is no file '{Shown.Short(path)}'.");
        }

        return Decode(bytes ?? throw CliException.BadArguments($"The file is larger than 1 MiB ({FileBytesMax} bytes)."), "The file");
    }

    private static byte[]? ReadAtMost(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
        return BoundedInput.Read(file, FileBytesMax);
    }

    private static string Decode(byte[] bytes, string source)
    {
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            throw CliException.BadArguments(
                $"{source} is not valid UTF-8 text.", "A message carries text; encode other data first, for example with base64.");
        }
    }

    private static string Limited(string text) =>
        text.EnumerateRunes().Count() <= TextCodePointsMax
            ? text
            : throw CliException.BadArguments(
                $"The text is longer than {TextCodePointsMax} characters.", "Send it with --file PATH (up to 1 MiB).");
}
