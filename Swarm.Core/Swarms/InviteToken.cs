using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.Swarms;

/// <summary>
/// An invite: a JWT signed with EdDSA by the master, or by a member where the swarm allows it (ASP §6). Nothing in it is believed
/// before <see cref="Verify"/>.
/// </summary>
public sealed class InviteToken
{
    /// <summary>The longest JWT that is looked at, in characters.</summary>
    public const int LengthMax = 16 * 1024;

    internal const string Header = """{"alg":"EdDSA","typ":"JWT"}""";

    private readonly int _signedLength;
    private readonly JsonElement _payload;
    private readonly byte[] _signature;
    private readonly string _headerPart;

    private InviteToken(string jwt, string headerPart, int signedLength, JsonElement payload, byte[] signature, SwarmId swarmId)
    {
        Jwt = jwt;
        SwarmId = swarmId;
        _headerPart = headerPart;
        _signedLength = signedLength;
        _payload = payload;
        _signature = signature;
    }

    public string Jwt { get; }

    /// <summary>The swarm that the token names; unverified.</summary>
    public SwarmId SwarmId { get; }

    /// <summary>SHA-256 of the JWT in lower-case hex: what counts uses and names a revoked token (ASP §6.3).</summary>
    public string Hash => HashOf(Jwt);

