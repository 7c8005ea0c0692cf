using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.Json;
using Aspire.Hosting.Supervision;

namespace Aspire.Hosting.Running;

/// <summary>The app host's end of the pipe to its supervisor.</summary>
internal sealed class SupervisorClient : IAsyncDisposable
{
    /// <summary>The supervisor stops every process within 5 s; this is for a machine under load.</summary>
    private static readonly TimeSpan EndTimeout = TimeSpan.FromSeconds(15);

    private readonly Process _process;
    private readonly SemaphoreSlim _writing = new(1);
    private readonly ConcurrentDictionary<int, TaskCompletionSource<Event>> _answers = new();
    private readonly ConcurrentDictionary<int, TaskCompletionSource<int>> _exits = new();
    private readonly Task _reading;
    private int _lastId;

    private SupervisorClient(Process process)
    {
        _process = process;
        _reading = Task.Run(ReadAsync);
    }

    public static SupervisorClient Start()
    {
        var assembly = typeof(SupervisorProgram).Assembly.Location;
        var start = new ProcessStartInfo(DotnetHost(), ["exec", "--runtimeconfig", Path.ChangeExtension(assembly, ".runtimeconfig.json"), assembly, SupervisorProgram.Argument])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            WorkingDirectory = "/",
        };
        start.Environment["DOTNET_TieredPGO"] = "0";
        start.Environment["DOTNET_GCHeapHardLimit"] = "0x6000000";
        start.Environment.Remove("DOTNET_STARTUP_HOOKS");
        return new SupervisorClient(Process.Start(start)!);
    }

    /// <summary>The dotnet executable of the runtime that runs this process.</summary>
    public static string DotnetHost()
    {
        var host = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", "..", "dotnet"));
        return File.Exists(host) ? host : "dotnet";
    }

    /// <summary>Tries to take a lock that lasts as long as the supervisor.</summary>
    public async Task<bool> TryLockAsync(string path, CancellationToken cancellationToken) =>
        (await AskAsync(new Request { Operation = Operations.Lock, Id = NextId(), Path = path }, cancellationToken).ConfigureAwait(false)).Error is null;

    public Task RemoveAtEndAsync(string folder, CancellationToken cancellationToken) =>
        AskAsync(new Request { Operation = Operations.RemoveAtEnd, Id = NextId(), Path = folder }, cancellationToken);

    public async Task<SupervisedProcess> StartAsync(ProcessSpec spec, CancellationToken cancellationToken)
    {
        var id = NextId();
        var exit = _exits[id] = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        var started = await AskAsync(new Request { Operation = Operations.Start, Id = id, Process = spec }, cancellationToken).ConfigureAwait(false);
        return started.Error is { } error
            ? throw new DistributedApplicationException($"{spec.Command[0]} cannot be started: {error}")
            : new SupervisedProcess(this, id, started.Number, exit.Task);
    }

    /// <summary>Stops everything and waits for it.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            try
            {
                await SendAsync(new Request { Operation = Operations.End, Id = NextId() }).ConfigureAwait(false);
            }
            catch (IOException)
            {
                // It ended meanwhile.
            }

            using var timeout = new CancellationTokenSource(EndTimeout);
            await _process.WaitForExitAsync(timeout.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await _reading.ConfigureAwait(false);
        _process.Dispose();
        _writing.Dispose();
    }

    public Task SignalAsync(int id, int signal) =>
        AskAsync(new Request { Operation = Operations.Signal, Id = NextId(), Target = id, Signal = signal }, CancellationToken.None);

    private int NextId() => Interlocked.Increment(ref _lastId);

    private async Task<Event> AskAsync(Request request, CancellationToken cancellationToken)
    {
        var answer = _answers[request.Id] = new TaskCompletionSource<Event>(TaskCreationOptions.RunContinuationsAsynchronously);
        await SendAsync(request).ConfigureAwait(false);
        return await answer.Task.WaitAsync(cancellationToken).ConfigureAwait(false);
    }

    private async Task SendAsync(Request request)
    {
        await _writing.WaitAsync().ConfigureAwait(false);
        try
        {
            await _process.StandardInput.WriteLineAsync(JsonSerializer.Serialize(request, MessageJson.Default.Request)).ConfigureAwait(false);
            await _process.StandardInput.FlushAsync().ConfigureAwait(false);
        }
        finally
        {
            _writing.Release();
        }
    }

    private async Task ReadAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync().ConfigureAwait(false) is { } line)
        {
            var update = JsonSerializer.Deserialize(line, MessageJson.Default.Event)!;
            if (update.Kind == Kinds.Exited)
            {
                _exits[update.Id].TrySetResult(update.Number);
            }
            else if (_answers.TryRemove(update.Id, out var answer))
            {
                answer.TrySetResult(update);
            }
        }

        var end = new DistributedApplicationException("The supervisor of the application's processes has ended.");
        foreach (var answer in _answers.Values)
        {
            answer.TrySetException(end);
        }

        foreach (var exit in _exits.Values)
        {
            exit.TrySetResult(-1);
        }
    }
}

/// <summary>A process that the supervisor runs for us.</summary>
internal sealed class SupervisedProcess(SupervisorClient supervisor, int id, int processId, Task<int> exited)
{
    public int ProcessId { get; } = processId;

    /// <summary>Ends with the exit code; 128 plus the signal's number when one ended it.</summary>
    public Task<int> Exited { get; } = exited;

    public Task SignalAsync(int signal) => supervisor.SignalAsync(id, signal);
}
