using System.Text.Json;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Faults;

/// <summary>
/// One of several consumers of an inbox: leases, processes in order, acknowledges. Now and then it gives something back, or dies with its
/// lease in hand; what it held must come to another.
/// </summary>
internal sealed class QueueConsumer(IReadOnlyList<Replica> replicas, string recipient, string name, Cast cast, History history, Random random)
{
    /// <summary>One item in so many is given back.</summary>
    private const int ReturnsOneIn = 60;

    private const int ItemsMax = 20;
    private const int AckTries = 3;
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(50);

    private int _at = random.Next(100);
    private int _leases;

    private HttpClient Hub => replicas[_at++ % replicas.Count].Hub;

    public async Task RunAsync(CancellationToken stop)
    {
        await Task.Yield();
        using var pause = new PeriodicTimer(RetryAfter);
        while (!stop.IsCancellationRequested)
        {
            if (await LeaseAsync() is not { } lease)
            {
                await pause.WaitForNextTickAsync(CancellationToken.None);
            }
            else if (lease.Items.Count > 0)
            {
                await WorkAsync(lease);
            }
        }
    }

    private async Task<Leased?> LeaseAsync()
    {
        var askedAt = history.Now;
        if (await CallAsync("lease", new { max = 1 + random.Next(ItemsMax), lease_seconds = cast.LeaseSeconds, wait_seconds = 1 }) is not { } answer)
        {
            return null;
        }

        var lease = new Leased(
            recipient, name, answer["lease_id"].GetGuid(), askedAt, history.Now, answer["expires_at"].GetDateTimeOffset(),
            [.. answer["messages"].EnumerateArray().Select(ItemOf)]);
        history.Leased.Enqueue(lease);
        return lease;
    }

    private async Task WorkAsync(Leased lease)
    {
        var diesAt = ++_leases % cast.DiesEvery == 0 ? random.Next(lease.Items.Count) : -1;
        var done = new List<long>();
        var returned = new HashSet<(string, string)>();
        for (var i = 0; i < lease.Items.Count; i++)
        {
            if (i == diesAt)
            {
                return;
            }

            var item = lease.Items[i];
            if (returned.Contains((item.Sender, item.Priority)))
            {
                continue;
            }

            if (random.Next(ReturnsOneIn) == 0)
            {
                // What was leased behind it goes back as well.
                returned.Add((item.Sender, item.Priority));
                await SettleAsync(lease, [item.Seq], isAck: false);
                continue;
            }

            history.Processed.Enqueue(new(recipient, item.Seq, item.Key, history.NextOrder(), history.Now));
            done.Add(item.Seq);
        }

        if (done.Count > 0)
        {
            await SettleAsync(lease, done, isAck: true);
        }
    }

    private async Task SettleAsync(Leased lease, List<long> seqs, bool isAck)
    {
        for (var attempt = 0; attempt < AckTries; attempt++)
        {
            var askedAt = history.Now;
            var answer = await CallAsync(
                isAck ? "ack" : "nak", isAck ? new { lease_id = lease.Lease, seqs } : new { lease_id = lease.Lease, seqs, delay_seconds = random.NextDouble() });
            var updated = answer?["updated"].GetInt32();

            // After a try whose outcome is unknown, a smaller number may mean that the first had succeeded.
            var known = updated is null || (attempt > 0 && updated < seqs.Count) ? null : updated;
            history.Settled.Enqueue(new(recipient, lease.Lease, isAck, seqs, askedAt, history.Now, known));
            if (updated is not null)
            {
                return;
            }
        }
    }

    /// <summary>The answer if it was a success; null when there was none, or the lease was lost.</summary>
    private async Task<Answer?> CallAsync(string verb, object body)
    {
        try
        {
            var answer = await Hub.PostHubAsync($"/hub/v1/agents/{recipient}/inbox/{verb}", body);
            if ((int)answer.Status == 200)
            {
                return answer;
            }

            if ((int)answer.Status is not (409 or 429 or 503))
            {
                history.Wrong.Enqueue($"{verb} of {recipient} was answered with {(int)answer.Status} {answer.Text}");
            }
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException or IOException)
        {
        }

        Interlocked.Increment(ref history.Failures);
        return null;
    }

    private static Item ItemOf(JsonElement item) => new(
        item.GetProperty("seq").GetInt64(), Load.KeyOf(item.GetProperty("content").GetString()!), item.GetProperty("sender").GetString()!,
        item.GetProperty("priority").GetString()!);
}
