using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Peers;

/// <summary>JSON as the reference's language writes it, where bytes are compared or hashed.</summary>
internal static class Json
{
    /// <summary>No spaces, other scripts as they are.</summary>
    public static string Compact(JsonNode? node) => Write(node, ",", ":", isAscii: false);

    /// <summary>No spaces, other scripts as <c>\uXXXX</c>: the payload of an invite (ASP §6.1).</summary>
    public static string CompactAscii(JsonNode? node) => Write(node, ",", ":", isAscii: true);

    /// <summary>A space after each <c>,</c> and <c>:</c>: the notices of a join (ASP §10.2).</summary>
    public static string Spaced(JsonNode? node) => Write(node, ", ", ": ", isAscii: true);

    /// <summary>A string, quoted.</summary>
    public static string Quote(string text, bool isAscii = false)
    {
        var quoted = new StringBuilder("\"");
        foreach (var c in text)
        {
            quoted.Append(c switch
            {
                '"' => "\\\"",
                '\\' => "\\\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                '\b' => "\\b",
                '\f' => "\\f",
                < ' ' or '\u007f' when isAscii || c < ' ' => string.Create(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                > '\u007f' when isAscii => string.Create(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}"),
                _ => c.ToString(),
            });
        }

        return quoted.Append('"').ToString();
    }

    /// <summary>The text of a member, or null where there is none.</summary>
    public static string? Text(this JsonNode? node, string name) =>
        node is JsonObject json && json[name] is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;

    private static string Write(JsonNode? node, string comma, string colon, bool isAscii) => node switch
    {
        null => "null",
        JsonObject json => $"{{{string.Join(comma, json.Select(m => Quote(m.Key, isAscii) + colon + Write(m.Value, comma, colon, isAscii)))}}}",
        JsonArray array => $"[{string.Join(comma, array.Select(item => Write(item, comma, colon, isAscii)))}]",
        JsonValue value when value.GetValueKind() == JsonValueKind.String => Quote(value.GetValue<string>(), isAscii),
        _ => node.ToJsonString(),
    };
}
