using System.Diagnostics.CodeAnalysis;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>Knows the state of every resource, and tells of its changes.</summary>
public class ResourceNotificationService : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, ResourceEvent> _current = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<Waiter> _waiters = [];

    internal ResourceNotificationService()
    {
    }

    internal event Action<ResourceEvent>? Changed;

    /// <summary>Waits until the resource is in <paramref name="targetState"/> (<c>Running</c> when null).</summary>
    public Task WaitForResourceAsync(string resourceName, string? targetState = null, CancellationToken cancellationToken = default) =>
        WaitForResourceAsync(
            resourceName,
            e => string.Equals(e.Snapshot.State?.Text, targetState ?? KnownResourceStates.Running, StringComparison.OrdinalIgnoreCase),
            cancellationToken);

    /// <summary>Waits until the predicate holds; it is asked about the present state first.</summary>
    public async Task<ResourceEvent> WaitForResourceAsync(
        string resourceName, Func<ResourceEvent, bool> predicate, CancellationToken cancellationToken = default)
    {
        Waiter waiter;
        lock (_lock)
        {
            if (_current.TryGetValue(resourceName, out var now) && predicate(now))
            {
                return now;
            }

            waiter = new Waiter(resourceName, predicate);
            _waiters.Add(waiter);
        }

        try
        {
            return await waiter.Done.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            lock (_lock)
            {
                _waiters.Remove(waiter);
            }
        }
    }

    /// <summary>Waits until the resource runs and is healthy.</summary>
    /// <exception cref="DistributedApplicationException">It ended or failed to start before it was.</exception>
    public async Task<ResourceEvent> WaitForResourceHealthyAsync(string resourceName, CancellationToken cancellationToken = default)
    {
        var found = await WaitForResourceAsync(resourceName, e => e.Snapshot.IsUp || e.Snapshot.IsOver, cancellationToken).ConfigureAwait(false);
        return found.Snapshot.IsUp
            ? found
            : throw new DistributedApplicationException($"Resource '{resourceName}' is {found.Snapshot.State?.Text}: {found.Snapshot.Note}");
    }

    /// <summary>The present state of a resource.</summary>
    public bool TryGetCurrentState(string resourceId, [NotNullWhen(true)] out ResourceEvent? resourceEvent)
    {
        lock (_lock)
        {
            return _current.TryGetValue(resourceId, out resourceEvent);
        }
    }

    public void Dispose()
    {
        lock (_lock)
        {
            foreach (var waiter in _waiters)
            {
                waiter.Done.TrySetException(new DistributedApplicationException("The application was stopped."));
            }
        }

        GC.SuppressFinalize(this);
    }

    internal CustomResourceSnapshot Update(IResource resource, Func<CustomResourceSnapshot, CustomResourceSnapshot> change)
    {
        ResourceEvent update;
        lock (_lock)
        {
            var old = _current.TryGetValue(resource.Name, out var known)
                ? known.Snapshot
                : new CustomResourceSnapshot { ResourceType = resource.GetType().Name.Replace("Resource", string.Empty, StringComparison.Ordinal) };
            var snapshot = change(old);
            if (known is not null && snapshot == old)
            {
                return old;
            }

            update = new ResourceEvent(resource, resource.Name, snapshot);
            _current[resource.Name] = update;
            foreach (var waiter in _waiters.Where(w => string.Equals(w.Name, resource.Name, StringComparison.OrdinalIgnoreCase) && w.Predicate(update)))
            {
                waiter.Done.TrySetResult(update);
            }
        }

        Changed?.Invoke(update);
        return update.Snapshot;
    }

    internal IReadOnlyList<ResourceEvent> All()
    {
        lock (_lock)
        {
            return [.. _current.Values];
        }
    }

    private sealed record Waiter(string Name, Func<ResourceEvent, bool> Predicate)
    {
        public TaskCompletionSource<ResourceEvent> Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }
}
