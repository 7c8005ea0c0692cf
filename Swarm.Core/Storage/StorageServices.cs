using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Swarm.Core.Storage;

/// <summary>Registers EF Core on the host's data source.</summary>
public static class StorageServices
{
    /// <summary>The name of the connection string of the database.</summary>
    public const string ConnectionName = "swarm";

    /// <summary>A pooled factory of <see cref="SwarmDb"/>. There are no retries: a decision that failed is answered as such, never half repeated.</summary>
    public static IServiceCollection AddSwarmDb(this IServiceCollection services) =>
        services.AddPooledDbContextFactory<SwarmDb>((provider, options) => options.UseNpgsql(provider.GetRequiredService<NpgsqlDataSource>()));
}
