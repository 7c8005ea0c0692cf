using System.Diagnostics;

namespace Swarm.Benchmarks.Load;

/// <summary>One answer within the measured time.</summary>
/// <param name="At">When its request was sent, or was due in an open loop (<see cref="Stopwatch"/> ticks).</param>
/// <param name="Ms">From then to the answer.</param>
internal readonly record struct Sample(long At, double Ms);

/// <summary>What a load run saw.</summary>
/// <param name="Accepted">200s to messages that were new.</param>
/// <param name="Duplicates">200s to duplicates.</param>
/// <param name="Forged">401s to forgeries.</param>
/// <param name="Errors">Every other answer.</param>
/// <param name="Elapsed">The measured time.</param>
/// <param name="Samples">The measured answers, of any kind.</param>
/// <param name="Statuses">How often each status came.</param>
internal sealed record LoadResult(
    long Accepted, long Duplicates, long Forged, long Errors, TimeSpan Elapsed, Sample[] Samples, IReadOnlyDictionary<int, long> Statuses)
{
    public double Rate => Samples.Length / Elapsed.TotalSeconds;

    /// <summary>Answers of any kind, those before the measured time too.</summary>
    public long Answers => Accepted + Duplicates + Forged + Errors;

    public Latencies Latencies { get; } = new(Samples.Select(s => s.Ms));
}

/// <summary>
/// Posts signed messages at the Agent Swarm Protocol door. A closed loop: each connection has one request under way; or, at a rate, an open
/// one: each request is due at its own time, and what it waits for a connection counts as its latency.
/// </summary>
internal static class HttpLoad
{
    private const int BufferBytes = 8 * 1024;

    /// <param name="target">Which endpoint.</param>
    /// <param name="messages">What is sent; the run ends early when all are.</param>
    /// <param name="options">How much of it.</param>
    /// <param name="progress">Told the seconds since the start.</param>
    /// <param name="cancellation">Breaks the run off.</param>
    /// <param name="stop">Ends the run in order, before its time.</param>
    public static async Task<LoadResult> RunAsync(
        Target target, SignedMessages messages, LoadOptions options, Action<double>? progress, CancellationToken cancellation, CancellationToken stop = default)
    {
        var next = -1;
        var connections = Enumerable.Range(0, options.Connections).Select(_ => new Connection()).ToArray();
        var startedAt = Stopwatch.GetTimestamp();
        var measureFrom = startedAt + options.WarmUpSeconds * Stopwatch.Frequency;
        var end = measureFrom + options.Seconds * Stopwatch.Frequency;
        using var display = new Timer(_ => progress?.Invoke(Stopwatch.GetElapsedTime(startedAt).TotalSeconds), null, 1000, 1000);
        await Task.WhenAll(connections.Select(c => Task.Run(
            () => c.RunAsync(
                target, messages, () => Interlocked.Increment(ref next), i => options.Rate > 0 ? startedAt + (long)(i * Stopwatch.Frequency / options.Rate) : 0,
                measureFrom, end, stop, cancellation),
            cancellation)));

        var measured = Stopwatch.GetElapsedTime(measureFrom, Math.Min(end, Stopwatch.GetTimestamp()));
        var statuses = connections.SelectMany(c => c.Statuses).GroupBy(s => s.Key).ToDictionary(g => g.Key, g => g.Sum(s => s.Value));
        return new(
            connections.Sum(c => c.Accepted), connections.Sum(c => c.Duplicates), connections.Sum(c => c.Forged), connections.Sum(c => c.Errors),
            measured, [.. connections.SelectMany(c => c.Samples)], statuses);
    }

    private sealed class Connection
    {
        public List<Sample> Samples { get; } = new(16 * 1024);

        public Dictionary<int, long> Statuses { get; } = [];

        public long Accepted { get; private set; }

        public long Duplicates { get; private set; }

        public long Forged { get; private set; }

        public long Errors { get; private set; }

        public async Task RunAsync(
            Target target, SignedMessages messages, Func<int> take, Func<int, long> dueAt, long measureFrom, long end, CancellationToken stop,
            CancellationToken cancellation)
        {
            using var connection = await HttpConnection.ConnectAsync(target, cancellation);
            var request = new byte[BufferBytes];
            while (true)
            {
                var i = take();
                var due = dueAt(i);
                if (i >= messages.Count || Math.Max(due, Stopwatch.GetTimestamp()) >= end || stop.IsCancellationRequested)
                {
                    return;
                }

                var length = messages.Write(i, target.Url.Authority, request);
                if (due > 0 && Stopwatch.GetElapsedTime(Stopwatch.GetTimestamp(), due) is { TotalMilliseconds: >= 1 } early)
                {
                    await Task.Delay(early, TimeProvider.System, cancellation);
                }

                var sentAt = due > 0 ? due : Stopwatch.GetTimestamp();
                var status = await connection.ExchangeAsync(request.AsMemory(0, length), cancellation);
                var answeredAt = Stopwatch.GetTimestamp();
                Count(SignedMessages.ExpectedOf(i), status);
                if (sentAt >= measureFrom && answeredAt <= end)
                {
                    Samples.Add(new(sentAt, Stopwatch.GetElapsedTime(sentAt, answeredAt).TotalMilliseconds));
                }
            }
        }

        private void Count(Expected expected, int status)
        {
            Statuses[status] = Statuses.GetValueOrDefault(status) + 1;
            switch (expected, status)
            {
                case (Expected.Accepted, 200):
                    Accepted++;
                    break;
                case (Expected.Duplicate, 200):
                    Duplicates++;
                    break;
                case (Expected.Forged, 401):
                    Forged++;
                    break;
                default:
                    Errors++;
                    break;
            }
        }
    }
}
