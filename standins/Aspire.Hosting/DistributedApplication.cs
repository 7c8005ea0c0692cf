using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Running;
using Aspire.Hosting.Testing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting;

/// <summary>An application of several resources, run on this machine or published as a manifest.</summary>
public class DistributedApplication : IHost, IAsyncDisposable
{
    private readonly DistributedApplicationBuilder _builder;
    private readonly ServiceProvider _services;
    private readonly TaskCompletionSource _stopped = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly bool _isDrivenByTest = TestingHook.Current is not null;
    private Launcher? _launcher;

    internal DistributedApplication(DistributedApplicationBuilder builder)
    {
        _builder = builder;
        _services = new ServiceCollection()
            .AddSingleton<IConfiguration>(builder.Configuration)
            .AddSingleton(builder.ExecutionContext)
            .AddSingleton(ResourceNotifications)
            .BuildServiceProvider();
    }

    public IServiceProvider Services => _services;

    public ResourceNotificationService ResourceNotifications { get; } = new();

    internal IResourceCollection Resources => _builder.Resources;

    internal Launcher? Launcher => _launcher;

    public static IDistributedApplicationBuilder CreateBuilder(string[] args) => CreateBuilder(new DistributedApplicationOptions { Args = args });

    public static IDistributedApplicationBuilder CreateBuilder(DistributedApplicationOptions options) => new DistributedApplicationBuilder(options);

    /// <summary>Runs until it is stopped; the process's exit code is not zero when a resource did not start.</summary>
    public void Run() => RunAsync().GetAwaiter().GetResult();

    /// <inheritdoc cref="Run"/>
    public async Task RunAsync(CancellationToken cancellationToken = default)
    {
        if (_isDrivenByTest)
        {
            await _stopped.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
            return;
        }

        await using (this.ConfigureAwait(false))
        {
            await new ConsoleRun(this, _builder).RunAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Begins to start every resource; <see cref="ResourceNotifications"/> tells how it goes.</summary>
    /// <exception cref="DistributedApplicationException">A port is taken, or the data area cannot be made.</exception>
    public async Task StartAsync(CancellationToken cancellationToken = default)
    {
        var launcher = new Launcher(_builder, ResourceNotifications);
        _launcher = launcher;
        await launcher.StartAsync(cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Stops every resource in order.</summary>
    public async Task StopAsync(CancellationToken cancellationToken = default)
    {
        if (Interlocked.Exchange(ref _launcher, null) is { } launcher)
        {
            await launcher.DisposeAsync().ConfigureAwait(false);
        }

        _stopped.TrySetResult();
    }

    public void Dispose()
    {
        DisposeAsync().AsTask().GetAwaiter().GetResult();
        GC.SuppressFinalize(this);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync().ConfigureAwait(false);
        ResourceNotifications.Dispose();
        await _services.DisposeAsync().ConfigureAwait(false);
        GC.SuppressFinalize(this);
    }
}
