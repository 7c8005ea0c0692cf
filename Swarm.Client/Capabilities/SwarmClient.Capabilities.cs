using Swarm.Client.Transport;

namespace Swarm.Client;

public sealed partial class SwarmClient
{
    /// <summary>Explains a certificate, chain, passport or token of A1; changes and consumes nothing.</summary>
    /// <param name="document">Its JSON, up to 2 MiB.</param>
    public Task<Inspection> InspectAsync(byte[] document, CancellationToken cancellation = default) =>
        hub.CallAsync(new HubRequest(HttpMethod.Post, "capabilities/inspect") { Body = document, Idempotent = true }, HubJson.Wire.Inspection, cancellation);

    /// <summary>What the swarm demands of its members, and what they were granted.</summary>
    public Task<GrantList> ListGrantsAsync(Guid swarmId, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Get(Swarm(swarmId) + "/grants"), HubJson.Wire.GrantList, cancellation);

    /// <summary>Says what needs a grant from now on; only the master may, or an operator.</summary>
    /// <param name="agent">The master that decides; null when an operator does.</param>
    /// <param name="demands">Of <c>send</c>, <c>invite</c>, <c>wake</c>; none to end the demands and every grant.</param>
    /// <param name="capabilities">Further names that can be granted; null for none.</param>
    /// <param name="ttlSeconds">How long anything can be granted; null for as long as the node allows.</param>
    /// <param name="a1SwarmId">A swarm of A1's that exists and whose owner grants; null for one of the node's own.</param>
    public Task<GrantList> DemandAsync(
        Guid swarmId, string? agent, IReadOnlyList<string> demands, IReadOnlyList<string>? capabilities = null, long? ttlSeconds = null, string? a1SwarmId = null,
        CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Put(Swarm(swarmId) + "/demands", new DemandOrder(agent, demands, capabilities, ttlSeconds, a1SwarmId), HubJson.Wire.DemandOrder),
            HubJson.Wire.GrantList, cancellation);

    /// <summary>
    /// Grants a member what its role holds, in place of what it was granted before; only the master may, or an operator. Not repeated when the answer is
    /// lost.
    /// </summary>
    /// <param name="agent">The master that decides; null when an operator does.</param>
    /// <param name="member">Who gets it.</param>
    /// <param name="role"><c>orchestrator</c>, <c>supervisor</c>, <c>worker</c> or <c>auditor</c>.</param>
    /// <param name="capabilities">By name, such as <c>swarm.send</c>; null for what the role usually has.</param>
    /// <param name="ttlSeconds">Null for 30 days.</param>
    public Task<Grant> GrantAsync(
        Guid swarmId, string? agent, string member, string role, IReadOnlyList<string>? capabilities = null, long? ttlSeconds = null,
        CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Post(Swarm(swarmId) + "/grants", new GrantOrder(agent, member, role, capabilities, ttlSeconds), HubJson.Wire.GrantOrder),
            HubJson.Wire.Grant, cancellation);

    /// <summary>Takes back what a member was granted; every certificate of it is revoked.</summary>
    /// <param name="agent">The master that decides; null when an operator does.</param>
    public Task RevokeGrantAsync(Guid swarmId, string? agent, string member, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Delete($"{Swarm(swarmId)}/grants/{Uri.EscapeDataString(member)}{new QueryText().Add("agent", agent)}"), cancellation);
}
