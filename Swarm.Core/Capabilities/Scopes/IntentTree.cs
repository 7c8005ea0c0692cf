using System.Buffers;
using Swarm.Core.Capabilities.Hashing;

namespace Swarm.Core.Capabilities.Scopes;

/// <summary>
/// A scope: the Merkle tree over the hashes of its intents, sorted and without repetition (A1 §3). Two neighbours become their parent; a last odd node
/// moves up as it is. A tree of one leaf is that leaf.
/// </summary>
public sealed class IntentTree
{
    private const int StackLeaves = 32;

    private readonly Bytes32[] _leaves;

    private IntentTree(Bytes32[] leaves, Bytes32 root) => (_leaves, Root) = (leaves, root);

    public Bytes32 Root { get; }

    /// <summary>Sorted, each once.</summary>
    public IReadOnlyList<Bytes32> Leaves => _leaves;

    /// <exception cref="DenialException"><see cref="DenialKind.EmptyTree"/>.</exception>
    public static IntentTree Create(IEnumerable<Bytes32> leaves)
    {
        var sorted = leaves.ToArray();
        sorted = sorted[..SortDistinct(sorted)];
        return sorted.Length > 0 ? new(sorted, Fold([.. sorted])) : throw new DenialException(Denial.EmptyTree);
    }

    /// <summary>The scope of some capabilities.</summary>
    /// <exception cref="DenialException"><see cref="DenialKind.EmptyTree"/>, or a name that no intent may have.</exception>
    public static IntentTree Of(IEnumerable<string> capabilities) => Create(capabilities.Select(Intent.LeafOf));

    /// <summary>The root of the tree over these leaves, of which there is at least one, without making the tree.</summary>
    public static Bytes32 RootOf(IReadOnlyList<Bytes32> leaves)
    {
        var rented = leaves.Count > StackLeaves ? ArrayPool<Bytes32>.Shared.Rent(leaves.Count) : null;
        try
        {
            var sorted = (rented is null ? stackalloc Bytes32[StackLeaves] : rented.AsSpan())[..leaves.Count];
            for (var i = 0; i < leaves.Count; i++)
            {
                sorted[i] = leaves[i];
            }

            return Fold(sorted[..SortDistinct(sorted)]);
        }
        finally
        {
            if (rented is not null)
            {
                ArrayPool<Bytes32>.Shared.Return(rented);
            }
        }
    }

    public bool Contains(Bytes32 leaf) => Array.BinarySearch(_leaves, leaf) >= 0;

    /// <summary>The proof that a leaf is in this tree.</summary>
    /// <exception cref="DenialException"><see cref="DenialKind.IntentNotFound"/>.</exception>
    public MerkleProof Prove(Bytes32 leaf)
    {
        var at = Array.BinarySearch(_leaves, leaf);
        if (at < 0)
        {
            throw new DenialException(Denial.IntentNotFound);
        }

        var siblings = new List<Sibling>();
        var level = _leaves.AsSpan().ToArray();
        for (var count = level.Length; count > 1; count = FoldLevel(level.AsSpan(0, count)), at /= 2)
        {
            var neighbour = at ^ 1;
            if (neighbour < count)
            {
                siblings.Add(new(level[neighbour], IsLeft: neighbour < at));
            }
        }

        return new(siblings);
    }

    /// <summary>The hash of an inner node. Leaves are not hashed again; their context string tells them from inner nodes.</summary>
    internal static Bytes32 Parent(Bytes32 left, Bytes32 right)
    {
        Span<byte> data = stackalloc byte[1 + (2 * Bytes32.SizeBytes)];
        data[0] = A1Contexts.Version;
        left.AsSpan().CopyTo(data[1..]);
        right.AsSpan().CopyTo(data[(1 + Bytes32.SizeBytes)..]);
        return A1Contexts.TreeNode.Derive(data);
    }

    private static Bytes32 Fold(Span<Bytes32> level)
    {
        while (level.Length > 1)
        {
            level = level[..FoldLevel(level)];
        }

        return level[0];
    }

    /// <summary>Replaces a level by the next one, in place; returns how many nodes that has.</summary>
    private static int FoldLevel(Span<Bytes32> level)
    {
        for (var i = 0; i < level.Length / 2; i++)
        {
            level[i] = Parent(level[2 * i], level[(2 * i) + 1]);
        }

        if (level.Length % 2 == 1)
        {
            level[level.Length / 2] = level[^1];
        }

        return (level.Length + 1) / 2;
    }

    private static int SortDistinct(Span<Bytes32> leaves)
    {
        leaves.Sort();
        var distinct = Math.Min(1, leaves.Length);
        for (var i = 1; i < leaves.Length; i++)
        {
            if (leaves[i] != leaves[i - 1])
            {
                leaves[distinct++] = leaves[i];
            }
        }

        return distinct;
    }
}
