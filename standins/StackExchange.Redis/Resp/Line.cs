using System.Threading.Channels;

namespace StackExchange.Redis.Resp;

/// <summary>
/// A connection that comes back: opens one, runs it until it fails, waits a little longer each time, opens the next. Commands wait
/// in a bounded queue meanwhile; those already sent fail, for their effect is unknown.
/// </summary>
internal sealed class Line : IAsyncDisposable
{
    /// <summary>Most commands that wait to be written.</summary>
    public const int QueueMax = 64 * 1024;

    private const int BackOffFirstMs = 25;
    private const int BackOffMaxMs = 1000;

    private readonly ConfigurationOptions _options;
    private readonly Channel<Command> _queue = Channel.CreateBounded<Command>(new BoundedChannelOptions(QueueMax) { SingleReader = true });
    private readonly CancellationTokenSource _end = new();
    private readonly TaskCompletionSource<bool> _settled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private Task _run = Task.CompletedTask;
    private volatile bool _connected;

    public Line(ConfigurationOptions options) => _options = options;

    /// <summary>Takes what the server sends unasked; false for the reply to a command.</summary>
    public Func<RespNode, bool>? OnPush { get; init; }

    /// <summary>What must be said anew at each connection before its other traffic.</summary>
    public Func<Command[]>? Greeting { get; init; }

    /// <summary>An outage began.</summary>
    public Action<RedisConnectionException>? Failed { get; init; }

    /// <summary>An outage ended.</summary>
    public Action? Restored { get; init; }

    public bool IsConnected => _connected;

    public RedisConnectionException? LastError { get; private set; }

    /// <summary>True when connected, false after as many failed attempts as a first connect may take.</summary>
    public Task<bool> Settled => _settled.Task;

    public void Start() => _run = Task.Run(RunAsync);

    /// <summary>Sends a command and gives its reply.</summary>
    /// <exception cref="RedisServerException">The server refused it.</exception>
    /// <exception cref="RedisConnectionException">The connection broke after it was sent, the queue is full, or the line is closed.</exception>
    /// <exception cref="RedisTimeoutException">No reply in time, be it that there is no connection.</exception>
    public async Task<RespNode> AskAsync(Command command)
    {
        if (!_queue.Writer.TryWrite(command))
        {
            ObjectDisposedException.ThrowIf(_end.IsCancellationRequested, this);
            throw new RedisConnectionException(
                ConnectionFailureType.UnableToResolvePhysicalConnection, $"{QueueMax} commands wait already.", LastError, CommandStatus.WaitingInBacklog);
        }

        try
        {
            return await command.Reply.WaitAsync(TimeSpan.FromMilliseconds(_options.AsyncTimeout)).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            command.Abandon();
            throw new RedisTimeoutException(
                $"No reply within {_options.AsyncTimeout} ms ({(_connected ? "connected" : "not connected: " + LastError?.Message)}).",
                command.SentAt == 0 ? CommandStatus.WaitingInBacklog : CommandStatus.Sent);
        }
    }

    /// <summary>Lets what waits finish within the time-out when asked to and connected, then ends.</summary>
    public async Task CloseAsync(bool drain)
    {
        _ = _queue.Writer.TryComplete();
        if (drain && _connected)
        {
            await Task.WhenAny(_run, Task.Delay(_options.SyncTimeout)).ConfigureAwait(false);
        }

        await _end.CancelAsync().ConfigureAwait(false);
        await _run.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        var closed = new RedisConnectionException(ConnectionFailureType.ConnectionDisposed, "The multiplexer was closed.");
        while (_queue.Reader.TryRead(out Command? command))
        {
            command.Fail(closed);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await CloseAsync(drain: false).ConfigureAwait(false);
        _end.Dispose();
    }

    private async Task RunAsync()
    {
        CancellationToken cancellation = _end.Token;
        bool outage = false;
        int attempt = 0;
        while (!_queue.Reader.Completion.IsCompleted)
        {
            attempt++;
            try
            {
                RespConnection connection = await RespConnection.OpenAsync(_options, OnPush, AskWhetherAlive, cancellation).ConfigureAwait(false);
                await using (connection.ConfigureAwait(false))
                {
                    Command[] greeting = Greeting?.Invoke() ?? [];
                    Task run = connection.RunAsync(greeting, _queue.Reader, cancellation);
                    if (await Task.WhenAny(run, Task.WhenAll(greeting.Select(command => command.Reply))).ConfigureAwait(false) != run)
                    {
                        attempt = 0;
                        Connected(outage);
                        outage = false;
                    }

                    await run.ConfigureAwait(false);
                }
            }
            catch (Exception error) when (!cancellation.IsCancellationRequested)
            {
                // Whatever it was, the line must go on trying: nobody else would.
                LastError = error as RedisConnectionException
                    ?? new RedisConnectionException(ConnectionFailureType.InternalFailure, error.Message, error);
                _connected = false;
                if (!outage && !_queue.Reader.Completion.IsCompleted)
                {
                    outage = true;
                    Failed?.Invoke(LastError);
                }
            }

            if (attempt >= _options.ConnectRetry)
            {
                _ = _settled.TrySetResult(false);
            }

            await Task.Delay(Math.Min(BackOffFirstMs << Math.Min(attempt, 10), BackOffMaxMs), cancellation).ConfigureAwait(false);
        }
    }

    private void Connected(bool afterOutage)
    {
        _connected = true;
        _ = _settled.TrySetResult(true);
        if (afterOutage)
        {
            Restored?.Invoke();
        }
    }

    // A queue that is full needs no question.
    private void AskWhetherAlive() => _queue.Writer.TryWrite(new Command(-1, wantsReply: false, "PING"u8.ToArray()));
}
