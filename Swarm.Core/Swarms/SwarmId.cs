namespace Swarm.Core.Swarms;

/// <summary>The UUID of a swarm; written in lower case with hyphens on every wire (ASP §1).</summary>
public readonly record struct SwarmId(Guid Value)
{
    public override string ToString() => Value.ToString("D");
}
