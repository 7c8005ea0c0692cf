using System.Globalization;
using System.Text;
using System.Text.Json;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.Swarms;

/// <summary>The JSON inside an invite: written as the reference writes it, read without trusting any of it.</summary>
internal static class InviteJson
{
    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 32, AllowDuplicateProperties = false };

    /// <summary>Compact, in the order of ASP §6.1, everything but printable ASCII as <c>\uXXXX</c>.</summary>
    public static byte[] Write(InviteClaims claims)
    {
        var json = new StringBuilder(256);
        json.Append("{\"swarm_id\":").Append('"').Append(claims.SwarmId).Append('"');
        AppendText(json.Append(",\"master\":"), claims.Master);
        AppendText(json.Append(",\"endpoint\":"), claims.Endpoint);
        json.Append(",\"iat\":").Append(claims.IssuedAt.ToUnixTimeSeconds());
        if (claims.ExpiresAt is { } expiry)
        {
            json.Append(",\"expires_at\":\"").Append(AspTimestamp.Format(expiry)).Append('"');
        }

        if (claims.MaxUses is { } uses and not 0)
        {
            json.Append(",\"max_uses\":").Append(uses);
        }

        return Encoding.ASCII.GetBytes(json.Append('}').ToString());
    }

    /// <summary>Reads one JSON object of valid UTF-8 whose every string is Unicode text.</summary>
    public static bool TryReadObject(byte[] utf8, out JsonElement json)
    {
        json = default;
        try
        {
            using var document = JsonDocument.Parse(utf8, Strict);
            json = document.RootElement.Clone();
            return json.ValueKind == JsonValueKind.Object && StringsAreText(json);
        }
        catch (Exception malformed) when (malformed is JsonException or InvalidOperationException)
        {
            // The second comes from property names with lone surrogates.
            return false;
        }
    }

    /// <summary>The claims of a payload (ASP §6.3, last three steps but the clock).</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidToken"/>.</exception>
    public static InviteClaims ReadClaims(JsonElement payload, SwarmId swarm) =>
        new(swarm, ReadText(payload, "master"), ReadText(payload, "endpoint"), ReadIssuedAt(payload), ReadExpiry(payload), ReadMaxUses(payload));

    private static string ReadText(JsonElement payload, string name)
    {
        var claim = Required(payload, name);
        return claim.ValueKind == JsonValueKind.String ? claim.GetString()! : throw InviteToken.Invalid($"The {name} claim is not a string");
    }

    private static DateTimeOffset ReadIssuedAt(JsonElement payload)
    {
        var claim = Required(payload, "iat");
        if (claim.ValueKind == JsonValueKind.Number && claim.TryGetInt64(out var seconds)
            && seconds >= DateTimeOffset.MinValue.ToUnixTimeSeconds() && seconds <= DateTimeOffset.MaxValue.ToUnixTimeSeconds())
        {
            return DateTimeOffset.FromUnixTimeSeconds(seconds);
        }

        throw InviteToken.Invalid("The iat claim is not a time in whole seconds");
    }

    private static DateTimeOffset? ReadExpiry(JsonElement payload)
    {
        if (!payload.TryGetProperty("expires_at"u8, out var claim) || IsFalsy(claim))
        {
            return null;
        }

        if (claim.ValueKind != JsonValueKind.String)
        {
            throw InviteToken.Invalid("Invalid expires_at format: not a string");
        }

        var text = claim.GetString()!;
        return AspTimestamp.TryParseAny(text, out var expiry) ? expiry : throw InviteToken.Invalid($"Invalid expires_at format: {InviteToken.Shorten(text)}");
    }

    private static int? ReadMaxUses(JsonElement payload)
    {
        if (!payload.TryGetProperty("max_uses"u8, out var claim) || IsFalsy(claim))
        {
            return null;
        }

        return claim.ValueKind == JsonValueKind.Number && claim.TryGetInt32(out var uses) && uses > 0
            ? uses
            : throw InviteToken.Invalid("The max_uses claim is not a positive integer");
    }

    /// <summary>What the reference takes for "not set".</summary>
    private static bool IsFalsy(JsonElement claim) => claim.ValueKind switch
    {
        JsonValueKind.Null or JsonValueKind.False => true,
        JsonValueKind.String => claim.GetString()!.Length == 0,
        JsonValueKind.Number => claim.TryGetDouble(out var number) && number == 0,
        JsonValueKind.Array => claim.GetArrayLength() == 0,
        JsonValueKind.Object => claim.GetPropertyCount() == 0,
        _ => false,
    };

    private static JsonElement Required(JsonElement payload, string name) =>
        payload.TryGetProperty(name, out var claim) ? claim : throw InviteToken.Invalid($"JWT payload missing {name} claim");

    private static bool StringsAreText(JsonElement json)
    {
        switch (json.ValueKind)
        {
            case JsonValueKind.String:
                json.GetString();
                return true;
            case JsonValueKind.Array:
                return json.EnumerateArray().All(StringsAreText);
            case JsonValueKind.Object:
                return json.EnumerateObject().All(property => property.Name is not null && StringsAreText(property.Value));
            default:
                return true;
        }
    }

    private static void AppendText(StringBuilder json, string text)
    {
        StrictUtf8.GetByteCount(text);
        json.Append('"');
        foreach (var character in text)
        {
            _ = character switch
            {
                '"' => json.Append("\\\""),
                '\\' => json.Append(@"\\"),
                '\n' => json.Append("\\n"),
                '\r' => json.Append("\\r"),
                '\t' => json.Append("\\t"),
                '\b' => json.Append("\\b"),
                '\f' => json.Append("\\f"),
                < ' ' or > '~' => json.Append("\\u").Append(((int)character).ToString("x4", CultureInfo.InvariantCulture)),
                _ => json.Append(character),
            };
        }

        json.Append('"');
    }
}
