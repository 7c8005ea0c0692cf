namespace Swarm.Core.Capabilities.Hashing;

/// <summary>
/// The context strings of A1 §1.1. Many hold <c>64796f6c6f</c>, some the word that these digits spell: both forms occur, and neither stands for the other.
/// </summary>
public static class A1Contexts
{
    public static readonly DerivationContext CertificateDigest = new("a1::64796f6c6f::cert::sig::v2.8.0");
    public static readonly DerivationContext CertificateFingerprint = new("a1::64796f6c6f::cert::fp::v2.8.0");
    public static readonly DerivationContext Extensions = new("a1::64796f6c6f::cert::ext::v2.8.0");
    public static readonly DerivationContext IntentLeaf = new("a1::64796f6c6f::intent::leaf::v2.8.0");
    public static readonly DerivationContext TreeNode = new("a1::64796f6c6f::merkle::node::v2.8.0");
    public static readonly DerivationContext SubScope = new("a1::64796f6c6f::subscope::commit::v2.8.0");
    public static readonly DerivationContext ChainFingerprint = new("a1::64796f6c6f::chain::fp::v2.8.0");
    public static readonly DerivationContext NamespaceScope = new("a1::dyolo::namespace::scope::v2.8.0");
    public static readonly DerivationContext Narrowing = new("a1::dyolo::narrowing::v2.8.0");
    public static readonly DerivationContext SwarmId = new("a1::dyolo::swarm::bind::v2.8.0");
    public static readonly DerivationContext SwarmRole = new("a1::dyolo::swarm::role::v2.8.0");
    public static readonly DerivationContext NegotiationRequest = new("a1::dyolo::negotiate::request::v2.8.0");
    public static readonly DerivationContext NegotiationOffer = new("a1::dyolo::negotiate::offer::v2.8.0");
    public static readonly DerivationContext NegotiationAcceptance = new("a1::dyolo::negotiate::accept::v2.8.0");
    public static readonly DerivationContext SubKey = new("a1::64796f6c6f::kdf::v2.8.0");

    /// <summary>The first byte of most hashed data.</summary>
    internal const byte Version = 1;
}
