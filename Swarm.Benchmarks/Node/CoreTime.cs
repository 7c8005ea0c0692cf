namespace Swarm.Benchmarks.Node;

/// <summary>What the machine's cores did since it started, in ticks of all of them together. On a rented machine the host takes a share for others.</summary>
/// <param name="Idle">Nothing to do, or waiting for a disk.</param>
/// <param name="Stolen">Something to do, and the host let others do theirs.</param>
/// <param name="All">Everything.</param>
internal readonly record struct CoreTime(long Idle, long Stolen, long All)
{
    private const string File = "/proc/stat";

    /// <summary>All zeros where the system does not say.</summary>
    public static CoreTime Now()
    {
        if (!System.IO.File.Exists(File))
        {
            return default;
        }

        // cpu user nice system idle iowait irq softirq steal guest guest_nice; guests are within user.
        var ticks = System.IO.File.ReadLines(File).First().Split(' ', StringSplitOptions.RemoveEmptyEntries).Skip(1).Take(8).Select(long.Parse).ToArray();
        return new(ticks[3] + ticks[4], ticks[7], ticks.Sum());
    }

    /// <summary>The shares of the time since then, in percent.</summary>
    public (double Idle, double Stolen) Since(CoreTime before)
    {
        var all = Math.Max(1, All - before.All);
        return (Math.Round(100.0 * (Idle - before.Idle) / all, 1), Math.Round(100.0 * (Stolen - before.Stolen) / all, 1));
    }
}
