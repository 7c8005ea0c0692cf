using System.Text.Json;
using Swarm.Cli.Output;
using Swarm.Cli.Profile;

namespace Swarm.Cli.Watch;

/// <summary>How far a watcher has come: everything up to <see cref="Seq"/> was handled. The file is replaced whole, and flushed.</summary>
internal sealed record WatchPosition
{
    public string? Node { get; init; }

    public string? Agent { get; init; }

    public long Seq { get; init; }

    /// <summary>The position in the file; null when there is none yet.</summary>
    /// <exception cref="CliException">Exit 1: it is broken, or belongs to another agent or node; nothing is skipped on a guess.</exception>
    public static WatchPosition? Load(string path, string node, string agent)
    {
        if (!File.Exists(path))
        {
            return null;
        }

        WatchPosition? position = null;
        try
        {
            position = JsonSerializer.Deserialize(File.ReadAllText(path), CliJson.Default.WatchPosition);
        }
        catch (JsonException)
        {
            // As for null below.
        }

        if (position is not { Seq: >= 0 })
        {
            throw new CliException(ExitCode.General, $"The position file {path} cannot be read.", "Remove it, and say where to begin with --from-start or --after.");
        }

        return position.Node == node && position.Agent == agent
            ? position
            : throw new CliException(
                ExitCode.General, $"The position file {path} belongs to agent '{position.Agent}' at {position.Node}.", "Name another with --position.");
    }

    public void Save(string path) => PrivateFiles.Write(path, JsonSerializer.Serialize(this, CliJson.Default.WatchPosition) + "\n");
}
