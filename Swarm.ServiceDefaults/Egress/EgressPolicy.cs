using System.Net;

namespace Swarm.ServiceDefaults.Egress;

/// <summary>The address rules together with what the operator opened.</summary>
internal sealed class EgressPolicy(EgressOptions options)
{
    private readonly IPNetwork[] _allowed = [.. options.AllowedNetworks.Select(network => IPNetwork.Parse(network))];

    /// <summary>Plain http is for loopback alone; the rest must prove by TLS who it is.</summary>
    public bool Allows(IPAddress address, string scheme)
    {
        var kind = AddressRules.Judge(address);
        if (scheme != Uri.UriSchemeHttps)
        {
            return kind == AddressKind.Loopback && options.AllowLoopback;
        }

        return kind switch
        {
            AddressKind.Public => true,
            AddressKind.Loopback => options.AllowLoopback || IsListed(address),
            AddressKind.Private or AddressKind.CarrierGradeNat or AddressKind.Benchmarking or AddressKind.Documentation => IsListed(address),
            _ => false,
        };
    }

    // A translated address (NAT64, 6to4) of a listed network is not in it: only a mapped one is the same destination.
    private bool IsListed(IPAddress address)
    {
        var plain = AddressRules.Unmap(address);
        return Array.Exists(_allowed, network => network.Contains(plain));
    }
}
