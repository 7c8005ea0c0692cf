using System.Net.Http.Headers;

namespace Swarm.Tests.Faults;

/// <summary>Where a replica of the Api is reached: its doors, and its Hub API with the operator's token.</summary>
internal sealed record Replica(HttpClient Door, HttpClient Hub, HttpClient Streams)
{
    /// <summary>How long a caller waits before it asks again, perhaps another replica. Longer than any fault but a stall lasts.</summary>
    public static readonly TimeSpan CallLimit = TimeSpan.FromSeconds(8);

    /// <summary>A replica in a process of its own.</summary>
    public static Replica At(Uri url, string token) => new(
        Client(url, null, CallLimit), Client(url, token, CallLimit), Client(url, token, Timeout.InfiniteTimeSpan));

    /// <summary>A replica in this process.</summary>
    public static Replica In(Infrastructure.NodeHost host) => new(host.Http, host.Hub, host.Hub);

    private static HttpClient Client(Uri url, string? token, TimeSpan limit)
    {
        var client = new HttpClient(new SocketsHttpHandler { ConnectTimeout = TimeSpan.FromSeconds(2) }) { BaseAddress = url, Timeout = limit };
        client.DefaultRequestHeaders.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        return client;
    }
}
