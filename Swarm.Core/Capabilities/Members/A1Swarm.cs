using NSec.Cryptography;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Hashing;
using Swarm.Core.Capabilities.Scopes;

namespace Swarm.Core.Capabilities.Members;

/// <summary>The rules of an A1 swarm that need no storage: its id, what a role may list, and a member's chain (A1 §13, §20).</summary>
public static class A1Swarm
{
    private const string DidPrefix = "did:a1:";

    /// <summary>A chain that is to be delegated needs room for one certificate more (A1 §9).</summary>
    private const byte DelegableDepthMin = 2;

    /// <summary>The id that the name and the mask give; nothing of the owner or the time is in it.</summary>
    /// <exception cref="SwarmException"><see cref="SwarmError.InvalidRequest"/>: the name holds a lone surrogate.</exception>
    public static Bytes32 IdOf(string name, NarrowingMask mask)
    {
        using var data = new Preimage(stackalloc byte[Preimage.StackBytes]);
        data.AddPrefixed(name);
        data.Add(mask.Bits);
        return A1Contexts.SwarmId.Derive(data.Written);
    }

    /// <summary><c>did:a1:</c> and the key in lower-case hex.</summary>
    public static string DidOf(Bytes32 key) => DidPrefix + key;

    /// <summary>
    /// Null when the swarm has every capability that the role lists. A1 compares masks, which collide; here the names themselves count (A1 §20).
    /// </summary>
    public static Denial? CheckRole(SwarmRole role, IReadOnlyCollection<string> swarmCapabilities) =>
        role.Capabilities.All(swarmCapabilities.Contains) ? null : Denial.PassportNarrowingViolation;

    /// <summary>
    /// The chain with which a member acts: one certificate of the swarm's owner, with a real proof for the capabilities that the role lists, or with the
    /// whole scope for an orchestrator (A1 §20).
    /// </summary>
    /// <param name="owner">The swarm owner's key, which signs.</param>
    /// <param name="passport">The swarm's passport, which the owner holds; its namespace is the swarm's name.</param>
    /// <param name="role">The member's role.</param>
    /// <param name="member">The member's key.</param>
    /// <param name="now">Unix seconds.</param>
    /// <param name="ttlSeconds">At least 1.</param>
    /// <param name="memberExpiresAt">When the membership ends; the chain ends with it, and with the passport.</param>
    /// <param name="nonce">Fresh.</param>
    /// <exception cref="DenialException">
    /// <see cref="DenialKind.PassportNarrowingViolation"/>: an auditor, a role that lists nothing, or one that lists what the swarm has not;
    /// <see cref="DenialKind.WireFormatError"/>: another key than the owner's, or it would have expired already.
    /// </exception>
    public static SignedChain IssueChain(
        Key owner, Passport passport, SwarmRole role, Bytes32 member, ulong now, ulong ttlSeconds, ulong memberExpiresAt, Nonce nonce)
    {
        if (Bytes32.Read(owner.PublicKey.Export(KeyBlobFormat.RawPublicKey)) != passport.Root.Delegate)
        {
            throw new DenialException(Denial.WireFormat("the signing key is not the swarm owner's"));
        }

        var isWhole = role.Kind == SwarmRoleKind.Orchestrator;
        if ((!isWhole && role.Capabilities.Count == 0) || CheckRole(role, passport.Capabilities) is not null)
        {
            throw new DenialException(Denial.PassportNarrowingViolation);
        }

        var expiry = now > ulong.MaxValue - ttlSeconds ? ulong.MaxValue : now + ttlSeconds;
        var certificate = new Delegation
        {
            Delegate = member,
            Parent = passport.Capabilities,
            Capabilities = isWhole ? null : [.. role.Capabilities.Distinct(StringComparer.Ordinal)],
            Namespace = passport.Namespace,
            IssuedAt = now,
            ExpiresAt = Math.Min(expiry, Math.Min(memberExpiresAt, passport.Root.ExpiresAt)),
            MaxDepth = (byte)Math.Clamp(role.MaxDepth, role.CanDelegate ? DelegableDepthMin : 0UL, byte.MaxValue),
            Nonce = nonce,
        }.SignedBy(owner);
        return passport.ChainOf(certificate);
    }
}
