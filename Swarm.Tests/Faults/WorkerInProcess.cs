using Swarm.Core.Delivery;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Faults;

/// <summary>What the Worker's loops do, as often as a test needs it.</summary>
internal sealed class WorkerInProcess : IAsyncDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(50);

    private readonly CancellationTokenSource _stop = new();
    private readonly Task _running;

    private WorkerInProcess(NodeHost node) => _running = RunAsync(node.Get<Expiry>(), node.Get<Expansion>());

    public static WorkerInProcess Start(NodeHost node) => new(node);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }

    private async Task RunAsync(Expiry expiry, Expansion expansion)
    {
        using var timer = new PeriodicTimer(Interval);
        while (!_stop.IsCancellationRequested)
        {
            await expiry.RunOnceAsync(CancellationToken.None);
            while (await expansion.RunOnceAsync(CancellationToken.None))
            {
            }

            await timer.WaitForNextTickAsync(CancellationToken.None);
        }
    }
}
