using System.Diagnostics.CodeAnalysis;
using Aspire.Npgsql.EntityFrameworkCore.PostgreSQL;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;

namespace Microsoft.Extensions.Hosting;

/// <summary>PostgreSQL through EF Core.</summary>
public static class AspireEFPostgreSqlExtensions
{
    private const string Section = "Aspire:Npgsql:EntityFrameworkCore:PostgreSQL";

    /// <summary>Registers a pooled <typeparamref name="TContext"/> for <c>ConnectionStrings:{connectionName}</c>, with retry and a health check.</summary>
    public static void AddNpgsqlDbContext<[DynamicallyAccessedMembers(Components.ContextMembers)] TContext>(
        this IHostApplicationBuilder builder,
        string connectionName,
        Action<NpgsqlEntityFrameworkCorePostgreSQLSettings>? configureSettings = null,
        Action<DbContextOptionsBuilder>? configureDbContextOptions = null)
        where TContext : DbContext
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentException.ThrowIfNullOrEmpty(connectionName);
        NpgsqlEntityFrameworkCorePostgreSQLSettings settings = Read<TContext>(builder);
        settings.ConnectionString = builder.Configuration.GetConnectionString(connectionName) ?? settings.ConnectionString;
        configureSettings?.Invoke(settings);

        builder.Services.AddDbContextPool<TContext>(options =>
        {
            string connectionString = Components.Require(settings.ConnectionString, connectionName, Section);
            options.UseNpgsql(connectionString, npgsql => Apply(npgsql, settings));
            configureDbContextOptions?.Invoke(options);
        });
        AddHealthCheck<TContext>(builder, settings);
    }

    /// <summary>Gives a context that is registered already the retry and the health check.</summary>
    public static void EnrichNpgsqlDbContext<[DynamicallyAccessedMembers(Components.ContextMembers)] TContext>(
        this IHostApplicationBuilder builder,
        Action<NpgsqlEntityFrameworkCorePostgreSQLSettings>? configureSettings = null)
        where TContext : DbContext
    {
        ArgumentNullException.ThrowIfNull(builder);
        if (!builder.Services.Any(service => service.ServiceType == typeof(DbContextOptions<TContext>)))
        {
            throw new InvalidOperationException($"{typeof(TContext).Name} must be registered before it is enriched.");
        }

        NpgsqlEntityFrameworkCorePostgreSQLSettings settings = Read<TContext>(builder);
        configureSettings?.Invoke(settings);
        builder.Services.ConfigureDbContext<TContext>(options => options.UseNpgsql(npgsql => Apply(npgsql, settings)));
        AddHealthCheck<TContext>(builder, settings);
    }

    private static NpgsqlEntityFrameworkCorePostgreSQLSettings Read<TContext>(IHostApplicationBuilder builder)
    {
        var settings = new NpgsqlEntityFrameworkCorePostgreSQLSettings();
        IConfigurationSection section = builder.Configuration.GetSection(Section);
        section.Bind(settings);
        section.GetSection(typeof(TContext).Name).Bind(settings);
        return settings;
    }

    private static void Apply(
        Npgsql.EntityFrameworkCore.PostgreSQL.Infrastructure.NpgsqlDbContextOptionsBuilder npgsql,
        NpgsqlEntityFrameworkCorePostgreSQLSettings settings)
    {
        if (!settings.DisableRetry)
        {
            npgsql.EnableRetryOnFailure();
        }

        if (settings.CommandTimeout is { } seconds)
        {
            npgsql.CommandTimeout(seconds);
        }
    }

    private static void AddHealthCheck<TContext>(IHostApplicationBuilder builder, NpgsqlEntityFrameworkCorePostgreSQLSettings settings)
        where TContext : DbContext
    {
        if (!settings.DisableHealthChecks)
        {
            builder.Services.AddHealthChecks().Add(new(typeof(TContext).Name, services => new ContextHealthCheck<TContext>(services), null, null));
        }
    }
}
