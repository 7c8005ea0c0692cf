namespace Swarm.Client;

/// <summary>A swarm as the node knows it.</summary>
/// <param name="Master">The text id of the agent that owns it.</param>
/// <param name="JoinedAt">When the agent that was asked for joined; null when nobody in particular was.</param>
/// <param name="Members">The roster in the order of joining; null in lists.</param>
public sealed record SwarmInfo(
    Guid SwarmId, string Name, string Master, SwarmSettings? Settings, int MemberCount, DateTimeOffset? JoinedAt,
    IReadOnlyList<Member>? Members);

public sealed record SwarmSettings(bool AllowMemberInvite, bool RequireApproval);

/// <summary>One row of a roster (ASP §8.2).</summary>
public sealed record Member(string AgentId, string Endpoint, string PublicKey, DateTimeOffset JoinedAt)
{
    /// <summary>When it last had a stream open, leased or sent; null when the node does not know, and in <see cref="SwarmInfo.Members"/>.</summary>
    public DateTimeOffset? LastSeen { get; init; }

    /// <summary>Whether that was just now.</summary>
    public bool Online { get; init; }
}

public sealed record NewSwarm
{
    /// <summary>The agent that becomes the master.</summary>
    public required string Agent { get; init; }

    /// <summary>1–256 characters.</summary>
    public required string Name { get; init; }

    public bool? AllowMemberInvite { get; init; }

    public bool? RequireApproval { get; init; }

    /// <summary>Imports a swarm under this id (operators with the role admin only); null for a new one.</summary>
    public Guid? SwarmId { get; init; }
}

/// <summary>An invitation (ASP §6).</summary>
/// <param name="InviteToken">The <c>swarm://…</c> URL to hand over; whoever has it may join.</param>
/// <param name="TokenHash">SHA-256 of the token, hex: names it in <see cref="SwarmClient.RevokeInviteAsync"/>.</param>
public sealed record Invite(string InviteToken, string TokenHash, DateTimeOffset? ExpiresAt, int? MaxUses);

/// <summary><see cref="Status"/> is <c>joined</c>, or <c>pending</c> while the master has to approve.</summary>
public sealed record JoinResult(string Status, Guid SwarmId, string Name, string Master, int MemberCount);

public sealed record LeaveResult(string Status, Guid SwarmId, string Name);

public sealed record KickResult(string Status, Guid SwarmId, string AgentId);

/// <summary>An agent that waits for the master's word.</summary>
public sealed record PendingJoin(string AgentId, string Endpoint, DateTimeOffset RequestedAt);

/// <summary><see cref="Status"/> is <c>approved</c> or <c>rejected</c>.</summary>
public sealed record DecisionResult(string Status, Guid SwarmId, string AgentId);

public sealed record TransferResult(string Status, Guid SwarmId, string OldMaster, string NewMaster);

/// <param name="Status"><c>agreed</c> or <c>declined</c>.</param>
public sealed record AgreeResult(string Status, Guid SwarmId, string AgentId);

public sealed record DissolveResult(string Status, Guid SwarmId, string Name);

internal sealed record PendingPage(IReadOnlyList<PendingJoin> Pending, string? NextCursor);

internal sealed record MasterOrder(string Agent);

internal sealed record AgreeOrder(string Agent, bool Accept);

internal sealed record TransferOrder(string Agent, string Target);

internal sealed record SwarmPage(IReadOnlyList<SwarmInfo> Swarms, string? NextCursor);

internal sealed record MemberPage(IReadOnlyList<Member> Members, string? NextCursor);

internal sealed record NewInvite(string Agent, int? ExpiresInHours, int? MaxUses);

internal sealed record JoinOrder(string Agent, string InviteToken);

internal sealed record LeaveOrder(string Agent);

internal sealed record KickOrder(string Agent, string Target, string? Reason);
