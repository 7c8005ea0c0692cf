using System.Globalization;
using System.Text.Json;

namespace Swarm.Api.Protocols.AgentSwarm.Wire;

/// <summary>Writes a 422's <c>detail</c> (ASP §7.2), repeating at most 200 characters of what was sent.</summary>
internal static class ShapeJson
{
    public static void Write(Utf8JsonWriter json, IReadOnlyList<ShapeFailure> failures)
    {
        json.WriteStartObject();
        json.WriteStartArray("detail"u8);
        foreach (var failure in failures)
        {
            json.WriteStartObject();
            json.WriteString("type"u8, failure.Type);
            json.WriteStartArray("loc"u8);
            json.WriteStringValue(failure.Part);
            foreach (var part in failure.Path)
            {
                WriteScalar(json, part);
            }

            json.WriteEndArray();
            json.WriteString("msg"u8, failure.Message);
            json.WritePropertyName("input"u8);
            WriteInput(json, failure.Input);
            if (failure.Context is { } context)
            {
                json.WriteStartObject("ctx"u8);
                json.WritePropertyName(context.Name);
                WriteScalar(json, context.Value);
                json.WriteEndObject();
            }

            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteScalar(Utf8JsonWriter json, object value)
    {
        if (value is int number)
        {
            json.WriteNumberValue(number);
        }
        else
        {
            json.WriteStringValue(Convert.ToString(value, CultureInfo.InvariantCulture));
        }
    }

    private static void WriteInput(Utf8JsonWriter json, JsonElement? input)
    {
        switch (input?.ValueKind)
        {
            case JsonValueKind.String:
                json.WriteStringValue(Shorten(input.Value.GetString()!));
                break;
            case JsonValueKind.Object:
                // What is inside may be a signature or a token: never repeated.
                json.WriteStartObject();
                json.WriteEndObject();
                break;
            case JsonValueKind.Array:
                json.WriteStartArray();
                json.WriteEndArray();
                break;
            case JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False:
                input.Value.WriteTo(json);
                break;
            default:
                json.WriteNullValue();
                break;
        }
    }

    private static string Shorten(string text)
    {
        if (text.Length <= AgentSwarmLimits.EchoCharactersMax)
        {
            return text;
        }

        var end = AgentSwarmLimits.EchoCharactersMax;
        return text[..(char.IsHighSurrogate(text[end - 1]) ? end - 1 : end)];
    }
}
