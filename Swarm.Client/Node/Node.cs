using Swarm.Client.Transport;

namespace Swarm.Client;

/// <param name="Signals"><c>redis</c>, or <c>postgres</c> when the node runs without Redis.</param>
public sealed record NodeStatus(
    string NodeId, string Version, DateTimeOffset StartedAt, string Signals, long Agents, long Swarms, long Messages);

/// <summary>The node's counters.</summary>
/// <param name="Refused">Count by reason.</param>
/// <param name="Deliveries">Count by state.</param>
public sealed record NodeStats(
    long Accepted, long Duplicates, IReadOnlyDictionary<string, long>? Refused, IReadOnlyDictionary<string, long>? Deliveries,
    long Agents, long Swarms, long Messages, double? OldestPendingSeconds);

/// <summary>A written backup.</summary>
/// <param name="Path">Where the node put it, on the node's own file system.</param>
public sealed record BackupResult(string Path, long Bytes, int Tables, long Rows);

/// <summary>What <c>/health</c> answered.</summary>
/// <param name="Date">The node's clock, whole seconds (HTTP <c>Date</c>); null when it sent none.</param>
/// <param name="Body">The JSON text, at most a few kilobytes.</param>
public sealed record NodeHealth(int Status, DateTimeOffset? Date, string Body);

public sealed partial class SwarmClient
{
    /// <summary>How long a backup may take.</summary>
    private static readonly TimeSpan BackupTimeMax = TimeSpan.FromHours(1);

    public Task<NodeStatus> GetStatusAsync(CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Get("status"), HubJson.Wire.NodeStatus, cancellation);

    public Task<NodeStats> GetStatsAsync(CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Get("stats"), HubJson.Wire.NodeStats, cancellation);

    /// <summary>Has the node write a backup into its data folder; operators with the role admin only.</summary>
    public Task<BackupResult> BackupAsync(CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.PostNothing("backup") with { ExtraTime = BackupTimeMax }, HubJson.Wire.BackupResult, cancellation);

    /// <summary>Asks <c>/health</c>; an unhealthy node's answer (503) is a result, not an error. Needs no token.</summary>
    public Task<NodeHealth> GetHealthAsync(CancellationToken cancellation = default) => hub.GetHealthAsync(cancellation);
}
