using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using Swarm.Client.Transport;

namespace Swarm.Client;

/// <remarks>A1's gateway (A1 §14). What issues, changes or revokes needs an operator's token.</remarks>
public sealed partial class SwarmClient
{
    private const string A1Root = "v1/";

    /// <summary>Issues a passport. Not repeated when the answer is lost.</summary>
    public Task<IssuedPassport> IssuePassportAsync(PassportOrder order, CancellationToken cancellation = default) =>
        PassportAsync("passports/issue", order, HubJson.Wire.PassportOrder, cancellation);

    /// <summary>Those that are not revoked, by name.</summary>
    public async Task<IReadOnlyList<PassportEntry>> ListPassportsAsync(CancellationToken cancellation = default) =>
        (await hub.CallAsync(A1Get("passports/list"), HubJson.Wire.PassportPage, cancellation)).Passports;

    /// <summary>The passport's file.</summary>
    public Task<JsonObject> ReadPassportAsync(string @namespace, CancellationToken cancellation = default) =>
        hub.CallAsync(A1Get("passports/read" + new QueryText().Add("namespace", @namespace)), HubJson.Wire.JsonObject, cancellation);

    /// <summary>A new life for a passport of the same holder and capabilities.</summary>
    /// <param name="ttl">As for <see cref="PassportOrder"/>, from now on.</param>
    /// <param name="signingKeyHex">The holder's private key, where the node does not keep it. Only over TLS or loopback.</param>
    public Task<IssuedPassport> RenewPassportAsync(string @namespace, string ttl, string? signingKeyHex = null, CancellationToken cancellation = default) =>
        PassportAsync("passports/renew", new RenewalOrder(@namespace, ttl, signingKeyHex), HubJson.Wire.RenewalOrder, cancellation);

    /// <summary>Revokes a passport and every certificate that its key issued at the node.</summary>
    /// <returns>The fingerprint of its root certificate.</returns>
    public async Task<string> RevokePassportAsync(string @namespace, CancellationToken cancellation = default)
    {
        var answer = await A1PostAsync(
            "passports/revoke-by-namespace", new PassportRevocation(@namespace), HubJson.Wire.PassportRevocation, HubJson.Wire.PassportRevoked, cancellation);
        return answer.Success ? answer.FingerprintHex : throw Refused(answer.DetailCode, answer.Error);
    }

    /// <summary>A chain by which an agent may do some of what a passport holds.</summary>
    /// <param name="agentKeyHex">64 hex digits.</param>
    /// <param name="ttlSeconds">Null for an hour; it ends with the passport at the latest.</param>
    /// <param name="signingKeyHex">The holder's private key, where the node does not keep it. Only over TLS or loopback.</param>
    public Task<JsonObject> DelegatePassportAsync(
        string @namespace, string agentKeyHex, IReadOnlyList<string> capabilities, long? ttlSeconds = null, string? signingKeyHex = null,
        CancellationToken cancellation = default) =>
        A1PostAsync(
            "passports/chain", new PassportChainOrder(agentKeyHex, capabilities, @namespace, ttlSeconds, signingKeyHex), HubJson.Wire.PassportChainOrder,
            HubJson.Wire.JsonObject, cancellation);

    /// <summary>A certificate that the gateway signs itself. Not repeated when the answer is lost.</summary>
    public Task<IssuedCertificate> IssueCertificateAsync(CertificateOrder order, CancellationToken cancellation = default) =>
        A1PostAsync("cert/issue", order, HubJson.Wire.CertificateOrder, HubJson.Wire.IssuedCertificate, cancellation);

    /// <summary>Revokes certificates by their fingerprints, for ever, whether the node knows them or not.</summary>
    public Task<RevokedCertificates> RevokeCertificatesAsync(IReadOnlyList<string> fingerprints, CancellationToken cancellation = default) =>
        A1PostAsync(
            "cert/revoke-batch", new RevocationOrder(fingerprints), HubJson.Wire.RevocationOrder, HubJson.Wire.RevokedCertificates, cancellation, isIdempotent: true);

    public async Task<bool> IsCertificateRevokedAsync(string fingerprint, CancellationToken cancellation = default) =>
        (await hub.CallAsync(A1Get("cert/" + Uri.EscapeDataString(fingerprint)), HubJson.Wire.RevocationState, cancellation)).Revoked;

    /// <summary>Whether the node vouched for a token.</summary>
    public async Task<TokenCheck> VerifyTokenAsync(JsonObject token, CancellationToken cancellation = default)
    {
        try
        {
            return await A1PostAsync("token/verify", new TokenOrder(token), HubJson.Wire.TokenOrder, HubJson.Wire.TokenCheck, cancellation, isIdempotent: true);
        }
        catch (SwarmApiException refused) when (refused is { Status: 401, Code: not null })
        {
            return new(false, null, null, null, refused.Detail);
        }
    }

