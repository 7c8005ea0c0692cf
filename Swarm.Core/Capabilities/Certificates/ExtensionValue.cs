namespace Swarm.Core.Capabilities.Certificates;

/// <summary>What an extension may hold (A1 §6): a text, a number of 64 bits without sign, or a list of texts. Exactly one is set.</summary>
public sealed record ExtensionValue
{
    private ExtensionValue()
    {
    }

    public string? Text { get; private init; }

    public ulong? Number { get; private init; }

    public IReadOnlyList<string>? List { get; private init; }

    public static implicit operator ExtensionValue(string text) => new() { Text = text };

    public static implicit operator ExtensionValue(ulong number) => new() { Number = number };

    public static ExtensionValue Of(IReadOnlyList<string> list) => new() { List = list };
}
