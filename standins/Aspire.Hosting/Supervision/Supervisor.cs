using System.ComponentModel;
using System.Diagnostics;

namespace Aspire.Hosting.Supervision;

/// <summary>Owns the processes, locks and temporary folders of one app host.</summary>
internal sealed class Supervisor(Action<Event> send) : IDisposable
{
    /// <summary>How long a process may take to die of SIGKILL or of its last signal.</summary>
    private static readonly TimeSpan LastGrace = TimeSpan.FromMilliseconds(700);

    private readonly Lock _lock = new();
    private readonly List<Child> _children = [];
    private readonly List<FileStream> _locks = [];
    private readonly List<string> _foldersToRemove = [];
    private Task? _end;

    public void Handle(Request request)
    {
        switch (request.Operation)
        {
            case Operations.Lock:
                send(new Event { Kind = Kinds.Locked, Id = request.Id, Error = TakeLock(request.Path!) });
                break;
            case Operations.RemoveAtEnd:
                _foldersToRemove.Add(request.Path!);
                send(new Event { Kind = Kinds.Done, Id = request.Id });
                break;
            case Operations.Start:
                Start(request.Id, request.Process!);
                break;
            case Operations.Signal:
                Child? target;
                lock (_lock)
                {
                    target = _children.Find(c => c.Id == request.Target);
                }

                target?.Signal(request.Signal);
                send(new Event { Kind = Kinds.Done, Id = request.Id });
                break;
            default:
                throw new InvalidOperationException($"Unknown operation {request.Operation}.");
        }
    }

    /// <summary>Stops everything, tier by tier, and removes what was temporary. The first call decides; others wait for it.</summary>
    public Task EndAsync()
    {
        lock (_lock)
        {
            return _end ??= Task.Run(StopAllAsync);
        }
    }

    public void Dispose()
    {
        foreach (var held in _locks)
        {
            held.Dispose();
        }
    }

    private async Task StopAllAsync()
    {
        List<Child> children;
        lock (_lock)
        {
            children = [.. _children];
        }

        foreach (var tier in children.GroupBy(c => c.Spec.Tier).OrderByDescending(g => g.Key))
        {
            await Task.WhenAll(tier.Select(c => c.StopAsync(LastGrace))).ConfigureAwait(false);
        }

        foreach (var folder in _foldersToRemove.Where(Directory.Exists))
        {
            try
            {
                Directory.Delete(folder, recursive: true);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Swept at the next start.
                send(new Event { Kind = Kinds.Done, Id = 0, Error = e.Message });
            }
        }
    }

    private string? TakeLock(string path)
    {
        try
        {
            var held = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            held.SetLength(0);
            _locks.Add(held);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return e.Message;
        }
    }

    private void Start(int id, ProcessSpec spec)
    {
        lock (_lock)
        {
            if (_end is not null)
            {
                send(new Event { Kind = Kinds.Started, Id = id, Error = "The application is being stopped." });
                return;
            }

            var start = new ProcessStartInfo(spec.Command[0], spec.Command.Skip(1)) { WorkingDirectory = spec.Folder };
            start.Environment.Clear();
            foreach (var (name, value) in spec.Environment)
            {
                start.Environment[name] = value;
            }

            try
            {
                StandardStreams.WriteTo(spec.LogFile);
                var child = new Child(id, spec, Process.Start(start)!);
                _children.Add(child);
                send(new Event { Kind = Kinds.Started, Id = id, Number = child.ProcessId });
                _ = WatchAsync(child);
            }
            catch (Exception e) when (e is Win32Exception or IOException)
            {
                send(new Event { Kind = Kinds.Started, Id = id, Error = e.Message });
            }
        }
    }

    private async Task WatchAsync(Child child)
    {
        var code = await child.Exited.ConfigureAwait(false);
        lock (_lock)
        {
            if (_end is null)
            {
                _children.Remove(child);
            }
        }

        send(new Event { Kind = Kinds.Exited, Id = child.Id, Number = code });
    }
}

/// <summary>A running process.</summary>
internal sealed class Child
{
    private readonly Process _process;

    public Child(int id, ProcessSpec spec, Process process)
    {
        Id = id;
        Spec = spec;
        _process = process;
        ProcessId = process.Id;
        Exited = WaitAsync();
    }

    public int Id { get; }

    public int ProcessId { get; }

    public ProcessSpec Spec { get; }

    public Task<int> Exited { get; }

    public void Signal(int signal)
    {
        // A process that has been reaped may have left its number to another one.
        if (!_process.HasExited)
        {
            _ = Native.SendSignal(ProcessId, signal);
        }
    }

    public async Task StopAsync(TimeSpan lastGrace)
    {
        Signal(Spec.StopSignal);
        if (!await EndsWithinAsync(TimeSpan.FromMilliseconds(Spec.GraceMilliseconds)).ConfigureAwait(false))
        {
            Signal(Spec.LastSignal);
            if (!await EndsWithinAsync(lastGrace).ConfigureAwait(false))
            {
                Signal(UnixSignals.Kill);
                await EndsWithinAsync(lastGrace).ConfigureAwait(false);
            }
        }

        if (Spec.Afterwards is { } command)
        {
            using var afterwards = Process.Start(new ProcessStartInfo(command[0], command.Skip(1)) { RedirectStandardOutput = true, RedirectStandardError = true });
            await afterwards!.WaitForExitAsync().ConfigureAwait(false);
        }
    }

    private async Task<bool> EndsWithinAsync(TimeSpan grace) =>
        await Task.WhenAny(Exited, Task.Delay(grace)).ConfigureAwait(false) == Exited;

    private async Task<int> WaitAsync()
    {
        await _process.WaitForExitAsync().ConfigureAwait(false);
        return _process.ExitCode;
    }
}
