using System.Text.Json;

namespace Swarm.Api.Protocols.AgentSwarm.Wire;

/// <summary>One entry of a 422's <c>detail</c> (ASP §7.2).</summary>
/// <param name="Type">The word that says what is wrong, such as <c>missing</c>.</param>
/// <param name="Path">Where below <see cref="Part"/>: member names (string) and array indexes or offsets (int).</param>
/// <param name="Message">A sentence for people.</param>
/// <param name="Input">What stood there, as far as it may be repeated.</param>
/// <param name="Context">One name and value that explain the message, or null.</param>
internal sealed record ShapeFailure(
    string Type, IReadOnlyList<object> Path, string Message, JsonElement? Input = null, (string Name, object Value)? Context = null)
{
    /// <summary>The part of the request: <c>body</c> or <c>query</c>.</summary>
    public string Part { get; init; } = "body";
}

/// <summary>Collects failures of a body, in the order and with the words that reference servers use.</summary>
internal sealed class ShapeFailures
{
    private readonly List<ShapeFailure> _found = [];

    public IReadOnlyList<ShapeFailure> Found => _found;

    public void Add(ShapeFailure failure)
    {
        if (_found.Count < AgentSwarmLimits.FailuresMax)
        {
            _found.Add(failure);
        }
    }

    /// <summary>
    /// The body as a JSON object. Null when it is none, with the failure noted: nothing there, another media type, broken or unsound
    /// JSON, or another kind of value.
    /// </summary>
    public JsonDocument? ReadObject(ReadOnlyMemory<byte> body, bool isJson)
    {
        if (body.IsEmpty)
        {
            Add(new("missing", [], "Field required"));
            return null;
        }

        if (!isJson)
        {
            Add(new("model_attributes_type", [], NotAnObject));
            return null;
        }

        if (JsonFault.Find(body.Span) is { } fault)
        {
            Add(new("json_invalid", [fault.Offset], "JSON decode error", Context: ("error", fault.Error)));
            return null;
        }

        var document = JsonDocument.Parse(body);
        switch (document.RootElement.ValueKind)
        {
            case JsonValueKind.Object:
                return document;
            case JsonValueKind.Null:
                Add(new("missing", [], "Field required"));
                break;
            default:
                Add(new("model_attributes_type", [], NotAnObject, document.RootElement.Clone()));
                break;
        }

        document.Dispose();
        return null;
    }

    /// <summary>A member that must be an object.</summary>
    public JsonElement? RequireObject(JsonElement parent, string name)
    {
        if (Require(parent, [name], name) is not { } member)
        {
            return null;
        }

        if (member.ValueKind == JsonValueKind.Object)
        {
            return member;
        }

        Add(new("model_attributes_type", [name], NotAnObject, member.Clone()));
        return null;
    }

    /// <summary>A member that must be a string of at most so many bytes; null, with the failure noted, when it is not.</summary>
    public byte[]? RequireText(JsonElement parent, TextRule rule, params string[] path) =>
        Require(parent, path, path[^1]) is { } member ? Check(member, rule, path) : null;

    /// <summary>A member that may be absent or null.</summary>
    public byte[]? OptionalText(JsonElement parent, TextRule rule, string name) =>
        parent.TryGetProperty(name, out var member) && member.ValueKind != JsonValueKind.Null ? Check(member, rule, [name]) : null;

    /// <summary>A member whose value must be one of some words.</summary>
    public void CheckWord(JsonElement parent, bool isRequired, string name, params string[] words)
    {
        var member = isRequired ? Require(parent, [name], name) : parent.TryGetProperty(name, out var optional) ? optional : null;
        if (member is { } value && (value.ValueKind != JsonValueKind.String || !words.Contains(value.GetString(), StringComparer.Ordinal)))
        {
            var expected = words.Length == 1
                ? $"'{words[0]}'"
                : $"{string.Join(", ", words[..^1].Select(word => $"'{word}'"))} or '{words[^1]}'";
            Add(new("literal_error", [name], $"Input should be {expected}", value.Clone(), ("expected", expected)));
        }
    }

    /// <summary>A member that must be a list of so many strings; empty, with the failures noted, when it is not.</summary>
    public string[] RequireTexts(JsonElement parent, string name, int itemsMax)
    {
        if (Require(parent, [name], name) is not { } list)
        {
            return [];
        }

        if (list.ValueKind != JsonValueKind.Array)
        {
            Add(new("list_type", [name], "Input should be a valid list", list.Clone()));
            return [];
        }

        var count = list.GetArrayLength();
        if (count is 0 || count > itemsMax)
        {
            Add(count == 0
                ? new("too_short", [name], "List should have at least 1 item after validation, not 0", list.Clone(), ("min_length", 1))
                : new("too_long", [name], $"List should have at most {itemsMax} items after validation, not {count}", list.Clone(), ("max_length", itemsMax)));
            return [];
        }

        foreach (var (index, item) in list.EnumerateArray().Index().Where(i => i.Item.ValueKind != JsonValueKind.String))
        {
            Add(new("string_type", [name, index], "Input should be a valid string", item.Clone()));
        }

        return [.. list.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.String).Select(item => item.GetString()!)];
    }

    public void AddValueError(string sentence, JsonElement? input, params object[] path) =>
        Add(new("value_error", path, $"Value error, {sentence}", input, ("error", sentence)));

    private JsonElement? Require(JsonElement parent, string[] path, string name)
    {
        if (parent.TryGetProperty(name, out var member))
        {
            return member;
        }

        Add(new("missing", path, "Field required", parent.Clone()));
        return null;
    }

    private byte[]? Check(JsonElement member, TextRule rule, string[] path)
    {
        // Keys, signatures and tokens are never repeated in an answer (design §5).
        JsonElement? input = rule.IsSecret ? null : member.Clone();
        if (member.ValueKind != JsonValueKind.String)
        {
            Add(new("string_type", path, "Input should be a valid string", input));
            return null;
        }

        var text = System.Text.Encoding.UTF8.GetBytes(member.GetString()!);
        if (text.Length < rule.BytesMin)
        {
            Add(new("string_too_short", path, $"String should have at least {rule.BytesMin} character", input, ("min_length", rule.BytesMin)));
        }
        else if (text.Length > rule.BytesMax)
        {
            Add(new("string_too_long", path, $"String should have at most {rule.BytesMax} bytes", input, ("max_length", rule.BytesMax)));
        }
        else if (!rule.MayHoldNul && text.AsSpan().Contains((byte)0))
        {
            AddValueError("the text holds U+0000", input, [.. path]);
        }
        else if (rule.Sentence is { } sentence && !rule.IsRight!(text))
        {
            AddValueError(sentence, input, [.. path]);
        }

        return text;
    }

    private const string NotAnObject = "Input should be a valid dictionary or object to extract fields from";
}

/// <summary>What a string member must be.</summary>
internal sealed record TextRule(int BytesMax)
{
    public int BytesMin { get; init; }

    public bool MayHoldNul { get; init; }

    public bool IsSecret { get; init; }

    /// <summary>What <see cref="IsRight"/> asks for, in words; set both or none.</summary>
    public string? Sentence { get; init; }

    public Func<byte[], bool>? IsRight { get; init; }
}
