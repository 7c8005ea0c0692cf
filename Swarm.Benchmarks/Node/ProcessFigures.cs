namespace Swarm.Benchmarks.Node;

/// <summary>What /proc says of another process: it costs nothing to ask, and holds on a noisy machine where rates do not.</summary>
/// <param name="MemoryMb">Resident memory.</param>
/// <param name="CpuMs">User and system time since it started.</param>
internal readonly record struct ProcessFigures(double MemoryMb, double CpuMs)
{
    private const double MsPerTick = 10;

    /// <summary>The processes whose command line and environment hold the texts, together; zeros when there is none.</summary>
    public static ProcessFigures Find(string command, string environment) => Of(
        Directory.EnumerateDirectories("/proc").Select(d => int.TryParse(Path.GetFileName(d), out var id) ? id : 0)
            .Where(id => id > 0
                && Read($"/proc/{id}", "cmdline").Contains(command, StringComparison.Ordinal)
                && Read($"/proc/{id}", "environ").Contains(environment, StringComparison.Ordinal)));

    /// <summary>All of these processes together.</summary>
    public static ProcessFigures Of(IEnumerable<int> processIds)
    {
        var all = processIds.Select(id => OfFolder($"/proc/{id}")).ToArray();
        return new(all.Sum(f => f.MemoryMb), all.Sum(f => f.CpuMs));
    }

    private static ProcessFigures OfFolder(string folder)
    {
        var resident = Read(folder, "status").Split('\n').FirstOrDefault(l => l.StartsWith("VmRSS:", StringComparison.Ordinal));
        var stat = Read(folder, "stat");

        // The fields after the name, which may hold blanks itself: user time is the 12th of them, system time the 13th.
        var fields = stat[(stat.LastIndexOf(')') + 1)..].Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return resident is null || fields.Length < 13
            ? default
            : new(double.Parse(resident.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1]) / 1024,
                (double.Parse(fields[11]) + double.Parse(fields[12])) * MsPerTick);
    }

    private static string Read(string folder, string file)
    {
        try
        {
            return File.ReadAllText(Path.Combine(folder, file));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // It ended while we looked, or is not ours.
            return "";
        }
    }
}
