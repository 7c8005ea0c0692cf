using System.Diagnostics;

namespace Swarm.Tests.Faults;

/// <summary>A small file system that the test fills and empties. Only root may mount one; elsewhere a trigger says what a full disk says.</summary>
internal sealed class SmallDisk : IAsyncDisposable
{
    private const int SizeMiB = 192;

    private readonly string _ballast;

    private SmallDisk(string folder)
    {
        Folder = folder;
        _ballast = Path.Combine(folder, "ballast");
    }

    public string Folder { get; }

    /// <summary>Mounts one; null where that is not allowed.</summary>
    public static async Task<SmallDisk?> MountAsync()
    {
        if (!Environment.IsPrivilegedProcess)
        {
            return null;
        }

        var folder = Path.Combine(Path.GetTempPath(), $"swarm-disk-{Guid.NewGuid():N}");
        Directory.CreateDirectory(folder);
        if (await RunAsync("mount", "-t", "tmpfs", "-o", $"size={SizeMiB}m,mode=0777", "swarm-test", folder))
        {
            return new(folder);
        }

        Directory.Delete(folder);
        return null;
    }

    /// <summary>Takes all the space that is left.</summary>
    public async Task FillAsync()
    {
        // It ends with an error when nothing more fits, which is what is wanted.
        await RunAsync("dd", "if=/dev/zero", $"of={_ballast}", "bs=64k", "status=none");
    }

    public void Empty() => File.Delete(_ballast);

    public async ValueTask DisposeAsync()
    {
        await RunAsync("umount", "-l", Folder);
        Directory.Delete(Folder);
    }

    private static async Task<bool> RunAsync(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        await process.StandardError.ReadToEndAsync();
        await process.WaitForExitAsync();
        return process.ExitCode == 0;
    }
}
