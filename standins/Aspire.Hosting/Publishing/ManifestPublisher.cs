namespace Aspire.Hosting.Publishing;

internal static class ManifestPublisher
{
    public static Task PublishAsync(DistributedApplicationBuilder builder, CancellationToken cancellationToken) =>
        throw new DistributedApplicationException("not yet");
}
