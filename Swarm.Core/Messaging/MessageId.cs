namespace Swarm.Core.Messaging;

/// <summary>The UUID that a sender gave its message. Unique per sender, never globally (design §3 promise 3).</summary>
public readonly record struct MessageId(Guid Value)
{
    public override string ToString() => Value.ToString("D");
}

/// <summary>The protocol whose bytes a message is stored as.</summary>
public enum Protocol : short
{
    AgentSwarm = 1,
}

/// <summary>What a message is for (ASP §3 <c>type</c>).</summary>
public enum MessageKind : short
{
    Message = 1,
    System = 2,
    Notification = 3,
}

/// <summary>The priority class of a lane (ASP §3 <c>priority</c>); the larger goes first.</summary>
public enum Priority : short
{
    Low = 0,
    Normal = 1,
    High = 2,
}
