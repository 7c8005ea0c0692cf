using System.Buffers;
using System.Collections.Concurrent;
using System.IO.Pipelines;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using System.Threading.Channels;

namespace StackExchange.Redis.Resp;

/// <summary>
/// One socket. A writer takes whatever waits and writes it in one piece; a reader matches replies to commands in their order.
/// It ends with the first failure of either; <see cref="Line"/> then opens the next.
/// </summary>
internal sealed class RespConnection : IAsyncDisposable
{
    private const int WriteBytesMax = 64 * 1024; // gathered before a flush
    private const int WatchPeriodMs = 500;

    private readonly Stream _stream;
    private readonly PipeReader _input;
    private readonly PipeWriter _output;
    private readonly ConfigurationOptions _options;
    private readonly Func<RespNode, bool>? _onPush;
    private readonly Action _onIdle;
    private readonly ConcurrentQueue<Command> _sent = new();
    private int _database;
    private long _lastRead = Environment.TickCount64;

    private RespConnection(Stream stream, ConfigurationOptions options, Func<RespNode, bool>? onPush, Action onIdle)
    {
        _onIdle = onIdle;
        _stream = stream;
        _options = options;
        _onPush = onPush;
        _input = PipeReader.Create(stream, new StreamPipeReaderOptions(bufferSize: 16 * 1024));
        _output = PipeWriter.Create(stream, new StreamPipeWriterOptions(minimumBufferSize: 16 * 1024));
    }

