using System.Buffers;
using System.Text.Json;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Gateway;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Identity;

namespace Swarm.Api.Protocols.A1;

/// <summary>Certificates of the gateway's own, and revocations (A1 §14.4).</summary>
internal sealed class A1Certificates(GatewayCertificates certificates, PublicKeys keys)
{
    private const string IdempotencyHeader = "Idempotency-Key";

    private static readonly byte[][] OrderMembers = WireValues.Names("delegate_pk_hex", "intents", "ttl_seconds", "max_depth", "extensions");
    private static readonly byte[][] BatchMembers = WireValues.Names("requests");
    private static readonly byte[][] RevokeMembers = WireValues.Names("fingerprint_hex");
    private static readonly byte[][] RevokeBatchMembers = WireValues.Names("fingerprints");

    public Task IssueAsync(HttpContext http) => AnswerAsync(http, "issue", ReadOne, static (issued, _) => Render(json => WriteIssued(json, issued[0])));

    public Task IssueBatchAsync(HttpContext http) => AnswerAsync(http, "issue-batch", ReadMany, static (issued, now) => Render(json =>
    {
        json.WriteStartObject();
        json.WriteStartObject("bundle"u8);
        json.WriteStartArray("certs"u8);
        foreach (var certificate in issued)
        {
            CertificateJson.Write(json, certificate);
        }

        json.WriteEndArray();
        json.WriteNumber("issued_at"u8, now);
        json.WriteEndObject();
        json.WriteStartArray("issued"u8);
        foreach (var certificate in issued)
        {
            WriteIssued(json, certificate);
        }

        json.WriteEndArray();
        json.WriteNumber("total"u8, issued.Count);
        json.WriteEndObject();
    }));

