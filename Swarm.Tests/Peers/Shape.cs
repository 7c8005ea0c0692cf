using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Peers;

/// <summary>Validates bodies as the reference's framework does: every failure, in the order of the fields, with its place and kind (ASP §7.2).</summary>
internal sealed partial class Shape
{
    private readonly JsonArray _found = [];

    public bool IsSound => _found.Count == 0;

    /// <summary>The body of the 422.</summary>
    public JsonObject Body => new() { ["detail"] = _found };

    public void Fail(string type, string message, JsonNode? input, params object[] place) => _found.Add(new JsonObject
    {
        ["type"] = type,
        ["loc"] = new JsonArray([.. place.Select(p => p is int number ? JsonValue.Create(number) : (JsonNode)JsonValue.Create((string)p)!)]),
        ["msg"] = message,
        ["input"] = input?.DeepClone(),
    });

    /// <summary>The body as an object; null after noting why it is none.</summary>
    public JsonObject? Read(byte[] body, string? contentType)
    {
        if (body.Length == 0)
        {
            Fail("missing", "Field required", null, "body");
            return null;
        }

        var type = contentType?.Split(';')[0].Trim().ToLowerInvariant();
        JsonNode? json = null;
        if (type is "application/json" || (type?.StartsWith("application/", StringComparison.Ordinal) == true && type.EndsWith("+json", StringComparison.Ordinal)))
        {
            try
            {
                json = JsonNode.Parse(body);
            }
            catch (JsonException e)
            {
                Fail("json_invalid", "JSON decode error", new JsonObject(), "body", (int)(e.BytePositionInLine ?? 0));
                return null;
            }
        }

        if (json is JsonObject found)
        {
            return found;
        }

        Fail("model_attributes_type", "Input should be a valid dictionary or object to extract fields from", json, "body");
        return null;
    }

    /// <summary>A message (§3).</summary>
    public void Message(JsonObject json)
    {
        Text(json, "protocol_version", Version());
        Text(json, "message_id", Uuid());
        Text(json, "timestamp");
        if (Object(json, "sender") is { } sender)
        {
            NonEmpty(sender, "agent_id", "sender");
            Https(sender, "endpoint", "sender");
        }

        Text(json, "recipient");
        Text(json, "swarm_id", Uuid());
        Word(json, "type", ["message", "system", "notification"]);
        Text(json, "content");
        Text(json, "signature");
        OptionalText(json, "in_reply_to");
        OptionalText(json, "thread_id");
        if (json.ContainsKey("priority"))
        {
            Word(json, "priority", ["low", "normal", "high"]);
        }

        OptionalText(json, "expires_at");
        Objects(json, "attachments");
        Objects(json, "references");
        if (json["metadata"] is { } metadata and not JsonObject)
        {
            Fail("dict_type", "Input should be a valid dictionary", metadata, "body", "metadata");
        }
    }

    /// <summary>A join (§8.2).</summary>
    public void Join(JsonObject json)
    {
        Word(json, "type", ["system"]);
        Word(json, "action", ["join_request"]);
        Text(json, "invite_token");
        if (Object(json, "sender") is { } sender)
        {
            NonEmpty(sender, "agent_id", "sender");
            Https(sender, "endpoint", "sender");
            Text(sender, "public_key", null, "sender");
        }
    }

    /// <summary>A batch (§9.1).</summary>
    public void Batch(JsonObject json)
    {
        if (json["message_ids"] is JsonArray ids)
        {
            for (var i = 0; i < ids.Count; i++)
            {
                if (ids[i]?.GetValueKind() != JsonValueKind.String)
                {
                    Fail("string_type", "Input should be a valid string", ids[i], "body", "message_ids", i);
                }
            }

            if (ids.Count is 0)
            {
                Fail("too_short", "List should have at least 1 item after validation, not 0", ids, "body", "message_ids");
            }
            else if (ids.Count > 100)
            {
                Fail("too_long", $"List should have at most 100 items after validation, not {ids.Count}", ids, "body", "message_ids");
            }
        }
        else if (Has(json, "message_ids", "body", "message_ids"))
        {
            Fail("list_type", "Input should be a valid list", json["message_ids"], "body", "message_ids");
        }

        Word(json, "action", ["read", "archive", "delete"]);
    }

    /// <summary>Four required strings (§11.3).</summary>
    public void Wake(JsonObject json)
    {
        foreach (var name in new[] { "message_id", "swarm_id", "sender_id", "notification_level" })
        {
            Text(json, name);
        }
    }

    private bool Has(JsonObject json, string name, params object[] place)
    {
        if (!json.ContainsKey(name))
        {
            Fail("missing", "Field required", json, place);
        }

        return json.ContainsKey(name);
    }

    private string? Text(JsonObject json, string name, Regex? form = null, string? within = null)
    {
        object[] place = within is null ? ["body", name] : ["body", within, name];
        if (!Has(json, name, place))
        {
            return null;
        }

        if (json.Text(name) is not { } text)
        {
            Fail("string_type", "Input should be a valid string", json[name], place);
            return null;
        }

        if (form?.IsMatch(text) == false)
        {
            Fail("value_error", $"Value error, Invalid {name}", json[name], place);
        }

        return text;
    }

    private void NonEmpty(JsonObject json, string name, string within)
    {
        if (Text(json, name, null, within) is { Length: 0 })
        {
            Fail("string_too_short", "String should have at least 1 character", json[name], "body", within, name);
        }
    }

    private void Https(JsonObject json, string name, string within)
    {
        if (Text(json, name, null, within)?.StartsWith("https://", StringComparison.Ordinal) == false)
        {
            Fail("value_error", "Value error, Endpoint must use HTTPS", json[name], "body", within, name);
        }
    }

    private void OptionalText(JsonObject json, string name)
    {
        if (json[name] is not null)
        {
            Text(json, name);
        }
    }

    private void Word(JsonObject json, string name, string[] words)
    {
        if (Has(json, name, "body", name) && !words.Contains(json.Text(name)))
        {
            Fail("literal_error", $"Input should be {string.Join(" or ", words.Select(w => $"'{w}'"))}", json[name], "body", name);
        }
    }

    private JsonObject? Object(JsonObject json, string name)
    {
        if (Has(json, name, "body", name) && json[name] is not JsonObject)
        {
            Fail("model_attributes_type", "Input should be a valid dictionary or object to extract fields from", json[name], "body", name);
        }

        return json[name] as JsonObject;
    }

    private void Objects(JsonObject json, string name)
    {
        if (json[name] is JsonArray items)
        {
            for (var i = 0; i < items.Count; i++)
            {
                if (items[i] is not JsonObject)
                {
                    Fail("dict_type", "Input should be a valid dictionary", items[i], "body", name, i);
                }
            }
        }
        else if (json[name] is { } other)
        {
            Fail("list_type", "Input should be a valid list", other, "body", name);
        }
    }

    [GeneratedRegex(@"^\d+\.\d+\.\d+$")]
    private static partial Regex Version();

    [GeneratedRegex("^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$")]
    private static partial Regex Uuid();
}
