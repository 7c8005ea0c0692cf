using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Supervision;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting.Running;

/// <summary>One resource while the application runs: its state, its log, its processes.</summary>
internal sealed class RunningResource(IResource resource, Launcher launcher, string logFile)
{
    public IResource Resource { get; } = resource;

    public Launcher Launcher { get; } = launcher;

    public string LogFile { get; } = logFile;

    public string Name => Resource.Name;

    public CustomResourceSnapshot Update(Func<CustomResourceSnapshot, CustomResourceSnapshot> change) => Launcher.Notifications.Update(Resource, change);

    public void Enter(string state, string note = "") =>
        Update(s => s with { State = state, Note = note, HealthStatus = null });

    /// <summary>The resource runs; healthy at once, or once its health check says so.</summary>
    public void Runs(bool healthy) => Update(s => s with
    {
        State = KnownResourceStates.Running,
        HealthStatus = healthy ? HealthStatus.Healthy : HealthStatus.Unhealthy,
    });

    public Task<SupervisedProcess> StartAsync(
        IReadOnlyList<string> command,
        IReadOnlyDictionary<string, string> environment,
        string folder,
        ServerStop stop,
        CancellationToken cancellationToken,
        string? logFile = null,
        IReadOnlyList<string>? afterwards = null) => Launcher.Supervisor.StartAsync(
            new ProcessSpec
            {
                Name = Name,
                Command = command,
                Environment = environment,
                Folder = folder,
                LogFile = logFile ?? LogFile,
                Tier = stop.Tier,
                StopSignal = stop.Signal,
                GraceMilliseconds = (int)stop.Grace.TotalMilliseconds,
                LastSignal = stop.LastSignal,
                Afterwards = afterwards,
            },
            cancellationToken);

    /// <summary>Follows a process to its end, and says how it ended.</summary>
    public async Task FollowAsync(SupervisedProcess process, CancellationToken cancellationToken)
    {
        var code = await process.Exited.WaitAsync(cancellationToken).ConfigureAwait(false);
        if (code != 0)
        {
            Launcher.Fail(this, $"It ended with exit code {code}.");
        }

        Update(s => s with
        {
            State = code == 0 ? KnownResourceStates.Finished : KnownResourceStates.Exited,
            ExitCode = code,
            HealthStatus = null,
            Note = code == 0 ? "done" : $"ended with exit code {code}",
        });
    }
}

/// <summary>How the processes of a kind are stopped. All of it together takes less than 5 s.</summary>
internal sealed record ServerStop(int Tier, int Signal, TimeSpan Grace, int LastSignal)
{
    /// <summary>Projects end first, so that they can finish what they write.</summary>
    public static readonly ServerStop Project = new(2, UnixSignals.Terminate, TimeSpan.FromMilliseconds(2200), UnixSignals.Kill);

    /// <summary>PostgreSQL: fast shutdown; what that does not write in time is in the write-ahead log after an immediate one.</summary>
    public static readonly ServerStop Fast = new(1, UnixSignals.Interrupt, TimeSpan.FromMilliseconds(1300), UnixSignals.Quit);

    public static readonly ServerStop Redis = new(1, UnixSignals.Terminate, TimeSpan.FromMilliseconds(1300), UnixSignals.Kill);
}
