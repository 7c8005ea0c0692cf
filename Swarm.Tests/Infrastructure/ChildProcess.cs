using System.Collections.Concurrent;
using System.Diagnostics;
using System.Runtime.InteropServices;

namespace Swarm.Tests.Infrastructure;

/// <summary>A process that a test starts and ends, with the last lines of what it said.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    private const int LinesKept = 400;
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(30);

    // Holds a pipe from this process: when it breaks, because the test run was killed, the child goes as well.
    private const string Keeper =
        """
        exec 3<&0
        "$@" 3<&- </dev/null &
        child=$!
        { read -r _; kill -9 $child; } <&3 >/dev/null 2>&1 &
        keeper=$!
        wait $child
        code=$?
        kill $keeper
        exit $code
        """;

    /// <summary>The log events of the doors' last resort: an answer 500.</summary>
    private static readonly string[] UnforeseenMarks = ["Swarm.Api.AgentSwarm[2104]", "Swarm.Api.Hub.HubGate[2001]"];

    private readonly Process _process;
    private readonly ConcurrentQueue<string> _lines = new();
    private readonly ConcurrentQueue<string> _unforeseen = new();
    private readonly Task _read;

    private ChildProcess(Process process)
    {
        _process = process;
        _read = Task.WhenAll(ReadAsync(process.StandardOutput), ReadAsync(process.StandardError));
    }

    public bool HasExited => _process.HasExited;

    /// <summary>What it wrote, both streams mixed.</summary>
    public string Output => string.Join('\n', _lines);

    /// <summary>What it wrote of requests that failed in a way that no rule foresees, however long ago.</summary>
    public IReadOnlyCollection<string> Unforeseen => _unforeseen;

    public static ChildProcess Start(string folder, IReadOnlyDictionary<string, string?> environment, string program, params IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo("sh", ["-c", Keeper, "sh", program, .. arguments])
        {
            WorkingDirectory = folder,
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
        };
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        return new(Process.Start(start)!);
    }

    /// <summary>Runs a program to its end.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(
        string folder, IReadOnlyDictionary<string, string?> environment, string program, params IEnumerable<string> arguments)
    {
        await using var child = Start(folder, environment, program, arguments);
        return (await child.WaitAsync(TimeSpan.FromMinutes(2)), child.Output);
    }

    /// <summary>The exit code, once it has ended.</summary>
    /// <exception cref="TimeoutException">It did not end in time; it is killed.</exception>
    public async Task<int> WaitAsync(TimeSpan limit)
    {
        using var end = new CancellationTokenSource(limit);
        try
        {
            await _process.WaitForExitAsync(end.Token);
        }
        catch (OperationCanceledException)
        {
            await KillAsync();
            throw new TimeoutException($"{string.Join(' ', _process.StartInfo.ArgumentList.Skip(3))} did not end within {limit.TotalSeconds} s:\n{Output}");
        }

        await _read.WaitAsync(EndLimit);
        return _process.ExitCode;
    }

    /// <summary>SIGKILL for it and everything it started; returns when all of that is gone.</summary>
    public async Task KillAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
        }

        await _process.WaitForExitAsync().WaitAsync(EndLimit);

        // Whoever could still write has ended when its streams have.
        await _read.WaitAsync(EndLimit);
    }

    /// <summary>SIGSTOP for the program and everything it started, but not for what watches over it.</summary>
    public void Freeze() => Signal(Stop);

    /// <summary>SIGCONT after <see cref="Freeze"/>.</summary>
    public void Thaw() => Signal(Continue);

    /// <summary>SIGSTOP or SIGCONT for one process.</summary>
    public static void Freeze(int processId, bool frozen) => _ = SendSignal(processId, frozen ? Stop : Continue);

    public async ValueTask DisposeAsync()
    {
        await KillAsync();
        _process.Dispose();
    }

    private const int Stop = 19;
    private const int Continue = 18;

    private void Signal(int signal)
    {
        // The program is the first that the keeper's shell started; its watcher is the second.
        foreach (var program in ChildrenOf(_process.Id).Take(1))
        {
            SignalTree(program, signal);
        }
    }

    private static void SignalTree(int processId, int signal)
    {
        _ = SendSignal(processId, signal);
        foreach (var child in ChildrenOf(processId))
        {
            SignalTree(child, signal);
        }
    }

    private static IEnumerable<int> ChildrenOf(int processId)
    {
        try
        {
            return [.. Directory.GetDirectories($"/proc/{processId}/task")
                .SelectMany(t => File.ReadAllText(Path.Combine(t, "children")).Split(' ', StringSplitOptions.RemoveEmptyEntries)).Select(int.Parse)];
        }
        catch (IOException)
        {
            // It has ended, and so have they.
            return [];
        }
    }

    [DllImport("libc", EntryPoint = "kill")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern int SendSignal(int processId, int signal);

    private async Task ReadAsync(StreamReader reader)
    {
        while (await reader.ReadLineAsync() is { } line)
        {
            if (UnforeseenMarks.Any(line.Contains))
            {
                _unforeseen.Enqueue(line);
            }

            _lines.Enqueue(line);
            if (_lines.Count > LinesKept)
            {
                _lines.TryDequeue(out _);
            }
        }
    }
}
