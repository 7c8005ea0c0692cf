using System.Text.Json;
using System.Text.Json.Nodes;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Xunit.Abstractions;

namespace Swarm.Tests.Capabilities;

/// <summary>What must hold of every chain: it only narrows, no byte of it may change, and no part outlives its revoked ancestor.</summary>
[Shown(By.Unit)]
public sealed class ChainPropertyTests(ITestOutputHelper output)
{
    private const int Trials = 120;

    /// <summary>The third and the fourth share their bit of the mask, so that only the tree tells them apart.</summary>
    private static readonly string[] Universe =
        ["trade.equity", "portfolio.read", "files.read", "agent.execute", "web.search", "audit.read", "mail.send", "calendar.write"];

    private readonly Chains _chains = new();

    [Fact]
    [Conforms("A1-06", "A1-17", "A1-19", "A1-26", "A1-35")]
    public void No_chain_of_random_narrowings_authorizes_more_than_its_root_or_than_any_hop()
    {
        var random = new Random(Seed.Take(output));
        for (var trial = 0; trial < Trials; trial++)
        {
            var root = Pick(random, Universe);
            var hops = new List<string[]?>();
            var allowed = root;
            for (var count = random.Next(1, 6); count > 0; count--)
            {
                hops.Add(random.Next(4) == 0 ? null : allowed = Pick(random, allowed));
            }

            var chain = _chains.Read(Chains.Write(_chains.Chain(root, [.. hops])));
            Assert.Empty(allowed.Except(root));
            foreach (var name in Universe)
            {
                var isAllowed = allowed.Contains(name);
                Assert.Equal(isAllowed, _chains.Ask(chain, name) is null);

                // A proof from a wider scope, the root's or a parent's, opens nothing that the last hop does not.
                foreach (var wider in hops.Prepend(root).OfType<string[]>().Where(scope => scope.Contains(name)))
                {
                    Assert.True(isAllowed || _chains.Ask(chain, name, IntentTree.Of(wider).Prove(Intent.LeafOf(name))) is not null);
                }

                var withParameter = new IntentRequest(Intent.Create(name, [new("x", "y")]));
                Assert.NotNull(_chains.Authorizer.Validate(
                    chain, _chains.KeyOf(chain.Certificates.Count), withParameter, TrustAnchor.Pinned, Chains.Now, new()).Denial);
            }
        }
    }

    [Fact]
    [Conforms("A1-17")]
    public void A_hop_that_claims_more_than_its_parent_has_is_refused_whatever_proof_it_brings()
    {
        var random = new Random(Seed.Take(output));
        for (var trial = 0; trial < Trials; trial++)
        {
            var root = Pick(random, Universe, least: 2);
            var parent = Pick(random, root, most: root.Length - 1);
            var claimed = parent.Append(root.Except(parent).First()).ToArray();
            var honest = _chains.Hop(0, root, parent);
            Bytes32[] leaves = [.. claimed.Select(Intent.LeafOf)];
            foreach (var proof in new[]
            {
                SubScopeProof.PassThrough,
                SubScopeProof.Of(IntentTree.Of(root), leaves),
                SubScopeProof.Of(IntentTree.Create(leaves), leaves),
                new SubScopeProof(leaves, [.. leaves.Select(_ => MerkleProof.Empty)]),
                new SubScopeProof(leaves, []),
            })
            {
                var forged = (_chains.Hop(1, root, claimed) with { ScopeProof = proof }).SignedBy(_chains.Key(1));
                Assert.Equal(DenialKind.ScopeEscalation, _chains.Ask(_chains.Of(root, [honest, forged]), claimed[^1])?.Kind);
            }
        }
    }

    [Fact]
    [Conforms("A1-09", "A1-10", "A1-13")]
    public void Any_single_changed_byte_of_a_chain_refuses_it()
    {
        var random = new Random(Seed.Take(output));
        var chain = _chains.Chain(Universe, Universe[..5], Universe[1..4]);
        Assert.Null(_chains.Ask(chain, Universe[1]));
        var json = Chains.Write(chain);
        var places = Leaves(JsonNode.Parse(json)!).Count();
        output.WriteLine($"{places} values");
        Assert.True(places > 800);
        for (var place = 0; place < places; place++)
        {
            var changed = JsonNode.Parse(json)!;
            Change(Leaves(changed).ElementAt(place), random);
            Assert.True(IsRefused(changed.ToJsonString()), changed.ToJsonString());
        }
    }

