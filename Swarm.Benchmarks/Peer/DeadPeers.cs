using System.Net;
using System.Net.Sockets;

namespace Swarm.Benchmarks.Peer;

/// <summary>Destinations that take no message: every other one lets itself be connected to and never answers, the rest refuse.</summary>
internal sealed class DeadPeers : IDisposable
{
    private readonly List<TcpListener> _silent = [];

    public DeadPeers(int count)
    {
        for (var i = 0; i < count; i++)
        {
            var listener = new TcpListener(IPAddress.Loopback, 0);
            listener.Start();
            Urls.Add(new($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}"));
            if (i % 2 == 0)
            {
                _silent.Add(listener);
            }
            else
            {
                listener.Dispose();
            }
        }
    }

    public List<Uri> Urls { get; } = [];

    public void Dispose()
    {
        foreach (var listener in _silent)
        {
            listener.Dispose();
        }
    }
}
