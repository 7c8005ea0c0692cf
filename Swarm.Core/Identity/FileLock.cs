namespace Swarm.Core.Identity;

/// <summary>Lets one replica at a time do what must be done once in a data folder. The lock is the operating system's, so it ends with its process.</summary>
public static class FileLock
{
    private static readonly TimeSpan Retry = TimeSpan.FromMilliseconds(20);

    /// <summary>Waits until nobody else holds the lock of <paramref name="path"/>, then holds it until the result is disposed.</summary>
    /// <param name="path">What is locked. The lock itself is a file beside it that stays: were it deleted, two could hold it.</param>
    /// <param name="patience">How long to wait for others.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <exception cref="IOException">The file cannot be opened, or others held it for longer than <paramref name="patience"/>.</exception>
    public static FileStream Take(string path, TimeSpan patience, CancellationToken cancellation = default)
    {
        long startedAt = TimeProvider.System.GetTimestamp();
        while (true)
        {
            try
            {
                return new FileStream(path + ".lock", FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            }
            catch (IOException e) when (e is not (FileNotFoundException or DirectoryNotFoundException)
                && TimeProvider.System.GetElapsedTime(startedAt) < patience)
            {
                cancellation.WaitHandle.WaitOne(Retry);
                cancellation.ThrowIfCancellationRequested();
            }
        }
    }
}
