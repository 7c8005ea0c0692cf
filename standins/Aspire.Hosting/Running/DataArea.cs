using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Configuration;

namespace Aspire.Hosting.Running;

/// <summary>
/// Where the servers of one app host keep their data: <c>Launcher:DataArea</c> when configured, else a folder named by the app
/// host's path, under /var/lib/swarm for root (whose home is closed to the user that Postgres runs as) and under the user's data
/// home for everybody else.
/// </summary>
internal sealed class DataArea
{
    /// <summary>The configuration key that names the area.</summary>
    public const string Key = "Launcher:DataArea";

    private const int HashLength = 12;
    private const UnixFileMode Traversable =
        UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;

    private const UnixFileMode Private = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;

    private DataArea(string root, string logs)
    {
        Root = root;
        Logs = logs;
    }

    public string Root { get; }

    /// <summary>One log a resource.</summary>
    public string Logs { get; }

    public static DataArea Open(IConfiguration configuration, string appHostFolder)
    {
        var configured = configuration[Key];
        var root = Path.GetFullPath(configured ?? Path.Combine(DefaultParent(), HashOf(appHostFolder)));
        try
        {
            CreateFolder(root);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DistributedApplicationException($"The data area {root} cannot be made ({e.Message}). Name another one in {Key}.", e);
        }

        var logs = configuration["Launcher:LogFolder"] ?? (configured is null ? Path.Combine(SolutionFolder(appHostFolder), ".swarm", "logs") : Path.Combine(root, "logs"));
        return new DataArea(root, TryCreatePrivate(logs) ?? TryCreatePrivate(Path.Combine(root, "logs")) ?? Path.GetTempPath());
    }

    /// <summary>The folder of a data volume, made when missing.</summary>
    public string Volume(string name) => CreateFolder(Path.Combine(Root, "volumes", name));

    /// <summary>A folder for data that ends with this start.</summary>
    public string Temporary(string name) => CreateFolder(Path.Combine(Root, "temporary", $"{name}-{Environment.ProcessId}-{Guid.NewGuid():N}"));

    /// <summary>The log of a resource; the log of the start before is kept beside it.</summary>
    public string LogFile(string resource)
    {
        var file = Path.Combine(Logs, $"{resource}.log");
        if (File.Exists(file))
        {
            File.Move(file, Path.Combine(Logs, $"{resource}.previous.log"), overwrite: true);
        }

        return file;
    }

    private static string CreateFolder(string path)
    {
        Directory.CreateDirectory(path, Environment.IsPrivilegedProcess ? Traversable : Private);
        return path;
    }

    private static string? TryCreatePrivate(string path)
    {
        try
        {
            Directory.CreateDirectory(path, Private);
            var probe = Path.Combine(path, $".{Environment.ProcessId}.probe");
            File.WriteAllText(probe, string.Empty);
            File.Delete(probe);
            return path;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static string DefaultParent()
    {
        if (Environment.IsPrivilegedProcess)
        {
            return "/var/lib/swarm";
        }

        var dataHome = Environment.GetEnvironmentVariable("XDG_DATA_HOME") is { Length: > 0 } given
            ? given
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".local", "share");
        return Path.Combine(dataHome, "swarm");
    }

    private static string HashOf(string path) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Path.GetFullPath(path))))[..HashLength];

    /// <summary>The nearest folder upwards with a solution file; the app host's own folder when there is none.</summary>
    private static string SolutionFolder(string folder)
    {
        for (var candidate = new DirectoryInfo(folder); candidate is not null; candidate = candidate.Parent)
        {
            if (candidate.EnumerateFiles("*.sln*").Any())
            {
                return candidate.FullName;
            }
        }

        return folder;
    }
}
