namespace Swarm.Client;

/// <summary>
/// An agent of the node. <see cref="Kind"/> is <c>hosted</c> (the node holds the key) or <c>external</c> (it signs for itself).
/// </summary>
/// <param name="PublicKey">Base64 of the 32 raw bytes of its Ed25519 key (ASP §2.1).</param>
/// <param name="Default">True for the agent that the node serves at <c>/swarm/…</c>.</param>
/// <param name="RevokedAt">When it was revoked; null while it lives.</param>
public record Agent(
    string Name, string Kind, string Endpoint, string PublicKey, string? DisplayName, string? Description, bool Default,
    DateTimeOffset CreatedAt, DateTimeOffset? RevokedAt)
{
    /// <summary>When it last had a stream open, leased or sent; null when the node does not know.</summary>
    public DateTimeOffset? LastSeen { get; init; }

    /// <summary>Whether that was just now.</summary>
    public bool Online { get; init; }
}

/// <summary>What came of a ping.</summary>
/// <param name="Kind"><c>local</c> (of this node) or <c>remote</c>.</param>
/// <param name="Status"><c>online</c> or <c>offline</c> for a local agent, <c>ok</c> or <c>failed</c> for a remote one.</param>
/// <param name="HttpStatus">What the remote agent's node answered; null when there was no answer.</param>
/// <param name="LatencyMs">How long the node took to find out.</param>
/// <param name="Detail">The outcome in a sentence.</param>
public sealed record PingResult(
    string Target, string Kind, string Status, DateTimeOffset? LastSeen, int? HttpStatus, double LatencyMs, string Detail);

/// <summary>A new agent, with the token that is shown this once.</summary>
public sealed record CreatedAgent(
    string Name, string Kind, string Endpoint, string PublicKey, string? DisplayName, string? Description, bool Default,
    DateTimeOffset CreatedAt, DateTimeOffset? RevokedAt, string Token)
    : Agent(Name, Kind, Endpoint, PublicKey, DisplayName, Description, Default, CreatedAt, RevokedAt);

/// <summary>What to create. A hosted agent gets a fresh key unless <see cref="PrivateKey"/> brings one.</summary>
public sealed record NewAgent
{
    /// <summary>
    /// 1–256 of the ASCII letters, digits, <c>_</c>, <c>.</c>, <c>-</c> (ASP §2.2); not <c>.</c>, <c>..</c> or <c>broadcast</c>.
    /// </summary>
    public required string Name { get; init; }

    /// <summary><c>hosted</c> (default) or <c>external</c>.</summary>
    public string? Kind { get; init; }

    /// <summary>Its https base URL including <c>/swarm</c>; null takes the node's own address for it.</summary>
    public string? Endpoint { get; init; }

    /// <summary>External agents only: base64 of the 32-byte public key.</summary>
    public string? PublicKey { get; init; }

    /// <summary>Hosted agents only: base64 of a 32-byte seed to import.</summary>
    public string? PrivateKey { get; init; }

    public string? DisplayName { get; init; }

    public string? Description { get; init; }

    /// <summary>Makes it the node's default agent.</summary>
    public bool? Default { get; init; }
}

/// <summary>A token of an agent, without its secret.</summary>
public sealed record AgentToken(long Id, string? Label, DateTimeOffset CreatedAt, DateTimeOffset? LastUsedAt, DateTimeOffset? RevokedAt);

/// <summary>A new token; the secret is shown this once.</summary>
public sealed record CreatedToken(long Id, string? Label, string Token, DateTimeOffset CreatedAt);

internal sealed record PingOrder(string? Agent, string Target);

internal sealed record AgentPage(IReadOnlyList<Agent> Agents, string? NextCursor);

internal sealed record TokenList(IReadOnlyList<AgentToken> Tokens);

internal sealed record NewToken(string? Label);
