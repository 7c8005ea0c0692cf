using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Swarm.Benchmarks.Node;

namespace Swarm.Benchmarks.Load;

/// <summary>
/// A consumer of the work queue (Hub API) that goes round recipients: leases what is there, acknowledges it, goes on. Several of them
/// compete, because they go round the same ones.
/// </summary>
internal sealed class QueueConsumer
{
    /// <summary>A consumer that goes on for ever begins a round at most so often: asking the empty is not what is measured.</summary>
    private static readonly TimeSpan RoundMin = TimeSpan.FromSeconds(2);

    private readonly Dictionary<(int Recipient, string Sender), long> _last = [];

    public long Acknowledged { get; private set; }

    /// <summary>Deliveries of a lane that came behind a later one of the same lane.</summary>
    public long OutOfOrder { get; private set; }

    /// <summary>Leases that were lost before the acknowledgement, and other refusals.</summary>
    public long Refused { get; private set; }

    /// <summary>Leases that found nothing.</summary>
    public long Empty { get; private set; }

    public List<double> LeaseMs { get; } = [];

    public List<double> AckMs { get; } = [];

    /// <param name="node">Whose queue.</param>
    /// <param name="recipients">The recipients to go round.</param>
    /// <param name="max">The most deliveries of a lease.</param>
    /// <param name="untilEmpty">End when a whole round found nothing; else go on until <paramref name="stop"/>.</param>
    /// <param name="progress">Told how many were acknowledged, after each lease.</param>
    /// <param name="stop">Ends it in order.</param>
    /// <param name="cancellation">Breaks it off.</param>
    public async Task RunAsync(
        BenchNode node, int[] recipients, int max, bool untilEmpty, Action<int>? progress, CancellationToken stop, CancellationToken cancellation)
    {
        using var hub = await HubConnection.ConnectAsync(node.Http, node.OperatorToken, cancellation);
        var roundAt = Stopwatch.GetTimestamp();
        for (var (i, empty) = (0, 0); !stop.IsCancellationRequested && !(untilEmpty && empty >= recipients.Length); i++)
        {
            var found = await RoundAsync(hub, recipients[i % recipients.Length], max, cancellation);
            empty = found > 0 ? 0 : empty + 1;
            if (found > 0)
            {
                progress?.Invoke(found);
            }

            if (!untilEmpty && (i + 1) % recipients.Length == 0)
            {
                if (Stopwatch.GetElapsedTime(roundAt) is var took && took < RoundMin)
                {
                    await Task.Delay(RoundMin - took, TimeProvider.System, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                }

                roundAt = Stopwatch.GetTimestamp();
            }
        }
    }

    private async Task<int> RoundAsync(HubConnection hub, int recipient, int max, CancellationToken cancellation)
    {
        var inbox = $"agents/{Population.RecipientName(recipient)}/inbox";
        var startedAt = Stopwatch.GetTimestamp();
        var status = await hub.PostAsync($"{inbox}/lease", string.Create(CultureInfo.InvariantCulture, $"{{\"max\":{max},\"lease_seconds\":60}}"), cancellation);
        var leasedAt = Stopwatch.GetTimestamp();
        if (status != 200)
        {
            Refused++;
            return 0;
        }

        var (lease, seqs) = Read(recipient, hub.Body);
        if (seqs.Count == 0)
        {
            Empty++;
            return 0;
        }

        LeaseMs.Add(Stopwatch.GetElapsedTime(startedAt, leasedAt).TotalMilliseconds);
        var ackedFrom = Stopwatch.GetTimestamp();
        status = await hub.PostAsync($"{inbox}/ack", $"{{\"lease_id\":\"{lease}\",\"seqs\":[{string.Join(',', seqs)}]}}", cancellation);
        AckMs.Add(Stopwatch.GetElapsedTime(ackedFrom).TotalMilliseconds);
        if (status != 200)
        {
            Refused++;
            return seqs.Count;
        }

        using var answer = JsonDocument.Parse(hub.Body);
        Acknowledged += answer.RootElement.GetProperty("updated").GetInt32();
        return seqs.Count;
    }

    private (string Lease, List<long> Seqs) Read(int recipient, ReadOnlyMemory<byte> json)
    {
        using var document = JsonDocument.Parse(json);
        var seqs = new List<long>();
        foreach (var message in document.RootElement.GetProperty("messages").EnumerateArray())
        {
            var seq = message.GetProperty("seq").GetInt64();
            seqs.Add(seq);
            var lane = (recipient, message.GetProperty("sender").GetString()!);
            OutOfOrder += seq <= _last.GetValueOrDefault(lane) ? 1 : 0;
            _last[lane] = seq;
        }

        return (document.RootElement.GetProperty("lease_id").GetString()!, seqs);
    }
}
