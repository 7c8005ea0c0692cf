namespace Swarm.Core.Capabilities.Hashing;

/// <summary>Keys for several purposes from one seed (A1 §1.1).</summary>
public static class SubKey
{
    /// <summary>The key for a purpose: 32 bytes that say nothing of the seed or of other purposes.</summary>
    /// <param name="seed">32 secret bytes.</param>
    /// <param name="purpose">Its name, <c>info</c> in A1.</param>
    public static Bytes32 Derive(ReadOnlySpan<byte> seed, string purpose)
    {
        using var data = new Preimage(stackalloc byte[Preimage.StackBytes]);
        data.Add(seed);
        data.AddPrefixed(purpose);
        return A1Contexts.SubKey.Derive(data.Written);
    }
}
