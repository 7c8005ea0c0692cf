using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace Swarm.Core.Storage;

/// <summary>Registers EF Core on the host's data source.</summary>
public static class StorageServices
{
    /// <summary>The name of the connection string of the database.</summary>
    public const string ConnectionName = "swarm";

    /// <summary>Statements that each connection keeps prepared: planning a look into the partitions costs more than running it.</summary>
    public const int StatementsPreparedMax = 64;

    /// <summary>How the host's data source is set up.</summary>
    public static void Configure(NpgsqlDataSourceBuilder builder) => builder.ConnectionStringBuilder.MaxAutoPrepare = StatementsPreparedMax;

    /// <summary>A pooled factory of <see cref="SwarmDb"/>. There are no retries: a decision that failed is answered as such, never half repeated.</summary>
    public static IServiceCollection AddSwarmDb(this IServiceCollection services) =>
        services.AddPooledDbContextFactory<SwarmDb>((provider, options) => options.UseNpgsql(provider.GetRequiredService<NpgsqlDataSource>()));
}
