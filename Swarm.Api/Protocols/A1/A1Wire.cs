using System.Security.Cryptography;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Gateway;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Core.Identity;

namespace Swarm.Api.Protocols.A1;

/// <summary>Limits of this door's requests.</summary>
internal static class A1Limits
{
    /// <summary>As A1 (A1 §14.1).</summary>
    public const int BodyBytesMax = 2 * 1024 * 1024;

    /// <summary>The most items of a list: capabilities, fingerprints, intents.</summary>
    public const int ItemsMax = 65_536;

    /// <summary>The longest Idempotency-Key, in characters.</summary>
    public const int IdempotencyKeyLengthMax = 256;

    /// <summary>The most passports of a restore.</summary>
    public const int RestoreMax = 1_000;
}

/// <summary>Reads one value whose first token the reader stands at.</summary>
internal delegate T ReadValue<T>(ref Utf8JsonReader reader);

/// <summary>
/// A private key out of a request: the one place that it is in, cleared by Dispose. It never becomes a text. What is wrong with it is said when it is
/// opened, in A1's order.
/// </summary>
internal sealed class SigningSeed : IDisposable
{
    private readonly byte[] _seed = GC.AllocateArray<byte>(Bytes32.SizeBytes, pinned: true);
    private bool _isGiven;
    private string? _fault;

    /// <summary>Takes the key in, at whose value the reader stands.</summary>
    public void Read(ref Utf8JsonReader reader)
    {
        _isGiven = true;
        if (reader.TokenType != JsonTokenType.String)
        {
            WireValues.ReadBytes(ref reader, _seed, "signing_key_hex");
            return;
        }

        var text = new byte[reader.ValueSpan.Length];
        try
        {
            var written = reader.CopyString(text);
            _fault = Convert.FromHexString(text.AsSpan(0, written), _seed, out var read, out var bytes) switch
            {
                System.Buffers.OperationStatus.Done when bytes == Bytes32.SizeBytes && read == written => null,
                System.Buffers.OperationStatus.InvalidData => "invalid signing_key_hex",
                _ => "signing key must be 32 bytes",
            };
        }
        catch (InvalidOperationException)
        {
            throw new ShapeException("signing_key_hex: the text is not Unicode");
        }
        finally
        {
            CryptographicOperations.ZeroMemory(text);
        }
    }

    /// <summary>The key; null when none came.</summary>
    /// <exception cref="A1Refusal">400: it is no key; 403: others could have read it on its way.</exception>
    public Key? Open(bool isPrivate) =>
        !_isGiven ? null
        : _fault is not null ? throw A1Refusal.Invalid(_fault)
        : isPrivate ? Key.Import(SignatureAlgorithm.Ed25519, _seed, KeyBlobFormat.RawPrivateKey)
        : throw new A1Refusal(
            StatusCodes.Status403Forbidden, "a signing key is taken over TLS or on loopback only: this one came in the clear, so replace it", "KeyInTheClear");

    public void Dispose() => CryptographicOperations.ZeroMemory(_seed);
}

/// <summary>Bodies of requests (A1 §14). Unknown members are passed over; what is wrong with the shape is a <see cref="ShapeException"/>.</summary>
internal static class A1Wire
{
    private static readonly byte[][] IntentMembers = WireValues.Names("name", "params", "intent_proof");

    /// <summary>Reads a JSON body.</summary>
    /// <param name="http">The request.</param>
    /// <param name="read">Reads the object.</param>
    /// <param name="isSecret">It may hold a key.</param>
    /// <exception cref="A1Refusal">413 or 415.</exception>
    public static async Task<T> ReadAsync<T>(HttpContext http, ReadValue<T> read, bool isSecret = false)
    {
        using var body = await BodyAsync(http, isSecret);
        return Parse(body.Bytes.Span, read);
    }

    public static async ValueTask<RequestBody> BodyAsync(HttpContext http, bool isSecret = false)
    {
        if (http.Request.ContentType is null || !RequestBody.IsJson(http.Request))
        {
            throw new A1Refusal(StatusCodes.Status415UnsupportedMediaType, "the Content-Type must be application/json", "UnsupportedMediaType");
        }

        var body = await RequestBody.ReadAsync(http.Request, A1Limits.BodyBytesMax, http.RequestAborted, isSecret);
        if (body.IsTooLarge)
        {
            http.Response.Headers.Connection = "close";
            throw new A1Refusal(StatusCodes.Status413PayloadTooLarge, $"the body is larger than {A1Limits.BodyBytesMax} bytes", "PayloadTooLarge");
        }

        return body;
    }

