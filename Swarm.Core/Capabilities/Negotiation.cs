using Swarm.Core.Capabilities.Hashing;

namespace Swarm.Core.Capabilities;

/// <summary>The digests that are signed when two agents agree on a certificate (A1 §19, negotiate).</summary>
public static class Negotiation
{
    public static Bytes32 RequestDigest(
        string requesterDid, Nonce nonce, ulong timestamp, ulong ttlSeconds, string intentName, IReadOnlyCollection<string> capabilities)
    {
        using var data = new Preimage(stackalloc byte[Preimage.StackBytes]);
        data.AddPrefixed(requesterDid);
        data.Add(nonce.AsSpan());
        data.AddLittleEndian(timestamp);
        data.AddLittleEndian(ttlSeconds);
        data.AddPrefixed(intentName);
        data.AddLittleEndian((ulong)capabilities.Count);
        foreach (var capability in capabilities)
        {
            data.AddPrefixed(capability);
        }

        return A1Contexts.NegotiationRequest.Derive(data.Written);
    }

    public static Bytes32 OfferDigest(string offererDid, Nonce requestNonce, Nonce offerNonce, ulong timestamp, Bytes32 certificateFingerprint)
    {
        using var data = new Preimage(stackalloc byte[Preimage.StackBytes]);
        data.AddPrefixed(offererDid);
        data.Add(requestNonce.AsSpan());
        data.Add(offerNonce.AsSpan());
        data.AddLittleEndian(timestamp);
        data.Add(certificateFingerprint);
        return A1Contexts.NegotiationOffer.Derive(data.Written);
    }

    public static Bytes32 AcceptanceDigest(string acceptorDid, Nonce offerNonce, ulong timestamp)
    {
        using var data = new Preimage(stackalloc byte[Preimage.StackBytes]);
        data.AddPrefixed(acceptorDid);
        data.Add(offerNonce.AsSpan());
        data.AddLittleEndian(timestamp);
        return A1Contexts.NegotiationAcceptance.Derive(data.Written);
    }
}
