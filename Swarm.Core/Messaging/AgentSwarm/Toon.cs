using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Swarm.Core.Messaging.AgentSwarm;

/// <summary>
/// Token-Oriented Object Notation as the reference stores and shows messages (ASP §5.3): byte exact, its quirks included.
/// <code>
/// sender:
///   agent_id: alice
/// references[2]:
///   - type: url
///     url: "https://x"
/// </code>
/// </summary>
public static class Toon
{
    private const int IndentWidth = 2;

    /// <summary>The members that are kept of a message, in model order.</summary>
    private static readonly string[] Members =
    [
        "protocol_version", "message_id", "timestamp", "sender", "recipient", "swarm_id", "type", "content", "signature", "in_reply_to",
        "thread_id", "priority", "expires_at", "attachments", "references", "metadata",
    ];

    /// <summary>The stored text of a message that arrived as <paramref name="wire"/>.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: it is not the JSON of a message.</exception>
    public static string OfMessage(ReadOnlyMemory<byte> wire)
    {
        try
        {
            using var document = JsonDocument.Parse(wire);
            var lines = new Lines();
            foreach (var name in Members)
            {
                if (document.RootElement.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null)
                {
                    if (name == "sender")
                    {
                        lines.Add(0, "sender:");
                        WriteMember(lines, 1, "agent_id", value.GetProperty("agent_id"));
                        WriteMember(lines, 1, "endpoint", value.GetProperty("endpoint"));
                    }
                    else
                    {
                        WriteMember(lines, 0, name, value);
                    }
                }
                else if (name == "priority")
                {
                    lines.Add(0, "priority: normal");
                }
            }

            return lines.ToString();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            throw new SwarmException(SwarmError.InvalidRequest, "The bytes are not an Agent Swarm Protocol message.");
        }
    }

    /// <summary>A stored text as people are shown it: what is a JSON object becomes TOON without its null members, the rest stays (TOON-09).</summary>
    public static string Display(string stored)
    {
        if (!stored.StartsWith('{'))
        {
            return stored;
        }

        try
        {
            using var document = JsonDocument.Parse(stored);
            var lines = new Lines();
            foreach (var member in document.RootElement.EnumerateObject().Where(m => m.Value.ValueKind != JsonValueKind.Null))
            {
                WriteMember(lines, 0, NameOf(member), member.Value);
            }

            return lines.ToString();
        }
        catch (JsonException)
        {
            return stored;
        }
    }

    /// <summary>The text of any JSON object.</summary>
    public static string OfObject(JsonElement root)
    {
        var lines = new Lines();
        WriteMembers(lines, 0, root);
        return lines.ToString();
    }

    private static void WriteMembers(Lines lines, int depth, JsonElement json)
    {
        foreach (var member in json.EnumerateObject())
        {
            WriteMember(lines, depth, NameOf(member), member.Value);
        }
    }

