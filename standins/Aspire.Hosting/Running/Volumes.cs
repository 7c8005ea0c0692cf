namespace Aspire.Hosting.Running;

/// <summary>Opens the folder that a server keeps its data in, under a lock that ends with the supervisor.</summary>
internal static class Volumes
{
    /// <summary>The supervisor of an app host that was killed needs that long to stop its servers.</summary>
    private static readonly TimeSpan LockTimeout = TimeSpan.FromSeconds(8);

    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(100);

    /// <param name="run">The resource.</param>
    /// <param name="name">The volume's name; null for a folder that is removed at the end.</param>
    /// <param name="cancellationToken">Ends the wait for the lock.</param>
    public static async Task<string> OpenAsync(RunningResource run, string? name, CancellationToken cancellationToken)
    {
        var area = run.Launcher.Area;
        if (name is null)
        {
            var temporary = area.Temporary(run.Name);
            await run.Launcher.Supervisor.RemoveAtEndAsync(temporary, cancellationToken).ConfigureAwait(false);
            return temporary;
        }

        var folder = area.Volume(name);
        await LockAsync(run, folder, cancellationToken).ConfigureAwait(false);
        return folder;
    }

    private static async Task LockAsync(RunningResource run, string folder, CancellationToken cancellationToken)
    {
        var holderFile = Path.Combine(folder, "holder");
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(LockTimeout);
        while (!await run.Launcher.Supervisor.TryLockAsync(Path.Combine(folder, "lock"), cancellationToken).ConfigureAwait(false))
        {
            var holder = File.Exists(holderFile) ? await File.ReadAllTextAsync(holderFile, cancellationToken).ConfigureAwait(false) : "unknown";
            if (Directory.Exists($"/proc/{holder}") || limit.IsCancellationRequested)
            {
                throw new DistributedApplicationException($"The data in {folder} is in use by another app host (process {holder}). Stop it first.");
            }

            run.Update(s => s with { Note = $"waiting for the end of an earlier start (process {holder})" });
            await Task.Delay(Poll, limit.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }

        await File.WriteAllTextAsync(holderFile, $"{Environment.ProcessId}", cancellationToken).ConfigureAwait(false);
    }
}
