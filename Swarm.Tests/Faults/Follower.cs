using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Faults;

/// <summary>Follows an inbox by its stream, now at this replica and now at that, and resumes by the number that it saw last.</summary>
internal sealed class Follower(IReadOnlyList<Replica> replicas, string recipient, string name, long after, History history)
{
    /// <summary>Without any event for this long it goes to another replica, as a careful reader would.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(6);

    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(100);

    public async Task RunAsync(CancellationToken stop)
    {
        await Task.Yield();
        using var pause = new PeriodicTimer(RetryAfter);
        var last = after;
        for (var at = name[^1]; !stop.IsCancellationRequested; at++)
        {
            try
            {
                using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
                limit.CancelAfter(Patience);
                using var stream = await SseStream.TryOpenAsync(replicas[at % replicas.Count].Streams, recipient, last, limit.Token);
                while (stream is not null && await stream.NextAsync(limit.Token) is { } next)
                {
                    limit.CancelAfter(Patience);
                    if (next.Name != "message")
                    {
                        history.Wrong.Enqueue($"{name} got the event {next.Name}: {next.Data}");
                        continue;
                    }

                    history.Seen.Enqueue(
                        new(name, recipient, next.Id!.Value, Load.KeyOf(next.Data.GetProperty("content").GetString()!), history.NextOrder(), history.Now));
                    last = next.Id.Value;
                }
            }
            catch (InvalidOperationException e)
            {
                history.Wrong.Enqueue($"{name}: {e.Message}");
            }
            catch (Exception e) when (e is HttpRequestException or OperationCanceledException or IOException)
            {
            }

            if (!stop.IsCancellationRequested)
            {
                Interlocked.Increment(ref history.Failures);
                await pause.WaitForNextTickAsync(CancellationToken.None);
            }
        }
    }
}
