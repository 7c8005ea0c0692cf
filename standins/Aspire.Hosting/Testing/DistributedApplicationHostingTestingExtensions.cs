using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting.Testing;

/// <summary>Reaches the resources of a running application by name.</summary>
public static class DistributedApplicationHostingTestingExtensions
{
    /// <summary>A client whose base address is the resource's endpoint (<c>http</c>, else <c>https</c>, when no name is given).</summary>
    public static HttpClient CreateHttpClient(this DistributedApplication app, string resourceName, string? endpointName = null) =>
        new() { BaseAddress = app.GetEndpoint(resourceName, endpointName) };

    public static ValueTask<string?> GetConnectionStringAsync(
        this DistributedApplication app, string resourceName, CancellationToken cancellationToken = default) =>
        Find(app, resourceName) is IResourceWithConnectionString resource
            ? resource.GetConnectionStringAsync(cancellationToken)
            : throw new ArgumentException($"Resource '{resourceName}' has no connection string.", nameof(resourceName));

    public static Uri GetEndpoint(this DistributedApplication app, string resourceName, string? endpointName = null)
    {
        if (Find(app, resourceName) is not IResourceWithEndpoints resource)
        {
            throw new ArgumentException($"Resource '{resourceName}' has no endpoints.", nameof(resourceName));
        }

        string[] names = endpointName is null ? ["http", "https"] : [endpointName];
        var endpoint = names.Select(n => new EndpointReference(resource, n)).FirstOrDefault(e => e.Exists)
            ?? throw new ArgumentException($"Resource '{resourceName}' has no endpoint '{string.Join("' or '", names)}'.", nameof(endpointName));
        return new Uri(endpoint.Url);
    }

    private static IResource Find(DistributedApplication app, string name) =>
        app.Resources.TryGetByName(name, out var resource) ? resource : throw new ArgumentException($"There is no resource '{name}'.", nameof(name));
}
