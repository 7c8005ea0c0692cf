using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Swarm.Client.Transport;

namespace Swarm.Cli.Output;

/// <summary>
/// JSON for scripts (ASP §15): two-space indent, non-ASCII unescaped, keys in a fixed order. What <see cref="TextSanitiser"/> would
/// replace is written as <c>\uXXXX</c>: the same value to a parser, and harmless on a terminal.
/// </summary>
internal static class JsonText
{
    private static readonly PlainJsonEncoder Encoder = new(scalar => Rune.TryCreate(scalar, out var rune) && TextSanitiser.IsUnsafe(rune));

    private static readonly JsonSerializerOptions Indented = new()
    {
        WriteIndented = true, IndentSize = 2, NewLine = "\n", Encoder = Encoder,
    };

    private static readonly JsonSerializerOptions OneLine = new() { Encoder = Encoder };

    public static string Pretty(JsonNode node) => node.ToJsonString(Indented);

    public static string Line(JsonNode node) => node.ToJsonString(OneLine);
}
