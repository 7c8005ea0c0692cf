using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Capabilities;

/// <summary>What a node asks beyond A1's rules (A1 §19).</summary>
[Shown(By.Unit)]
public sealed class PolicyTests
{
    private static readonly string[] Names = ["trade.equity", "trader", "portfolio.read"];

    private static readonly Policy P = new() { Name = "p" };

    private readonly Chains _chains = new();

    [Fact]
    public void Each_rule_refuses_in_A1s_words_and_at_its_limit_only()
    {
        var chain = _chains.Chain(Names, Names[..2], [Names[0]]);
        Assert.Null(Ask(P));
        Assert.Null(Ask(P with { TrustedPrincipals = new HashSet<Bytes32>() }));
        Assert.Null(Ask(P with { TrustedPrincipals = new HashSet<Bytes32> { _chains.KeyOf(0) } }));
        Refused("principal public key is not in the trusted set", P with { TrustedPrincipals = new HashSet<Bytes32> { _chains.KeyOf(1) } });
        Assert.Null(Ask(P with { ChainLengthMax = 2 }));
        Refused("chain depth 2 exceeds policy maximum 1", P with { ChainLengthMax = 1 });
        Assert.Null(Ask(P with { TtlSecondsMax = 3600 }));
        Refused("cert TTL 3600s exceeds policy maximum 3599s", P with { TtlSecondsMax = 3599 });
        Refused("sub-delegation is not permitted under this policy", P with { ForbidsSubDelegation = true });
        Assert.Null(Ask(P with { RequiredExtensions = [CertificateExtensions.NamespaceKey] }));
        Refused("required extension 'x' is absent from cert", P with { RequiredExtensions = [CertificateExtensions.NamespaceKey, "x"] });
        Refused("intent 'trade.equity' not permitted under policy 'p'", P with { AllowedActions = ["portfolio.read"] });

        // The first policy that refuses, and in it the first rule; before every other fault.
        Refused("chain depth 2 exceeds policy maximum 0", P, P with { Name = "q", ChainLengthMax = 0, TtlSecondsMax = 0, AllowedActions = ["x"] });
        Assert.Equal("POLICY_VIOLATION", _chains.Validate(
            _chains.Of(Names, []) with { Principal = default }, "x", rules: new() { Policies = [new() { Name = "p", AllowedActions = ["y"] }] }).Denial!.Code);

        Denial? Ask(params Policy[] policies) => _chains.Validate(chain, Names[0], rules: new() { Policies = policies }).Denial;
        void Refused(string reason, params Policy[] policies) => Assert.Equal(Denial.PolicyViolation(reason), Ask(policies));
    }

    [Fact]
    public void Sub_delegation_is_a_narrower_scope_that_could_be_handed_on()
    {
        var policy = new AuthorizationRules { Policies = [new() { Name = "p", ForbidsSubDelegation = true }] };
        Assert.NotNull(Ask(_chains.Hop(0, Names, [Names[0]])));
        Assert.Null(Ask(_chains.Hop(0, Names, [Names[0]], maxDepth: 0)));
        Assert.Null(Ask(_chains.Hop(0, Names)));

        Denial? Ask(DelegationCertificate certificate) => _chains.Validate(_chains.Of(Names, [certificate]), Names[0], rules: policy).Denial;
    }

    [Theory]
    [InlineData("*", true, true)]
    [InlineData("trade.", true, false)]
    [InlineData("trade.*", true, false)]
    [InlineData("trade*", true, true)]
    [InlineData("trade", false, false)]
    [InlineData("trader", false, true)]
    [InlineData("Trade.", false, false)]
    [InlineData("trade.equity", true, false)]
    [InlineData("", false, false)]
    public void A_dot_stays_a_border(string allowed, bool equity, bool trader)
    {
        var policy = new Policy { Name = "p", AllowedActions = [allowed] };
        Assert.Equal((equity, trader), (policy.Check(Intent.Create("trade.equity")) is null, policy.Check(Intent.Create("trader")) is null));
    }

    [Fact]
    [Conforms("A1-24")]
    public void Policies_hold_for_batches_and_item_by_item_for_what_is_asked()
    {
        var chain = _chains.Chain(Names, Names[..2]);
        BatchResult Ask(Policy policy) => _chains.Authorizer.ValidateBatch(
            chain, _chains.KeyOf(1), [new(Intent.Create(Names[0])), new(Intent.Create(Names[1]))], TrustAnchor.Pinned, Chains.Now,
            new() { Policies = [policy] }).Conclude(LedgerAnswer.Clear);

        Assert.Equal([null, "PolicyViolation"], Ask(new() { Name = "p", AllowedActions = ["trade."] }).Items.Select(item => item?.DetailCode));
        Assert.Equal(
            "batch authorization failed at index 1: policy violation: cert TTL 3600s exceeds policy maximum 1s",
            Ask(new() { Name = "p", TtlSecondsMax = 1 }).Items[1]!.Text);
    }
}
