using Swarm.Core.Capabilities.Grants;

namespace Swarm.Core.Swarms;

/// <summary>A row of <c>swarms</c>.</summary>
public sealed class SwarmRow
{
    public long SwarmNo { get; init; }

    public Guid SwarmId { get; init; }

    public required string Name { get; init; }

    public long MasterNo { get; init; }

    public bool AllowMemberInvite { get; init; }

    public bool RequireApproval { get; init; }

    /// <summary>The fence of design §3 promise 7.</summary>
    public long Version { get; init; } = 1;

    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>What its members need a capability for (ADR 26).</summary>
    public SwarmActions Demands { get; init; }

    /// <summary>The A1 swarm whose members have the capabilities; null when nothing was ever demanded, or that swarm is gone.</summary>
    public byte[]? A1Swarm { get; init; }

    /// <summary>When it ended; it has no members since.</summary>
    public DateTimeOffset? DissolvedAt { get; init; }
}

/// <summary>A row of <c>members</c>: an agent within a swarm, under the name it has there, with the key pinned at its join.</summary>
public sealed class MemberRow
{
    public long MemberNo { get; init; }

    public long SwarmNo { get; init; }

    public long AgentNo { get; init; }

    public required string Name { get; init; }

    public required string Endpoint { get; init; }

    public required byte[] PublicKey { get; init; }

    public DateTimeOffset JoinedAt { get; init; }

    /// <summary>When the pinned key was last confirmed or rotated; null: not since the join.</summary>
    public DateTimeOffset? KeyConfirmedAt { get; init; }

    /// <summary>It agreed to become the master when the master offers it.</summary>
    public bool TakesOver { get; init; }
}

/// <summary>A row of <c>invites</c>: what is counted and revoked of a token, by its SHA-256.</summary>
public sealed class InviteRow
{
    public required byte[] TokenHash { get; init; }

    public long SwarmNo { get; init; }

    public long? IssuedBy { get; init; }

    public DateTimeOffset CreatedAt { get; init; }

    public DateTimeOffset? ExpiresAt { get; init; }

    public int? MaxUses { get; init; }

    public int Uses { get; init; }

    public DateTimeOffset? RevokedAt { get; init; }
}

/// <summary>A row of <c>join_requests</c>: a join that waits for the master's word, or that the master refused.</summary>
public sealed class JoinRequestRow
{
    public long SwarmNo { get; init; }

    public required string Name { get; init; }

    /// <summary>An agent of this node; null for one that lives elsewhere.</summary>
    public long? AgentNo { get; init; }

    public required string Endpoint { get; init; }

    public required byte[] PublicKey { get; init; }

    public required byte[] TokenHash { get; init; }

    public DateTimeOffset RequestedAt { get; init; }

    public DateTimeOffset ExpiresAt { get; init; }

    public DateTimeOffset? RejectedAt { get; init; }
}
