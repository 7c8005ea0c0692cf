namespace Swarm.Tests.Conformance;

/// <summary>
/// The weaknesses of the references (ASP §20 as <c>W-01</c>, A1 §16 as <c>A1-W01</c>) that the test attacks this node with, and finds refused or bounded with nothing changed.
/// <c>docs/conformance.md</c> is made from these too.
/// </summary>
[AttributeUsage(AttributeTargets.Method)]
public sealed class RefusesAttribute(params string[] weaknesses) : Attribute
{
    public IReadOnlyList<string> Weaknesses => weaknesses;
}