    public async Task RevokeAsync(HttpContext http)
    {
        var text = await A1Wire.ReadAsync(http, static (ref reader) => ReadOnly(ref reader, RevokeMembers, static (ref value) => A1Wire.ReadKeyText(ref value, "fingerprint_hex")));
        var fingerprint = ParseFingerprint(text);
        await certificates.RevokeAsync(A1Gate.CallerOf(http).Name, [fingerprint], http.RequestAborted);
        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, text, static (json, given) =>
        {
            json.WriteStartObject();
            json.WriteString("revoked"u8, given);
            json.WriteEndObject();
        });
    }

    public async Task RevokeBatchAsync(HttpContext http)
    {
        var texts = await A1Wire.ReadAsync(http, static (ref reader) => ReadOnly(
            ref reader, RevokeBatchMembers,
            static (ref value) => A1Wire.ReadList(ref value, "fingerprints", A1Limits.ItemsMax, static (ref item) => A1Wire.ReadKeyText(ref item, "fingerprints"))));
        var fingerprints = new List<Bytes32>();
        var failed = new List<string>();
        foreach (var text in texts)
        {
            if (Bytes32.TryParse(text, out var fingerprint))
            {
                fingerprints.Add(fingerprint);
            }
            else
            {
                failed.Add(text);
            }
        }

        if (fingerprints.Count > 0)
        {
            await certificates.RevokeAsync(A1Gate.CallerOf(http).Name, fingerprints, http.RequestAborted);
        }

        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, (fingerprints.Count, failed), static (json, it) =>
        {
            json.WriteStartObject();
            json.WriteNumber("revoked_count"u8, it.Count);
            WireValues.WriteTexts(json, "failed"u8, it.failed.Select(LocalJson.Shorten));
            json.WriteEndObject();
        });
    }

    public async Task InspectAsync(HttpContext http)
    {
        var text = (string)http.GetRouteValue("fingerprint")!;
        var revoked = await certificates.IsRevokedAsync(ParseFingerprint(text), http.RequestAborted);
        await AgentSwarmErrors.WriteJsonAsync(http.Response, StatusCodes.Status200OK, (text, revoked), static (json, it) =>
        {
            json.WriteStartObject();
            json.WriteString("fingerprint"u8, it.text);
            json.WriteBoolean("revoked"u8, it.revoked);
            json.WriteEndObject();
        });
    }

    private async Task AnswerAsync(
        HttpContext http, string route, ReadValue<IReadOnlyList<Order>> read, Func<IReadOnlyList<DelegationCertificate>, ulong, byte[]> render)
    {
        using var body = await A1Wire.BodyAsync(http);
        var orders = A1Wire.Parse(body.Bytes.Span, read).Select(order => order.ToCore(keys)).ToArray();
        if (orders.Length is 0 or > GatewayCertificates.BatchMax)
        {
            throw A1Refusal.Invalid(orders.Length == 0 ? "requests array must not be empty" : $"requests array holds at most {GatewayCertificates.BatchMax}");
        }

        var caller = A1Gate.CallerOf(http);
        var (answer, isRepeated) = await certificates.IssueAsync(caller.Name, orders, IdempotentOf(http, caller, route, body.Bytes), render, http.RequestAborted);
        http.Response.StatusCode = isRepeated ? StatusCodes.Status200OK : StatusCodes.Status201Created;
        http.Response.ContentType = "application/json";
        http.Response.ContentLength = answer.Length;
        await http.Response.Body.WriteAsync(answer);
    }

    private static IdempotentRequest? IdempotentOf(HttpContext http, A1Caller caller, string route, ReadOnlyMemory<byte> body) =>
        http.Request.Headers[IdempotencyHeader] is not [{ Length: > 0 } key] ? null
        : key.Length <= A1Limits.IdempotencyKeyLengthMax ? new(caller.Id, route, key, body)
        : throw A1Refusal.Invalid($"Idempotency-Key: at most {A1Limits.IdempotencyKeyLengthMax} characters");

    private static Bytes32 ParseFingerprint(string text) =>
        Bytes32.TryParse(text, out var fingerprint) ? fingerprint
        : throw A1Refusal.Invalid(HexText.IsHex(text) ? "fingerprint must be 32 bytes" : "invalid hex");

    private static byte[] Render(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>(2048);
        using (var json = new Utf8JsonWriter(buffer))
        {
            write(json);
        }

        return buffer.WrittenSpan.ToArray();
    }

    private static void WriteIssued(Utf8JsonWriter json, DelegationCertificate certificate)
    {
        json.WriteStartObject();
        json.WritePropertyName("cert"u8);
        CertificateJson.Write(json, certificate);
        json.WriteString("fingerprint_hex"u8, certificate.Fingerprint().ToString());
        json.WriteString("scope_root_hex"u8, certificate.ScopeRoot.ToString());
        json.WriteEndObject();
    }

    private static T ReadOnly<T>(ref Utf8JsonReader reader, byte[][] names, ReadValue<T> read)
    {
        T? value = default;
        MemberReader.Open(ref reader, "body");
        var members = new MemberReader(names);
        while (members.Next(ref reader, out _))
        {
            value = read(ref reader);
        }

        return value!;
    }

    private static IReadOnlyList<Order> ReadOne(ref Utf8JsonReader reader) => [ReadOrder(ref reader)];

    private static IReadOnlyList<Order> ReadMany(ref Utf8JsonReader reader) => ReadOnly(
        ref reader, BatchMembers, static (ref value) => A1Wire.ReadList(ref value, "requests", A1Limits.ItemsMax, ReadOrder));

    private static Order ReadOrder(ref Utf8JsonReader reader)
    {
        var @delegate = "";
        List<WantedIntent> intents = [];
        ulong ttl = 3600, depth = DelegationCertificate.DefaultMaxDepth;
        var extensions = CertificateExtensions.Empty;
        MemberReader.Open(ref reader, "body");
        var members = new MemberReader(OrderMembers, optional: 0b11100);
        while (members.Next(ref reader, out var member))
        {
            switch (member)
            {
                case 0:
                    @delegate = A1Wire.ReadKeyText(ref reader, "delegate_pk_hex");
                    break;
                case 1:
                    intents = A1Wire.ReadList(ref reader, "intents", GatewayCertificates.IntentsMax, A1Wire.ReadIntent);
                    break;
                case 2:
                    ttl = WireValues.ReadNumber(ref reader, "ttl_seconds");
                    break;
                case 3:
                    depth = WireValues.ReadNumber(ref reader, "max_depth", byte.MaxValue);
                    break;
                default:
                    extensions = A1Wire.ReadExtensions(ref reader);
                    break;
            }
        }

        return new(@delegate, intents, ttl, (byte)depth, extensions);
    }

    /// <summary>An order whose key is a text still: the body's shape is looked at before its values.</summary>
    private sealed record Order(string Delegate, IReadOnlyList<WantedIntent> Intents, ulong TtlSeconds, byte MaxDepth, CertificateExtensions Extensions)
    {
        public CertificateOrder ToCore(PublicKeys keys) => new(A1Wire.ParseKey(Delegate, "pk", keys), Intents, TtlSeconds, MaxDepth, Extensions);
    }
}