    [Fact]
    [Conforms("A1-09", "A1-10", "A1-13")]
    public void Any_dropped_repeated_or_exchanged_part_of_a_chain_refuses_it()
    {
        var chain = _chains.Chain(Universe, Universe[..5], Universe[1..4]);
        var json = Chains.Write(chain);
        var arrays = Arrays(JsonNode.Parse(json)!).Count();
        for (var array = 0; array < arrays; array++)
        {
            foreach (var edit in new Action<JsonArray>[]
            {
                items => items.RemoveAt(items.Count - 1),
                items => items.Add(items[^1]!.DeepClone()),
                items => items.Insert(0, items[^1]!.DeepClone()),
                items =>
                {
                    var first = items[0]!.DeepClone();
                    items.RemoveAt(0);
                    items.Add(first);
                },
            })
            {
                var changed = JsonNode.Parse(json)!;
                edit(Arrays(changed).ElementAt(array));
                Assert.True(JsonNode.DeepEquals(changed, JsonNode.Parse(json)) || IsRefused(changed.ToJsonString()), changed.ToJsonString());
            }
        }
    }

    [Fact]
    public void A_revoked_ancestor_refuses_all_below_it_and_nothing_else()
    {
        var random = new Random(Seed.Take(output));
        for (var trial = 0; trial < 20; trial++)
        {
            // A tree of certificates: hop 0, two below it, two below each of these, all to the same keys hop by hop.
            var levels = new List<List<(DelegationCertificate[] Path, string[] Names)>> { new() { ([], Universe) } };
            for (var hop = 0; hop < 4; hop++)
            {
                levels.Add([.. levels[^1].SelectMany(parent => Enumerable.Range(0, hop == 0 ? 1 : 2).Select(_ =>
                {
                    var names = Pick(random, parent.Names);
                    return ((DelegationCertificate[])[.. parent.Path, _chains.Hop(hop, parent.Names, names)], names);
                }))]);
            }

            var paths = levels.Skip(1).SelectMany(level => level).ToArray();
            var revoked = paths[random.Next(paths.Length)].Path[^1].Fingerprint();
            foreach (var (path, names) in paths)
            {
                var validation = _chains.Validate(_chains.Of(Universe, path), names[0]);
                var isBelow = path.Any(certificate => certificate.Fingerprint() == revoked);
                Assert.Equal(
                    isBelow ? DenialKind.Revoked : null,
                    validation.Conclude(new(validation.Query!.Certificates.Contains(revoked), false)).Denial?.Kind);
            }
        }
    }

    [Fact]
    public void A_chain_is_usable_once_and_so_is_every_certificate_in_it()
    {
        var consumed = new HashSet<Nonce>();
        var shared = _chains.Hop(0, Universe);
        Denial? Use(params DelegationCertificate[] certificates)
        {
            var validation = _chains.Validate(_chains.Of(Universe, certificates), Universe[0]);
            var nonces = validation.Query!.Nonces.Select(use => use.Nonce).ToArray();
            var isReplay = nonces.Any(consumed.Contains);
            if (!isReplay)
            {
                consumed.UnionWith(nonces);
            }

            return validation.Conclude(new(false, isReplay)).Denial;
        }

        Assert.Null(Use(shared, _chains.Hop(1, Universe)));
        Assert.Equal(DenialKind.NonceReplay, Use(shared, _chains.Hop(1, Universe))?.Kind);
        Assert.Equal(DenialKind.NonceReplay, Use(shared)?.Kind);
        Assert.Null(Use(_chains.Hop(0, Universe)));
    }

    private bool IsRefused(string json)
    {
        try
        {
            var chain = _chains.Read(json);
            return _chains.Authorizer.Validate(
                chain, _chains.KeyOf(2), new(Intent.Create(Universe[1])), TrustAnchor.Pinned, Chains.Now, new()).Denial is not null;
        }
        catch (ShapeException)
        {
            return true;
        }
    }

    /// <summary>One number by one, one letter of a text, or a truth.</summary>
    private static void Change(JsonNode leaf, Random random)
    {
        JsonNode other = leaf.GetValueKind() switch
        {
            JsonValueKind.Number => leaf.GetValue<ulong>() is var number && number > 0 ? number - 1 : number + 1,
            JsonValueKind.String => Flip(leaf.GetValue<string>(), random),
            _ => !leaf.GetValue<bool>(),
        };
        leaf.ReplaceWith(other);
    }

    private static string Flip(string text, Random random)
    {
        var letters = text.ToCharArray();
        var at = random.Next(letters.Length);
        letters[at] = letters[at] == '0' ? '1' : '0';
        return new(letters);
    }

    private static IEnumerable<JsonNode> Leaves(JsonNode node) => node switch
    {
        JsonObject members => members.SelectMany(member => Leaves(member.Value!)),
        JsonArray items => items.SelectMany(item => Leaves(item!)),
        _ => [node],
    };

    private static IEnumerable<JsonArray> Arrays(JsonNode node) => node switch
    {
        JsonObject members => members.SelectMany(member => Arrays(member.Value!)),
        JsonArray items => items.SelectMany(item => Arrays(item!)).Prepend(items),
        _ => [],
    };

    private static string[] Pick(Random random, string[] from, int least = 1, int? most = null)
    {
        var names = from.ToArray();
        random.Shuffle(names);
        return names[..random.Next(least, (most ?? from.Length) + 1)];
    }
}
