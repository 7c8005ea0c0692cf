using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Running;

namespace Aspire.Hosting;

/// <summary>Adds .NET projects.</summary>
public static class ProjectResourceBuilderExtensions
{
    /// <summary>Adds a project that the app host references.</summary>
    public static IResourceBuilder<ProjectResource> AddProject<TProject>(this IDistributedApplicationBuilder builder, string name)
        where TProject : IProjectMetadata, new() => Add(builder, name, new TProject());

    /// <summary>Adds a project by the path of its project file, relative to the app host's folder. It must be built.</summary>
    public static IResourceBuilder<ProjectResource> AddProject(this IDistributedApplicationBuilder builder, string name, string projectPath) =>
        Add(builder, name, new ProjectAt(Path.GetFullPath(Path.Combine(builder.AppHostDirectory, projectPath))));

    /// <summary>Runs that many processes of the project behind its public ports.</summary>
    public static IResourceBuilder<ProjectResource> WithReplicas(this IResourceBuilder<ProjectResource> builder, int replicas)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(replicas, 1);
        return builder.WithAnnotation(new Replicas(replicas), ResourceAnnotationMutationBehavior.Replace);
    }

    /// <summary>Tells the project's process only of the endpoints that the filter lets through.</summary>
    public static IResourceBuilder<ProjectResource> WithEndpointsInEnvironment(
        this IResourceBuilder<ProjectResource> builder, Func<EndpointAnnotation, bool> filter) =>
        builder.WithAnnotation(new EndpointFilter(filter));

    private static IResourceBuilder<ProjectResource> Add(IDistributedApplicationBuilder builder, string name, IProjectMetadata project)
    {
        var added = builder.AddResource(new ProjectResource(name)).WithAnnotation(project);
        ProjectDefaults.Apply(added);
        return added;
    }

    private sealed record ProjectAt(string ProjectPath) : IProjectMetadata;
}

internal sealed record EndpointFilter(Func<EndpointAnnotation, bool> Passes) : IResourceAnnotation;