    /// <summary>Connects and logs in.</summary>
    /// <param name="onPush">Takes what the server sends unasked; false when it was the reply to a command.</param>
    /// <param name="onIdle">Called when nothing was heard for the keep-alive time.</param>
    /// <exception cref="RedisConnectionException">It did not succeed within the connect time-out.</exception>
    public static async Task<RespConnection> OpenAsync(
        ConfigurationOptions options,
        Func<RespNode, bool>? onPush,
        Action onIdle,
        CancellationToken cancellation)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(options.ConnectTimeout);
        Stream? stream = null;
        try
        {
            stream = await ConnectAsync(options, limit.Token).ConfigureAwait(false);
            var connection = new RespConnection(stream, options, onPush, onIdle);
            await connection.LogInAsync(limit.Token).ConfigureAwait(false);
            stream = null;
            return connection;
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new RedisConnectionException(ConnectionFailureType.UnableToConnect, $"No connection within {options.ConnectTimeout} ms.");
        }
        catch (Exception error) when (error is SocketException or IOException or System.Security.Authentication.AuthenticationException)
        {
            throw new RedisConnectionException(ConnectionFailureType.UnableToConnect, error.Message, error);
        }
        finally
        {
            if (stream is not null)
            {
                await stream.DisposeAsync().ConfigureAwait(false);
            }
        }
    }

    /// <summary>Carries <paramref name="greeting"/>, then commands from <paramref name="queue"/>, until the connection fails.</summary>
    /// <exception cref="RedisConnectionException">Always, unless cancelled: why it ended.</exception>
    public async Task RunAsync(IReadOnlyList<Command> greeting, ChannelReader<Command> queue, CancellationToken cancellation)
    {
        using var end = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        Task[] loops = [WriteLoopAsync(greeting, queue, end.Token), ReadLoopAsync(end.Token), WatchAsync(end.Token)];
        Exception? cause = null;
        try
        {
            await (await Task.WhenAny(loops).ConfigureAwait(false)).ConfigureAwait(false);
        }
        catch (Exception error) when (error is IOException or SocketException or ObjectDisposedException)
        {
            cause = new RedisConnectionException(ConnectionFailureType.SocketFailure, error.Message, error, CommandStatus.Sent);
        }
        catch (RespException error)
        {
            cause = new RedisConnectionException(ConnectionFailureType.ProtocolFailure, error.Message, error, CommandStatus.Sent);
        }
        catch (RedisConnectionException error)
        {
            cause = error;
        }
        finally
        {
            await end.CancelAsync().ConfigureAwait(false);
            await _stream.DisposeAsync().ConfigureAwait(false);
            await Task.WhenAll(loops).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            cause ??= new RedisConnectionException(ConnectionFailureType.ConnectionDisposed, "The connection was closed.", null, CommandStatus.Sent);
            while (_sent.TryDequeue(out Command? command))
            {
                command.Fail(cause);
            }
        }

        cancellation.ThrowIfCancellationRequested();
        throw cause;
    }

    public async ValueTask DisposeAsync() => await _stream.DisposeAsync().ConfigureAwait(false);

    private static async Task<Stream> ConnectAsync(ConfigurationOptions options, CancellationToken cancellation)
    {
        EndPoint server = options.Server();
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(server, cancellation).ConfigureAwait(false);
            var plain = new NetworkStream(socket, ownsSocket: true);
            if (!options.Ssl)
            {
                return plain;
            }

            var secure = new SslStream(plain, leaveInnerStreamOpen: false, options.CertificateCheck);
            string host = options.SslHost ?? (server is DnsEndPoint dns ? dns.Host : ((IPEndPoint)server).Address.ToString());
            await secure.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = host }, cancellation).ConfigureAwait(false);
            return secure;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private async Task LogInAsync(CancellationToken cancellation)
    {
        if (_options.Password is { Length: > 0 } password)
        {
            string[] login = _options.User is { Length: > 0 } user ? ["AUTH", user, password] : ["AUTH", password];
            await AskAsync(ConnectionFailureType.AuthenticationFailure, cancellation, login).ConfigureAwait(false);
        }

        if (_options.ClientName is { Length: > 0 } name)
        {
            await AskAsync(ConnectionFailureType.ProtocolFailure, cancellation, "CLIENT", "SETNAME", name).ConfigureAwait(false);
        }

        // A server that still loads its data, or wants a password, says so here.
        await AskAsync(ConnectionFailureType.Loading, cancellation, "PING").ConfigureAwait(false);
    }

    private async Task AskAsync(ConnectionFailureType failure, CancellationToken cancellation, params string[] words)
    {
        RespWriter.Write(_output, Array.ConvertAll(words, word => (ReadOnlyMemory<byte>)Encoding.UTF8.GetBytes(word)));
        _ = await _output.FlushAsync(cancellation).ConfigureAwait(false);
        while (true)
        {
            ReadResult read = await _input.ReadAsync(cancellation).ConfigureAwait(false);
            ReadOnlySequence<byte> buffer = read.Buffer;
            bool whole;
            RespNode reply;
            try
            {
                whole = RespReader.TryRead(ref buffer, out reply);
            }
            catch (RespException error)
            {
                throw new RedisConnectionException(ConnectionFailureType.ProtocolFailure, error.Message, error);
            }

            _input.AdvanceTo(buffer.Start, whole ? buffer.Start : buffer.End);
            if (whole)
            {
                if (reply.Kind == RespKind.Error)
                {
                    bool login = reply.Text.StartsWith("NOAUTH", StringComparison.Ordinal);
                    throw new RedisConnectionException(login ? ConnectionFailureType.AuthenticationFailure : failure, reply.Text);
                }

                return;
            }

            if (read.IsCompleted)
            {
                throw new RedisConnectionException(ConnectionFailureType.SocketClosed, "The server closed the connection.");
            }
        }
    }

    private async Task WriteLoopAsync(IReadOnlyList<Command> greeting, ChannelReader<Command> queue, CancellationToken cancellation)
    {
        foreach (Command command in greeting)
        {
            Write(command);
        }

        _ = await _output.FlushAsync(cancellation).ConfigureAwait(false);
        while (await queue.WaitToReadAsync(cancellation).ConfigureAwait(false))
        {
            while (_output.UnflushedBytes < WriteBytesMax && queue.TryRead(out Command? command))
            {
                if (!command.IsAbandoned)
                {
                    Write(command);
                }
            }

            _ = await _output.FlushAsync(cancellation).ConfigureAwait(false);
        }

        // The queue is complete: the owner is closing.
        await DrainAsync(cancellation).ConfigureAwait(false);
    }

    private async Task DrainAsync(CancellationToken cancellation)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(5));
        while (!_sent.IsEmpty && await tick.WaitForNextTickAsync(cancellation).ConfigureAwait(false))
        {
        }
    }

    private void Write(Command command)
    {
        if (command.Database >= 0 && command.Database != _database)
        {
            _database = command.Database;
            Send(new Command(-1, wantsReply: false, "SELECT"u8.ToArray(), Encoding.ASCII.GetBytes($"{command.Database}")));
        }

        Send(command);
    }

    private void Send(Command command)
    {
        command.SentAt = Environment.TickCount64;
        _sent.Enqueue(command);
        RespWriter.Write(_output, command.Words);
    }

    private async Task ReadLoopAsync(CancellationToken cancellation)
    {
        while (true)
        {
            ReadResult read = await _input.ReadAsync(cancellation).ConfigureAwait(false);
            Volatile.Write(ref _lastRead, Environment.TickCount64);
            ReadOnlySequence<byte> buffer = read.Buffer;
            while (RespReader.TryRead(ref buffer, out RespNode node))
            {
                if (_onPush is not null && _onPush(node))
                {
                    continue;
                }

                if (!_sent.TryDequeue(out Command? command))
                {
                    throw new RespException("A reply came that nothing had asked for.");
                }

                command.Complete(node);
            }

            _input.AdvanceTo(buffer.Start, buffer.End);
            if (read.IsCompleted)
            {
                throw new RedisConnectionException(ConnectionFailureType.SocketClosed, "The server closed the connection.", null, CommandStatus.Sent);
            }
        }
    }

    // Finds a peer that is gone without having said so.
    private async Task WatchAsync(CancellationToken cancellation)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(WatchPeriodMs));
        while (await tick.WaitForNextTickAsync(cancellation).ConfigureAwait(false))
        {
            long now = Environment.TickCount64;
            long silence = now - Volatile.Read(ref _lastRead);
            if (_sent.TryPeek(out Command? oldest) && silence > _options.AsyncTimeout && now - oldest.SentAt > _options.AsyncTimeout)
            {
                throw new RedisConnectionException(ConnectionFailureType.SocketFailure, $"No reply for {silence} ms.", null, CommandStatus.Sent);
            }

            if (silence > _options.KeepAlive * 1000L && _sent.IsEmpty)
            {
                _onIdle();
            }
        }
    }
}
