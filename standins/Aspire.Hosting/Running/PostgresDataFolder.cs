using System.Globalization;
using Aspire.Hosting.Supervision;

namespace Aspire.Hosting.Running;

/// <summary>A data folder of PostgreSQL: made, checked, locked.</summary>
internal sealed class PostgresDataFolder(string volume, ServerAccount account, RunningResource run)
{
    /// <summary>How long a server of an earlier start may take to stop.</summary>
    private static readonly TimeSpan LeftoverGrace = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan Poll = TimeSpan.FromMilliseconds(100);

    private readonly string _draft = System.IO.Path.Combine(volume, "data.new");

    public string Path { get; } = System.IO.Path.Combine(volume, "data");

    public bool Exists => File.Exists(System.IO.Path.Combine(Path, "PG_VERSION"));

    /// <summary>The major version that made the folder; null when there is none yet.</summary>
    public int? Major => Exists ? int.Parse(File.ReadAllText(System.IO.Path.Combine(Path, "PG_VERSION")).Trim(), CultureInfo.InvariantCulture) : null;

    /// <summary>Makes the folder when there is none. A start that was killed meanwhile leaves only the draft.</summary>
    public async Task InitializeAsync(PostgresBinaries binaries, string userName, string password, CancellationToken cancellationToken)
    {
        account.RequireAccess(Path);
        if (Exists)
        {
            if (Major != binaries.Major)
            {
                throw new DistributedApplicationException(
                    $"The data folder {Path} was made by PostgreSQL {Major}, and this machine has PostgreSQL {binaries.Major}. "
                    + $"Install PostgreSQL {Major}, or move the data with pg_dump and pg_restore, or remove the folder.");
            }

            return;
        }

        run.Update(s => s with { Note = "making the data folder" });
        if (Directory.Exists(_draft))
        {
            Directory.Delete(_draft, recursive: true);
        }

        account.OwnFolder(_draft);
        var passwordFile = account.OwnFile(System.IO.Path.Combine(volume, "password.tmp"), password);
        try
        {
            var process = await run.StartAsync(
                account.Command(
                    binaries.InitDb, "-D", _draft, "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums", "-A", "scram-sha-256", "-U", userName, $"--pwfile={passwordFile}"),
                Executables.Environment(),
                "/",
                ServerStop.Fast,
                cancellationToken).ConfigureAwait(false);
            if (await process.Exited.WaitAsync(cancellationToken).ConfigureAwait(false) is not 0 and var code)
            {
                throw new DistributedApplicationException($"initdb failed with exit code {code}.");
            }
        }
        finally
        {
            File.Delete(passwordFile);
        }

        Directory.Move(_draft, Path);
    }

    /// <summary>Deals with the mark of an earlier server: stops one that is still alive, and removes a mark whose owner is gone.</summary>
    public async Task ClearLeftoverAsync(CancellationToken cancellationToken)
    {
        var mark = System.IO.Path.Combine(Path, "postmaster.pid");
        if (!File.Exists(mark))
        {
            return;
        }

        var text = await File.ReadAllLinesAsync(mark, cancellationToken).ConfigureAwait(false);
        if (text.Length > 0 && int.TryParse(text[0], CultureInfo.InvariantCulture, out var processId) && IsPostgresHere(processId))
        {
            run.Update(s => s with { Note = $"stopping the server of an earlier start (process {processId})" });
            _ = Native.SendSignal(processId, UnixSignals.Interrupt);
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(LeftoverGrace);
            while (IsPostgresHere(processId))
            {
                await Task.Delay(Poll, limit.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (limit.IsCancellationRequested)
                {
                    throw new DistributedApplicationException($"A PostgreSQL server of an earlier start (process {processId}) uses {Path} and does not stop. Stop it first.");
                }
            }
        }

        File.Delete(mark);
    }

    private bool IsPostgresHere(int processId)
    {
        try
        {
            var command = File.ReadAllText($"/proc/{processId}/cmdline");
            return command.Contains("postgres", StringComparison.Ordinal) && command.Contains(Path, StringComparison.Ordinal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
