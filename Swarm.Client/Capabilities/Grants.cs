using System.Text.Json.Nodes;

namespace Swarm.Client;

/// <summary>What a swarm demands of its members, and what they were granted.</summary>
/// <param name="Demands">What needs a grant: of <c>send</c>, <c>invite</c>, <c>wake</c>; empty when nothing does.</param>
/// <param name="A1SwarmId">The same swarm as A1's gateway knows it, 64 hex digits; null while nothing is demanded.</param>
/// <param name="Capabilities">Every name that can be granted: <c>swarm.send</c>, <c>swarm.invite</c>, <c>swarm.wake</c>, and the swarm's own.</param>
public sealed record GrantList(
    Guid SwarmId, IReadOnlyList<string> Demands, string? A1SwarmId, IReadOnlyList<string> Capabilities, IReadOnlyList<Grant> Grants);

/// <summary>What one member may do.</summary>
/// <param name="Role"><c>orchestrator</c>, <c>supervisor</c>, <c>worker</c> or <c>auditor</c>.</param>
/// <param name="Fingerprint">Of its certificate; null for a role without capabilities.</param>
/// <param name="Chain">The chain with which it acts elsewhere; only just after it was granted.</param>
public sealed record Grant(
    string AgentId, string AgentDid, string Role, IReadOnlyList<string> Capabilities, DateTimeOffset IssuedAt, DateTimeOffset ExpiresAt, string? Fingerprint,
    DateTimeOffset? LastSeen)
{
    public JsonObject? Chain { get; init; }
}

internal sealed record DemandOrder(string? Agent, IReadOnlyList<string> Demands, IReadOnlyList<string>? Capabilities, long? TtlSeconds, string? A1SwarmId);

internal sealed record GrantOrder(string? Agent, string AgentId, string Role, IReadOnlyList<string>? Capabilities, long? TtlSeconds);
