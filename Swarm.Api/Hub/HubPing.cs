using System.Diagnostics;
using Swarm.Core;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.Limits;
using Swarm.Core.Presence;
using Swarm.Core.Swarms;
using Swarm.ServiceDefaults.Egress;

namespace Swarm.Api.Hub;

/// <summary>Is an agent there? Of this node's agents presence says it; an agent elsewhere is asked for its health (ASP §8.3), by the guarded client.</summary>
internal static class HubPing
{
    /// <summary>How long a peer has to answer.</summary>
    private static readonly TimeSpan TimeMax = TimeSpan.FromSeconds(10);

    public static async Task<IResult> Ping(
        HttpContext http, AgentDirectory directory, SwarmDirectory swarms, LastSeen seen, RateLimiter limits, GuardedHttp egress)
    {
        var request = await http.ReadAsync(HubJson.Default.PingRequest);
        var from = request.Agent is null ? null : await http.ActAsAsync(directory, request.Agent);
        if (from is null)
        {
            http.RequireOperator();
        }
        else if (limits.Take(RateKey.Sender(from.Id)) is { IsAllowed: false } spent)
        {
            return HubErrors.Problem(SwarmError.RateLimited, retryAfterSeconds: spent.RetryAfterSeconds);
        }

        var startedAt = Stopwatch.GetTimestamp();
        var target = HubRequests.Required(request.Target, "target");
        if (target.Contains("://", StringComparison.Ordinal))
        {
            return await AskAsync(target, target, limits, egress, http.RequestAborted);
        }

        if (!AgentName.IsValid(target))
        {
            throw new SwarmException(SwarmError.InvalidRequest, "target is the id of an agent, or the https address of one.");
        }

        var peer = from is null ? null : await swarms.FindPeerAsync(from.Id, target, http.RequestAborted);
        if (peer is { Kind: AgentKind.Remote } remote)
        {
            return await AskAsync(target, remote.Endpoint, limits, egress, http.RequestAborted);
        }

        // An agent sees those whom it shares a swarm with, and itself; an operator sees all.
        var id = peer?.Id ?? (await http.SeeAsync(directory, target)).Id;
        var known = await seen.FindAsync([id], http.RequestAborted);
        DateTimeOffset? at = known.TryGetValue(id, out var found) ? found : null;
        var online = at is { } time && seen.IsOnline(time);
        return Answer(new(
            target, "local", online ? "online" : "offline", at, null, Stopwatch.GetElapsedTime(startedAt).TotalMilliseconds,
            online ? "It was here just now." : at is null ? "It has not been seen." : "It has not been here for a while."));
    }

    private static async Task<IResult> AskAsync(string target, string endpoint, RateLimiter limits, GuardedHttp egress, CancellationToken cancellation)
    {
        if (EgressUrl.Parse(endpoint) is not { } url || url.Uri.Query.Length > 0)
        {
            throw new SwarmException(SwarmError.InvalidRequest, "The address is no https URL of an agent.");
        }

        if (limits.Take(RateKey.Destination(url.Destination)) is { IsAllowed: false } spent)
        {
            return HubErrors.Problem(SwarmError.RateLimited, retryAfterSeconds: spent.RetryAfterSeconds);
        }

        var startedAt = Stopwatch.GetTimestamp();
        var answer = await egress.SendAsync(
            new(HttpMethod.Get, $"{url.Uri.GetLeftPart(UriPartial.Path).TrimEnd('/')}/health") { TimeMax = TimeMax }, cancellation);
        return Answer(new(
            target, "remote", answer.IsSuccess ? "ok" : "failed", null, answer.Failure is null ? answer.Status : null,
            Stopwatch.GetElapsedTime(startedAt).TotalMilliseconds, answer.Reason));
    }

    private static IResult Answer(PingBody body) =>
        Results.Json(body with { LatencyMs = Math.Round(body.LatencyMs, 2) }, HubJson.Default.PingBody);
}
