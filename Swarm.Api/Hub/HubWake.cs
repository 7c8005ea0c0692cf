using Swarm.Core;
using Swarm.Core.Delivery.Wake;
using Swarm.Core.Identity;

namespace Swarm.Api.Hub;

/// <summary>When and how an agent is woken (ASP §11.2).</summary>
internal static class HubWake
{
    public static async Task<IResult> Get(HttpContext http, string agent, AgentDirectory directory, WakeSettings wakes)
    {
        var profile = await http.SeeAsync(directory, agent);
        return Results.Json(await BodyAsync(http, wakes, profile), HubJson.Default.WakeBody);
    }

    public static async Task<IResult> Set(HttpContext http, string agent, AgentDirectory directory, WakeSettings wakes)
    {
        var profile = await http.ActAsAsync(directory, agent);
        var request = await http.ReadAsync(HubJson.Default.WakeRequest);
        var action = request.Action switch
        {
            null or "none" => WakeAction.None,
            "webhook" => WakeAction.Webhook,
            "protocol" => WakeAction.Protocol,
            _ => throw new SwarmException(SwarmError.InvalidRequest, "action is none, webhook or protocol."),
        };
        var made = await wakes.SetAsync(
            profile, request.Preferences ?? WakePreferences.Default, action, request.Url, request.Secret, http.RequestAborted);
        return Results.Json(await BodyAsync(http, wakes, profile) with { Secret = made }, HubJson.Default.WakeBody);
    }

    private static async Task<WakeBody> BodyAsync(HttpContext http, WakeSettings wakes, AgentProfile agent)
    {
        var setup = await wakes.GetAsync(agent.Id, http.RequestAborted);
        return new(
            agent.Name, setup.Preferences, setup.Action switch { WakeAction.None => "none", WakeAction.Webhook => "webhook", _ => "protocol" }, setup.Url,
            setup.HasSecret, setup.LastAt, setup.LastResult);
    }
}
