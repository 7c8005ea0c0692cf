using System.Net.Sockets;
using System.Text;

namespace Swarm.Tests.Doors;

/// <summary>Sends bytes that no HTTP client would, and reads one answer.</summary>
internal static class RawSocket
{
    private static readonly TimeSpan AnswerWithin = TimeSpan.FromSeconds(30);

    /// <summary>Sends a request line and headers by hand.</summary>
    public static Task<(int Status, string Text)> SendAsync(Uri server, string method, string target, byte[]? body = null, string headers = "")
    {
        var head = $"{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}"
            + (body is null ? "" : $"Content-Type: application/json\r\nContent-Length: {body.Length}\r\n") + "\r\n";
        return SendAsync(server, async stream =>
        {
            await stream.WriteAsync(Encoding.Latin1.GetBytes(head));
            await stream.WriteAsync(body ?? []);
        });
    }

    /// <summary>Lets <paramref name="write"/> send while the answer is read. What it writes after the server hung up is lost, and no failure.</summary>
    public static async Task<(int Status, string Text)> SendAsync(Uri server, Func<NetworkStream, Task> write)
    {
        using var timeout = new CancellationTokenSource(AnswerWithin);
        using var client = new TcpClient();
        await client.ConnectAsync(server.Host, server.Port, timeout.Token);
        await using var stream = client.GetStream();
        var writing = WriteAsync();
        var answer = await ReadAsync(stream, timeout.Token);
        await writing;
        var status = answer.Split(' ', 3) is [_, var code, _] && int.TryParse(code, out var number) ? number : 0;
        var body = answer.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        return (status, body < 0 ? "" : answer[(body + 4)..]);

        async Task WriteAsync()
        {
            try
            {
                await write(stream);
            }
            catch (IOException)
            {
                // The server answered and closed before it had everything.
            }
        }
    }

    /// <summary>Sends a whole request as it is, and reads one answer of a connection that stays open.</summary>
    /// <returns>Head and body.</returns>
    public static async Task<byte[]> ExchangeAsync(Uri server, byte[] request)
    {
        using var timeout = new CancellationTokenSource(AnswerWithin);
        using var client = new TcpClient();
        await client.ConnectAsync(server.Host, server.Port, timeout.Token);
        await using var stream = client.GetStream();
        await stream.WriteAsync(request, timeout.Token);
        using var answer = new MemoryStream();
        var buffer = new byte[16 * 1024];
        for (long? end = null; end is null || answer.Length < end;)
        {
            var count = await stream.ReadAsync(buffer, timeout.Token);
            if (count == 0)
            {
                break;
            }

            answer.Write(buffer, 0, count);
            var text = Encoding.Latin1.GetString(answer.GetBuffer(), 0, (int)answer.Length);
            if (end is null && text.IndexOf("\r\n\r\n", StringComparison.Ordinal) is var head and >= 0)
            {
                var length = text[..head].Split("\r\n").FirstOrDefault(h => h.StartsWith("Content-Length:", StringComparison.OrdinalIgnoreCase));
                end = head + 4 + (length is null ? 0 : long.Parse(length.Split(':')[1]));
            }
        }

        return answer.ToArray();
    }

    private static async Task<string> ReadAsync(NetworkStream stream, CancellationToken cancellation)
    {
        var answer = new MemoryStream();
        var buffer = new byte[16 * 1024];
        try
        {
            while (await stream.ReadAsync(buffer, cancellation) is > 0 and var count)
            {
                answer.Write(buffer, 0, count);
            }
        }
        catch (IOException)
        {
            // A reset after the answer, because unread bytes were on their way.
        }

        return Encoding.UTF8.GetString(answer.ToArray());
    }
}