    private static void WriteMember(Lines lines, int depth, string name, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Array:
                WriteArray(lines, depth, name, value);
                break;
            case JsonValueKind.Object when name.Length == 0:
                // A quirk: without a name there is neither a header nor a level.
                WriteMembers(lines, depth, value);
                break;
            case JsonValueKind.Object:
                lines.Add(depth, Key(name) + ":");
                WriteMembers(lines, depth + 1, value);
                break;
            default:
                lines.Add(depth, $"{Key(name)}: {Primitive(value)}");
                break;
        }
    }

    private static void WriteArray(Lines lines, int depth, string name, JsonElement array)
    {
        var head = $"{(name.Length == 0 ? "" : Key(name))}[{array.GetArrayLength()}";
        var items = array.EnumerateArray().ToArray();
        if (items.Length == 0)
        {
            lines.Add(depth, head + "]:");
        }
        else if (items.All(IsPrimitive))
        {
            lines.Add(depth, $"{head}]: {Row(items)}");
        }
        else if (Fields(items) is { } fields)
        {
            lines.Add(depth, $"{head},]{{{string.Join(',', fields)}}}:");
            foreach (var item in items)
            {
                lines.Add(depth + 1, Row(item.EnumerateObject().Select(m => m.Value)));
            }
        }
        else
        {
            lines.Add(depth, head + "]:");
            var areArrays = items.All(item => item.ValueKind == JsonValueKind.Array);
            foreach (var item in items)
            {
                if (areArrays && item.EnumerateArray().All(IsPrimitive))
                {
                    lines.Add(depth + 1, $"- [{item.GetArrayLength()},]: {Row(item.EnumerateArray())}");
                }
                else
                {
                    WriteItem(lines, depth + 1, item);
                }
            }
        }
    }

    private static void WriteItem(Lines lines, int depth, JsonElement item)
    {
        switch (item.ValueKind)
        {
            case JsonValueKind.Array:
                WriteArray(lines, depth, "", item);
                break;
            case JsonValueKind.Object:
                var isFirst = true;
                foreach (var member in item.EnumerateObject())
                {
                    var onDash = isFirst && IsPrimitive(member.Value);
                    if (onDash)
                    {
                        lines.Add(depth, $"- {Key(NameOf(member))}: {Primitive(member.Value)}");
                    }
                    else
                    {
                        if (isFirst)
                        {
                            lines.Add(depth, "-");
                        }

                        WriteMember(lines, depth + 1, NameOf(member), member.Value);
                    }

                    isFirst = false;
                }

                if (isFirst)
                {
                    lines.Add(depth, "-");
                }

                break;
            default:
                lines.Add(depth, "- " + Primitive(item));
                break;
        }
    }

    /// <summary>The names of a table's columns; null when the items are not a table.</summary>
    private static List<string>? Fields(JsonElement[] items)
    {
        List<string>? fields = null;
        foreach (var item in items)
        {
            if (item.ValueKind != JsonValueKind.Object || !item.EnumerateObject().All(m => IsPrimitive(m.Value)))
            {
                return null;
            }

            var names = item.EnumerateObject().Select(NameOf).ToList();
            if (names.Count == 0 || (fields is not null && !fields.SequenceEqual(names, StringComparer.Ordinal)))
            {
                return null;
            }

            fields = names;
        }

        return fields;
    }

    private static bool IsPrimitive(JsonElement value) => value.ValueKind is not (JsonValueKind.Array or JsonValueKind.Object);

    private static string Row(IEnumerable<JsonElement> values) => string.Join(',', values.Select(Primitive));

    private static string Primitive(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => Text(TextOf(value)),
        JsonValueKind.Number => ToonText.Number(value.GetRawText()),
        JsonValueKind.True => "true",
        JsonValueKind.False => "false",
        _ => "null",
    };

    private static string Text(string text) => ToonText.IsSafe(text) ? text : ToonText.Quote(text);

    private static string Key(string name) => ToonText.IsBareKey(name) ? name : ToonText.Quote(name);

    /// <summary>Doors refuse lone surrogates in signed members; in what only travels along, its escape stays as it was written.</summary>
    private static string TextOf(JsonElement value)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return value.GetRawText()[1..^1];
        }
    }

    private static string NameOf(JsonProperty member)
    {
        try
        {
            return member.Name;
        }
        catch (InvalidOperationException)
        {
            return "?";
        }
    }

    private sealed class Lines
    {
        private readonly StringBuilder _text = new();

        public void Add(int depth, string line)
        {
            if (_text.Length > 0)
            {
                _text.Append('\n');
            }

            _text.Append(' ', depth * IndentWidth).Append(line);
        }

        public override string ToString() => _text.ToString();
    }
}

/// <summary>How TOON writes one text or number (ASP §5.3): the rules of the language that the reference is written in.</summary>
internal static class ToonText
{
    private static readonly SearchValues<char> Structural = SearchValues.Create(":,[]{}\"\\\n\r\t");

    /// <summary>True when the text may stand without quotes.</summary>
    public static bool IsSafe(string text) =>
        text.Length > 0 && !IsBlank(text[0]) && !IsBlank(text[^1])
        && text is not ("null" or "true" or "false")
        && text[0] != '-' && !text.AsSpan().ContainsAny(Structural)
        && !IsFloat(text);

    public static string Quote(string text)
    {
        var quoted = new StringBuilder(text.Length + 2).Append('"');
        foreach (var unit in text)
        {
            _ = unit switch
            {
                '\\' => quoted.Append("\\\\"),
                '"' => quoted.Append("\\\""),
                '\n' => quoted.Append("\\n"),
                '\r' => quoted.Append("\\r"),
                '\t' => quoted.Append("\\t"),
                _ => quoted.Append(unit),
            };
        }

        return quoted.Append('"').ToString();
    }

