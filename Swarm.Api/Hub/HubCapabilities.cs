using System.Buffers;
using System.Text.Json;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Gateway;
using Swarm.Core.Capabilities.Inspection;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Capabilities.Members;

namespace Swarm.Api.Hub;

/// <summary>What agents may do, explained.</summary>
internal static class HubCapabilities
{
    /// <summary>The largest document, in bytes: what A1's own door takes.</summary>
    public const int DocumentBytesMax = 2 * 1024 * 1024;

    /// <summary>For anybody with a token: whoever has a document may know what it says.</summary>
    public static async Task<IResult> Inspect(HttpContext http, CapabilityInspector inspector)
    {
        if (!http.Request.HasJsonContentType())
        {
            throw new SwarmException(SwarmError.InvalidRequest, "The Content-Type must be application/json.");
        }

        using var body = await RequestBody.ReadAsync(http.Request, DocumentBytesMax, http.RequestAborted);
        if (body.IsTooLarge)
        {
            throw new SwarmException(SwarmError.BodyTooLarge);
        }

        try
        {
            return Results.Json(ToBody(await inspector.InspectAsync(body.Bytes, http.RequestAborted)), HubJson.Default.InspectionBody);
        }
        catch (ShapeException wrong)
        {
            throw new SwarmException(SwarmError.InvalidRequest, wrong.Message);
        }
    }

    private static InspectionBody ToBody(CapabilityReport report)
    {
        var (chain, passport, token) = (report.Document.Chain, report.Document.Passport, report.Document.Token);
        return new(
            report.Document.Kind.ToString().ToLowerInvariant(),
            (chain?.Fingerprint() ?? token?.Receipt.ChainFingerprint ?? report.Hops[0].Fingerprint).ToString(),
            passport?.Namespace ?? token?.Receipt.Namespace ?? (report.Hops is [.., var last] ? last.Certificate.Extensions.Namespace : null),
            chain is null ? null : new(A1Swarm.DidOf(chain.Principal), report.PrincipalCapabilities, chain.PrincipalScope.ToString()),
            [.. report.Hops.Select(ToBody)],
            token is null ? null : new(token.Receipt.ChainDepth, token.Receipt.Intent.ToString(), token.Receipt.VerifiedScopeRoot.ToString(), TimeOf(token.Receipt.VerifiedAtUnix)),
            report.Refusal is { } refusal ? new(refusal.Text, refusal.Code, refusal.DetailCode) : null);
    }

    private static HopBody ToBody(InspectedHop hop)
    {
        var certificate = hop.Certificate;
        return new(
            A1Swarm.DidOf(certificate.Delegator), A1Swarm.DidOf(certificate.Delegate), hop.Capabilities, certificate.ScopeRoot.ToString(),
            TimeOf(certificate.IssuedAt), TimeOf(certificate.ExpiresAt), certificate.MaxDepth, certificate.Version, certificate.Nonce.ToString(),
            hop.Fingerprint.ToString(), hop.IsSigned, hop.IsRevoked, hop.IsUsed, Fields(certificate.Extensions));
    }

    /// <summary>Null for a second that no calendar has.</summary>
    private static DateTimeOffset? TimeOf(ulong unix) =>
        unix <= (ulong)DateTimeOffset.MaxValue.ToUnixTimeSeconds() ? DateTimeOffset.FromUnixTimeSeconds((long)unix) : null;

    private static JsonElement Fields(CertificateExtensions extensions)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            CertificateJson.WriteExtensions(json, extensions);
        }

        return JsonElement.Parse(buffer.WrittenSpan).GetProperty("fields");
    }
}
