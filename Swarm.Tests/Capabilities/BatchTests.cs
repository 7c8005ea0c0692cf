using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Capabilities;

/// <summary>Several intents under one chain (A1 §9.1).</summary>
[Shown(By.Unit)]
public sealed class BatchTests
{
    private static readonly string[] Names = ["a", "b", "c"];

    private readonly Chains _chains = new();

    [Fact]
    [Conforms("A1-24")]
    public void All_within_the_scope_consume_the_chain_once()
    {
        var chain = _chains.Chain(Names, ["a", "b"], null);
        var batch = Ask(chain, "a", "b", "a");
        Assert.Equal(2, batch.Query!.Nonces.Count);
        var result = batch.Conclude(LedgerAnswer.Clear);
        Assert.True(result.AllAuthorized);
        Assert.Equal((3, chain.Fingerprint(), 2UL), (result.AuthorizedCount, result.Receipt!.ChainFingerprint, result.Receipt.ChainDepth));
    }

    [Fact]
    [Conforms("A1-24")]
    public void One_outside_is_refused_alone_and_nothing_is_consumed()
    {
        var batch = Ask(_chains.Chain(Names, ["a", "b"]), "a", "c", "b");
        Assert.Empty(batch.Query!.Nonces);
        Assert.Single(batch.Query.Certificates);
        var result = batch.Conclude(LedgerAnswer.Clear);
        Assert.Equal((false, 2), (result.AllAuthorized, result.AuthorizedCount));
        var denial = result.Items[1]!;
        Assert.Equal(
            ("BATCH_ITEM_FAILED", "ScopeViolation", "batch authorization failed at index 1: execution intent is not within the terminal scope"),
            (denial.Code, denial.DetailCode, denial.Text));
        Assert.Null(result.Items[0] ?? result.Items[2]);
    }

    [Fact]
    [Conforms("A1-24")]
    public void The_first_intent_stands_for_all() => Assert.Equal(
        ["batch authorization failed at index 0: execution intent is not within the terminal scope",
         "batch authorization failed at index 1: execution intent is not within the terminal scope"],
        Ask(_chains.Chain(Names, ["a", "b"]), "c", "a").Conclude(LedgerAnswer.Clear).Items.Select(item => item?.Text));

    [Fact]
    [Conforms("A1-24")]
    public void A_fault_of_the_chain_fails_every_item_without_asking_the_storage()
    {
        var chain = _chains.Chain(Names, ["a", "b"]);
        var batch = _chains.Authorizer.ValidateBatch(
            chain, _chains.KeyOf(5), [new(Intent.Create("a")), new(Intent.Create("b"))], TrustAnchor.Pinned, Chains.Now, new());
        Assert.Null(batch.Query);
        Assert.Equal(
            ["batch authorization failed at index 0: executing agent is not the terminal delegate",
             "batch authorization failed at index 1: executing agent is not the terminal delegate"],
            batch.Conclude(default).Items.Select(item => item?.Text));
        Assert.All(batch.Conclude(default).Items, item => Assert.Equal(("BATCH_ITEM_FAILED", "UnauthorizedLeaf"), (item!.Code, item.DetailCode)));
        Assert.Equal(0, batch.Conclude(default).AuthorizedCount);
    }

    [Fact]
    [Conforms("A1-24")]
    public void A_revocation_a_replay_and_a_fault_of_the_storage_take_every_item()
    {
        var batch = Ask(_chains.Chain(Names, ["a", "b"]), "a", "b");
        Assert.All(batch.Conclude(new(true, true)).Items, item => Assert.Equal("CERT_REVOKED", item!.Code));
        Assert.All(batch.Conclude(new(false, true)).Items, item => Assert.Equal("NONCE_REPLAY", item!.Code));
        var faulty = batch.Conclude(new(false, false, Denial.Storage("asked in vain", isTransient: false)));
        Assert.All(faulty.Items, item => Assert.Equal(
            ("BATCH_ITEM_FAILED", "batch authorization failed at index 0: storage backend failure: permanent storage error: asked in vain"),
            (item!.Code, item.Text)));
        Assert.Null(faulty.Receipt);

        // A refused item does not keep a revocation from the others.
        Assert.All(Ask(_chains.Chain(Names, ["a", "b"]), "a", "c").Conclude(new(true, false)).Items, item => Assert.Equal("CERT_REVOKED", item!.Code));
    }

    [Fact]
    public void Trust_holds_for_batches_too()
    {
        var chain = _chains.Chain(Names, ["a", "b"]);
        Assert.Equal("PolicyViolation", Of(TrustAnchor.Unknown).Items[0]!.DetailCode);
        Assert.Equal("CERT_EXPIRED", Of(new(false, [new(default, chain.PrincipalScope, 0, [])])).Items[0]!.Code);

        BatchResult Of(TrustAnchor anchor) => _chains.Authorizer.ValidateBatch(
            chain, _chains.KeyOf(1), [new(Intent.Create("a"))], anchor, Chains.Now, new()).Conclude(default);
    }

    [Fact]
    [Conforms("A1-24")]
    public void An_item_may_bring_its_own_proof()
    {
        var chain = _chains.Of(Names, [(_chains.Hop(0, Names) with { Extensions = CertificateExtensions.Empty }).SignedBy(_chains.Key(0))]);
        var tree = IntentTree.Of(Names);
        IntentRequest With(string name) => new(Intent.Create(name), tree.Prove(Intent.LeafOf(name)));
        var batch = _chains.Authorizer.ValidateBatch(
            chain, _chains.KeyOf(1), [With("a"), new(Intent.Create("b")), With("c")], TrustAnchor.Pinned, Chains.Now, new());
        Assert.Equal([true, false, true], batch.Conclude(LedgerAnswer.Clear).Items.Select(item => item is null));
    }

    [Fact]
    [Conforms("A1-24")]
    public void A_batch_has_256_items_at_most_and_may_be_empty()
    {
        var chain = _chains.Chain(Names, ["a", "b"]);
        Assert.True(Ask(chain, [.. Enumerable.Repeat("a", 256)]).Conclude(LedgerAnswer.Clear).AllAuthorized);
        var denial = Assert.Throws<DenialException>(() => Ask(chain, [.. Enumerable.Repeat("a", 257)])).Denial;
        Assert.Equal("wire format error: Batch size 257 exceeds maximum allowed of 256", denial.Text);
        Assert.Equal(denial, Authorizer.CheckBatchSize(257));
        Assert.Null(Authorizer.CheckBatchSize(256));

        var empty = Ask(chain);
        Assert.Null(empty.Query);
        Assert.Equal((true, 0), (empty.Conclude(default).AllAuthorized, empty.Conclude(default).AuthorizedCount));
    }

    private BatchValidation Ask(SignedChain chain, params string[] actions) => _chains.Authorizer.ValidateBatch(
        chain, _chains.KeyOf(chain.Certificates.Count), [.. actions.Select(a => new IntentRequest(Intent.Create(a)))], TrustAnchor.Pinned, Chains.Now, new());
}
