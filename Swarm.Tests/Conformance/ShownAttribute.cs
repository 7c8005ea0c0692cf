namespace Swarm.Tests.Conformance;

/// <summary>How far from the code a test stands when it shows a feature.</summary>
public enum By
{
    /// <summary>A published vector file, byte for byte.</summary>
    Vector,

    /// <summary>Requests to a door and its answers, or requests that the node makes, on the wire.</summary>
    Wire,

    /// <summary>The product as it is used: whole nodes, commands, processes, a peer of another make.</summary>
    EndToEnd,

    /// <summary>Calls into the code.</summary>
    Unit,
}

/// <summary>By what the tests of a class, or one test of it, show their features. <c>docs/conformance.md</c> says so for each feature.</summary>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Method)]
public sealed class ShownAttribute(By by) : Attribute
{
    public By By => by;
}
