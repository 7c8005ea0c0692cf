using Swarm.Client.Transport;

namespace Swarm.Client;

public sealed partial class SwarmClient
{
    public Task<WakeSetup> GetWakeAsync(string agent, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Get(Agent(agent) + "/wake"), HubJson.Wire.WakeSetup, cancellation);

    /// <summary>Replaces when and how the agent is woken. Not repeated when the answer is lost: it may hold a secret that was made.</summary>
    public Task<WakeSetup> SetWakeAsync(string agent, NewWake wake, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Post(Agent(agent) + "/wake", wake, HubJson.Wire.NewWake), HubJson.Wire.WakeSetup, cancellation);
}
