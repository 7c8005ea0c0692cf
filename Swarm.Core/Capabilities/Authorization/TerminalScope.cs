using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Capabilities.Scopes;

namespace Swarm.Core.Capabilities.Authorization;

/// <summary>
/// The scope of a chain's last certificate, and what it holds (A1 §9, step 15). A1's requests carry no proof, so its gateway can only ever authorize a
/// scope of one intent (A1 §16, W12). Here the names that the certificate's signer listed, or those of a passport with the same scope, give the tree
/// back, if its root is the scope's; then no proof is needed (A1 §20).
/// </summary>
internal sealed class TerminalScope(DelegationCertificate last, TrustAnchor anchor)
{
    /// <summary>The most names of which a tree is built again.</summary>
    public const int NamesMax = 4096;

    private IntentTree? _tree;
    private bool _isBuilt;

    public bool Holds(IntentRequest request) =>
        request.Proof is { Siblings.Count: > 0 } proof
            ? proof.Verifies(request.Intent.Hash, last.ScopeRoot)
            : request.Intent.Hash == last.ScopeRoot || Tree()?.Contains(request.Intent.Hash) == true;

    private IntentTree? Tree()
    {
        if (!_isBuilt)
        {
            _tree = Build(last.Extensions.Capabilities)
                ?? Build(anchor.Passports.FirstOrDefault(p => p.ScopeRoot == last.ScopeRoot)?.Capabilities);
            _isBuilt = true;
        }

        return _tree;
    }

    private IntentTree? Build(IReadOnlyList<string>? names)
    {
        if (names is not { Count: > 0 and <= NamesMax })
        {
            return null;
        }

        try
        {
            var tree = IntentTree.Of(names);
            return tree.Root == last.ScopeRoot ? tree : null;
        }
        catch (DenialException)
        {
            // A name that no intent may have: the list is not the scope's.
            return null;
        }
    }
}
