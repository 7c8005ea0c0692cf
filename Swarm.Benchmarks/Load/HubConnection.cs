using System.Text;

namespace Swarm.Benchmarks.Load;

/// <summary>A connection to the Hub API with the operator's token, which may act as every agent.</summary>
internal sealed class HubConnection : IDisposable
{
    private readonly HttpConnection _connection;
    private readonly string _head;
    private byte[] _request = [];

    private HubConnection(HttpConnection connection, string head)
    {
        _connection = connection;
        _head = head;
    }

    /// <summary>The body of the last answer; valid until the next.</summary>
    public ReadOnlyMemory<byte> Body => _connection.Body;

    public static async Task<HubConnection> ConnectAsync(Target target, string token, CancellationToken cancellation) => new(
        await HttpConnection.ConnectAsync(target, cancellation),
        $" HTTP/1.1\r\nHost: {target.Url.Authority}\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: ");

    /// <summary>Posts JSON and returns the status.</summary>
    public ValueTask<int> PostAsync(string path, ReadOnlySpan<byte> json, CancellationToken cancellation)
    {
        var head = Encoding.ASCII.GetBytes($"POST /hub/v1/{path}{_head}{json.Length}\r\n\r\n");
        if (_request.Length < head.Length + json.Length)
        {
            _request = new byte[head.Length + json.Length];
        }

        head.CopyTo(_request, 0);
        json.CopyTo(_request.AsSpan(head.Length));
        return _connection.ExchangeAsync(_request.AsMemory(0, head.Length + json.Length), cancellation);
    }

    public ValueTask<int> PostAsync(string path, string json, CancellationToken cancellation) =>
        PostAsync(path, Encoding.UTF8.GetBytes(json), cancellation);

    /// <summary>Posts JSON.</summary>
    /// <exception cref="InvalidOperationException">The answer is not 200.</exception>
    public async Task RequireAsync(string path, string json, CancellationToken cancellation)
    {
        var status = await PostAsync(path, json, cancellation);
        if (status != 200)
        {
            throw new InvalidOperationException($"POST {path} was answered with {status}: {Encoding.UTF8.GetString(Body.Span)}");
        }
    }

    public void Dispose() => _connection.Dispose();
}
