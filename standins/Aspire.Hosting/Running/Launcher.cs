using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;

namespace Aspire.Hosting.Running;

/// <summary>Starts the resources of an application, each when what it waits for is there, and stops them all.</summary>
internal sealed class Launcher(DistributedApplicationBuilder builder, ResourceNotificationService notifications) : IAsyncDisposable
{
    private readonly CancellationTokenSource _stop = new();
    private readonly List<RunningResource> _resources = [];
    private readonly List<Task> _tasks = [];
    private readonly TaskCompletionSource<LaunchFailure> _failed = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private SupervisorClient? _supervisor;

    public ResourceNotificationService Notifications { get; } = notifications;

    public IConfiguration Configuration => builder.Configuration;

    public DistributedApplicationExecutionContext ExecutionContext => builder.ExecutionContext;

    public DataArea Area => builder.Area.Value;

    public SupervisorClient Supervisor => _supervisor ?? throw new InvalidOperationException("The application is not started.");

    /// <summary>The program of a container runtime that answers, or null. Asked once, when first needed.</summary>
    public Lazy<Task<string?>> ContainerRuntime { get; } = new(ContainerCommand.FindRuntimeAsync);

    public IReadOnlyList<RunningResource> Resources => _resources;

    /// <summary>Ends when a resource could not be started.</summary>
    public Task<LaunchFailure> Failed => _failed.Task;

    public async Task StartAsync(CancellationToken cancellationToken)
    {
        Allocate();
        _supervisor = SupervisorClient.Start();
        foreach (var resource in builder.Resources.Where(r => r is not ParameterResource))
        {
            var run = new RunningResource(resource, this, Area.LogFile(resource.Name));
            run.Update(s => s with { State = KnownResourceStates.NotStarted, LogFile = resource is PostgresDatabaseResource ? null : run.LogFile });
            _resources.Add(run);
        }

        if (Configuration["Launcher:Ephemeral"] == "true")
        {
            await _supervisor.RemoveAtEndAsync(Area.Root, cancellationToken).ConfigureAwait(false);
        }

        _tasks.AddRange(_resources.Select(r => Task.Run(() => RunAsync(r))));
    }

    /// <summary>Ends when every resource is up, over, or absent.</summary>
    public Task SettledAsync(CancellationToken cancellationToken) => Task.WhenAll(_resources.Select(r =>
        Notifications.WaitForResourceAsync(r.Name, e => e.Snapshot.IsUp || e.Snapshot.IsOver || e.Snapshot.State?.Text == KnownResourceStates.Absent, cancellationToken)));

    /// <summary>
    /// Notes why a resource failed. The first failure counts, so call it before the state changes: others fail because of that state.
    /// </summary>
    public void Fail(RunningResource run, string message) => _failed.TrySetResult(new LaunchFailure(run.Name, message, run.LogFile));

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(_tasks).ConfigureAwait(false);
        if (_supervisor is not null)
        {
            await _supervisor.DisposeAsync().ConfigureAwait(false);
        }

        _stop.Dispose();
    }

    private async Task RunAsync(RunningResource run)
    {
        try
        {
            await WaitForDependenciesAsync(run).ConfigureAwait(false);
            await WaitForAddressesAsync(run).ConfigureAwait(false);
            if (run.Resource is not PostgresDatabaseResource)
            {
                run.Enter(KnownResourceStates.Starting);
            }

            await (run.Resource switch
            {
                PostgresServerResource postgres => new PostgresRunner(postgres, run).RunAsync(_stop.Token),
                PostgresDatabaseResource database => PostgresDatabaseRunner.RunAsync(database, run, _stop.Token),
                RedisResource redis => new RedisRunner(redis, run).RunAsync(_stop.Token),
                ProjectResource project => new ProjectRunner(project, run).RunAsync(_stop.Token),
                _ => throw new DistributedApplicationException($"This launcher does not know how to run a {run.Resource.GetType().Name}."),
            }).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // The application stops.
        }
        catch (DependencyFailedException e)
        {
            Fail(run, $"It waits for another resource: {e.Message}.");
            run.Enter(KnownResourceStates.FailedToStart, e.Message);
        }
        catch (Exception e)
        {
            Fail(run, e is DistributedApplicationException ? e.Message : e.ToString());
            run.Enter(KnownResourceStates.FailedToStart, e.Message);
        }
    }

    private async Task WaitForDependenciesAsync(RunningResource run)
    {
        foreach (var wait in run.Resource.Annotations.OfType<Wait>())
        {
            run.Enter(KnownResourceStates.Waiting, $"for {wait.Resource.Name}");
            var found = await Notifications.WaitForResourceAsync(
                wait.Resource.Name, e => IsMet(wait, e.Snapshot) || e.Snapshot.IsOver, _stop.Token).ConfigureAwait(false);
            if (!IsMet(wait, found.Snapshot))
            {
                throw new DependencyFailedException($"{wait.Resource.Name} is {found.Snapshot.State?.Text}");
            }
        }
    }

    /// <summary>What a connection string says is known once its server runs, or is known to be absent.</summary>
    private async Task WaitForAddressesAsync(RunningResource run)
    {
        foreach (var reference in run.Resource.Annotations.OfType<ReferenceTo>())
        {
            await Notifications.WaitForResourceAsync(
                reference.Resource.Name,
                e => e.Snapshot.IsOver || e.Snapshot.State?.Text == KnownResourceStates.Running || e.Snapshot.State?.Text == KnownResourceStates.Absent,
                _stop.Token).ConfigureAwait(false);
        }
    }

    private static bool IsMet(Wait wait, CustomResourceSnapshot snapshot) => wait.Kind switch
    {
        WaitKind.Completion => snapshot.IsOver && snapshot.ExitCode == wait.ExitCode,
        _ => snapshot.IsUp || snapshot.State?.Text == KnownResourceStates.Absent,
    };

    /// <summary>Gives every endpoint its address, before anything runs that may be told of it.</summary>
    private void Allocate()
    {
        foreach (var resource in builder.Resources)
        {
            foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>())
            {
                var isLoopback = resource is not ProjectResource;
                if (!builder.IsTesting && endpoint.Port is { } wanted && !Ports.IsFree(wanted))
                {
                    throw new DistributedApplicationException(
                        $"The port {wanted} ({resource.Name}, {endpoint.Name}) is taken by another process. Stop that one, or give this endpoint another port.");
                }

                var port = builder.IsTesting ? Ports.Free() : endpoint.Port ?? Ports.Free();
                endpoint.Allocated = (isLoopback ? "127.0.0.1" : endpoint.TargetHost is "0.0.0.0" or "[::]" ? "localhost" : endpoint.TargetHost, port);
                if (resource is ProjectResource)
                {
                    endpoint.TargetPort = port;
                }
            }
        }
    }

    private sealed class DependencyFailedException(string message) : Exception(message);
}

/// <summary>Why an application did not start.</summary>
internal sealed record LaunchFailure(string Resource, string Message, string LogFile);