    /// <summary>The hash of any text that claims to be a JWT.</summary>
    public static string HashOf(string jwt) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(jwt)));

    /// <summary>Makes the token of <paramref name="claims"/>, byte for byte as the reference does (ASP §6.1).</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: a claim is not Unicode text.</exception>
    public static InviteToken Create(InviteClaims claims, Key signer) => Sign(Encoding.ASCII.GetBytes(Header), InviteJson.Write(claims), signer);

    /// <summary>The token of any header and payload; for tokens that other software made differently.</summary>
    internal static InviteToken Sign(ReadOnlySpan<byte> header, ReadOnlySpan<byte> payload, Key signer)
    {
        var signed = $"{Base64Url(header)}.{Base64Url(payload)}";
        var signature = SignatureAlgorithm.Ed25519.Sign(signer, Encoding.ASCII.GetBytes(signed));
        return Parse($"{signed}.{Base64Url(signature)}");
    }

    /// <summary>The invite as people pass it on; the authority is that of <paramref name="endpoint"/> and only informs (ASP §6.1).</summary>
    public string ToUrl(string endpoint)
    {
        var start = endpoint.IndexOf("//", StringComparison.Ordinal) is var slashes and >= 0 ? slashes + 2 : 0;
        var length = endpoint.AsSpan(start).IndexOfAny('/', '?', '#');
        return $"{InviteLink.Scheme}{SwarmId}@{(length < 0 ? endpoint[start..] : endpoint.Substring(start, length))}?token={Jwt}";
    }

    /// <summary>The first step at a join (ASP §6.3): three parts, a readable payload, and the swarm that it names.</summary>
    /// <exception cref="SwarmException">
    /// <see cref="SwarmError.InvalidToken"/>; <see cref="SwarmError.UnknownSwarm"/> when the named swarm is no UUID, so nobody holds it.
    /// </exception>
    public static InviteToken Parse(string jwt)
    {
        if (jwt.Length > LengthMax)
        {
            throw Invalid($"The token is longer than {LengthMax} characters");
        }

        var parts = jwt.Split('.', 5);
        if (parts.Length != 3)
        {
            throw Invalid($"Invalid JWT structure: expected 3 parts, got {(parts.Length == 5 ? "more than 4" : parts.Length)}");
        }

        if (!TryDecode(parts[1], out var payloadBytes) || !InviteJson.TryReadObject(payloadBytes, out var payload))
        {
            throw Invalid("Failed to decode JWT payload");
        }

        if (!payload.TryGetProperty("swarm_id"u8, out var named) || named.ValueKind == JsonValueKind.Null)
        {
            throw Invalid("JWT payload missing swarm_id claim");
        }

        if (named.ValueKind != JsonValueKind.String)
        {
            throw Invalid("The swarm_id claim is not a string");
        }

        // Canonical base64url alone is a signature: otherwise one signed token would have many hashes and so many uses.
        if (!TryDecode(parts[2], out var signature))
        {
            throw Invalid("The signature is not canonical base64url");
        }

        var text = named.GetString()!;
        return AspUuid.TryParse(text, out var swarm)
            ? new InviteToken(jwt, parts[0], parts[0].Length + 1 + parts[1].Length, payload, signature, new SwarmId(swarm))
            : throw new SwarmException(SwarmError.UnknownSwarm, $"Swarm '{Shorten(text)}' not found");
    }

    /// <summary>The remaining steps at a join, in the order of ASP §6.3: header, signature, claims, expiry.</summary>
    /// <param name="keys">Whose signature counts: the master's first, then the members' where they may invite.</param>
    /// <param name="now">The time to compare the expiry with.</param>
    /// <exception cref="SwarmException">
    /// <see cref="SwarmError.InvalidToken"/>, <see cref="SwarmError.TokenSignature"/> or <see cref="SwarmError.TokenExpired"/>.
    /// </exception>
    public InviteClaims Verify(IEnumerable<PublicKey> keys, DateTimeOffset now)
    {
        var algorithm = ReadAlgorithm();
        if (algorithm != "EdDSA")
        {
            throw Invalid($"Unsupported algorithm: {Shorten(algorithm)}, expected EdDSA");
        }

        if (!IsSignedByAny(keys))
        {
            throw new SwarmException(SwarmError.TokenSignature, "Token signature verification failed");
        }

        var claims = InviteJson.ReadClaims(_payload, SwarmId);
        if (claims.ExpiresAt < now)
        {
            throw new SwarmException(SwarmError.TokenExpired, $"Token expired at {_payload.GetProperty("expires_at"u8).GetString()}");
        }

        return claims;
    }

    /// <summary>The claims without any check of who signed them: what a joiner sees before it asks (ASP §6.2).</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidToken"/>.</exception>
    internal InviteClaims ReadUnverified() => InviteJson.ReadClaims(_payload, SwarmId);

    /// <summary>The header's algorithm; a printable word for what is not one.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidToken"/>: the header is no JSON object.</exception>
    internal string ReadAlgorithm()
    {
        if (!TryDecode(_headerPart, out var bytes) || !InviteJson.TryReadObject(bytes, out var header))
        {
            throw Invalid("Failed to decode JWT header");
        }

        return header.TryGetProperty("alg"u8, out var algorithm) && algorithm.ValueKind == JsonValueKind.String ? algorithm.GetString()! : "None";
    }

    internal static SwarmException Invalid(string message) => new(SwarmError.InvalidToken, message);

    /// <summary>At most 200 characters of somebody else's text go into an answer (design §5).</summary>
    internal static string Shorten(string text) => text.Length <= EchoLengthMax ? text : text[..EchoLengthMax];

    private const int EchoLengthMax = 200;

    private bool IsSignedByAny(IEnumerable<PublicKey> keys)
    {
        if (_signature.Length != MessageSignature.SizeBytes)
        {
            return false;
        }

        var signed = Encoding.ASCII.GetBytes(Jwt, 0, _signedLength);
        foreach (var key in keys)
        {
            if (SignatureAlgorithm.Ed25519.Verify(key, signed, _signature))
            {
                return true;
            }
        }

        return false;
    }

    private static string Base64Url(ReadOnlySpan<byte> bytes) => System.Buffers.Text.Base64Url.EncodeToString(bytes);

    private static bool TryDecode(string part, out byte[] bytes)
    {
        bytes = new byte[System.Buffers.Text.Base64Url.GetMaxDecodedLength(part.Length)];
        if (part.AsSpan().ContainsAnyExcept(Base64UrlAlphabet)
            || System.Buffers.Text.Base64Url.DecodeFromChars(part, bytes, out _, out var written) != System.Buffers.OperationStatus.Done)
        {
            return false;
        }

        bytes = bytes[..written];
        return Base64Url(bytes) == part;
    }

    private static readonly System.Buffers.SearchValues<char> Base64UrlAlphabet =
        System.Buffers.SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_");
}
