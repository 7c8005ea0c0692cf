using Swarm.Core.Delivery;

namespace Swarm.Worker.Push;

/// <summary>Registers what calls remote peers, the pusher with its carriers and the fetching of keys; needs <c>AddGuardedHttp</c> and Core.</summary>
internal static class PushServices
{
    public static IHostApplicationBuilder AddPush(this IHostApplicationBuilder builder)
    {
        var options = new PushOptions();
        builder.Configuration.GetSection("Push").Bind(options);
        builder.Services.AddSingleton(options).AddSingleton<PushQueue>().AddSingleton<DeliveryMeter>();
        builder.Services.AddSingleton<IPushCarrier, AgentSwarmCarrier>();
        builder.Services.AddHostedService<Pusher>().AddHostedService<IntroductionLoop>();
        return builder;
    }
}
