using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Peers;

/// <summary>TOON as python-toon 0.1.3 writes it (ASP §5.3), read from the table of rules there.</summary>
internal static partial class PeerToon
{
    private static readonly string[] Order =
    [
        "protocol_version", "message_id", "timestamp", "sender", "recipient", "swarm_id", "type", "content", "signature", "in_reply_to", "thread_id",
        "priority", "expires_at", "attachments", "references", "metadata",
    ];

    /// <summary>The stored text of a validated message: model order, unknown members dropped, the priority always there.</summary>
    public static string OfMessage(JsonObject message)
    {
        var model = new JsonObject();
        foreach (var name in Order)
        {
            if (name == "sender")
            {
                model[name] = new JsonObject { ["agent_id"] = message[name].Text("agent_id"), ["endpoint"] = message[name].Text("endpoint") };
            }
            else if (message[name] is { } value)
            {
                model[name] = value.DeepClone();
            }
            else if (name == "priority")
            {
                model[name] = "normal";
            }
        }

        return Of(model);
    }

    public static string Of(JsonObject root)
    {
        var lines = new List<string>();
        Members(lines, root, 0);
        return string.Join('\n', lines);
    }

    private static void Members(List<string> lines, JsonObject json, int level)
    {
        foreach (var (name, value) in json)
        {
            Member(lines, name, value, level, "");
        }
    }

    /// <param name="dash">Before the first line: the dash of a list item.</param>
    private static void Member(List<string> lines, string name, JsonNode? value, int level, string dash)
    {
        var start = Indent(level) + dash;
        switch (value)
        {
            case JsonObject json when name.Length == 0:
                Members(lines, json, level);
                break;
            case JsonObject json:
                lines.Add($"{start}{Key(name)}:");
                Members(lines, json, level + 1);
                break;
            case JsonArray array:
                Array(lines, start + (name.Length == 0 ? "" : Key(name)), array, level);
                break;
            default:
                lines.Add($"{start}{Key(name)}: {Primitive(value)}");
                break;
        }
    }

    private static void Array(List<string> lines, string head, JsonArray array, int level)
    {
        if (array.Count == 0)
        {
            lines.Add($"{head}[0]:");
        }
        else if (array.All(IsPrimitive))
        {
            lines.Add($"{head}[{array.Count}]: {string.Join(',', array.Select(Primitive))}");
        }
        else if (array.All(item => item is JsonObject) && Columns(array) is { Length: > 0 } columns)
        {
            lines.Add($"{head}[{array.Count},]{{{string.Join(',', columns)}}}:");
            lines.AddRange(array.Select(row => Indent(level + 1) + string.Join(',', columns.Select(c => Primitive(row![c])))));
        }
        else if (array.All(item => item is JsonArray))
        {
            lines.Add($"{head}[{array.Count}]:");
            foreach (var inner in array.Cast<JsonArray>())
            {
                if (inner.All(IsPrimitive))
                {
                    lines.Add($"{Indent(level + 1)}- [{inner.Count},]: {string.Join(',', inner.Select(Primitive))}");
                }
                else
                {
                    Array(lines, Indent(level + 1), inner, level + 1);
                }
            }
        }
        else
        {
            lines.Add($"{head}[{array.Count}]:");
            foreach (var item in array)
            {
                Item(lines, item, level + 1);
            }
        }
    }

    private static void Item(List<string> lines, JsonNode? item, int level)
    {
        switch (item)
        {
            case JsonArray inner:
                Array(lines, Indent(level), inner, level);
                break;
            case JsonObject { Count: 0 }:
                lines.Add(Indent(level) + "-");
                break;
            case JsonObject json:
                var isFirst = true;
                foreach (var (name, value) in json)
                {
                    if (isFirst && IsPrimitive(value))
                    {
                        Member(lines, name, value, level, "- ");
                    }
                    else
                    {
                        if (isFirst)
                        {
                            lines.Add(Indent(level) + "-");
                        }

                        Member(lines, name, value, level + 1, "");
                    }

                    isFirst = false;
                }

                break;
            default:
                lines.Add($"{Indent(level)}- {Primitive(item)}");
                break;
        }
    }

    /// <summary>The keys that all objects have in one order, if all their values are primitive.</summary>
    private static string[]? Columns(JsonArray array)
    {
        string[] first = [.. ((JsonObject)array[0]!).Select(m => m.Key)];
        return array.All(row => ((JsonObject)row!).Select(m => m.Key).SequenceEqual(first) && ((JsonObject)row!).All(m => IsPrimitive(m.Value))) ? first : null;
    }

