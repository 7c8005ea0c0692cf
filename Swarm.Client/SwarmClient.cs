using Swarm.Client.Transport;

namespace Swarm.Client;

/// <summary>
/// Talks to a node's Hub API (design §6): agents, swarms, messages, inbox, work queue. Thread-safe; make one and keep it.
/// <para>
/// Every method throws <see cref="SwarmApiException"/> when the node refuses, and <see cref="SwarmConnectionException"/> when it cannot be
/// reached, breaks off, or does not answer in time. Only calls that are safe to repeat are tried again
/// (<see cref="SwarmClientOptions.TriesMax"/>).
/// </para>
/// </summary>
public sealed partial class SwarmClient : IDisposable
{
    private readonly HubTransport hub;

    public SwarmClient(SwarmClientOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        hub = new HubTransport(options);
    }

    public void Dispose() => hub.Dispose();

    private static string Agent(string name) => "agents/" + Uri.EscapeDataString(name);

    private static string Swarm(Guid id) => "swarms/" + id.ToString("D");
}
