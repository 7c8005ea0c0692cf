namespace Aspire.Hosting.ApplicationModel;

/// <summary>A .NET project of the application, run as a process of its own.</summary>
public class ProjectResource(string name) : Resource(name),
    IResourceWithEnvironment, IResourceWithArgs, IResourceWithServiceDiscovery, IResourceWithWaitSupport, IResourceWithProbes,
    IComputeResource, IContainerFilesDestinationResource
{
    internal string ProjectPath => Annotations.OfType<IProjectMetadata>().Single().ProjectPath;

    internal string ProjectFolder => Path.GetDirectoryName(ProjectPath)!;
}
