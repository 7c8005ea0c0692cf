namespace Swarm.Benchmarks.Node;

/// <summary>The folder of the solution: where run.sh is, above this program or above where it was called.</summary>
internal static class SolutionFolder
{
    /// <exception cref="InvalidOperationException">There is none.</exception>
    public static string Find()
    {
        foreach (var start in (string[])[AppContext.BaseDirectory, Directory.GetCurrentDirectory()])
        {
            for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, "run.sh")))
                {
                    return folder.FullName;
                }
            }
        }

        throw new InvalidOperationException("There is no run.sh above this program, nor above here: call it from the solution's folder.");
    }
}