    /// <summary>An ASCII letter or <c>_</c> (or one of four letters that fold to ASCII), then dots, <c>_</c>, letters and digits; one LF may end it.</summary>
    public static bool IsBareKey(string name)
    {
        if (name.Length == 0 || !(char.IsAsciiLetter(name[0]) || name[0] is '_' or '\u0130' or '\u0131' or '\u017F' or '\u212A'))
        {
            return false;
        }

        var rest = name.EndsWith('\n') ? name.AsSpan(1..^1) : name.AsSpan(1);
        foreach (var rune in rest.EnumerateRunes())
        {
            if (rune.Value is not ('.' or '_') && !IsWord(Rune.GetUnicodeCategory(rune)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>A JSON number: digits of an integer as they are, a fraction or power in its shortest form.</summary>
    public static string Number(string json)
    {
        if (json.AsSpan().IndexOfAny('.', 'e', 'E') < 0)
        {
            return json == "-0" ? "0" : json;
        }

        var value = double.Parse(json, CultureInfo.InvariantCulture);
        return value == 0 ? "0" : double.IsFinite(value) ? Float(value) : "null";
    }

    /// <summary>The shortest form that reads back the same: with a power below 1e-4 and from 1e16 on, else plain with a fraction.</summary>
    private static string Float(double value)
    {
        // "R" gives the shortest digits; where its point and power stand is another convention, so they are put anew.
        var shortest = Math.Abs(value).ToString("R", CultureInfo.InvariantCulture);
        var e = shortest.IndexOf('E');
        var mantissa = e < 0 ? shortest : shortest[..e];
        var digits = mantissa.Replace(".", "", StringComparison.Ordinal).TrimStart('0');
        var whole = mantissa.IndexOf('.') is var dot and >= 0 ? dot : mantissa.Length;
        var leadingZeros = mantissa.Replace(".", "", StringComparison.Ordinal).Length - digits.Length;
        var power = whole - 1 - leadingZeros + (e < 0 ? 0 : int.Parse(shortest.AsSpan(e + 1), CultureInfo.InvariantCulture));
        digits = digits.TrimEnd('0');
        var sign = value < 0 ? "-" : "";
        if (power is < -4 or >= 16)
        {
            var fraction = digits.Length > 1 ? "." + digits[1..] : "";
            return $"{sign}{digits[0]}{fraction}e{(power < 0 ? '-' : '+')}{Math.Abs(power):00}";
        }

        if (power < 0)
        {
            return $"{sign}0.{new string('0', -power - 1)}{digits}";
        }

        return digits.Length <= power + 1
            ? $"{sign}{digits.PadRight(power + 1, '0')}.0"
            : $"{sign}{digits[..(power + 1)]}.{digits[(power + 1)..]}";
    }

    private static bool IsBlank(char unit) => char.IsWhiteSpace(unit) || unit is >= '\u001C' and <= '\u001F';

    private static bool IsWord(UnicodeCategory category) => category
        is UnicodeCategory.UppercaseLetter or UnicodeCategory.LowercaseLetter or UnicodeCategory.TitlecaseLetter or UnicodeCategory.ModifierLetter
        or UnicodeCategory.OtherLetter or UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;

    /// <summary>
    /// True when the reference's language would read the text as a number: digits of any script, single underscores between digits, a
    /// sign, a point, a power; and <c>inf</c>, <c>infinity</c>, <c>nan</c> in any case.
    /// </summary>
    private static bool IsFloat(string text)
    {
        var body = text[0] is '+' or '-' ? text[1..] : text;
        if (body.Equals("inf", StringComparison.OrdinalIgnoreCase) || body.Equals("infinity", StringComparison.OrdinalIgnoreCase)
            || body.Equals("nan", StringComparison.OrdinalIgnoreCase))
        {
            return true;
        }

        // One sign a kind: 0 for any digit, the others as they are; nothing else is part of a number.
        var shape = new StringBuilder(body.Length);
        foreach (var rune in body.EnumerateRunes())
        {
            if (Rune.GetUnicodeCategory(rune) == UnicodeCategory.DecimalDigitNumber)
            {
                shape.Append('0');
            }
            else if (rune.Value is '.' or '_' or '+' or '-' or 'e' or 'E')
            {
                shape.Append((char)rune.Value);
            }
            else
            {
                return false;
            }
        }

        var span = shape.ToString().AsSpan();
        var whole = TakeDigits(ref span);
        var fraction = false;
        if (span is ['.', ..])
        {
            span = span[1..];
            fraction = TakeDigits(ref span);
        }

        if (!whole && !fraction)
        {
            return false;
        }

        if (span is ['e' or 'E', ..])
        {
            span = span[1..];
            span = span is ['+' or '-', ..] ? span[1..] : span;
            return TakeDigits(ref span) && span.IsEmpty;
        }

        return span.IsEmpty;
    }

    private static bool TakeDigits(ref ReadOnlySpan<char> span)
    {
        var any = false;
        while (span is ['0', ..] || (any && span is ['_', '0', ..]))
        {
            span = span[0] == '_' ? span[2..] : span[1..];
            any = true;
        }

        return any;
    }
}