    /// <summary>Asks whether an agent may do something, and if so consumes its chain. A no is an answer, not an exception.</summary>
    public async Task<Authorization> AuthorizeAsync(AuthorizationOrder order, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(order);
        try
        {
            return await A1PostAsync(
                "authorize", order, HubJson.Wire.AuthorizationOrder, HubJson.Wire.Authorization, cancellation, isIdempotent: order.RequestId is not null);
        }
        catch (SwarmApiException refused) when (refused is { Status: 403, Code: { } code })
        {
            return new(false, null, null, null, null, null) { Refusal = new(refused.Detail, code, refused.ErrorId) };
        }
    }

    /// <summary>Creates a swarm of A1's; the same again changes nothing.</summary>
    public Task<CapabilitySwarm> CreateCapabilitySwarmAsync(CapabilitySwarmOrder order, CancellationToken cancellation = default) =>
        A1PostAsync("swarm/create", order, HubJson.Wire.CapabilitySwarmOrder, HubJson.Wire.CapabilitySwarm, cancellation, isIdempotent: true);

    /// <summary>Ends a swarm of A1's, with every certificate of its members.</summary>
    public Task DeleteCapabilitySwarmAsync(string swarmId, CancellationToken cancellation = default) =>
        A1PostAsync("swarm/delete", new CapabilitySwarmName(swarmId), HubJson.Wire.CapabilitySwarmName, HubJson.Wire.JsonObject, cancellation);

    /// <summary>Adds a member or puts it into another role; what it had before is revoked. Not repeated when the answer is lost.</summary>
    public Task<CapabilityMemberAdded> AddCapabilityMemberAsync(CapabilityMemberOrder order, CancellationToken cancellation = default) =>
        A1PostAsync("swarm/member/add?view=full", order, HubJson.Wire.CapabilityMemberOrder, HubJson.Wire.CapabilityMemberAdded, cancellation);

    /// <summary>Removes a member and revokes all it was given.</summary>
    public Task RemoveCapabilityMemberAsync(string swarmId, string agentDid, CancellationToken cancellation = default) =>
        A1PostAsync("swarm/member/remove", new CapabilityMemberName(swarmId, agentDid), HubJson.Wire.CapabilityMemberName, HubJson.Wire.JsonObject, cancellation);

    /// <summary>Members whose time has not run out, oldest first.</summary>
    public async Task<IReadOnlyList<CapabilityMember>> ListCapabilityMembersAsync(string swarmId, CancellationToken cancellation = default) =>
        (await hub.CallAsync(A1Get($"swarm/{Uri.EscapeDataString(swarmId)}/members?view=full"), HubJson.Wire.CapabilityMembers, cancellation)).Members;

    /// <summary>A fresh chain for a member, no wider than its role.</summary>
    /// <param name="ttlSeconds">Null for an hour; it ends with the membership at the latest.</param>
    /// <param name="signingKeyHex">The owner's private key, where the node does not keep it. Only over TLS or loopback.</param>
    public Task<JsonObject> IssueMemberChainAsync(
        string swarmId, string agentKeyHex, long? ttlSeconds = null, string? signingKeyHex = null, CancellationToken cancellation = default) =>
        A1PostAsync(
            "swarm/member/chain", new CapabilityChainOrder(swarmId, agentKeyHex, ttlSeconds, signingKeyHex), HubJson.Wire.CapabilityChainOrder, HubJson.Wire.JsonObject,
            cancellation);

    /// <summary>Notes that a member lives; extends nothing.</summary>
    /// <returns>When, in Unix seconds.</returns>
    public async Task<ulong> BeatAsync(string swarmId, string agentDid, CancellationToken cancellation = default) =>
        (await A1PostAsync(
            "swarm/member/heartbeat", new CapabilityMemberName(swarmId, agentDid), HubJson.Wire.CapabilityMemberName, HubJson.Wire.CapabilityHeartbeat, cancellation,
            isIdempotent: true)).LastSeenUnix;

    private static HubRequest A1Get(string path) => HubRequest.Get(path) with { Root = A1Root };

    private Task<TAnswer> A1PostAsync<TBody, TAnswer>(
        string path, TBody body, JsonTypeInfo<TBody> bodyType, JsonTypeInfo<TAnswer> answer, CancellationToken cancellation, bool isIdempotent = false) =>
        hub.CallAsync(HubRequest.Post(path, body, bodyType) with { Root = A1Root, Idempotent = isIdempotent }, answer, cancellation);

    private async Task<IssuedPassport> PassportAsync<T>(string path, T order, JsonTypeInfo<T> type, CancellationToken cancellation)
    {
        var answer = await A1PostAsync(path, order, type, HubJson.Wire.PassportAnswer, cancellation);
        return answer.Success
            ? new(answer.Namespace, answer.Path, answer.PublicKeyHex, answer.Capabilities, answer.TtlSeconds, answer.ExpiresAt)
            : throw Refused(answer.DetailCode, answer.Error);
    }

    /// <summary>A refusal that A1 answers with 200.</summary>
    private static SwarmApiException Refused(string? cause, string? error) =>
        new(cause ?? SwarmApiException.UnknownErrorId, 200, error ?? "The node refused, and did not say why.");
}
