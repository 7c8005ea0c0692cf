using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Aspire.Hosting.Supervision;

/// <summary>
/// The numbers 0, 1 and 2, which children inherit. The supervisor moves its own pipes out of the way, so that a child reads
/// nothing and writes straight into its log: no output passes through us, and none is lost when we end.
/// </summary>
internal static class StandardStreams
{
    private const int ReadOnly = 0;
    private const int AppendOrCreate = 0x441;
    private const uint OwnerReadsAndWrites = 0x180;
    private const int DuplicateClosedOnExec = 1030;
    private const int FirstFreeNumber = 10;

    /// <summary>Takes the pipes from the app host away from the numbers that children inherit.</summary>
    public static (FileStream Input, FileStream Output) Take()
    {
        var input = Move(0, FileAccess.Read);
        var output = Move(1, FileAccess.Write);
        Replace(Native.Open("/dev/null", ReadOnly, 0), 0);
        return (input, output);
    }

    /// <summary>Makes a log what the next child writes to. The caller starts one child at a time.</summary>
    public static void WriteTo(string logFile)
    {
        var log = Native.Open(logFile, AppendOrCreate, OwnerReadsAndWrites);
        if (log < 0)
        {
            throw new IOException($"The log {logFile} cannot be opened: {Marshal.GetLastPInvokeErrorMessage()}");
        }

        Native.Duplicate(log, 2);
        Replace(log, 1);
    }

    private static FileStream Move(int number, FileAccess access) =>
        new(new SafeFileHandle(Native.Control(number, DuplicateClosedOnExec, FirstFreeNumber), ownsHandle: true), access, bufferSize: 0);

    private static void Replace(int from, int to)
    {
        Native.Duplicate(from, to);
        _ = Native.Close(from);
    }
}
