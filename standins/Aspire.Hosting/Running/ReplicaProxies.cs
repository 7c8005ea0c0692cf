using System.Net;
using System.Net.Sockets;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Running;

/// <summary>Listens on a project's public ports and hands each connection to the next of its replicas.</summary>
internal sealed class ReplicaProxies(ProjectResource project) : IDisposable
{
    private readonly List<Door> _doors = [.. project.Annotations.OfType<EndpointAnnotation>().Select(e => new Door(e))];
    private readonly CancellationTokenSource _end = new();

    /// <summary>Gives every endpoint a port of its own for the replica that is started next.</summary>
    public void AddReplica()
    {
        foreach (var door in _doors)
        {
            door.Endpoint.TargetPort = Ports.Free();
            door.Targets.Add(door.Endpoint.TargetPort.Value);
        }
    }

    public void Start()
    {
        foreach (var door in _doors)
        {
            door.Listener.Start();
            _ = AcceptAsync(door);
        }
    }

    public void Dispose()
    {
        _end.Cancel();
        foreach (var door in _doors)
        {
            door.Listener.Dispose();
        }

        _end.Dispose();
    }

    private async Task AcceptAsync(Door door)
    {
        var token = _end.Token;
        try
        {
            while (true)
            {
                _ = ServeAsync(door, await door.Listener.AcceptTcpClientAsync(token).ConfigureAwait(false), token);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or SocketException or ObjectDisposedException)
        {
            // The application stops.
        }
    }

    private static async Task ServeAsync(Door door, TcpClient client, CancellationToken cancellationToken)
    {
        using var inner = client;
        client.NoDelay = true;
        using var target = await door.ConnectAsync(cancellationToken).ConfigureAwait(false);
        if (target is null)
        {
            return;
        }

        try
        {
            await Task.WhenAll(
                PumpAsync(client, target, cancellationToken),
                PumpAsync(target, client, cancellationToken)).ConfigureAwait(false);
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // One side went away; the other is closed with it.
        }
    }

    private static async Task PumpAsync(TcpClient from, TcpClient to, CancellationToken cancellationToken)
    {
        try
        {
            await from.GetStream().CopyToAsync(to.GetStream(), cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            if (to.Connected)
            {
                to.Client.Shutdown(SocketShutdown.Send);
            }
        }
    }

    private sealed class Door(EndpointAnnotation endpoint)
    {
        private int _next = -1;

        public EndpointAnnotation Endpoint { get; } = endpoint;

        public List<int> Targets { get; } = [];

        public TcpListener Listener { get; } = new(IPAddress.Loopback, endpoint.Allocated!.Value.Port);

        /// <returns>A connection to the next replica that takes one, or null when none does.</returns>
        public async Task<TcpClient?> ConnectAsync(CancellationToken cancellationToken)
        {
            for (var attempt = 0; attempt < Targets.Count; attempt++)
            {
                var client = new TcpClient { NoDelay = true };
                try
                {
                    var index = (uint)Interlocked.Increment(ref _next) % (uint)Targets.Count;
                    await client.ConnectAsync(IPAddress.Loopback, Targets[(int)index], cancellationToken).ConfigureAwait(false);
                    return client;
                }
                catch (Exception e) when (e is SocketException or OperationCanceledException)
                {
                    client.Dispose();
                }
            }

            return null;
        }
    }
}
