using Swarm.Client.Transport;

namespace Swarm.Client;

/// <summary>Messages that are this consumer's until <see cref="ExpiresAt"/>; empty when none came in time.</summary>
public sealed record Lease(string LeaseId, DateTimeOffset? ExpiresAt, IReadOnlyList<InboxMessage> Messages);

internal sealed record LeaseOrder(int? Max, int? LeaseSeconds, int? WaitSeconds);

internal sealed record AckOrder(string LeaseId, IReadOnlyList<long> Seqs);

internal sealed record NakOrder(string LeaseId, IReadOnlyList<long> Seqs, int? DelaySeconds);

internal sealed record ExtendOrder(string LeaseId, int LeaseSeconds);

internal sealed record Extended(DateTimeOffset ExpiresAt);

public sealed partial class SwarmClient
{
    /// <summary>
    /// Leases messages of the inbox as a work queue: competing consumers get one lane each, in order. Not repeated when the answer is
    /// lost; what it leased comes back when the lease runs out.
    /// </summary>
    /// <param name="max">1–100; null for the node's default.</param>
    /// <param name="leaseSeconds">How long the messages are this consumer's; null for 30 s.</param>
    /// <param name="waitSeconds">How long to wait for the first message, 0–60 s; null for not at all.</param>
    public Task<Lease> LeaseAsync(
        string agent, int? max = null, int? leaseSeconds = null, int? waitSeconds = null, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Post(Agent(agent) + "/inbox/lease", new LeaseOrder(max, leaseSeconds, waitSeconds), HubJson.Wire.LeaseOrder) with
            {
                ExtraTime = TimeSpan.FromSeconds(waitSeconds ?? 0),
            },
            HubJson.Wire.Lease,
            cancellation);

    /// <summary>Done with these messages; returns how many changed.</summary>
    public async Task<int> AckAsync(string agent, string leaseId, IReadOnlyList<long> seqs, CancellationToken cancellation = default)
    {
        var request = HubRequest.Post(Agent(agent) + "/inbox/ack", new AckOrder(leaseId, seqs), HubJson.Wire.AckOrder);
        return (await hub.CallAsync(request, HubJson.Wire.UpdateCount, cancellation)).Updated;
    }

    /// <summary>Gives messages back, to be leased again after <paramref name="delaySeconds"/>.</summary>
    public Task NakAsync(
        string agent, string leaseId, IReadOnlyList<long> seqs, int? delaySeconds = null, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Post(Agent(agent) + "/inbox/nak", new NakOrder(leaseId, seqs, delaySeconds), HubJson.Wire.NakOrder), cancellation);

    /// <summary>Keeps a lease for another <paramref name="leaseSeconds"/> from now; returns when it ends.</summary>
    public async Task<DateTimeOffset> ExtendLeaseAsync(
        string agent, string leaseId, int leaseSeconds, CancellationToken cancellation = default)
    {
        var request = HubRequest.Post(Agent(agent) + "/inbox/extend", new ExtendOrder(leaseId, leaseSeconds), HubJson.Wire.ExtendOrder);
        return (await hub.CallAsync(request with { Idempotent = true }, HubJson.Wire.Extended, cancellation)).ExpiresAt;
    }
}
