using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace Swarm.Tests.Faults;

/// <summary>A TCP connection between two processes that the test can cut, stall, or make lose answers.</summary>
internal sealed class FaultyLink : IAsyncDisposable
{
    private const int BufferBytes = 64 * 1024;

    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentDictionary<Pair, bool> _pairs = new();
    private readonly CancellationTokenSource _ended = new();
    private readonly int _target;
    private readonly Task _accepting;
    private volatile TaskCompletionSource _open = Opened();
    private volatile bool _refuses;
    private volatile bool _losesAnswers;

    public FaultyLink(int target)
    {
        _target = target;
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = AcceptAsync();
    }

    public int Port { get; }

    /// <summary>Resets every connection and refuses new ones until <see cref="Heal"/>.</summary>
    public void Cut()
    {
        _refuses = true;
        Reset();
    }

    /// <summary>Nothing passes until <see cref="Heal"/>; then everything that waited does.</summary>
    public void Stall() => _open = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Answers are thrown away until <see cref="Heal"/>, which resets those connections: the asker cannot know what happened.</summary>
    public void LoseAnswers() => _losesAnswers = true;

    public void Heal()
    {
        _refuses = false;
        if (_losesAnswers)
        {
            Reset();
            _losesAnswers = false;
        }

        _open.TrySetResult();
    }

    public async ValueTask DisposeAsync()
    {
        await _ended.CancelAsync();
        _listener.Stop();
        Heal();
        Reset();
        await _accepting.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        _ended.Dispose();
    }

    private static TaskCompletionSource Opened()
    {
        var open = new TaskCompletionSource();
        open.SetResult();
        return open;
    }

    private void Reset()
    {
        foreach (var pair in _pairs.Keys)
        {
            pair.Dispose();
        }
    }

    private async Task AcceptAsync()
    {
        while (!_ended.IsCancellationRequested)
        {
            var client = await _listener.AcceptSocketAsync(_ended.Token);
            _ = ServeAsync(client);
        }
    }

    private async Task ServeAsync(Socket client)
    {
        using var pair = new Pair(client, new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true });
        client.NoDelay = true;
        _pairs[pair] = true;
        try
        {
            if (!_refuses)
            {
                await pair.Server.ConnectAsync(IPAddress.Loopback, _target);
                await Task.WhenAny(PumpAsync(pair.Client, pair.Server, isAnswer: false), PumpAsync(pair.Server, pair.Client, isAnswer: true));
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
        }
        finally
        {
            _pairs.TryRemove(pair, out _);
        }
    }

    private async Task PumpAsync(Socket from, Socket to, bool isAnswer)
    {
        try
        {
            var buffer = new byte[BufferBytes];
            while (await from.ReceiveAsync(buffer.AsMemory()) is > 0 and var count)
            {
                await _open.Task;
                for (var sent = 0; sent < count && !(isAnswer && _losesAnswers);)
                {
                    sent += await to.SendAsync(buffer.AsMemory(sent, count - sent));
                }
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
        }
    }

    private sealed record Pair(Socket Client, Socket Server) : IDisposable
    {
        public void Dispose()
        {
            Close(Client);
            Close(Server);
        }

        private static void Close(Socket socket)
        {
            try
            {
                // A reset, not a polite end.
                socket.LingerState = new(true, 0);
            }
            catch (Exception e) when (e is SocketException or ObjectDisposedException)
            {
            }

            socket.Dispose();
        }
    }
}
