using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Xunit.Abstractions;

namespace Swarm.Tests.Capabilities;

[Shown(By.Unit)]
public sealed class ScopeTests(ITestOutputHelper output)
{
    [Fact]
    [Conforms("A1-05")]
    public void Every_leaf_of_every_tree_has_a_proof_and_nothing_else_has_one()
    {
        var random = new Random(Seed.Take(output));
        for (var count = 1; count <= 70; count++)
        {
            var leaves = Enumerable.Range(0, count).Select(_ => Any(random)).ToArray();
            var tree = IntentTree.Create(leaves.Concat(leaves.Take(random.Next(count))));
            Assert.Equal(leaves.Order(), tree.Leaves);
            random.Shuffle(leaves);
            Assert.Equal(tree.Root, IntentTree.RootOf(leaves));
            foreach (var leaf in leaves)
            {
                var proof = tree.Prove(leaf);
                Assert.True(proof.Verifies(leaf, tree.Root));
                Assert.False(proof.Verifies(Any(random), tree.Root));
                Assert.False(proof.Verifies(leaf, Any(random)));
                for (var i = 0; i < proof.Siblings.Count; i++)
                {
                    var siblings = proof.Siblings.ToArray();
                    siblings[i] = siblings[i] with { IsLeft = !siblings[i].IsLeft };
                    Assert.False(new MerkleProof(siblings).Verifies(leaf, tree.Root));
                    Assert.False(new MerkleProof([.. proof.Siblings.Where((_, at) => at != i)]).Verifies(leaf, tree.Root));
                }
            }

            Assert.False(tree.Contains(tree.Root) && count > 1);
            Assert.Equal(DenialKind.IntentNotFound, Assert.Throws<DenialException>(() => tree.Prove(Any(random))).Denial.Kind);
        }
    }

    [Fact]
    [Conforms("A1-05")]
    public void A_tree_needs_a_leaf()
    {
        var denial = Assert.Throws<DenialException>(() => IntentTree.Create([])).Denial;
        Assert.Equal("intent tree requires at least one intent", denial.Text);
    }

    [Fact]
    [Conforms("A1-06", "A1-17")]
    public void A_sub_scope_is_exactly_what_its_proofs_show()
    {
        string[] names = ["a", "b", "c", "d", "e"];
        var parent = IntentTree.Of(names);
        Bytes32[] subset = [Intent.LeafOf("d"), Intent.LeafOf("a")];
        var child = IntentTree.Create(subset).Root;
        var proof = SubScopeProof.Of(parent, subset);
        Assert.True(proof.Narrows(parent.Root, child));
        Assert.False(proof.Narrows(parent.Root, parent.Root));

        // A wider child, another parent, a proof too few, the proofs in another order, none at all.
        Assert.False(proof.Narrows(parent.Root, IntentTree.Of(["a", "d", "e"]).Root));
        Assert.False(proof.Narrows(IntentTree.Of(["a", "d"]).Root, child));
        Assert.False(new SubScopeProof(subset, [proof.Proofs[0]]).Narrows(parent.Root, child));
        Assert.False(new SubScopeProof(subset, [proof.Proofs[1], proof.Proofs[0]]).Narrows(parent.Root, child));
        Assert.False(new SubScopeProof(subset, []).Narrows(parent.Root, child));
        Assert.False(SubScopeProof.PassThrough.Narrows(parent.Root, child));
        Assert.True(SubScopeProof.PassThrough.Narrows(parent.Root, parent.Root));

        // Oddities of A1 §4: a leaf may repeat, the order counts for the commitment alone, proofs without leaves pass through.
        var repeated = SubScopeProof.Of(parent, [.. subset, subset[0]]);
        var reversed = SubScopeProof.Of(parent, [.. subset.Reverse()]);
        var bare = new SubScopeProof([], [proof.Proofs[0]]);
        Assert.True(repeated.Narrows(parent.Root, child));
        Assert.True(reversed.Narrows(parent.Root, child));
        Assert.True(bare.Narrows(parent.Root, parent.Root));
        Assert.False(bare.Narrows(parent.Root, child));
        Assert.Equal(5, new[] { proof, repeated, reversed, bare, SubScopeProof.PassThrough }.Select(p => p.Commitment()).Distinct().Count());

        // A parent of one leaf: to prove that leaf is not the same as to pass it on, though the scope is.
        var single = IntentTree.Of(["a"]);
        var proven = SubScopeProof.Of(single, [single.Root]);
        Assert.True(proven.Narrows(single.Root, single.Root));
        Assert.NotEqual(SubScopeProof.PassThrough.Commitment(), proven.Commitment());
    }

    [Fact]
    [Conforms("A1-07")]
    public void A_mask_is_the_union_of_its_names_and_within_what_has_all_its_bits()
    {
        NarrowingMask a = NarrowingMask.Of(["trade.equity"]), b = NarrowingMask.Of(["portfolio.read"]);
        var both = NarrowingMask.Of(["trade.equity", "portfolio.read", "trade.equity"]);
        Assert.True(a.IsWithin(both) && b.IsWithin(both) && both.IsWithin(both) && default(NarrowingMask).IsWithin(a));
        Assert.False(both.IsWithin(a) || b.IsWithin(a) || a.IsWithin(default));

        // Raw names: neither trimmed nor lower-cased.
        Assert.NotEqual(a, NarrowingMask.Of(["Trade.equity"]));
        Assert.NotEqual(a, NarrowingMask.Of([" trade.equity"]));
        Assert.True(NarrowingMask.TryParse(both.ToString().ToUpperInvariant(), out var parsed));
        Assert.Equal(both, parsed);
        foreach (var wrong in new[] { "", "00", both + "0", both.ToString()[1..] + "g", "0x" + both.ToString()[2..] })
        {
            Assert.False(NarrowingMask.TryParse(wrong, out _));
        }
    }

    private static Bytes32 Any(Random random)
    {
        var bytes = new byte[32];
        random.NextBytes(bytes);
        return Bytes32.Read(bytes);
    }
}
