using System.Globalization;
using System.Net.Sockets;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

/// <summary>Adds Redis servers.</summary>
public static class RedisBuilderExtensions
{
    private static readonly TimeSpan DefaultSnapshotInterval = TimeSpan.FromSeconds(60);

    public static IResourceBuilder<RedisResource> AddRedis(
        this IDistributedApplicationBuilder builder, string name, int? port = null, IResourceBuilder<ParameterResource>? password = null)
    {
        var passwordParameter = password?.Resource
            ?? ParameterResourceBuilderExtensions.CreateDefaultPasswordParameter(builder, $"{name}-password", special: false);
        var server = new RedisResource(name, passwordParameter) { Entrypoint = "/bin/sh" };
        return builder.AddResource(server)
            .WithAnnotation(new ContainerImage("docker.io", "library/redis", "8.6"))
            .WithAnnotation(new EndpointAnnotation(ProtocolType.Tcp, name: RedisResource.EndpointName, port: port, targetPort: RedisResource.ContainerPort))
            .WithEnvironment(context => context.EnvironmentVariables["REDIS_PASSWORD"] = passwordParameter)
            .WithAnnotation(new ArgumentsCallback(context =>
            {
                // The shell reads the password from the environment.
                var snapshots = server.Annotations.OfType<RedisSnapshots>().SingleOrDefault();
                context.Args.Add("-c");
                context.Args.Add("redis-server --requirepass $REDIS_PASSWORD" + (snapshots is null ? string.Empty : $" --save {snapshots}"));
                return Task.CompletedTask;
            }));
    }

    /// <summary>Keeps the data between starts, by a snapshot a minute when nothing else was asked for.</summary>
    public static IResourceBuilder<RedisResource> WithDataVolume(this IResourceBuilder<RedisResource> builder, string? name = null, bool isReadOnly = false)
    {
        builder.WithAnnotation(new DataVolume(name ?? $"{builder.Resource.Name}-data", "/data", isReadOnly));
        return isReadOnly || builder.Resource.Annotations.OfType<RedisSnapshots>().Any() ? builder : builder.WithPersistence();
    }

    /// <summary>Writes a snapshot after <paramref name="interval"/> (60 s when null) in which that many keys changed.</summary>
    public static IResourceBuilder<RedisResource> WithPersistence(
        this IResourceBuilder<RedisResource> builder, TimeSpan? interval = null, long keysChangedThreshold = 1) =>
        builder.WithAnnotation(new RedisSnapshots(interval ?? DefaultSnapshotInterval, keysChangedThreshold), ResourceAnnotationMutationBehavior.Replace);
}

internal sealed record RedisSnapshots(TimeSpan Interval, long KeysChanged) : IResourceAnnotation
{
    /// <summary>The two operands of Redis's <c>save</c>.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{(long)Interval.TotalSeconds} {KeysChanged}");
}
