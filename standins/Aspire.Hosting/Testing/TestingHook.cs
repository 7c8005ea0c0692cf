using System.Reflection;

namespace Aspire.Hosting.Testing;

/// <summary>Stands between an app host's program, run by a test on a thread of its own, and the test.</summary>
internal sealed class TestingHook(Assembly entryAssembly, Action<DistributedApplicationOptions> configure)
{
    private static readonly AsyncLocal<TestingHook?> Local = new();
    private readonly TaskCompletionSource<DistributedApplicationBuilder> _building = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _mayBuild = new();
    private readonly TaskCompletionSource<DistributedApplication> _built = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public static TestingHook? Current
    {
        get => Local.Value;
        set => Local.Value = value;
    }

    public Assembly EntryAssembly { get; } = entryAssembly;

    public Task<DistributedApplicationBuilder> Building => _building.Task;

    public Task<DistributedApplication> Built => _built.Task;

    public void Configure(DistributedApplicationOptions options) => configure(options);

    /// <summary>Called on the program's thread: holds it until the test builds.</summary>
    public void OnBuilding(DistributedApplicationBuilder builder)
    {
        _building.TrySetResult(builder);
        _mayBuild.Task.GetAwaiter().GetResult();
    }

    public void OnBuilt(DistributedApplication app) => _built.TrySetResult(app);

    public void LetBuild() => _mayBuild.TrySetResult();

    /// <summary>Ends a program that waits to build and never will.</summary>
    public void Abandon() => _mayBuild.TrySetException(new OperationCanceledException("The test ended without building."));

    public void Fail(Exception error)
    {
        _building.TrySetException(error);
        _built.TrySetException(error);
    }
}
