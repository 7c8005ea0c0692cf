using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Json;
using Swarm.Core.Capabilities.Scopes;
using Swarm.Core.Identity;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Capabilities;

/// <summary>Keys, and chains of them: key 0 is the principal, key n+1 the delegate of hop n.</summary>
internal sealed class Chains
{
    public const ulong Now = 1_700_000_000;

    private readonly Key[] _keys = [.. Enumerable.Range(0, 12).Select(i =>
        NSec.Cryptography.Key.Import(SignatureAlgorithm.Ed25519, [.. Enumerable.Repeat((byte)(i + 1), 32)], KeyBlobFormat.RawPrivateKey))];

    private ulong _nonce;

    public PublicKeys PublicKeys { get; } = new();

    public Authorizer Authorizer => new(PublicKeys);

    public Key Key(int number) => _keys[number];

    public Bytes32 KeyOf(int number) => Bytes32.Read(_keys[number].PublicKey.Export(KeyBlobFormat.RawPublicKey));

    public Nonce NextNonce() => new(++_nonce, 7);

    /// <summary>A certificate from key <paramref name="hop"/> to the next one, whose scope passes through unless names are given.</summary>
    public DelegationCertificate Hop(int hop, IReadOnlyList<string> parent, IReadOnlyList<string>? names = null, byte maxDepth = 255) => new Delegation
    {
        Delegate = KeyOf(hop + 1),
        Parent = parent,
        Capabilities = names,
        Namespace = "tests",
        IssuedAt = Now,
        ExpiresAt = Now + 3600,
        MaxDepth = maxDepth,
        Nonce = NextNonce(),
    }.SignedBy(_keys[hop]);

    /// <summary>A chain from the principal's names through the narrower and narrower ones of each hop.</summary>
    public SignedChain Chain(IReadOnlyList<string> root, params IReadOnlyList<string>?[] hops)
    {
        var certificates = new List<DelegationCertificate>();
        var parent = root;
        foreach (var names in hops)
        {
            certificates.Add(Hop(certificates.Count, parent, names));
            parent = names ?? parent;
        }

        return Of(root, certificates);
    }

    public SignedChain Of(IReadOnlyList<string> root, IReadOnlyList<DelegationCertificate> certificates) =>
        new() { Principal = KeyOf(0), PrincipalScope = IntentTree.Of(root).Root, Certificates = certificates };

    public Validation Validate(SignedChain chain, string action, MerkleProof? proof = null, AuthorizationRules? rules = null) => Authorizer.Validate(
        chain, KeyOf(chain.Certificates.Count), new(Intent.Create(action), proof), TrustAnchor.Pinned, Now, rules ?? new());

    /// <summary>The refusal when nothing is revoked and nothing consumed; null for none.</summary>
    public Denial? Ask(SignedChain chain, string action, MerkleProof? proof = null) => Validate(chain, action, proof).Conclude(LedgerAnswer.Clear).Denial;

    public SignedChain Read(string json) => A1Wire.Read(json, (ref Utf8JsonReader reader) => ChainJson.Read(ref reader, PublicKeys));

    public static string Write(SignedChain chain) => A1Wire.Write(json => ChainJson.Write(json, chain));
}
