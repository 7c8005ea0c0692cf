using System.Text.Json;
using System.Text.Json.Nodes;
using Swarm.Cli.Output;

namespace Swarm.Cli.Arguments;

/// <summary>A certificate, chain, passport or token in a file; <c>-</c> is standard input. The node says what it means.</summary>
internal static class DocumentFile
{
    /// <summary>What the node takes.</summary>
    public const int BytesMax = 2 * 1024 * 1024;

    /// <exception cref="CliException">Exit 5: no such file; exit 2: too large, or no JSON object.</exception>
    public static byte[] Read(string path, Terminal terminal)
    {
        var bytes = ReadBytes(path, terminal) ?? throw CliException.BadArguments($"'{Shown.Short(path)}' is larger than 2 MiB.");
        Parse(bytes, path);
        return bytes;
    }

    /// <summary>The same as an object, or the object that it holds under <paramref name="member"/>, as a gateway's answers do.</summary>
    public static JsonObject ReadObject(string path, string member, Terminal terminal)
    {
        var document = Parse(ReadBytes(path, terminal) ?? throw CliException.BadArguments($"'{Shown.Short(path)}' is larger than 2 MiB."), path);
        return document[member] is JsonObject inner ? inner.DeepClone().AsObject() : document;
    }

    private static JsonObject Parse(byte[] bytes, string path)
    {
        try
        {
            // To count the members is to look at them: one that repeats is found here.
            return JsonNode.Parse(bytes) is JsonObject document && document.Count >= 0 ? document : throw new JsonException("no object");
        }
        catch (Exception e) when (e is JsonException or ArgumentException or InvalidOperationException)
        {
            throw CliException.BadArguments($"'{Shown.Short(path)}' holds no JSON object.", "A certificate, a chain, a passport or a token is one.");
        }
    }

    private static byte[]? ReadBytes(string path, Terminal terminal)
    {
        try
        {
            if (path == "-")
            {
                return terminal.ReadInput(BytesMax);
            }

            using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite);
            return BoundedInput.Read(file, BytesMax);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new CliException(ExitCode.NotFound, $"There is no file '{Shown.Short(path)}'.");
        }
    }
}
