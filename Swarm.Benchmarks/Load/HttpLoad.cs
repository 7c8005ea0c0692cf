using System.Buffers.Text;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;

namespace Swarm.Benchmarks.Load;

/// <summary>What a load run saw.</summary>
/// <param name="Accepted">200s to messages that were new.</param>
/// <param name="Duplicates">200s to duplicates.</param>
/// <param name="Forged">401s to forgeries.</param>
/// <param name="Errors">Every other answer.</param>
/// <param name="Measured">Answers within the measured time, of any kind.</param>
/// <param name="Elapsed">The measured time.</param>
/// <param name="LatenciesMs">Of the measured answers, sorted.</param>
internal sealed record LoadResult(
    long Accepted, long Duplicates, long Forged, long Errors, long Measured, TimeSpan Elapsed, double[] LatenciesMs, IReadOnlyDictionary<int, long> Statuses)
{
    public double Rate => Measured / Elapsed.TotalSeconds;

    public double Percentile(double p) => LatenciesMs.Length == 0 ? 0 : LatenciesMs[(int)Math.Min(LatenciesMs.Length - 1, LatenciesMs.Length * p)];
}

/// <summary>
/// A closed loop over plain sockets: each connection has one request under way. It is as small as it can be, because it shares the
/// processors with what it measures.
/// </summary>
internal static class HttpLoad
{
    private const int BufferBytes = 8 * 1024;

    public static async Task<LoadResult> RunAsync(
        Uri target, SignedMessages messages, LoadOptions options, Action<double>? progress, CancellationToken cancellation)
    {
        var next = -1;
        var connections = Enumerable.Range(0, options.Connections).Select(_ => new Connection()).ToArray();
        var startedAt = Stopwatch.GetTimestamp();
        var measureFrom = startedAt + options.WarmUpSeconds * Stopwatch.Frequency;
        var end = measureFrom + options.Seconds * Stopwatch.Frequency;
        using var display = new Timer(_ => progress?.Invoke(Stopwatch.GetElapsedTime(startedAt).TotalSeconds), null, 1000, 1000);
        await Task.WhenAll(connections.Select(c => Task.Run(
            () => c.RunAsync(target, messages, () => Interlocked.Increment(ref next), measureFrom, end, cancellation), cancellation)));

        var latencies = connections.SelectMany(c => c.Latencies).ToArray();
        Array.Sort(latencies);
        var statuses = connections.SelectMany(c => c.Statuses).GroupBy(s => s.Key).ToDictionary(g => g.Key, g => g.Sum(s => s.Value));
        return new(
            connections.Sum(c => c.Accepted), connections.Sum(c => c.Duplicates), connections.Sum(c => c.Forged), connections.Sum(c => c.Errors),
            latencies.Length, TimeSpan.FromSeconds(options.Seconds), latencies, statuses);
    }

    private sealed class Connection
    {
        public List<double> Latencies { get; } = new(64 * 1024);

        public Dictionary<int, long> Statuses { get; } = [];

        public long Accepted { get; private set; }

        public long Duplicates { get; private set; }

        public long Forged { get; private set; }

        public long Errors { get; private set; }

        public async Task RunAsync(
            Uri target, SignedMessages messages, Func<int> take, long measureFrom, long end, CancellationToken cancellation)
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            await socket.ConnectAsync(IPAddress.Loopback, target.Port, cancellation);
            var request = new byte[BufferBytes];
            var response = new byte[BufferBytes];
            while (true)
            {
                var i = take();
                var now = Stopwatch.GetTimestamp();
                if (i >= messages.Count || now >= end)
                {
                    return;
                }

                var length = messages.Write(i, target.Authority, request);
                var sentAt = Stopwatch.GetTimestamp();
                await socket.SendAsync(request.AsMemory(0, length), cancellation);
                var status = await ReadStatusAsync(socket, response, cancellation);
                var answeredAt = Stopwatch.GetTimestamp();
                Count(SignedMessages.ExpectedOf(i), status);
                if (sentAt >= measureFrom && answeredAt <= end)
                {
                    Latencies.Add(Stopwatch.GetElapsedTime(sentAt, answeredAt).TotalMilliseconds);
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

        private static async ValueTask<int> ReadStatusAsync(Socket socket, byte[] buffer, CancellationToken cancellation)
        {
            var have = 0;
            while (true)
            {
                var read = await socket.ReceiveAsync(buffer.AsMemory(have), cancellation);
                if (read == 0)
                {
                    throw new IOException("The node closed the connection in the middle of an answer.");
                }

                have += read;
                if (IsComplete(buffer.AsSpan(0, have)))
                {
                    return Utf8Parser.TryParse(buffer.AsSpan(9, 3), out int status, out _) ? status : 0;
                }
            }
        }

        private static bool IsComplete(ReadOnlySpan<byte> answer)
        {
            var head = answer.IndexOf("\r\n\r\n"u8);
            if (head < 0)
            {
                return false;
            }

            var at = answer.IndexOf("Content-Length: "u8);
            return at >= 0 && at < head && Utf8Parser.TryParse(answer[(at + 16)..], out int length, out _)
                ? answer.Length >= head + 4 + length
                : answer[(head + 4)..].EndsWith("0\r\n\r\n"u8);
        }
    }
}
