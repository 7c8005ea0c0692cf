using Swarm.Core.Delivery;

namespace Swarm.Worker.Push;

/// <summary>Registers the pusher and its carriers; needs <c>AddGuardedHttp</c> and Core.</summary>
internal static class PushServices
{
    public static IHostApplicationBuilder AddPush(this IHostApplicationBuilder builder)
    {
        var options = new PushOptions();
        builder.Configuration.GetSection("Push").Bind(options);
        builder.Services.AddSingleton(options).AddSingleton<PushQueue>().AddSingleton<DeliveryMeter>();
        builder.Services.AddSingleton<IPushCarrier, AgentSwarmCarrier>();
        builder.Services.AddHostedService<Pusher>();
        return builder;
    }
}
