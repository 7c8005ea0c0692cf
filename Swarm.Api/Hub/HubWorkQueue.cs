using Swarm.Core;
using Swarm.Core.Delivery;
using Swarm.Core.Identity;
using Swarm.Core.Presence;
using Swarm.Core.Signals;

namespace Swarm.Api.Hub;

/// <summary>The inbox as a work queue: lease, acknowledge, give back, extend.</summary>
internal static class HubWorkQueue
{
    /// <summary>The longest wait for something to lease, in seconds.</summary>
    public const int WaitSecondsMax = 60;

    /// <summary>The longest delay of a negative acknowledgement, in seconds.</summary>
    public const int DelaySecondsMax = 7 * 24 * 3600;

    /// <summary>A returned or delayed delivery sends no signal, so a waiting consumer looks again after this long.</summary>
    private static readonly TimeSpan LookAgain = TimeSpan.FromSeconds(1);

    public static async Task<IResult> Lease(
        HttpContext http, string agent, AgentDirectory directory, WorkQueue queue, LocalSignals signals, LastSeen seen, TimeProvider time)
    {
        var profile = await http.ActAsAsync(directory, agent);
        var request = await http.ReadAsync(HubJson.Default.LeaseRequest);
        var max = Within(request.Max ?? 20, 1, WorkQueue.LeaseItemsMax, "max");
        var duration = TimeSpan.FromSeconds(Within(request.LeaseSeconds ?? 30, 1, WorkQueue.LeaseSecondsMax, "lease_seconds"));
        var wait = TimeSpan.FromSeconds(Within(request.WaitSeconds ?? 0, 0, WaitSecondsMax, "wait_seconds"));

        using var subscription = signals.Subscribe(profile.Id);
        var startedAt = time.GetTimestamp();
        while (true)
        {
            seen.Note(profile.Id);
            var lease = await queue.LeaseAsync(profile.Id, max, duration, http.RequestAborted);
            var left = wait - time.GetElapsedTime(startedAt);
            if (lease.Items.Count > 0 || left <= TimeSpan.Zero)
            {
                return Results.Json(new LeaseBody(lease.Id, lease.ExpiresAt, [.. lease.Items.Select(HubInbox.ToBody)]), HubJson.Default.LeaseBody);
            }

            await subscription.WaitAsync(left < LookAgain ? left : LookAgain, time, http.RequestAborted);
        }
    }

    public static async Task<IResult> Ack(HttpContext http, string agent, AgentDirectory directory, WorkQueue queue)
    {
        var profile = await http.ActAsAsync(directory, agent);
        var request = await http.ReadAsync(HubJson.Default.SettleRequest);
        return Results.Json(
            new UpdatedBody(await queue.AckAsync(profile.Id, LeaseId(request.LeaseId), HubInbox.Seqs(request.Seqs), http.RequestAborted)),
            HubJson.Default.UpdatedBody);
    }

    public static async Task<IResult> Nak(HttpContext http, string agent, AgentDirectory directory, WorkQueue queue)
    {
        var profile = await http.ActAsAsync(directory, agent);
        var request = await http.ReadAsync(HubJson.Default.SettleRequest);
        var delay = request.DelaySeconds ?? 0;
        if (!(delay is >= 0 and <= DelaySecondsMax))
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"delay_seconds is from 0 to {DelaySecondsMax}.");
        }

        return Results.Json(
            new UpdatedBody(await queue.NakAsync(
                profile.Id, LeaseId(request.LeaseId), HubInbox.Seqs(request.Seqs), TimeSpan.FromSeconds(delay), http.RequestAborted)),
            HubJson.Default.UpdatedBody);
    }

    public static async Task<IResult> Extend(HttpContext http, string agent, AgentDirectory directory, WorkQueue queue)
    {
        var profile = await http.ActAsAsync(directory, agent);
        var request = await http.ReadAsync(HubJson.Default.ExtendRequest);
        var duration = TimeSpan.FromSeconds(Within(request.LeaseSeconds ?? 30, 1, WorkQueue.LeaseSecondsMax, "lease_seconds"));
        return Results.Json(
            new ExtendBody(await queue.ExtendAsync(profile.Id, LeaseId(request.LeaseId), duration, http.RequestAborted)), HubJson.Default.ExtendBody);
    }

    private static Guid LeaseId(Guid? id) => id ?? throw new SwarmException(SwarmError.InvalidRequest, "lease_id is missing.");

    private static int Within(int value, int min, int max, string name) => value >= min && value <= max
        ? value
        : throw new SwarmException(SwarmError.InvalidRequest, $"{name} is from {min} to {max}.");
}
