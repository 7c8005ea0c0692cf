using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using Swarm.Benchmarks.Load;

namespace Swarm.Benchmarks.Peer;

/// <summary>What arrived at the peer.</summary>
/// <param name="Repeats">Pushes of a message that had come before.</param>
/// <param name="OutOfOrder">First pushes that came behind a later one of their lane.</param>
/// <param name="Times">When each was sent and had arrived (<see cref="Stopwatch"/> ticks, which all processes of a machine share).</param>
internal sealed record PeerArrivals(long Repeats, long OutOfOrder, (long SentAt, long At)[] Times)
{
    public Latencies Latencies { get; } = new(Times.Select(t => Stopwatch.GetElapsedTime(t.SentAt, t.At).TotalMilliseconds));

    /// <summary>Arrivals a second, of those from a point in time to the last.</summary>
    public double RateFrom(long from)
    {
        var late = Times.Where(t => t.At >= from).Select(t => t.At).ToArray();
        return late.Length < 2 ? 0 : (late.Length - 1) / Stopwatch.GetElapsedTime(late.Min(), late.Max()).TotalSeconds;
    }
}

/// <summary>Asks the peer what arrived.</summary>
internal sealed class PeerConnection(HttpConnection connection) : IDisposable
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(100);

    public async Task ResetAsync(CancellationToken cancellation) => await AskAsync("/reset", cancellation);

    /// <summary>Waits until so many have arrived, or none has for a while; returns how many have.</summary>
    public async Task<int> WaitAsync(int count, TimeSpan quietMax, Action<double>? progress, CancellationToken cancellation)
    {
        for (var (last, since) = (-1, Stopwatch.GetTimestamp()); ;)
        {
            var have = int.Parse(Encoding.ASCII.GetString((await AskAsync("/count", cancellation)).Span), CultureInfo.InvariantCulture);
            progress?.Invoke(have);
            if (have != last)
            {
                (last, since) = (have, Stopwatch.GetTimestamp());
            }

            if (have >= count || Stopwatch.GetElapsedTime(since) > quietMax)
            {
                return have;
            }

            await Task.Delay(Look, TimeProvider.System, cancellation);
        }
    }

    public async Task<PeerArrivals> ArrivalsAsync(CancellationToken cancellation)
    {
        var bytes = await AskAsync("/arrivals", cancellation);
        var times = new (long, long)[bytes.Length / 16 - 1];
        for (var i = 0; i < times.Length; i++)
        {
            times[i] = (Number(16 + i * 16), Number(24 + i * 16));
        }

        return new(Number(0), Number(8), times);

        long Number(int at) => BinaryPrimitives.ReadInt64LittleEndian(bytes.Span[at..]);
    }

    public void Dispose() => connection.Dispose();

    private async Task<ReadOnlyMemory<byte>> AskAsync(string path, CancellationToken cancellation)
    {
        var status = await connection.ExchangeAsync(Encoding.ASCII.GetBytes($"POST {path} HTTP/1.1\r\nHost: peer\r\nContent-Length: 0\r\n\r\n"), cancellation);
        return status == 200 ? connection.Body : throw new InvalidOperationException($"The peer answered {path} with {status}.");
    }
}
