using System.Runtime.InteropServices;
using Swarm.Core.Capabilities.Hashing;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Core.Capabilities.Scopes;

/// <summary>
/// 256 bits, one for each capability, by hash (A1 §5). Names collide (<c>files.read</c> and <c>agent.execute</c> share a bit), so a mask only refuses:
/// what it admits still needs the tree. A chain's masks are not compared with each other.
/// </summary>
public readonly record struct NarrowingMask(Bytes32 Bits)
{
    /// <summary>The mask of some capabilities; names are taken as they are.</summary>
    public static NarrowingMask Of(IEnumerable<string> capabilities)
    {
        Bytes32 bits = default;
        var bytes = MemoryMarshal.AsBytes(new Span<Bytes32>(ref bits));
        foreach (var capability in capabilities)
        {
            var (index, bit) = PlaceOf(capability);
            bytes[index] |= (byte)(1 << bit);
        }

        return new(bits);
    }

    /// <summary>Where a capability's bit is: the byte, and the bit in it, of which 0 is the lowest.</summary>
    public static (int Index, int Bit) PlaceOf(string capability)
    {
        var hash = HashOf(capability);
        return (hash.AsSpan()[0] % Bytes32.SizeBytes, hash.AsSpan()[1] % 8);
    }

    /// <summary>The hash that decides on the place.</summary>
    public static Bytes32 HashOf(string capability) => A1Contexts.Narrowing.Derive(StrictUtf8.GetBytes(capability));

    /// <summary>64 hex digits of either case.</summary>
    public static bool TryParse(ReadOnlySpan<char> hex, out NarrowingMask mask)
    {
        var isHex = Bytes32.TryParse(hex, out var bits);
        mask = new(bits);
        return isHex;
    }

    /// <summary>True when every bit of this one is set in <paramref name="parent"/>.</summary>
    public bool IsWithin(NarrowingMask parent) =>
        (Bits.Word0 & ~parent.Bits.Word0) == 0 && (Bits.Word1 & ~parent.Bits.Word1) == 0
        && (Bits.Word2 & ~parent.Bits.Word2) == 0 && (Bits.Word3 & ~parent.Bits.Word3) == 0;

    public Bytes32 Commitment() => A1Contexts.Narrowing.Derive(Bits.AsSpan());

    public override string ToString() => Bits.ToString();
}
