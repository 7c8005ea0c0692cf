using System.Text;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting.Running;

/// <summary>Shows the resources: a table redrawn in place on a terminal, else a line a change and the table once.</summary>
internal sealed class ResourceTable : IDisposable
{
    private const int NarrowestTerminal = 40;
    private readonly Lock _lock = new();
    private readonly Launcher _launcher;
    private readonly bool _isTerminal = !Console.IsOutputRedirected;
    private readonly Dictionary<string, string> _shown = [];
    private int _linesDrawn;
    private bool _finished;

    public ResourceTable(Launcher launcher)
    {
        _launcher = launcher;
        Console.WriteLine($"Logs are in {launcher.Area.Logs}, data in {launcher.Area.Root}. Ctrl-C stops.");
        launcher.Notifications.Changed += OnChanged;
        foreach (var now in launcher.Notifications.All())
        {
            OnChanged(now);
        }
    }

    /// <summary>Everything is up.</summary>
    public void Settled()
    {
        lock (_lock)
        {
            Console.Write(Erase() + Render(int.MaxValue));
            Console.WriteLine("Started.");
            _linesDrawn = 0;
        }
    }

    public void Finish()
    {
        lock (_lock)
        {
            _finished = true;
        }
    }

    public void Dispose() => _launcher.Notifications.Changed -= OnChanged;

    private void OnChanged(ResourceEvent update)
    {
        lock (_lock)
        {
            if (_finished)
            {
                return;
            }

            if (_isTerminal)
            {
                // A row that wraps would spoil the count of lines to erase.
                var table = Render(Math.Max(Console.WindowWidth, NarrowestTerminal) - 1);
                Console.Write(Erase() + table);
                _linesDrawn = table.Count(c => c == '\n');
                return;
            }

            var line = $"{update.Resource.Name}: {StateOf(update.Snapshot)} {update.Snapshot.Note}".TrimEnd();
            if (_shown.GetValueOrDefault(update.Resource.Name) != line)
            {
                _shown[update.Resource.Name] = line;
                Console.WriteLine(line);
            }
        }
    }

    private string Erase() => _linesDrawn > 0 ? $"\e[{_linesDrawn}A\e[J" : string.Empty;

    /// <param name="width">Columns that a row may take.</param>
    private string Render(int width)
    {
        string[] head = ["RESOURCE", "STATE", "URL", "LOG"];
        var rows = _launcher.Resources.Select(r => Row(r.Resource)).Prepend(head).ToList();
        var widths = Enumerable.Range(0, head.Length - 1).Select(column => rows.Max(row => row[column].Length)).ToList();
        var text = new StringBuilder();
        foreach (var row in rows)
        {
            var line = string.Concat(row.Take(widths.Count).Select((cell, column) => cell.PadRight(widths[column] + 2))) + row[^1];
            text.Append(line.Length > width ? line[..width] : line).Append('\n');
        }

        return text.ToString();
    }

    private string[] Row(IResource resource)
    {
        if (!_launcher.Notifications.TryGetCurrentState(resource.Name, out var now))
        {
            return [resource.Name, string.Empty, string.Empty, string.Empty];
        }

        var url = resource is IResourceWithEndpoints owner && now.Snapshot.State?.Text == KnownResourceStates.Running
            ? string.Join(" ", resource.Annotations.OfType<EndpointAnnotation>().Where(e => e.Allocated is not null)
                .OrderBy(e => e.Name switch { "http" => 0, "https" => 1, _ => 2 }).Select(e => new EndpointReference(owner, e).Url))
            : now.Snapshot.State?.Text == KnownResourceStates.Running ? string.Empty : now.Snapshot.Note;
        return [resource.Name, StateOf(now.Snapshot), url, now.Snapshot.LogFile is { } log ? Path.GetFileName(log) : string.Empty];
    }

    private static string StateOf(CustomResourceSnapshot snapshot) => snapshot switch
    {
        { HealthStatus: HealthStatus.Healthy } => "Running",
        { HealthStatus: HealthStatus.Unhealthy } => "Running (not healthy)",
        { ExitCode: { } code and not 0 } => $"Exited ({code})",
        _ => snapshot.State?.Text ?? string.Empty,
    };
}
