using System.Net;
using System.Net.Sockets;

namespace Swarm.Tests.Infrastructure;

/// <summary>Free loopback ports for servers that must be told theirs.</summary>
internal static class FreePorts
{
    /// <summary>Ports that nobody listened on a moment ago, all different.</summary>
    public static int[] Take(int count)
    {
        var listeners = Enumerable.Range(0, count).Select(_ => new TcpListener(IPAddress.Loopback, 0)).ToArray();
        foreach (var listener in listeners)
        {
            listener.Start();
        }

        var ports = listeners.Select(listener => ((IPEndPoint)listener.LocalEndpoint).Port).ToArray();
        foreach (var listener in listeners)
        {
            listener.Dispose();
        }

        return ports;
    }
}
