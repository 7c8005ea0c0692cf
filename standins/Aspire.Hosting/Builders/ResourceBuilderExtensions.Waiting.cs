using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

public static partial class ResourceBuilderExtensions
{
    /// <summary>Starts the resource once <paramref name="dependency"/> runs and is healthy.</summary>
    public static IResourceBuilder<T> WaitFor<T>(this IResourceBuilder<T> builder, IResourceBuilder<IResource> dependency)
        where T : IResourceWithWaitSupport =>
        builder.WithAnnotation(new Wait(dependency.Resource, WaitKind.Healthy));

    /// <summary>Starts the resource once <paramref name="dependency"/> has exited with <paramref name="exitCode"/>.</summary>
    public static IResourceBuilder<T> WaitForCompletion<T>(this IResourceBuilder<T> builder, IResourceBuilder<IResource> dependency, int exitCode = 0)
        where T : IResourceWithWaitSupport =>
        builder.WithAnnotation(new Wait(dependency.Resource, WaitKind.Completion, exitCode));

    /// <summary>The resource is healthy while a GET of <paramref name="path"/> answers <paramref name="statusCode"/> (200 when null).</summary>
    /// <param name="builder">The resource.</param>
    /// <param name="path">Path on the endpoint.</param>
    /// <param name="statusCode">The expected status.</param>
    /// <param name="endpointName">The endpoint; by default <c>http</c>, else the first http or https one.</param>
    public static IResourceBuilder<T> WithHttpHealthCheck<T>(
        this IResourceBuilder<T> builder, string? path = null, int? statusCode = null, string? endpointName = null)
        where T : IResourceWithEndpoints
    {
        var endpoints = builder.Resource.Annotations.OfType<EndpointAnnotation>().Where(e => e.UriScheme is "http" or "https").ToList();
        var name = endpointName ?? endpoints.Find(e => e.Name == "http")?.Name ?? endpoints.FirstOrDefault()?.Name
            ?? throw new DistributedApplicationException($"Resource '{builder.Resource.Name}' has no http endpoint to check.");
        return builder.WithAnnotation(new HttpHealthCheck(name, path ?? "/", statusCode ?? 200));
    }
}
