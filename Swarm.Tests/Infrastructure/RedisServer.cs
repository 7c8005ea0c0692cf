using System.Net.Sockets;

namespace Swarm.Tests.Infrastructure;

/// <summary>A Redis of its own on a free port, for tests that take it away.</summary>
internal sealed class RedisServer : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(30);
    private static readonly Dictionary<string, string?> NoEnvironment = [];

    private readonly int _port = FreePorts.Take(1)[0];
    private ChildProcess? _server;

    public string ConnectionString => $"127.0.0.1:{_port}";

    public static async Task<RedisServer> StartNewAsync()
    {
        var redis = new RedisServer();
        await redis.StartAsync();
        return redis;
    }

    public async Task StartAsync()
    {
        _server = ChildProcess.Start(
            "/", NoEnvironment, "redis-server", "--port", $"{_port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no");
        await Eventually.TrueAsync("Redis takes connections", CanConnectAsync, StartLimit);
    }

    public Task KillAsync() => _server!.KillAsync();

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }
    }

    private async Task<bool> CanConnectAsync()
    {
        using var socket = new TcpClient();
        try
        {
            await socket.ConnectAsync("127.0.0.1", _port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }
}
