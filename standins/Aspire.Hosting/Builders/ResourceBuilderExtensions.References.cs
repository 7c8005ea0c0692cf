using System.Text;
using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

public static partial class ResourceBuilderExtensions
{
    /// <summary>Hands over a connection string as <c>ConnectionStrings__NAME</c>, and its parts as <c>NAME_PROPERTY</c>.</summary>
    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder,
        IResourceBuilder<IResourceWithConnectionString> source,
        string? connectionName = null,
        bool optional = false)
        where TDestination : IResourceWithEnvironment
    {
        var resource = source.Resource;
        var name = connectionName ?? resource.Name;
        builder.WithAnnotation(new ReferenceTo(resource));
        return builder.WithEnvironment(context =>
        {
            if (resource.Annotations.OfType<AbsentFromMachine>().Any())
            {
                return;
            }

            var variable = resource.ConnectionStringEnvironmentVariable ?? $"ConnectionStrings__{name}";
            context.EnvironmentVariables[variable] = new ConnectionStringReference(resource, optional);
            foreach (var (property, value) in resource.GetConnectionProperties())
            {
                context.EnvironmentVariables[$"{Encode(name)}_{Encode(property)}"] = value;
            }
        });
    }

    /// <summary>Hands over the URLs of a project's endpoints, as <c>services__NAME__SCHEME__0</c> and <c>NAME_ENDPOINT</c>.</summary>
    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder, IResourceBuilder<IResourceWithServiceDiscovery> source)
        where TDestination : IResourceWithEnvironment
    {
        var resource = source.Resource;
        return builder.WithEnvironment(context =>
        {
            var countByKey = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase);
            foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>())
            {
                var reference = new EndpointReference(resource, endpoint.Name);
                var key = endpoint.Name is "http" or "https" ? endpoint.UriScheme : endpoint.Name;
                var index = countByKey[key] = countByKey.GetValueOrDefault(key, -1) + 1;
                context.EnvironmentVariables[$"services__{resource.Name}__{key}__{index}"] = reference;
                context.EnvironmentVariables[$"{Encode(resource.Name)}_{Encode(endpoint.Name)}"] = reference;
            }
        });
    }

    /// <summary>Upper case; what an environment variable's name cannot hold becomes an underscore.</summary>
    private static string Encode(string name)
    {
        var encoded = new StringBuilder(name.Length);
        foreach (var character in name)
        {
            encoded.Append(char.IsAsciiLetterOrDigit(character) ? char.ToUpperInvariant(character) : '_');
        }

        return encoded.ToString();
    }
}

/// <summary>Put on a resource that is told of another one's connection string.</summary>
internal sealed record ReferenceTo(IResource Resource) : IResourceAnnotation;

/// <summary>Put on a resource that this machine has no server for, and that the application can do without.</summary>
internal sealed class AbsentFromMachine : IResourceAnnotation;
