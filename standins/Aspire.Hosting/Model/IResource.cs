using System.Diagnostics.CodeAnalysis;

namespace Aspire.Hosting.ApplicationModel
{
    /// <summary>A named part of a distributed application.</summary>
    public interface IResource
    {
        string Name { get; }

        ResourceAnnotationCollection Annotations { get; }
    }

    /// <summary>A fact attached to a resource.</summary>
    public interface IResourceAnnotation;

    /// <summary>A resource whose process takes environment variables.</summary>
    public interface IResourceWithEnvironment : IResource;

    /// <summary>A resource whose process takes arguments.</summary>
    public interface IResourceWithArgs : IResource;

    /// <summary>A resource that listens somewhere.</summary>
    public interface IResourceWithEndpoints : IResource;

    /// <summary>A resource whose start can wait for another one.</summary>
    public interface IResourceWithWaitSupport : IResource;

    /// <summary>A resource that is placed on a compute environment when published.</summary>
    public interface IComputeResource : IResource;

    /// <summary>A resource that can receive files of another one's container.</summary>
    public interface IContainerFilesDestinationResource : IResource;

    /// <summary>A resource that can have liveness and readiness probes.</summary>
    [Experimental("ASPIREPROBES001")]
    public interface IResourceWithProbes : IResource;

    /// <summary>A resource that belongs to another one.</summary>
    public interface IResourceWithParent : IResource
    {
        IResource Parent { get; }
    }

    /// <inheritdoc cref="IResourceWithParent"/>
    public interface IResourceWithParent<out T> : IResourceWithParent
        where T : IResource
    {
        new T Parent { get; }

        IResource IResourceWithParent.Parent => Parent;
    }
}

namespace Aspire.Hosting
{
    /// <summary>A resource whose endpoints are found by name by those who reference it.</summary>
    public interface IResourceWithServiceDiscovery : ApplicationModel.IResourceWithEndpoints;

    /// <summary>Where a project of the application lies; the build generates one class a project in the namespace <c>Projects</c>.</summary>
    public interface IProjectMetadata : ApplicationModel.IResourceAnnotation
    {
        /// <summary>Full path of the project file.</summary>
        string ProjectPath { get; }

        /// <summary>True when the build of the app host has built the project already.</summary>
        bool SuppressBuild => false;
    }
}
