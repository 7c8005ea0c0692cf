using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using StackExchange.Redis;

namespace Swarm.Tests.StandIns;

/// <summary>A redis-server of a test's own, that it may kill and start again on the same port.</summary>
public sealed class RedisServer : IAsyncDisposable
{
    private readonly string? _password;
    private Process? _process;

    private RedisServer(int port, string? password)
    {
        Port = port;
        _password = password;
    }

    /// <summary>The server's program, or null on a machine without one.</summary>
    public static string? Program { get; } = (Environment.GetEnvironmentVariable("PATH") ?? string.Empty)
        .Split(Path.PathSeparator)
        .SelectMany(folder => new[] { "redis-server", "valkey-server" }, Path.Combine)
        .FirstOrDefault(File.Exists);

    public int Port { get; }

    public string ConnectionString => $"127.0.0.1:{Port}" + (_password is null ? string.Empty : $",password={_password}");

    public static async Task<RedisServer> StartAsync(string? password = null)
    {
        var server = new RedisServer(FreePort(), password);
        await server.StartAgainAsync();
        return server;
    }

    public static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    public async Task StartAgainAsync()
    {
        string[] arguments = ["--port", $"{Port}", "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", Path.GetTempPath(),
            .. _password is null ? Array.Empty<string>() : ["--requirepass", _password]];
        _process = Process.Start(new ProcessStartInfo(Program!, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
        await Eventually.TrueAsync(IsListeningAsync, "redis-server listens");
    }

    public async Task KillAsync()
    {
        _process!.Kill();
        await _process.WaitForExitAsync();
        _process.Dispose();
        _process = null;
    }

    /// <summary>SIGSTOP, or SIGCONT.</summary>
    public void Freeze(bool frozen) => Infrastructure.ChildProcess.Freeze(_process!.Id, frozen);

    public async ValueTask DisposeAsync()
    {
        if (_process is not null)
        {
            await KillAsync();
        }
    }

    private async Task<bool> IsListeningAsync()
    {
        ConfigurationOptions options = ConfigurationOptions.Parse(ConnectionString);
        options.AbortOnConnectFail = false;
        options.ConnectRetry = 1;
        await using ConnectionMultiplexer client = await ConnectionMultiplexer.ConnectAsync(options);
        return client.IsConnected;
    }
}

/// <summary>A test that needs a redis-server.</summary>
public sealed class RedisFactAttribute : FactAttribute
{
    public RedisFactAttribute()
    {
        if (RedisServer.Program is null)
        {
            Skip = "This machine has neither redis-server nor valkey-server on its PATH.";
        }
    }
}

/// <summary>Waits for what another thread or process is about to do.</summary>
public static class Eventually
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    public static async Task TrueAsync(Func<Task<bool>> condition, string what)
    {
        using var limit = new CancellationTokenSource(Limit);
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!await condition())
        {
            try
            {
                await tick.WaitForNextTickAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                Assert.Fail($"It did not come about within {Limit.TotalSeconds} s that {what}.");
            }
        }
    }

    public static Task TrueAsync(Func<bool> condition, string what) => TrueAsync(() => Task.FromResult(condition()), what);
}
