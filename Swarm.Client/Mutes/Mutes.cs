namespace Swarm.Client;

/// <summary>An agent that is muted, by its text id.</summary>
public sealed record MutedAgent(string AgentId, DateTimeOffset MutedAt, string? Reason);

public sealed record MutedSwarm(Guid SwarmId, DateTimeOffset MutedAt, string? Reason);

/// <summary>Everything that an agent mutes, oldest first.</summary>
public sealed record MuteList(IReadOnlyList<MutedAgent> Agents, IReadOnlyList<MutedSwarm> Swarms);

internal sealed record MuteOrder(string? AgentId, Guid? SwarmId, string? Reason);

internal sealed record MuteResult(string Status, string Type, string Id, bool? WasMuted);
