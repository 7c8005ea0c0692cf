using Aspire.Hosting.Supervision;

namespace Aspire.Hosting.Running;

/// <summary>Ends an app host whose <c>dotnet run</c> was killed: nobody would be left to press Ctrl-C.</summary>
internal static class ParentWatch
{
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(500);

    /// <returns>Null when the parent is no <c>dotnet run</c>.</returns>
    public static IDisposable? Start(Action parentGone)
    {
        var parent = Native.ParentProcessId();
        return IsDotnetRun(parent)
            ? new Timer(_ => Check(parent, parentGone), null, Interval, Interval)
            : null;
    }

    private static void Check(int parent, Action parentGone)
    {
        if (Native.ParentProcessId() != parent)
        {
            parentGone();
        }
    }

    private static bool IsDotnetRun(int processId)
    {
        try
        {
            var command = File.ReadAllText($"/proc/{processId}/cmdline").Split('\0');
            return Path.GetFileNameWithoutExtension(command[0]) == "dotnet" && command.Contains("run");
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
