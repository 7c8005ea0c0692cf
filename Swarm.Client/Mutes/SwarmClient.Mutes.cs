using Swarm.Client.Transport;

namespace Swarm.Client;

public sealed partial class SwarmClient
{
    /// <summary>From now on <paramref name="agent"/> hears nothing of <paramref name="muted"/>, who is not told. Again replaces the reason.</summary>
    public Task MuteAgentAsync(string agent, string muted, string? reason = null, CancellationToken cancellation = default) =>
        MuteAsync(agent, "mute", new(muted, null, reason), cancellation);

    /// <summary>From now on <paramref name="agent"/> hears nothing of that swarm.</summary>
    public Task MuteSwarmAsync(string agent, Guid swarmId, string? reason = null, CancellationToken cancellation = default) =>
        MuteAsync(agent, "mute", new(null, swarmId, reason), cancellation);

    /// <summary>False when it was not muted.</summary>
    public async Task<bool> UnmuteAgentAsync(string agent, string muted, CancellationToken cancellation = default) =>
        (await MuteAsync(agent, "unmute", new(muted, null, null), cancellation)).WasMuted == true;

    /// <summary>False when it was not muted.</summary>
    public async Task<bool> UnmuteSwarmAsync(string agent, Guid swarmId, CancellationToken cancellation = default) =>
        (await MuteAsync(agent, "unmute", new(null, swarmId, null), cancellation)).WasMuted == true;

    public Task<MuteList> ListMutesAsync(string agent, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Get(Agent(agent) + "/mutes"), HubJson.Wire.MuteList, cancellation);

    private Task<MuteResult> MuteAsync(string agent, string what, MuteOrder order, CancellationToken cancellation) =>
        hub.CallAsync(
            HubRequest.Post($"{Agent(agent)}/{what}", order, HubJson.Wire.MuteOrder) with { Idempotent = what == "mute" },
            HubJson.Wire.MuteResult, cancellation);
}
