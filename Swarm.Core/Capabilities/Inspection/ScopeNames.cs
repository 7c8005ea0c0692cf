using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Scopes;

namespace Swarm.Core.Capabilities.Inspection;

/// <summary>
/// The names behind scopes, which are hashes. A leaf is the hash of its name, so a name may come from anywhere: it is either the right one or none.
/// </summary>
internal sealed class ScopeNames
{
    /// <summary>The most names that are hashed; scopes that need more stay hashes.</summary>
    public const int NamesMax = 16_384;

    private readonly Dictionary<Bytes32, string> _names = [];
    private readonly Dictionary<Bytes32, IReadOnlyList<string>> _scopes = [];
    private int _hashed;

    /// <summary>Learns the names of a list, and which scope they are together.</summary>
    public void Learn(IReadOnlyList<string>? names)
    {
        if (names is not { Count: > 0 } || names.Count > NamesMax - _hashed)
        {
            return;
        }

        _hashed += names.Count;
        try
        {
            var leaves = names.Select(Intent.LeafOf).ToArray();
            for (var i = 0; i < leaves.Length; i++)
            {
                _names[leaves[i]] = names[i];
            }

            _scopes[IntentTree.RootOf(leaves)] = names;
        }
        catch (DenialException)
        {
            // A name that no intent may have: the list is no scope's.
        }
    }

    /// <summary>What a scope allows, by name; null when nothing tells.</summary>
    public IReadOnlyList<string>? Of(Bytes32 scope) =>
        _scopes.TryGetValue(scope, out var names) ? names : _names.TryGetValue(scope, out var name) ? [name] : null;

    /// <summary>The same for a certificate, whose proof tells the leaves of its scope.</summary>
    public IReadOnlyList<string>? Of(DelegationCertificate certificate)
    {
        if (Of(certificate.ScopeRoot) is { } known)
        {
            return known;
        }

        var subset = certificate.ScopeProof.Subset;
        return subset.Count > 0 && subset.All(_names.ContainsKey) && IntentTree.RootOf(subset) == certificate.ScopeRoot
            ? [.. subset.Select(leaf => _names[leaf])]
            : null;
    }
}
