using System.Buffers.Text;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;

namespace Swarm.Benchmarks.Load;

/// <summary>
/// One keep-alive connection of HTTP/1.1, one request at a time, over a plain socket or TLS. It is as small as it can be, because it
/// shares the processors with what it measures.
/// </summary>
internal sealed class HttpConnection : IDisposable
{
    private const int BufferBytes = 8 * 1024;

    private readonly Stream _stream;
    private byte[] _buffer = new byte[BufferBytes];
    private int _have;

    private HttpConnection(Stream stream) => _stream = stream;

    /// <summary>The body of the last answer; valid until the next.</summary>
    public ReadOnlyMemory<byte> Body { get; private set; }

    public static async Task<HttpConnection> ConnectAsync(Target target, CancellationToken cancellation)
    {
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(IPAddress.Loopback, target.Url.Port, cancellation);
            Stream stream = new NetworkStream(socket, ownsSocket: true);
            if (target.AuthorityFile is { } file)
            {
                var tls = new SslStream(stream);
                await tls.AuthenticateAsClientAsync(
                    new SslClientAuthenticationOptions
                    {
                        TargetHost = target.Url.Host,
                        ApplicationProtocols = [SslApplicationProtocol.Http11],
                        CertificateChainPolicy = Trusting(file),
                    },
                    cancellation);
                stream = tls;
            }

            return new(stream);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Sends a whole request and returns the status of its answer, whose body is then in <see cref="Body"/>.</summary>
    /// <exception cref="IOException">The connection ended in the middle of an answer.</exception>
    public async ValueTask<int> ExchangeAsync(ReadOnlyMemory<byte> request, CancellationToken cancellation)
    {
        await _stream.WriteAsync(request, cancellation);
        _have = 0;
        while (true)
        {
            _have += await ReceiveAsync(cancellation);
            if (TryComplete())
            {
                return Utf8Parser.TryParse(_buffer.AsSpan(9, 3), out int status, out _) ? status : 0;
            }
        }
    }

    /// <summary>Sends a request whose answer has no end.</summary>
    public ValueTask SendAsync(ReadOnlyMemory<byte> request, CancellationToken cancellation) => _stream.WriteAsync(request, cancellation);

    /// <summary>Receives some bytes; 0 when the other side has ended.</summary>
    public ValueTask<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancellation) => _stream.ReadAsync(buffer, cancellation);

    public void Dispose() => _stream.Dispose();

    private async ValueTask<int> ReceiveAsync(CancellationToken cancellation)
    {
        if (_have == _buffer.Length)
        {
            Array.Resize(ref _buffer, _buffer.Length * 2);
        }

        var read = await _stream.ReadAsync(_buffer.AsMemory(_have), cancellation);
        return read > 0 ? read : throw new IOException("The node closed the connection in the middle of an answer.");
    }

    private bool TryComplete()
    {
        var answer = _buffer.AsSpan(0, _have);
        var head = answer.IndexOf("\r\n\r\n"u8);
        if (head < 0)
        {
            return false;
        }

        var at = answer[..head].IndexOf("Content-Length: "u8);
        if (at >= 0 && Utf8Parser.TryParse(answer[(at + 16)..], out int length, out _))
        {
            Body = _buffer.AsMemory(head + 4, Math.Min(length, _have - head - 4));
            return answer.Length >= head + 4 + length;
        }

        if (answer[..head].IndexOf("chunked"u8) < 0)
        {
            Body = default;
            return true;
        }

        // Looked at from the start only when the end may be there.
        return answer.EndsWith("0\r\n\r\n"u8) && TryJoinChunks(head + 4);
    }

    private bool TryJoinChunks(int start)
    {
        var (from, to) = (start, start);
        for (var pass = 0; pass < 2; pass++, from = start)
        {
            while (true)
            {
                var rest = _buffer.AsSpan(from, _have - from);
                var line = rest.IndexOf("\r\n"u8);
                if (line <= 0 || !Utf8Parser.TryParse(rest[..line], out int size, out _, 'x') || from + line + 2 + size + 2 > _have)
                {
                    return false;
                }

                if (size == 0)
                {
                    break;
                }

                // The first pass only looks whether all of it is there; the second moves it together.
                if (pass == 1)
                {
                    _buffer.AsSpan(from + line + 2, size).CopyTo(_buffer.AsSpan(to));
                    to += size;
                }

                from += line + 2 + size + 2;
            }
        }

        Body = _buffer.AsMemory(start, to - start);
        return true;
    }

    private static X509ChainPolicy Trusting(string file)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(file);
        return policy;
    }
}
