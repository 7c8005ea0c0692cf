using System.Diagnostics;
using System.Text;

namespace Swarm.Benchmarks.Load;

/// <summary>Writes item <c>i</c> of a batch as JSON and returns its length.</summary>
internal delegate int WriteItem(int i, Span<byte> buffer);

/// <summary>What a batch load saw.</summary>
/// <param name="Sent">Items sent, of all that there were.</param>
/// <param name="Accepted">Items answered with <c>accepted</c>.</param>
/// <param name="Duplicates">Items answered with <c>duplicate</c>.</param>
/// <param name="Refused">Items answered with <c>refused</c>.</param>
/// <param name="Errors">Requests answered with another status than 200.</param>
/// <param name="FirstError">The answer to one of them.</param>
/// <param name="Measured">Items answered within the measured time.</param>
/// <param name="Elapsed">The measured time.</param>
/// <param name="Latencies">Of the measured requests.</param>
internal sealed record BatchResult(
    int Sent, long Accepted, long Duplicates, long Refused, long Errors, string? FirstError, long Measured, TimeSpan Elapsed, Latencies Latencies)
{
    public double Rate => Measured / Elapsed.TotalSeconds;
}

/// <summary>Posts batches of messages to the Hub API, one after the other on each connection.</summary>
internal static class BatchLoad
{
    /// <summary>The longest item, in bytes: 1,000 characters of content and what surrounds them.</summary>
    private const int ItemBytesMax = 2 * 1024;

    private const string Path = "messages/batch";

    /// <param name="target">Which endpoint.</param>
    /// <param name="token">The operator's token.</param>
    /// <param name="write">Writes the items.</param>
    /// <param name="itemsMax">How many there are; the run ends early when all are sent.</param>
    /// <param name="itemsEach">How many of them in a request.</param>
    /// <param name="options">Connections and times.</param>
    /// <param name="progress">Told the seconds since the start.</param>
    /// <param name="cancellation">Breaks it off.</param>
    public static async Task<BatchResult> RunAsync(
        Target target, string token, WriteItem write, int itemsMax, int itemsEach, LoadOptions options, Action<double>? progress, CancellationToken cancellation)
    {
        var next = 0;
        string? firstError = null;
        var startedAt = Stopwatch.GetTimestamp();
        var measureFrom = startedAt + options.WarmUpSeconds * Stopwatch.Frequency;
        var end = measureFrom + options.Seconds * Stopwatch.Frequency;
        using var display = new Timer(_ => progress?.Invoke(Stopwatch.GetElapsedTime(startedAt).TotalSeconds), null, 1000, 1000);
        var results = await Task.WhenAll(Enumerable.Range(0, options.Connections).Select(_ => Task.Run(RunOneAsync, cancellation)));
        var elapsed = Stopwatch.GetElapsedTime(measureFrom, Math.Min(end, Stopwatch.GetTimestamp()));
        return new(
            Math.Min(next, itemsMax), results.Sum(r => r.Accepted), results.Sum(r => r.Duplicates), results.Sum(r => r.Refused), results.Sum(r => r.Errors), firstError,
            results.Sum(r => r.Measured), elapsed, new(results.SelectMany(r => r.Ms)));

        async Task<(long Accepted, long Duplicates, long Refused, long Errors, long Measured, List<double> Ms)> RunOneAsync()
        {
            using var hub = await HubConnection.ConnectAsync(target, token, cancellation);
            var body = new byte[16 + itemsEach * ItemBytesMax];
            var (accepted, duplicates, refused, errors, measured, ms) = (0L, 0L, 0L, 0L, 0L, new List<double>());
            while (true)
            {
                // The time first: what is taken is sent, so that all that was sent is the first of the items.
                var isOver = Stopwatch.GetTimestamp() >= end;
                var first = isOver ? itemsMax : Interlocked.Add(ref next, itemsEach) - itemsEach;
                var count = Math.Min(itemsEach, itemsMax - first);
                if (count <= 0)
                {
                    return (accepted, duplicates, refused, errors, measured, ms);
                }

                var length = Compose(body, write, first, count);
                var sentAt = Stopwatch.GetTimestamp();
                var status = await hub.PostAsync(Path, body.AsSpan(0, length), cancellation);
                var answeredAt = Stopwatch.GetTimestamp();
                if (status != 200)
                {
                    errors++;
                    firstError ??= $"{status} {Encoding.UTF8.GetString(hub.Body.Span)}";
                    continue;
                }

                accepted += hub.Body.Span.Count("\"status\":\"accepted\""u8);
                duplicates += hub.Body.Span.Count("\"status\":\"duplicate\""u8);
                refused += hub.Body.Span.Count("\"status\":\"refused\""u8);
                if (answeredAt >= measureFrom && answeredAt <= end)
                {
                    measured += count;
                    ms.Add(Stopwatch.GetElapsedTime(sentAt, answeredAt).TotalMilliseconds);
                }
            }
        }
    }

    private static int Compose(Span<byte> body, WriteItem write, int first, int count)
    {
        var at = Put(body, "{\"messages\":["u8);
        for (var i = first; i < first + count; i++)
        {
            if (i > first)
            {
                body[at++] = (byte)',';
            }

            at += write(i, body[at..]);
        }

        return at + Put(body[at..], "]}"u8);
    }

    private static int Put(Span<byte> buffer, ReadOnlySpan<byte> text)
    {
        text.CopyTo(buffer);
        return text.Length;
    }
}
