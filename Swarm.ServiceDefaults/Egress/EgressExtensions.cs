using System.Net;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Options;

namespace Swarm.ServiceDefaults.Egress;

/// <summary>Registers <see cref="GuardedHttp"/> and <see cref="DestinationBreaker"/>.</summary>
public static class EgressExtensions
{
    /// <summary>The client for URLs that agents supplied, by the section <c>Egress</c>.</summary>
    public static TBuilder AddGuardedHttp<TBuilder>(this TBuilder builder)
        where TBuilder : IHostApplicationBuilder
    {
        builder.Services.AddOptions<EgressOptions>().Bind(builder.Configuration.GetSection("Egress")).ValidateOnStart();
        builder.Services.TryAddEnumerable(ServiceDescriptor.Singleton<IValidateOptions<EgressOptions>, EgressOptionsValidator>());
        builder.Services.TryAddSingleton<EgressResolver>(Dns.GetHostAddressesAsync);
        builder.Services.TryAddSingleton<EgressDialer>(GuardedConnect.DialAsync);
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.TryAddSingleton<GuardedHttp>();
        builder.Services.TryAddSingleton<DestinationBreaker>();
        return builder;
    }
}
