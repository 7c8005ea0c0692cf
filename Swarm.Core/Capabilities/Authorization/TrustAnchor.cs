namespace Swarm.Core.Capabilities.Authorization;

/// <summary>A passport that this node knows of a principal.</summary>
/// <param name="Fingerprint">Of its root certificate; revoked when that is.</param>
/// <param name="ScopeRoot">What the principal may hand on.</param>
/// <param name="ExpiresAt">Unix seconds, inclusive and with the usual tolerance.</param>
/// <param name="Capabilities">The names of its scope.</param>
public sealed record KnownPassport(Bytes32 Fingerprint, Bytes32 ScopeRoot, ulong ExpiresAt, IReadOnlyList<string> Capabilities);

/// <summary>
/// What this node knows of a chain's principal (A1 §20, Trust). A1 itself believes any principal (A1 §16, W1); here one is pinned by configuration, or
/// known by a passport that must be alive, or refused.
/// </summary>
/// <param name="IsPinned">Trusted as a key, whatever passports it has.</param>
/// <param name="Passports">Those that it holds here.</param>
public sealed record TrustAnchor(bool IsPinned, IReadOnlyList<KnownPassport> Passports)
{
    /// <summary>Nobody: every chain of it is refused.</summary>
    public static readonly TrustAnchor Unknown = new(false, []);

    /// <summary>A configured key; also what a node that opened A1's compatibility mode takes everybody for.</summary>
    public static readonly TrustAnchor Pinned = new(true, []);

    public bool IsTrusted => IsPinned || Passports.Count > 0;

    /// <summary>
    /// The passports of which one must be alive: those with the chain's own scope. Where there is none, a pinned principal needs none, and any other
    /// principal needs one of all it has.
    /// </summary>
    internal IReadOnlyList<KnownPassport> Relevant(Bytes32 principalScope)
    {
        var same = Passports.Where(p => p.ScopeRoot == principalScope).ToArray();
        return same.Length > 0 ? same : IsPinned ? [] : Passports;
    }
}
