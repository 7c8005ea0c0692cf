using System.Diagnostics;
using System.Text;
using Aspire.Hosting.Running;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Launcher;

/// <summary>An app host in a process of its own, started as <c>dotnet NAME.dll</c>.</summary>
internal sealed class AppHostProcess : IAsyncDisposable
{
    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan EndLimit = TimeSpan.FromSeconds(60);
    private readonly Process _process;
    private readonly StringBuilder _output = new();

    private AppHostProcess(ProcessStartInfo start)
    {
        start.RedirectStandardOutput = true;
        start.RedirectStandardError = true;
        _process = new Process { StartInfo = start };
        _process.OutputDataReceived += (_, line) => Append(line.Data);
        _process.ErrorDataReceived += (_, line) => Append(line.Data);
        _process.Start();
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public int Id => _process.Id;

    public string Output
    {
        get
        {
            lock (_output)
            {
                return _output.ToString();
            }
        }
    }

    /// <summary>The probe's project file.</summary>
    public static string ProbeProject { get; } = Path.Combine(SourceFolder(), "Swarm.Tests", "Launcher", "Probe", "Launcher.Probe.csproj");

    /// <summary>Starts the probe as an app host over a data area.</summary>
    public static AppHostProcess StartProbe(string area, IReadOnlyDictionary<string, string>? environment = null, params IEnumerable<string> switches)
    {
        var assembly = Path.Combine(OutputFolderOf("Launcher.Probe"), "Launcher.Probe.dll");
        return Start([assembly, "apphost", ProbeProject, "--Launcher:DataArea", area, .. switches], environment);
    }

    public static AppHostProcess Start(IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(SupervisorClient.DotnetHost(), arguments);
        foreach (var (name, value) in environment ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        return new AppHostProcess(start);
    }

    /// <summary>Where the build puts a project's output, beside ours.</summary>
    public static string OutputFolderOf(string project)
    {
        var ours = new DirectoryInfo(AppContext.BaseDirectory.TrimEnd('/'));
        return Path.Combine(ours.Parent!.Parent!.FullName, project, ours.Name);
    }

    public Task StartedAsync() => Eventually.TrueAsync(
        "the app host says Started",
        () => Output.Contains("Started.", StringComparison.Ordinal) || (_process.HasExited ? throw new InvalidOperationException($"The app host ended:\n{Output}") : false),
        StartLimit);

    /// <returns>The exit code.</returns>
    public async Task<int> EndedAsync()
    {
        using var limit = new CancellationTokenSource(EndLimit);
        await _process.WaitForExitAsync(limit.Token);
        return _process.ExitCode;
    }

    public void Signal(int signal) => Assert.Equal(0, Aspire.Hosting.Supervision.Native.SendSignal(Id, signal));

    /// <summary>The processes of this machine that name <paramref name="text"/> on their command line.</summary>
    public static IReadOnlyList<int> ProcessesNaming(string text)
    {
        var found = new List<int>();
        foreach (var folder in Directory.GetDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), out var id) && id != Environment.ProcessId && CommandLine(id).Contains(text, StringComparison.Ordinal))
            {
                found.Add(id);
            }
        }

        return found;
    }

    /// <summary>The processes that the supervisor of this app host started, and the supervisor.</summary>
    public IReadOnlyList<int> Descendants() => DescendantsOf(Id);

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            Signal(Aspire.Hosting.Supervision.UnixSignals.Interrupt);
            await EndedAsync();
        }

        _process.Dispose();
    }

    private static List<int> DescendantsOf(int parent)
    {
        var children = Directory.GetDirectories("/proc").Select(Path.GetFileName).Where(n => int.TryParse(n, out _)).Select(n => int.Parse(n!))
            .Where(id => ParentOf(id) == parent).ToList();
        return [.. children, .. children.SelectMany(DescendantsOf)];
    }

    private static int ParentOf(int id)
    {
        try
        {
            // "pid (name) state ppid …"; a name may hold spaces.
            var status = File.ReadAllText($"/proc/{id}/stat");
            return int.Parse(status[(status.LastIndexOf(')') + 2)..].Split(' ')[1]);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return -1;
        }
    }

    private static string CommandLine(int id)
    {
        try
        {
            return File.ReadAllText($"/proc/{id}/cmdline").Replace('\0', ' ');
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return string.Empty;
        }
    }

    private static string SourceFolder()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Swarm.sln")))
        {
            folder = folder.Parent ?? throw new InvalidOperationException("The tests must run inside the repository.");
        }

        return folder.FullName;
    }

    private void Append(string? line)
    {
        if (line is not null)
        {
            lock (_output)
            {
                _output.AppendLine(line);
            }
        }
    }
}
