namespace Swarm.Tests.Conformance;

/// <summary>
/// The weaknesses of the reference (ASP §20) that the test attacks this node with, and finds refused or bounded with nothing changed.
/// <c>docs/conformance.md</c> is made from these too.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RefusesAttribute(params string[] weaknesses) : Attribute
{
    public IReadOnlyList<string> Weaknesses => weaknesses;
}
