using System.Security.Cryptography;

namespace Swarm.Core.Capabilities.Scopes;

/// <summary>A neighbour on the way from a leaf to the root.</summary>
/// <param name="Hash">The neighbour.</param>
/// <param name="IsLeft">It is the left one of the two.</param>
public readonly record struct Sibling(Bytes32 Hash, bool IsLeft);

/// <summary>That a leaf is in a tree (A1 §3): its neighbours, from the leaf's level upward. A level that only moves the node up has no entry.</summary>
public sealed class MerkleProof(IReadOnlyList<Sibling> siblings)
{
    /// <summary>More levels than any tree of this world has.</summary>
    public const int SiblingsMax = 64;

    /// <summary>No neighbours: the leaf is the root. In a request it also stands for "no proof".</summary>
    public static readonly MerkleProof Empty = new([]);

    public IReadOnlyList<Sibling> Siblings => siblings;

    /// <summary>True when the leaf, folded with the neighbours, gives the root. Takes the same time wherever they differ.</summary>
    public bool Verifies(Bytes32 leaf, Bytes32 root)
    {
        var node = leaf;
        foreach (var sibling in siblings)
        {
            node = sibling.IsLeft ? IntentTree.Parent(sibling.Hash, node) : IntentTree.Parent(node, sibling.Hash);
        }

        return CryptographicOperations.FixedTimeEquals(node.AsSpan(), root.AsSpan());
    }
}
