using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Swarm.Cli.Output;

/// <summary>JSON for scripts (ASP §15): two-space indent, non-ASCII unescaped, keys in a fixed order.</summary>
internal static class JsonText
{
    private static readonly JsonSerializerOptions Indented =
        new() { WriteIndented = true, IndentSize = 2, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly JsonSerializerOptions OneLine = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static string Pretty(JsonNode node) => Escape(node.ToJsonString(Indented));

    public static string Line(JsonNode node) => Escape(node.ToJsonString(OneLine));

    /// <summary>
    /// Writes what <see cref="TextSanitiser"/> would replace as <c>\uXXXX</c>: the same value to a parser, and harmless on a terminal. All
    /// of it stands inside strings, because JSON's own syntax is printable ASCII, line feeds and spaces.
    /// </summary>
    private static string Escape(string json)
    {
        if (!json.EnumerateRunes().Any(TextSanitiser.IsUnsafe))
        {
            return json;
        }

        var escaped = new StringBuilder(json.Length + 16);
        Span<char> pair = stackalloc char[2];
        foreach (var rune in json.EnumerateRunes())
        {
            if (!TextSanitiser.IsUnsafe(rune))
            {
                escaped.Append(rune);
                continue;
            }

            foreach (var unit in pair[..rune.EncodeToUtf16(pair)])
            {
                escaped.Append(CultureInfo.InvariantCulture, $"\\u{(int)unit:x4}");
            }
        }

        return escaped.ToString();
    }
}
