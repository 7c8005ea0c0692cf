namespace Aspire.Hosting.ApplicationModel;

/// <summary>A resource that comes as a container image. This launcher may run it from local binaries instead.</summary>
public class ContainerResource(string name, string? entrypoint = null) : Resource(name),
    IResourceWithEnvironment, IResourceWithArgs, IResourceWithEndpoints, IResourceWithWaitSupport, IResourceWithProbes, IComputeResource
{
    /// <summary>What the container starts with, when not as its image says.</summary>
    public string? Entrypoint { get; set; } = entrypoint;
}

internal sealed record ContainerImage(string Registry, string Image, string Tag) : IResourceAnnotation
{
    public override string ToString() => $"{Registry}/{Image}:{Tag}";
}

/// <summary>A folder that outlives the resource.</summary>
internal sealed record DataVolume(string Name, string Target, bool IsReadOnly) : IResourceAnnotation;