    private static bool IsPrimitive(JsonNode? node) => node is null or JsonValue;

    private static string Primitive(JsonNode? node) => node is null ? "null" : node.GetValueKind() switch
    {
        JsonValueKind.String => Text(node.GetValue<string>()),
        JsonValueKind.Number => Number(node.ToJsonString()),
        _ => node.ToJsonString(),
    };

    private static string Text(string text) => IsSafe(text) ? text : Quote(text);

    private static string Key(string name) => IsBareKey(name) ? name : Quote(name);

    /// <summary>The pattern ignores case, which lets in the four letters whose other case is an ASCII letter; its <c>$</c> lets one LF through.</summary>
    private static bool IsBareKey(string name)
    {
        var runes = (name.EndsWith('\n') ? name[..^1] : name).EnumerateRunes().ToList();
        return runes.Count > 0
            && (runes[0] is { IsAscii: true } first ? Rune.IsLetter(first) || first.Value == '_' : runes[0].Value is 0x130 or 0x131 or 0x17F or 0x212A)
            && runes.TrueForAll(r => Rune.IsLetterOrDigit(r) || r.Value is '_' or '.');
    }

    private static string Quote(string text) =>
        $"\"{text.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n").Replace("\r", "\\r").Replace("\t", "\\t")}\"";

    private static bool IsSafe(string text) =>
        text.Length > 0 && !IsBlank(text[0]) && !IsBlank(text[^1]) && text is not ("null" or "true" or "false") && !IsFloat(text) && text[0] != '-'
        && text.IndexOfAny([':', ',', '[', ']', '{', '}', '"', '\\', '\n', '\r', '\t']) < 0;

    private static bool IsBlank(char c) => char.IsWhiteSpace(c) || c is >= '\u001c' and <= '\u001f';

    /// <summary>What Python's <c>float()</c> takes; white space around it is no matter here, for such a text is not safe anyhow.</summary>
    private static bool IsFloat(string text)
    {
        // Decimal digits of any script count, those beyond the first plane too.
        var plain = string.Concat(text.EnumerateRunes().Select(
            r => Rune.GetUnicodeCategory(r) == UnicodeCategory.DecimalDigitNumber ? ((int)Rune.GetNumericValue(r)).ToString(CultureInfo.InvariantCulture) : r.ToString()));
        return Float().IsMatch(plain);
    }

    /// <summary>A number as Python prints it.</summary>
    private static string Number(string json)
    {
        if (json.IndexOfAny(['.', 'e', 'E']) < 0)
        {
            return json is "-0" ? "0" : json;
        }

        var value = double.Parse(json, CultureInfo.InvariantCulture);
        if (value == 0)
        {
            return "0";
        }

        if (!double.IsFinite(value))
        {
            return "null";
        }

        // The shortest digits, and the power of ten of the first one.
        var parts = Math.Abs(value).ToString("R", CultureInfo.InvariantCulture).Split('E');
        var point = parts[0].IndexOf('.', StringComparison.Ordinal) is var dot and >= 0 ? dot : parts[0].Length;
        var digits = parts[0].Replace(".", "");
        var leading = digits.Length - digits.TrimStart('0').Length;
        var shortest = digits.Trim('0');
        var exponent = (parts.Length > 1 ? int.Parse(parts[1], CultureInfo.InvariantCulture) : 0) + point - 1 - leading;
        var sign = value < 0 ? "-" : "";
        return exponent switch
        {
            < -4 or >= 16 => $"{sign}{shortest[0]}{(shortest.Length > 1 ? "." + shortest[1..] : "")}e{(exponent < 0 ? '-' : '+')}{Math.Abs(exponent):00}",
            < 0 => $"{sign}0.{new string('0', -exponent - 1)}{shortest}",
            _ when shortest.Length <= exponent + 1 => $"{sign}{shortest.PadRight(exponent + 1, '0')}.0",
            _ => $"{sign}{shortest[..(exponent + 1)]}.{shortest[(exponent + 1)..]}",
        };
    }

    private static string Indent(int level) => new(' ', level * 2);

    [GeneratedRegex(@"^[+-]?((\d(_?\d)*)(\.(\d(_?\d)*)?)?|\.\d(_?\d)*)([eE][+-]?\d(_?\d)*)?\z|^[+-]?(inf|infinity|nan)\z", RegexOptions.IgnoreCase)]
    private static partial Regex Float();
}