    public static T Parse<T>(ReadOnlySpan<byte> bytes, ReadValue<T> read)
    {
        var reader = new Utf8JsonReader(bytes);
        reader.Read();
        var value = read(ref reader);
        while (reader.Read())
        {
            // What follows the value is no JSON, which the reader says.
        }

        return value;
    }

    /// <summary>A key as hex text or as bytes; only its text is returned, for A1's order of complaints.</summary>
    public static string ReadKeyText(ref Utf8JsonReader reader, string what) =>
        reader.TokenType == JsonTokenType.StartArray ? WireValues.ReadBytes32(ref reader, what).ToString() : WireValues.ReadText(ref reader, what);

    /// <exception cref="A1Refusal">400: no hex, not 32 bytes, or no point of the curve.</exception>
    public static Bytes32 ParseKey(string text, string what, PublicKeys keys) =>
        !HexText.IsHex(text) ? throw A1Refusal.Invalid($"invalid {what} hex")
        : !Bytes32.TryParse(text, out var key) ? throw A1Refusal.Invalid($"{what} must be 32 bytes")
        : keys.IsPoint(key.AsSpan()) ? key
        : throw A1Refusal.Invalid($"{what} is no Ed25519 public key");

    /// <summary>A text that may be null.</summary>
    public static string? ReadTextOrNull(ref Utf8JsonReader reader, string what) =>
        reader.TokenType == JsonTokenType.Null ? null : WireValues.ReadText(ref reader, what);

    public static List<string> ReadTexts(ref Utf8JsonReader reader, string what)
    {
        WireValues.OpenArray(ref reader, what);
        return ReadList(ref reader, what, A1Limits.ItemsMax, (ref r) => WireValues.ReadText(ref r, what));
    }

    public static List<T> ReadList<T>(ref Utf8JsonReader reader, string what, int max, ReadValue<T> read)
    {
        WireValues.OpenArray(ref reader, what);
        var items = new List<T>();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (items.Count == max)
            {
                throw new ShapeException($"{what}: at most {max}");
            }

            items.Add(read(ref reader));
        }

        return items;
    }

    /// <summary>Texts by name; a repeated name counts once, the last of them, as in A1's own map.</summary>
    public static IReadOnlyCollection<KeyValuePair<string, string>> ReadParameters(ref Utf8JsonReader reader, string what)
    {
        MemberReader.Open(ref reader, what);
        var parameters = new Dictionary<string, string>(StringComparer.Ordinal);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = ReadName(ref reader, what);
            reader.Read();
            parameters[name] = WireValues.ReadText(ref reader, what);
        }

        return parameters;
    }

    /// <summary>The extensions of an order: JSON of any kind, each turned into what a certificate may hold (A1 §6).</summary>
    public static CertificateExtensions ReadExtensions(ref Utf8JsonReader reader)
    {
        MemberReader.Open(ref reader, "extensions");
        var fields = new List<KeyValuePair<string, ExtensionValue>>();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = ReadName(ref reader, "extensions");
            reader.Read();
            fields.Add(new(name, reader.TokenType switch
            {
                JsonTokenType.String => WireValues.ReadText(ref reader, "extensions"),
                JsonTokenType.Number when reader.TryGetUInt64(out var number) => number,
                JsonTokenType.StartArray => ExtensionValue.Of(ReadList(ref reader, "extensions", A1Limits.ItemsMax, (ref r) => TextOf(ref r))),
                _ => TextOf(ref reader),
            }));
        }

        return CertificateExtensions.Create(fields);
    }

    private static string TextOf(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            return WireValues.ReadText(ref reader, "extensions");
        }

        using var value = JsonDocument.ParseValue(ref reader);
        try
        {
            return value.RootElement.GetRawText();
        }
        catch (InvalidOperationException)
        {
            throw new ShapeException("extensions: a text is not Unicode");
        }
    }

    private static string ReadName(ref Utf8JsonReader reader, string what)
    {
        try
        {
            return reader.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw new ShapeException($"{what}: a name is not Unicode");
        }
    }

    /// <summary><c>{"name", "params"?, "intent_proof"?}</c>.</summary>
    public static WantedIntent ReadIntent(ref Utf8JsonReader reader)
    {
        string name = "";
        IReadOnlyCollection<KeyValuePair<string, string>>? parameters = null;
        MerkleProof? proof = null;
        MemberReader.Open(ref reader, "intent");
        var members = new MemberReader(IntentMembers, optional: 0b110);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    name = WireValues.ReadText(ref reader, "name");
                    break;
                case 1:
                    parameters = ReadParameters(ref reader, "params");
                    break;
                default:
                    proof = CertificateJson.ReadProof(ref reader);
                    break;
            }
        }

        return new(name, parameters, proof);
    }

}
