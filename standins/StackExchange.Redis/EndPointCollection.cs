using System.Collections.ObjectModel;
using System.Globalization;
using System.Net;

namespace StackExchange.Redis;

/// <summary>The servers to connect to. This implementation uses the first.</summary>
public sealed class EndPointCollection : Collection<EndPoint>
{
    internal const int DefaultPort = 6379;
    internal const int DefaultTlsPort = 6380;

    public EndPointCollection()
    {
    }

    /// <summary>Reads <c>host</c>, <c>host:port</c>, <c>1.2.3.4:port</c> or <c>[::1]:port</c>; port 0 means the default. Null when it is none of them.</summary>
    public static EndPoint? TryParse(string endpoint)
    {
        if (string.IsNullOrWhiteSpace(endpoint))
        {
            return null;
        }

        if (IPAddress.TryParse(endpoint, out IPAddress? bare))
        {
            return new IPEndPoint(bare, 0);
        }

        int colon = endpoint.LastIndexOf(':');
        int port = 0;
        if (colon >= 0 && !int.TryParse(endpoint.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port))
        {
            return null;
        }

        string host = colon < 0 ? endpoint : endpoint[..colon];
        if (host.Length == 0 || port > IPEndPoint.MaxPort)
        {
            return null;
        }

        return IPAddress.TryParse(host, out IPAddress? address) ? new IPEndPoint(address, port) : new DnsEndPoint(host, port);
    }

    /// <summary>Adds a server.</summary>
    /// <exception cref="ArgumentException">The text is no address.</exception>
    public void Add(string hostAndPort) =>
        Add(TryParse(hostAndPort) ?? throw new ArgumentException($"'{hostAndPort}' is not a host and port.", nameof(hostAndPort)));

    /// <summary>Adds a server.</summary>
    public void Add(string host, int port) => Add(IPAddress.TryParse(host, out IPAddress? address) ? new IPEndPoint(address, port) : new DnsEndPoint(host, port));
}
