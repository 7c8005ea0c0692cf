using System.Diagnostics;

namespace Swarm.Benchmarks.Node;

/// <summary>Another process of this program, started by a hidden command, that prints the URLs where it listens on its first line.</summary>
internal sealed class OwnServer : IDisposable
{
    private readonly Process _process;

    private OwnServer(Process process, Uri[] urls)
    {
        _process = process;
        Urls = urls;
    }

    public Uri[] Urls { get; }

    public static async Task<OwnServer> StartAsync(string command, Dictionary<string, string> environment, CancellationToken cancellation)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardInput = true };
        start.ArgumentList.Add(typeof(OwnServer).Assembly.Location);
        start.ArgumentList.Add(command);
        foreach (var (name, value) in environment)
        {
            start.Environment[name] = value;
        }

        var process = Process.Start(start)!;
        var line = await process.StandardOutput.ReadLineAsync(cancellation) ?? throw new InvalidOperationException($"{command} ended at once.");
        return new(process, [.. line.Split(' ').Select(url => new Uri(url))]);
    }

    /// <summary>Called by such a process: ends it when whoever started it has ended, in whatever way.</summary>
    public static void EndWithParent() => new Thread(() =>
    {
        Console.In.ReadToEnd();
        Environment.Exit(0);
    }) { IsBackground = true }.Start();

    public ProcessFigures Figures() => ProcessFigures.Of([_process.Id]);

    public void Dispose()
    {
        _process.Kill();
        _process.WaitForExit();
        _process.Dispose();
    }
}
