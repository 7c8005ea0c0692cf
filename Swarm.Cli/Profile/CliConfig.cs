using System.Text.Json;
using Swarm.Cli.Output;

namespace Swarm.Cli.Profile;

/// <summary>The CLI's settings, <c>config.json</c> in its folder. People may edit it.</summary>
internal sealed record CliConfig
{
    /// <summary>The agent that acts when neither <c>--as</c> nor <c>SWARM_AGENT</c> names one.</summary>
    public string? DefaultAgent { get; init; }

    /// <summary>The swarm that is meant when neither <c>--swarm</c> nor <c>SWARM_ID</c> names one.</summary>
    public string? DefaultSwarm { get; init; }

    public static string PathIn(string folder) => Path.Combine(folder, "config.json");

    /// <summary>The settings of <paramref name="folder"/>; empty ones when there is no file.</summary>
    /// <exception cref="CliException">Exit 1: the file is no JSON object.</exception>
    public static CliConfig Load(string folder)
    {
        var path = PathIn(folder);
        if (!File.Exists(path))
        {
            return new CliConfig();
        }

        try
        {
            return JsonSerializer.Deserialize(File.ReadAllText(path), CliJson.Default.CliConfig) ?? new CliConfig();
        }
        catch (JsonException e)
        {
            throw new CliException(
                ExitCode.General, $"{path} cannot be read: {e.Message}", "Mend the file, or remove it and run 'swarm init' again.");
        }
    }

    public void Save(string folder)
    {
        PrivateFiles.EnsureFolder(folder);
        PrivateFiles.Write(PathIn(folder), JsonSerializer.Serialize(this, CliJson.Default.CliConfig) + "\n");
    }
}
