using NSec.Cryptography;

namespace Swarm.Core.Identity;

/// <summary>What is public about an agent of this node.</summary>
/// <param name="Endpoint">Its Agent Swarm Protocol base URL, including the <c>/swarm</c> path (ASP §1).</param>
public sealed record AgentProfile(
    AgentId Id, string Name, AgentKind Kind, string Endpoint, PublicKey PublicKey, string? DisplayName, string? Description, bool IsDefault);

/// <summary>Finds agents whose inbox is on this node. Answers from a cache that control events keep current.</summary>
public abstract class AgentDirectory
{
    /// <summary>The hosted or external agent of that name, not revoked; null when there is none.</summary>
    public abstract ValueTask<AgentProfile?> FindAsync(string name, CancellationToken cancellation);

    /// <summary>The node's default agent, served at <c>/swarm/…</c>; null when none was named.</summary>
    public abstract ValueTask<AgentProfile?> FindDefaultAsync(CancellationToken cancellation);
}
