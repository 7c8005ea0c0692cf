using System.Globalization;

namespace Aspire.Hosting.Running;

/// <summary>PostgreSQL programs of one major version on this machine.</summary>
internal sealed record PostgresBinaries(string Folder, int Major)
{
    private const string DebianFolder = "/usr/lib/postgresql";

    public string Postgres => Path.Combine(Folder, "postgres");

    public string InitDb => Path.Combine(Folder, "initdb");

    /// <summary>The version that made a data folder if it is here, else the one on the PATH, else the newest.</summary>
    public static async Task<PostgresBinaries?> FindAsync(int? wanted, CancellationToken cancellationToken)
    {
        var folders = new List<string>();
        if (Executables.Find("postgres") is { } onPath)
        {
            folders.Add(Path.GetDirectoryName(onPath)!);
        }

        if (Directory.Exists(DebianFolder))
        {
            folders.AddRange(Directory.GetDirectories(DebianFolder).Select(d => Path.Combine(d, "bin"))
                .OrderByDescending(d => int.TryParse(Path.GetFileName(Path.GetDirectoryName(d)), CultureInfo.InvariantCulture, out var major) ? major : 0));
        }

        PostgresBinaries? first = null;
        foreach (var folder in folders.Where(f => File.Exists(Path.Combine(f, "postgres")) && File.Exists(Path.Combine(f, "initdb"))))
        {
            var (_, version) = await ShortCommand.RunAsync([Path.Combine(folder, "postgres"), "--version"], cancellationToken).ConfigureAwait(false);
            var number = new string([.. version.SkipWhile(c => !char.IsAsciiDigit(c)).TakeWhile(char.IsAsciiDigit)]);
            if (int.TryParse(number, CultureInfo.InvariantCulture, out var major))
            {
                var found = new PostgresBinaries(folder, major);
                first ??= found;
                if (wanted is null || wanted == major)
                {
                    return found;
                }
            }
        }

        return first;
    }
}
