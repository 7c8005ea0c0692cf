using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using StackExchange.Redis;

namespace Swarm.Core.Signals;

/// <summary>Registers what wakes waiters, in this process and across replicas.</summary>
public static class SignalsExtensions
{
    /// <summary>
    /// <see cref="LocalSignals"/>, <see cref="ControlEvents"/>, the <see cref="DatabaseWatch"/>, and an <see cref="ISignalBus"/>: by Redis when an
    /// <see cref="IConnectionMultiplexer"/> is registered before, else by Postgres.
    /// </summary>
    public static IServiceCollection AddSignals(this IServiceCollection services)
    {
        services.TryAddSingleton<LocalSignals>();
        services.TryAddSingleton<ControlEvents>();
        services.TryAddSingleton<DatabaseWatch>();
        services.AddHostedService(provider => provider.GetRequiredService<DatabaseWatch>());
        bool redis = services.Any(service => service.ServiceType == typeof(IConnectionMultiplexer));
        services.AddSingleton(provider => Create(provider, redis));
        services.AddSingleton<ISignalBus>(provider => provider.GetRequiredService<SignalBus>());
        services.AddHostedService(provider => provider.GetRequiredService<SignalBus>());
        return services;
    }

    private static SignalBus Create(IServiceProvider provider, bool redis)
    {
        var signals = provider.GetRequiredService<LocalSignals>();
        var control = provider.GetRequiredService<ControlEvents>();
        var logs = provider.GetRequiredService<ILoggerFactory>();
        SignalBus bus = redis
            ? new RedisSignalBus(provider.GetRequiredService<IConnectionMultiplexer>, signals, control, logs.CreateLogger<RedisSignalBus>())
            : new PostgresSignalBus(provider.GetRequiredService<NpgsqlDataSource>(), signals, control, logs.CreateLogger<PostgresSignalBus>());
        bus.Reconnected += provider.GetRequiredService<DatabaseWatch>().WakeAll;
        return bus;
    }
}
