using System.Net;

namespace Swarm.Api;

/// <summary>Who calls, for limits by address.</summary>
internal static class ClientAddress
{
    /// <summary>
    /// The peer of the connection; behind a proxy on this machine, the address that the proxy added (ASP §7.3). Null for loopback itself, which has no
    /// limit by address.
    /// </summary>
    public static IPAddress? Of(HttpContext http)
    {
        var peer = http.Connection.RemoteIpAddress;
        if (peer is not null && IPAddress.IsLoopback(peer) && http.Request.Headers["X-Forwarded-For"] is { Count: > 0 } forwarded)
        {
            // The proxy appends; what stands before is the caller's own word.
            var list = forwarded[^1].AsSpan();
            peer = IPAddress.TryParse(list[(list.LastIndexOf(',') + 1)..].Trim(), out var added) ? added : peer;
        }

        return peer is null || IPAddress.IsLoopback(peer) ? null : peer;
    }
}
