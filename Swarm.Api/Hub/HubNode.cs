using Swarm.Core.Messaging;
using Swarm.Core.Signals;
using Swarm.Core.Storage;

namespace Swarm.Api.Hub;

/// <summary>The node itself: status, statistics, backup.</summary>
internal static class HubNode
{
    private static readonly string Version = typeof(HubNode).Assembly.GetName().Version!.ToString(3);
    private static readonly DateTimeOffset StartedAt = System.Diagnostics.Process.GetCurrentProcess().StartTime.ToUniversalTime();

    public static async Task<IResult> Status(HttpContext http, NodeFigures figures, ISignalBus signals)
    {
        var totals = await figures.TotalsAsync(http.RequestAborted);
        return Results.Json(
            new StatusBody(totals.NodeId, Version, StartedAt, signals.Name, totals.Agents, totals.Swarms, totals.Messages), HubJson.Default.StatusBody);
    }

    public static async Task<IResult> Stats(HttpContext http, NodeFigures figures, IntakeMeter meter, TimeProvider time)
    {
        http.RequireOperator();
        var totals = await figures.TotalsAsync(http.RequestAborted);
        var deliveries = await figures.DeliveriesAsync(http.RequestAborted);
        var oldest = await figures.OldestPendingAsync(http.RequestAborted);
        return Results.Json(
            new StatsBody(
                meter.AcceptedTotal, meter.DuplicateTotal, meter.RefusedTotals,
                deliveries.ToDictionary(d => HubInbox.WordOf(d.Key), d => d.Value),
                totals.Agents, totals.Swarms, totals.Messages,
                oldest is { } at ? Math.Round((time.GetUtcNow() - at).TotalSeconds, 3) : null),
            HubJson.Default.StatsBody);
    }
}
