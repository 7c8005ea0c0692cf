using System.Text;

namespace Swarm.Cli.Profile;

/// <summary>Files that only their owner may read: created with mode 0600 from the first byte on, replaced whole or not at all.</summary>
internal static class PrivateFiles
{
    public const UnixFileMode FileMode0600 = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    public const UnixFileMode FolderMode0700 = FileMode0600 | UnixFileMode.UserExecute;

    private const UnixFileMode ForOthers =
        UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.GroupExecute
        | UnixFileMode.OtherRead | UnixFileMode.OtherWrite | UnixFileMode.OtherExecute;

    /// <summary>
    /// True when somebody besides the owner may do anything with the file or folder; never on Windows, which has other means.
    /// </summary>
    public static bool IsOpenToOthers(string path) => !OperatingSystem.IsWindows() && (File.GetUnixFileMode(path) & ForOthers) != 0;

    /// <summary>
    /// Creates the folder with mode 0700, or takes others' access from it. A node's data folder is left as the node made it.
    /// </summary>
    public static void EnsureFolder(string folder)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(folder);
        }
        else if (!Directory.Exists(folder))
        {
            Directory.CreateDirectory(folder, FolderMode0700);
        }
        else if (IsOpenToOthers(folder) && !File.Exists(Path.Combine(folder, NodeFile.FileName)))
        {
            File.SetUnixFileMode(folder, FolderMode0700);
        }
    }

    /// <summary>Opens the file for this process alone, creating it private.</summary>
    /// <exception cref="IOException">Another process has it open.</exception>
    public static FileStream OpenAlone(string path, FileMode mode)
    {
        var options = new FileStreamOptions { Mode = mode, Access = FileAccess.Write, Share = FileShare.None };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = FileMode0600;
        }

        return new FileStream(path, options);
    }

    public static void Write(string path, string text)
    {
        var fresh = $"{path}.{Guid.NewGuid():N}.tmp";
        using (var file = OpenAlone(fresh, FileMode.CreateNew))
        {
            file.Write(Encoding.UTF8.GetBytes(text));
            file.Flush(flushToDisk: true);
        }

        File.Move(fresh, path, overwrite: true);
    }
}
