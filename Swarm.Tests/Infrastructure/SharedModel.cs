using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.Extensions.DependencyInjection;
using Swarm.Core.Storage;

namespace Swarm.Tests.Infrastructure;

/// <summary>Entity Framework makes a model for each data source, which takes half a second; all nodes of a test run share one.</summary>
internal static class SharedModel
{
    private static readonly Lazy<IModel> Model = new(() =>
    {
        var services = new ServiceCollection().AddSingleton(Npgsql.NpgsqlDataSource.Create("Host=nowhere")).AddSwarmDb().BuildServiceProvider();
        return services.GetRequiredService<IDbContextFactory<SwarmDb>>().CreateDbContext().Model;
    });

    public static void AddTo(IServiceCollection services) => services.ConfigureDbContext<SwarmDb>(options => options.UseModel(Model.Value));
}
