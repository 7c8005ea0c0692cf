using Swarm.Core.Capabilities.Hashing;

namespace Swarm.Core.Capabilities.Scopes;

/// <summary>
/// That a certificate's scope lies within its parent's (A1 §4): each intent of it with a proof against the immediate parent's root, or nothing at all,
/// which hands the parent's scope on unchanged.
/// </summary>
/// <param name="subset">The leaves in their issuer's order; they may repeat.</param>
/// <param name="proofs">One for each leaf.</param>
public sealed class SubScopeProof(IReadOnlyList<Bytes32> subset, IReadOnlyList<MerkleProof> proofs)
{
    /// <summary>The most leaves, and the most proofs, that are read from the wire.</summary>
    public const int IntentsMax = 4096;

    public static readonly SubScopeProof PassThrough = new([], []);

    private static readonly Bytes32 PassThroughCommitment = PassThrough.Commit();

    public IReadOnlyList<Bytes32> Subset => subset;

    public IReadOnlyList<MerkleProof> Proofs => proofs;

    /// <summary>A1 asks the subset alone: proofs without leaves pass through as well, with another commitment.</summary>
    public bool IsPassThrough => subset.Count == 0;

    /// <summary>The proof for some intents of a tree; a single leaf is not the same as passing through.</summary>
    /// <exception cref="DenialException"><see cref="DenialKind.IntentNotFound"/>.</exception>
    public static SubScopeProof Of(IntentTree parent, IReadOnlyList<Bytes32> subset) => new(subset, [.. subset.Select(parent.Prove)]);

    /// <summary>What the certificate's signature covers of the proof.</summary>
    public Bytes32 Commitment() => subset.Count == 0 && proofs.Count == 0 ? PassThroughCommitment : Commit();

    /// <summary>True when a child with the scope <paramref name="child"/> keeps within <paramref name="parent"/>.</summary>
    public bool Narrows(Bytes32 parent, Bytes32 child)
    {
        if (IsPassThrough)
        {
            return child == parent;
        }

        if (proofs.Count != subset.Count)
        {
            return false;
        }

        for (var i = 0; i < subset.Count; i++)
        {
            if (!proofs[i].Verifies(subset[i], parent))
            {
                return false;
            }
        }

        return IntentTree.RootOf(subset) == child;
    }

    private Bytes32 Commit()
    {
        using var data = new Preimage(stackalloc byte[Preimage.StackBytes]);
        data.Add(A1Contexts.Version);
        data.Add("a1::dyolo::subscope::v2.8.0"u8);
        data.AddLittleEndian((ulong)subset.Count);
        foreach (var leaf in subset)
        {
            data.Add(leaf);
        }

        data.AddLittleEndian((ulong)proofs.Count);
        foreach (var proof in proofs)
        {
            data.AddLittleEndian((ulong)proof.Siblings.Count);
            foreach (var sibling in proof.Siblings)
            {
                data.Add(sibling.Hash);
                data.Add(sibling.IsLeft ? (byte)1 : (byte)0);
            }
        }

        return A1Contexts.SubScope.Derive(data.Written);
    }
}
