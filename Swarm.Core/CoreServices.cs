using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Swarm.Core.Audit;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Gateway;
using Swarm.Core.Capabilities.Grants;
using Swarm.Core.Delivery;
using Swarm.Core.Delivery.Wake;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.Limits;
using Swarm.Core.Portability;
using Swarm.Core.Presence;
using Swarm.Core.References;
using Swarm.Core.Signals;
using Swarm.Core.Storage;
using Swarm.Core.Swarms;

namespace Swarm.Core;

/// <summary>Registers Core. The host brings the data source, the <see cref="SwarmDb"/> factory and, if it has one, the Redis client.</summary>
public static class CoreServices
{
    /// <summary>What every process of the node needs: storage, identity, swarms, reading.</summary>
    public static IServiceCollection AddSwarmCore(this IServiceCollection services, IConfiguration configuration)
    {
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton(Bind<StorageOptions>(configuration, "Storage"));
        services.AddSingleton(new KeyVaultOptions { MasterKey = configuration["Swarm:MasterKey"] ?? "" });
        services.AddSingleton(new DataFolderOptions { Path = configuration["Swarm:DataFolder"] ?? "" });
        services.AddSingleton(Bind<AgentOptions>(configuration, "Swarm"));
        services.AddSingleton(Bind<RetentionOptions>(configuration, "Retention"));

        services.AddSingleton<Migrator>().AddSingleton<StartupChecks>().AddSingleton<Backup>().AddSingleton<NodeFigures>();
        services.AddSignals();
        services.AddLimits(configuration);
        services.AddSingleton<LastSeen>();
        services.AddSingleton<Decisions>().AddSingleton<AuditVerifier>();
        services.AddSingleton<PublicKeys>().AddSingleton<KeyVault>().AddSingleton<HostedKeys>().AddSingleton<AgentDirectory>();
        services.AddSingleton<Sessions>().AddHostedService(s => s.GetRequiredService<Sessions>());
        services.AddSingleton<Tokens>().AddSingleton<Agents>().AddSingleton<NodeSetup>();
        services.AddSingleton<Rosters>().AddSingleton<SwarmDirectory>().AddSingleton<SwarmLifecycle>().AddSingleton<SwarmAdmission>();
        services.AddSingleton<Inbox>().AddSingleton<Mailbox>().AddSingleton<Mutes>().AddSingleton<WakeSettings>().AddSingleton<Conversations>().AddSingleton<InboxStream>().AddSingleton<Outbox>().AddSingleton<WorkQueue>();
        services.AddSingleton<SwarmNotices>().AddSingleton<RemoteSwarms>().AddSingleton<Resyncs>().AddSingleton<Introductions>().AddSingleton<AgentChanges>();
        services.AddSingleton<StateExport>().AddSingleton<StateImport>();
        services.AddSingleton<DeadLetters>().AddSingleton<DeliveryTrace>();
        services.AddCapabilities(configuration);
        services.AddSingleton<ReferenceSearch>().AddSingleton<ClaimBoard>();
        return services;
    }

    /// <summary>What accepts messages: the intake and its writer.</summary>
    public static IServiceCollection AddSwarmIntake(this IServiceCollection services)
    {
        services.AddSingleton<IntakeMeter>().AddSingleton<Intake>().AddSingleton<SwarmEvents>().AddSingleton<Sending>();
        services.AddSingleton<GroupCommit>().AddHostedService(s => s.GetRequiredService<GroupCommit>());
        services.AddHostedService<PresenceWriter>();
        services.AddSingleton<AuthorizationLedger>().AddHostedService(s => s.GetRequiredService<AuthorizationLedger>());
        services.AddSingleton<CapabilityGateway>();
        return services;
    }

    /// <summary>What happens without a request: expiry, the deliveries of large and scheduled messages, and whom to wake.</summary>
    public static IServiceCollection AddSwarmDelivery(this IServiceCollection services) =>
        services.AddSingleton<Expiry>().AddTransient<Expansion>().AddSingleton<Retention>().AddSingleton<WakeQueue>().AddSingleton<ReferenceIndex>().AddSingleton<CapabilitySweep>();

    /// <summary>What agents may do (A1): keys, passports, swarms and certificates.</summary>
    private static void AddCapabilities(this IServiceCollection services, IConfiguration configuration) => services
        .AddSingleton(Bind<CapabilityOptions>(configuration, CapabilityOptions.Section))
        .AddSingleton<GatewayKeys>().AddSingleton<TrustAnchors>().AddSingleton<Authorizer>()
        .AddSingleton<PassportTable>().AddSingleton<Passports>().AddSingleton<CapabilitySwarms>().AddSingleton<SwarmGrants>().AddSingleton<GatewayCertificates>()
        .AddSingleton<CapabilityInspector>();

    private static T Bind<T>(IConfiguration configuration, string section)
        where T : class, new()
    {
        var options = new T();
        configuration.GetSection(section).Bind(options);
        return options;
    }
}
