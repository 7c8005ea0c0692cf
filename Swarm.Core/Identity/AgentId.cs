namespace Swarm.Core.Identity;

/// <summary>An agent, as this node numbers it. Names on the wire are aliases of it (<see cref="AgentName"/>).</summary>
public readonly record struct AgentId(long Value) : IComparable<AgentId>
{
    public int CompareTo(AgentId other) => Value.CompareTo(other.Value);

    public override string ToString() => Value.ToString();
}

/// <summary>Where an agent's key is, and so who signs for it.</summary>
public enum AgentKind : short
{
    /// <summary>The node holds the key, sealed, and signs for the agent.</summary>
    Hosted = 1,

    /// <summary>The agent signs for itself; its inbox is here.</summary>
    External = 2,

    /// <summary>Known by a swarm; lives on another node.</summary>
    Remote = 3,
}
