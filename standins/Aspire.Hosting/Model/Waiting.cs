namespace Aspire.Hosting.ApplicationModel;

internal enum WaitKind
{
    Healthy,
    Completion,
}

internal sealed record Wait(IResource Resource, WaitKind Kind, int ExitCode = 0) : IResourceAnnotation;

internal sealed record HttpHealthCheck(string EndpointName, string Path, int StatusCode) : IResourceAnnotation;

internal sealed record Replicas(int Count) : IResourceAnnotation;
