using System.Net;

namespace Swarm.Api;

/// <summary>Who calls, for limits by address.</summary>
internal sealed class ClientAddress
{
    /// <summary>Networks of proxies besides this machine, in CIDR form.</summary>
    private const string Setting = "Swarm:TrustedProxies";

    private readonly IPNetwork[] _proxies;

    /// <exception cref="InvalidOperationException">A network is none; stops the start.</exception>
    public ClientAddress(IConfiguration configuration)
    {
        _proxies =
        [
            .. configuration.GetSection(Setting).GetChildren().Select(child => child.Value ?? "").Where(text => text.Length > 0).Select(text =>
                IPNetwork.TryParse(text, out var network)
                    ? network
                    : throw new InvalidOperationException($"{Setting} holds '{text}', which is no network such as 10.1.0.0/16.")),
        ];
    }

    /// <summary>
    /// The peer of the connection; behind a proxy on this machine or in a trusted network, the address that the proxy added (ASP §7.3). Null for
    /// loopback itself, which has no limit by address.
    /// </summary>
    public IPAddress? Of(HttpContext http)
    {
        var peer = http.Connection.RemoteIpAddress;
        if (peer is not null && IsProxy(peer) && http.Request.Headers["X-Forwarded-For"] is { Count: > 0 } forwarded)
        {
            // The proxy appends; what stands before is the caller's own word.
            var list = forwarded[^1].AsSpan();
            peer = IPAddress.TryParse(list[(list.LastIndexOf(',') + 1)..].Trim(), out var added) ? added : peer;
        }

        return peer is null || IPAddress.IsLoopback(peer) ? null : peer;
    }

    /// <summary>Nobody on the way could read the request: it came over TLS, or from this machine; behind a proxy, over TLS to that one.</summary>
    public bool IsPrivate(HttpContext http)
    {
        if (http.Request.Headers["X-Forwarded-Proto"] is [.., { } scheme] && http.Connection.RemoteIpAddress is var peer && (peer is null || IsProxy(peer)))
        {
            return scheme.Equals("https", StringComparison.OrdinalIgnoreCase);
        }

        return http.Request.IsHttps || Of(http) is null;
    }

    private bool IsProxy(IPAddress peer)
    {
        if (IPAddress.IsLoopback(peer))
        {
            return true;
        }

        var plain = peer.IsIPv4MappedToIPv6 ? peer.MapToIPv4() : peer;
        return Array.Exists(_proxies, network => network.Contains(plain));
    }
}
