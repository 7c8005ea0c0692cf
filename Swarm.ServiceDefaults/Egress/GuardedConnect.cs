using System.Net;
using System.Net.Sockets;

namespace Swarm.ServiceDefaults.Egress;

/// <summary>Looks a host name up. The seam to DNS.</summary>
public delegate Task<IPAddress[]> EgressResolver(string host, CancellationToken cancellation);

/// <summary>Opens a connection to exactly that address and port. The seam to the network.</summary>
public delegate Task<Stream> EgressDialer(IPEndPoint endpoint, CancellationToken cancellation);

/// <summary>Carries a failure of ours through the HTTP handler.</summary>
internal sealed class EgressException(EgressFailure failure, Exception? inner = null) : IOException(failure.ToString(), inner)
{
    public EgressFailure Failure => failure;
}

/// <summary>
/// Resolve, refuse, connect: the address that was checked is the one that is dialled, so an answer of DNS that changes in between
/// changes nothing.
/// </summary>
internal sealed class GuardedConnect(EgressPolicy policy, EgressResolver resolve, EgressDialer dial)
{
    /// <summary>The most addresses of one name that are tried.</summary>
    public const int AddressesMax = 8;

    /// <summary>One address of several gets at most this long, so that a dead first one leaves time for the next.</summary>
    private static readonly TimeSpan AttemptTimeMax = TimeSpan.FromSeconds(3);

    public async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellation)
    {
        var scheme = context.InitialRequestMessage.RequestUri!.Scheme;
        var (host, port) = (context.DnsEndPoint.Host, context.DnsEndPoint.Port);
        var addresses = IPAddress.TryParse(host, out var literal) ? [literal] : await ResolveAsync(host, cancellation);
        var allowed = addresses.Where(address => policy.Allows(address, scheme)).Select(AddressRules.Unmap).Distinct().Take(AddressesMax).ToArray();
        if (allowed.Length == 0)
        {
            throw new EgressException(addresses.Length == 0 ? EgressFailure.Unresolvable : EgressFailure.NotAllowed);
        }

        for (var i = 0; ; i++)
        {
            using var attempt = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
            var isLast = i == allowed.Length - 1;
            if (!isLast)
            {
                attempt.CancelAfter(AttemptTimeMax);
            }

            try
            {
                return await dial(new IPEndPoint(allowed[i], port), attempt.Token);
            }
            catch (Exception e) when (e is SocketException or IOException or OperationCanceledException && !cancellation.IsCancellationRequested)
            {
                if (isLast)
                {
                    throw new EgressException(EgressFailure.ConnectFailed, e);
                }
            }
        }
    }

    /// <summary>Opens a TCP connection.</summary>
    public static async Task<Stream> DialAsync(IPEndPoint endpoint, CancellationToken cancellation)
    {
        var socket = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(endpoint, cancellation);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task<IPAddress[]> ResolveAsync(string host, CancellationToken cancellation)
    {
        try
        {
            return await resolve(host, cancellation);
        }
        catch (Exception e) when (e is SocketException or ArgumentException)
        {
            throw new EgressException(EgressFailure.Unresolvable, e);
        }
    }
}
