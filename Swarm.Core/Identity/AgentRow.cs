namespace Swarm.Core.Identity;

/// <summary>A row of <c>agents</c>.</summary>
public sealed class AgentRow
{
    public long AgentNo { get; init; }

    public AgentKind Kind { get; init; }

    public string? Name { get; init; }

    public required string Endpoint { get; init; }

    public required byte[] PublicKey { get; init; }

    public byte[]? SealedSeed { get; set; }

    public string? DisplayName { get; init; }

    public string? Description { get; init; }

    public bool IsDefault { get; set; }

    public DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? RevokedAt { get; set; }
}

/// <summary>A row of <c>tokens</c>: the SHA-256 of a bearer token and what it allows.</summary>
public sealed class TokenRow
{
    public long TokenId { get; init; }

    public required byte[] TokenHash { get; init; }

    public TokenScope Scope { get; init; }

    public long? AgentNo { get; init; }

    public string? Label { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    public DateTimeOffset? LastUsedAt { get; set; }

    public DateTimeOffset? RevokedAt { get; set; }
}

/// <summary>What a bearer token is for.</summary>
public enum TokenScope : short
{
    /// <summary>An operator: everything.</summary>
    OperatorAdmin = 1,

    /// <summary>An operator: look, change nothing.</summary>
    OperatorRead = 2,

    /// <summary>One agent: what that agent may do.</summary>
    Agent = 3,

    /// <summary>One use: enrol an external agent that proves its key.</summary>
    Enrolment = 4,
}

/// <summary>A row of <c>former_keys</c>: a key that a hosted agent had before.</summary>
public sealed class FormerKeyRow
{
    /// <summary>The most that are kept of an agent.</summary>
    public const int PerAgentMax = 3;

    public long AgentNo { get; init; }

    public required byte[] PublicKey { get; init; }

    public required byte[] SealedSeed { get; init; }

    public DateTimeOffset RetiredAt { get; init; }
}
