using System.Diagnostics;
using System.Text;

namespace Swarm.Benchmarks.Load;

/// <summary>An inbox stream of the Hub API, read event by event off the socket.</summary>
internal sealed class SseStream : IDisposable
{
    private const int BufferBytes = 1024;

    private readonly HttpConnection _connection;
    private byte[] _buffer = new byte[BufferBytes];
    private int _have;

    private SseStream(HttpConnection connection) => _connection = connection;

    /// <summary>Opens a stream that begins with what comes from now on; returns when the node has said where that is.</summary>
    /// <exception cref="IOException">The node refused, or ended the stream.</exception>
    public static async Task<SseStream> OpenAsync(Target target, string token, string agent, CancellationToken cancellation)
    {
        var stream = new SseStream(await HttpConnection.ConnectAsync(target, cancellation));
        try
        {
            await stream._connection.SendAsync(
                Encoding.ASCII.GetBytes(
                    $"GET /hub/v1/agents/{agent}/inbox/stream HTTP/1.1\r\nHost: {target.Url.Authority}\r\nAuthorization: Bearer {token}\r\n\r\n"),
                cancellation);
            var first = await stream.ReadAsync(cancellation);
            return first.Text.Span.StartsWith("HTTP/1.1 200"u8) && first.Text.Span.IndexOf(": swarm"u8) > 0
                ? stream
                : throw new IOException($"No stream for {agent}: {Encoding.UTF8.GetString(first.Text.Span)}");
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>The next event or comment, with the chunk lines that surround it, and when it had arrived.</summary>
    public async ValueTask<(ReadOnlyMemory<byte> Text, long At)> ReadAsync(CancellationToken cancellation)
    {
        while (true)
        {
            var end = _buffer.AsSpan(0, _have).IndexOf("\n\n"u8);
            if (end >= 0)
            {
                var at = Stopwatch.GetTimestamp();
                var done = end + 2;
                var text = _buffer.AsMemory(0, done).ToArray();
                _have -= done;
                _buffer.AsSpan(done, _have).CopyTo(_buffer);
                return (text, at);
            }

            if (_have == _buffer.Length)
            {
                Array.Resize(ref _buffer, _buffer.Length * 2);
            }

            var read = await _connection.ReceiveAsync(_buffer.AsMemory(_have), cancellation);
            if (read == 0)
            {
                throw new IOException($"The stream ended: {Encoding.UTF8.GetString(_buffer.AsSpan(0, _have))}");
            }

            _have += read;
        }
    }

    /// <summary>The next event that is a message.</summary>
    public async ValueTask<(ReadOnlyMemory<byte> Text, long At)> ReadMessageAsync(CancellationToken cancellation)
    {
        while (true)
        {
            var read = await ReadAsync(cancellation);
            if (read.Text.Span.IndexOf("event: message\n"u8) >= 0)
            {
                return read;
            }
        }
    }

    public void Dispose() => _connection.Dispose();
}
