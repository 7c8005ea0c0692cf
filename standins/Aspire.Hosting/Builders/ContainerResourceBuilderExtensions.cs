using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

/// <summary>Settings of a container.</summary>
public static class ContainerResourceBuilderExtensions
{
    public static IResourceBuilder<T> WithImageTag<T>(this IResourceBuilder<T> builder, string tag)
        where T : ContainerResource
    {
        var image = builder.Resource.Annotations.OfType<ContainerImage>().Single();
        return builder.WithAnnotation(image with { Tag = tag }, ResourceAnnotationMutationBehavior.Replace);
    }
}
