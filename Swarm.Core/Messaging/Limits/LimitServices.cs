using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using StackExchange.Redis;

namespace Swarm.Core.Messaging.Limits;

/// <summary>Registers the limits.</summary>
public static class LimitServices
{
    /// <summary>Counted over all replicas when an <see cref="IConnectionMultiplexer"/> is registered before, else by each replica.</summary>
    public static IServiceCollection AddLimits(this IServiceCollection services, IConfiguration configuration)
    {
        var options = new LimitOptions();
        configuration.GetSection(LimitOptions.Section).Bind(options);
        services.AddSingleton(options);
        if (services.Any(service => service.ServiceType == typeof(IConnectionMultiplexer)))
        {
            services.AddSingleton<IRateLedger>(provider => new RedisRateLedger(
                provider.GetRequiredService<IConnectionMultiplexer>,
                provider.GetRequiredService<TimeProvider>(),
                provider.GetRequiredService<ILogger<RedisRateLedger>>()));
        }

        return services.AddSingleton(provider => new RateLimiter(options, provider.GetRequiredService<TimeProvider>(), provider.GetService<IRateLedger>()));
    }
}
