using Npgsql;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Inspection;
using Swarm.Core.Identity;

namespace Swarm.Core.Capabilities.Gateway;

/// <summary>Explains certificates, chains, passports and tokens over what this node knows. Changes nothing and consumes nothing.</summary>
public sealed class CapabilityInspector(
    NpgsqlDataSource database, Authorizer authorizer, PublicKeys keys, TrustAnchors anchors, GatewayKeys gateway, CapabilityOptions options, TimeProvider time)
{
    private readonly AuthorizationRules _rules = options.Read().Rules;

    /// <param name="json">The document, in any form that <see cref="CapabilityDocument.Read"/> takes.</param>
    /// <exception cref="ShapeException">It is no such document.</exception>
    /// <exception cref="System.Text.Json.JsonException">It is no JSON.</exception>
    public async Task<CapabilityReport> InspectAsync(ReadOnlyMemory<byte> json, CancellationToken cancellation)
    {
        var document = CapabilityDocument.Read(json.Span, keys);
        var now = time.UnixNow();
        var anchor = document.Chain is { } chain ? await anchors.GetAsync(chain.Principal, chain.PrincipalScope, now, cancellation) : TrustAnchor.Unknown;
        var facts = await AskAsync(CapabilityReport.CertificatesOf(document), anchor, cancellation);
        var tokenFault = document.Token?.Check((await gateway.GetAsync(cancellation)).Mac);
        return CapabilityReport.Of(document, anchor, facts, tokenFault, authorizer, keys, now, _rules);
    }

    private async Task<LedgerFacts> AskAsync(IReadOnlyList<DelegationCertificate> certificates, TrustAnchor anchor, CancellationToken cancellation)
    {
        var nonces = certificates.Select(c => c.Nonce).Distinct().ToDictionary(n => new Guid(n.AsSpan(), bigEndian: true));
        await using var command = database.CreateCommand(
            """
            select array(select fingerprint from a1_revocations where fingerprint = any($1)), array(select nonce from a1_nonces where nonce = any($2))
            """);
        command.Parameters.Add(new() { Value = certificates.Select(c => c.Fingerprint()).Concat(anchor.Passports.Select(p => p.Fingerprint)).Select(f => f.ToArray()).ToArray() });
        command.Parameters.Add(new() { Value = nonces.Keys.ToArray() });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        return new(
            reader.GetFieldValue<byte[][]>(0).Select(f => Bytes32.Read(f)).ToHashSet(),
            reader.GetFieldValue<Guid[]>(1).Select(id => nonces[id]).ToHashSet());
    }
}
