using System.Runtime.InteropServices;
using System.Text;

namespace Swarm.Core.Capabilities.Hashing;

/// <summary>BLAKE3's key derivation for one context string, whose own hash is taken once.</summary>
public sealed class DerivationContext
{
    private readonly uint[] _key = new uint[Compression.WordsOfValue];

    public DerivationContext(string context) => Blake3.Run(
        Compression.InitialValue, Blake3.Mode.DeriveKeyContext, Encoding.UTF8.GetBytes(context), MemoryMarshal.AsBytes(_key.AsSpan()), Blake3.LanesMax);

    /// <summary>32 bytes derived from <paramref name="material"/>.</summary>
    public Bytes32 Derive(ReadOnlySpan<byte> material)
    {
        Bytes32 output = default;
        Derive(material, MemoryMarshal.AsBytes(new Span<Bytes32>(ref output)));
        return output;
    }

    /// <summary>The same for an output of any length.</summary>
    public void Derive(ReadOnlySpan<byte> material, Span<byte> output) => Blake3.Run(_key, Blake3.Mode.DeriveKeyMaterial, material, output, Blake3.LanesMax);
}
