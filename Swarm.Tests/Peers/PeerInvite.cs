using System.Buffers.Text;
using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Peers;

/// <summary>An invite token (ASP §6): made by a master, parsed by a joiner, checked by a server.</summary>
internal sealed record PeerInvite(string Jwt, string SwarmId, string Master, string Endpoint)
{
    public const string Header = """{"alg":"EdDSA","typ":"JWT"}""";
    private const string Scheme = "swarm://";

    /// <summary>The URL of §6.1.</summary>
    public string Url => $"{Scheme}{SwarmId}@{new Uri(Endpoint).Authority}?token={Jwt}";

    public static PeerInvite Create(
        string swarmId, string master, string endpoint, DateTimeOffset now, byte[] seed, DateTimeOffset? expiresAt = null, int? maxUses = null)
    {
        var payload = new JsonObject
        {
            ["swarm_id"] = swarmId, ["master"] = master, ["endpoint"] = endpoint, ["iat"] = now.ToUnixTimeSeconds(),
        };
        if (expiresAt is { } end)
        {
            payload["expires_at"] = PeerMessage.Stamp(end);
        }

        if (maxUses is { } uses and not 0)
        {
            payload["max_uses"] = uses;
        }

        return new(Sign(Header, Json.CompactAscii(payload), seed), swarmId, master, endpoint);
    }

    public static string Sign(string header, string payload, byte[] seed)
    {
        var signed = $"{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header))}.{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(payload))}";
        return $"{signed}.{Base64Url.EncodeToString(Ed25519.Sign(seed, Encoding.ASCII.GetBytes(signed)))}";
    }

    /// <summary>What a joiner checks (§6.2): the signature is not among it.</summary>
    /// <exception cref="PeerException">The token error.</exception>
    public static PeerInvite Parse(string url, DateTimeOffset now)
    {
        var question = url.IndexOf('?', StringComparison.Ordinal);
        var at = url.IndexOf('@', StringComparison.Ordinal);
        if (!url.StartsWith(Scheme, StringComparison.Ordinal))
        {
            throw Error("Invalid token URL scheme");
        }

        if (at < 0 || question < at || !url.Contains("?token=", StringComparison.Ordinal))
        {
            throw Error("Invalid token URL");
        }

        var jwt = url[(url.IndexOf("?token=", StringComparison.Ordinal) + "?token=".Length)..];
        var parts = jwt.Split('.');
        if (parts.Length != 3)
        {
            throw Error($"Invalid JWT structure: expected 3 parts, got {parts.Length}");
        }

        if (ReadPart(parts[0]) is not { } header || ReadPart(parts[1]) is not { } claims)
        {
            throw Error("Failed to decode JWT");
        }

        if (header.Text("alg") != "EdDSA")
        {
            throw Error($"Unsupported algorithm: {header.Text("alg")}");
        }

        if (claims.Text("swarm_id") != url[Scheme.Length..at])
        {
            throw Error("Swarm id mismatch");
        }

        if (claims.Text("expires_at") is { Length: > 0 } expiry && !(TryParseTime(expiry, out var end, out var hasZone) && hasZone && end >= now))
        {
            throw Error("Token expired");
        }

        return claims.Text("master") is { } master && claims.Text("endpoint") is { } endpoint && claims["iat"] is not null
            ? new(jwt, claims.Text("swarm_id")!, master, endpoint)
            : throw Error("Missing claim");
    }

    /// <summary>What a server checks before it looks at its own swarms (§6.3): three parts and the swarm that the payload names.</summary>
    /// <returns>Null with the refusal.</returns>
    public static string? SwarmOf(string jwt, out Refusal? refusal)
    {
        var parts = jwt.Split('.');
        refusal = parts.Length != 3 ? Refusal.Token($"Invalid JWT structure: expected 3 parts, got {parts.Length}")
            : ReadPart(parts[1]) is not { } claims ? Refusal.Token("Failed to decode JWT payload")
            : claims["swarm_id"] is null ? Refusal.Token("JWT payload missing swarm_id claim")
            : null;
        return refusal is null ? ReadPart(parts[1])!["swarm_id"]!.ToString() : null;
    }

    /// <summary>The rest of §6.3, with the master's key.</summary>
    public static Refusal? Check(string jwt, string masterKey, DateTimeOffset now)
    {
        var parts = jwt.Split('.');
        if (ReadPart(parts[0]) is not { } header)
        {
            return Refusal.Token("Failed to decode JWT header");
        }

        if (header.Text("alg") is var algorithm && algorithm != "EdDSA")
        {
            return Refusal.Token($"Unsupported algorithm: {algorithm ?? "None"}, expected EdDSA");
        }

        var signature = DecodePart(parts[2]) ?? [];
        if (!Ed25519.Verify(PeerMessage.Decode(masterKey), Encoding.ASCII.GetBytes($"{parts[0]}.{parts[1]}"), signature))
        {
            return new(401, "INVALID_SIGNATURE", "Token signature verification failed");
        }

        var claims = ReadPart(parts[1])!;
        if (new[] { "swarm_id", "master", "endpoint", "iat" }.FirstOrDefault(name => !claims.ContainsKey(name)) is { } missing)
        {
            return Refusal.Token($"Missing required claim: {missing}");
        }

        return claims.Text("expires_at") is not { Length: > 0 } expiry ? null
            : !TryParseTime(expiry, out var end, out _) ? Refusal.Token($"Invalid expires_at format: {expiry}")
            : end < now ? new(401, "INVALID_SIGNATURE", $"Token expired at {expiry}")
            : null;
    }

    private static JsonObject? ReadPart(string part)
    {
        try
        {
            return DecodePart(part) is { } bytes ? JsonNode.Parse(bytes) as JsonObject : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static byte[]? DecodePart(string part)
    {
        try
        {
            return Base64Url.DecodeFromChars(part.TrimEnd('='));
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private static bool TryParseTime(string text, out DateTimeOffset time, out bool hasZone)
    {
        hasZone = text.EndsWith('Z') || text.LastIndexOfAny(['+', '-']) > 10;
        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out time);
    }

    private static PeerException Error(string text) => new(PeerError.Token, text);
}

/// <summary>An error of the shape that joins and rate limits answer (§7.2).</summary>
internal sealed record Refusal(int Status, string Code, string Message, JsonNode? Details = null)
{
    public static Refusal Token(string message) => new(400, "INVALID_TOKEN", message);
}

/// <summary>The kinds of errors of the reference's client library (§14).</summary>
internal enum PeerError
{
    Transport,
    Token,
    NotMaster,
    NotMember,
    RateLimit,
    Pending,
}

/// <summary>What the client library raises.</summary>
internal sealed class PeerException(PeerError kind, string message, int status = 0) : Exception(message)
{
    public PeerError Kind => kind;

    /// <summary>The HTTP status of the answer, or 0.</summary>
    public int Status => status;
}
