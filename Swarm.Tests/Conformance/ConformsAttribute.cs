namespace Swarm.Tests.Conformance;

/// <summary>The features that a test shows, by the ids of the protocol's checklist (ASP §22). <c>docs/conformance.md</c> is made from these.</summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class ConformsAttribute(params string[] features) : Attribute
{
    public IReadOnlyList<string> Features => features;
}
