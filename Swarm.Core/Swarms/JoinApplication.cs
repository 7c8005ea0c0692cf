namespace Swarm.Core.Swarms;

/// <summary>A request to join, as a door received it (ASP §8.2).</summary>
/// <param name="Token">The bare JWT.</param>
/// <param name="Name">The applicant's text id.</param>
/// <param name="Endpoint">Its https base URL.</param>
/// <param name="PublicKey">Base64 of its key as it came; decoded only for a new member.</param>
public sealed record JoinApplication(string Token, string Name, string Endpoint, string PublicKey)
{
    /// <summary>Null from most peers.</summary>
    public JoinProof? Proof { get; init; }
}

/// <summary>One roster row as others may see it.</summary>
public sealed record RosterEntry(string Name, string Endpoint, string PublicKey, DateTimeOffset JoinedAt);

/// <summary>Accepted when <see cref="Pending"/> is false; the roster is in insertion order and includes the applicant.</summary>
public sealed record JoinOutcome(bool Pending, SwarmId SwarmId, string SwarmName, IReadOnlyList<RosterEntry> Roster)
{
    /// <summary>For a member that asks again: who handed the swarm to whom, oldest first, each the message that its master signed.</summary>
    public IReadOnlyList<byte[]> MasterChanges { get; init; } = [];
}
