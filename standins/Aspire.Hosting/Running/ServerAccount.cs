using System.Globalization;
using Aspire.Hosting.Supervision;

namespace Aspire.Hosting.Running;

/// <summary>
/// The user that a server runs as: ourselves, or, when we are root, the server's own user (PostgreSQL refuses to run as root).
/// </summary>
internal sealed record ServerAccount(string? User, uint UserId, uint GroupId)
{
    private static readonly ServerAccount Ourselves = new(null, 0, 0);

    /// <param name="name">The server's user.</param>
    /// <param name="required">Whether to refuse when root finds no such user.</param>
    public static ServerAccount Of(string name, bool required)
    {
        if (!Environment.IsPrivilegedProcess)
        {
            return Ourselves;
        }

        var entry = File.ReadLines("/etc/passwd").Select(line => line.Split(':')).FirstOrDefault(fields => fields[0] == name);
        var hasTool = Executables.Find("setpriv") is not null;
        if (entry is not null && hasTool)
        {
            return new ServerAccount(name, uint.Parse(entry[2], CultureInfo.InvariantCulture), uint.Parse(entry[3], CultureInfo.InvariantCulture));
        }

        return !required ? Ourselves : throw new DistributedApplicationException(entry is null
            ? $"PostgreSQL does not run as root, and there is no user '{name}' to run it as. Install Debian's postgresql, or start as an ordinary user."
            : "PostgreSQL does not run as root, and the program setpriv (Debian: util-linux) is missing. Install it, or start as an ordinary user.");
    }

    /// <summary>The command, run as this account.</summary>
    public IReadOnlyList<string> Command(params IEnumerable<string> command) =>
        User is null ? [.. command] : ["setpriv", $"--reuid={User}", $"--regid={GroupId}", "--init-groups", .. command];

    public void Own(string path)
    {
        if (User is not null && Native.ChangeOwner(path, UserId, GroupId) != 0)
        {
            throw new DistributedApplicationException($"{path} cannot be given to the user {User}.");
        }
    }

    /// <summary>A folder of this account alone.</summary>
    public string OwnFolder(string path)
    {
        Directory.CreateDirectory(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        Own(path);
        return path;
    }

    /// <summary>A file that this account alone can read.</summary>
    public string OwnFile(string path, string content)
    {
        File.Delete(path);
        var options = new FileStreamOptions
        {
            Mode = FileMode.CreateNew,
            Access = FileAccess.Write,
            UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
        };
        using (var writer = new StreamWriter(path, options))
        {
            writer.Write(content);
        }

        Own(path);
        return path;
    }

    /// <exception cref="DistributedApplicationException">A folder on the way is closed to this account.</exception>
    public void RequireAccess(string folder)
    {
        for (var on = new DirectoryInfo(folder).Parent; User is not null && on is not null; on = on.Parent)
        {
            if (!on.UnixFileMode.HasFlag(UnixFileMode.OtherExecute))
            {
                throw new DistributedApplicationException(
                    $"The folder {on.FullName} is closed to the user {User}, who must reach {folder}. Name another data area in Launcher:DataArea.");
            }
        }
    }
}

/// <summary>Programs of this machine.</summary>
internal static class Executables
{
    /// <returns>The full path, or null when the PATH has no such program.</returns>
    public static string? Find(string name) => (System.Environment.GetEnvironmentVariable("PATH") ?? "/usr/bin:/bin").Split(':', StringSplitOptions.RemoveEmptyEntries)
        .Select(folder => Path.Combine(folder, name)).FirstOrDefault(File.Exists);

    /// <summary>The environment of a server: what it needs, and nothing of ours.</summary>
    public static Dictionary<string, string> Environment() => new()
    {
        ["PATH"] = System.Environment.GetEnvironmentVariable("PATH") ?? "/usr/bin:/bin",
        ["LC_ALL"] = "C.UTF-8",
        ["TZ"] = "UTC",
    };
}
