using System.Text.Json;
using Swarm.Cli.Output;

namespace Swarm.Cli.Profile;

/// <summary>What a running node writes into its data folder, for this command.</summary>
internal sealed record NodeFile(string? Url, string? HttpsUrl)
{
    public const string FileName = "node.json";
}

/// <summary>The node to talk to.</summary>
/// <param name="Source">How it was found, for people.</param>
/// <param name="DataFolder">Its data folder, when this machine has it; the operator's token lies there.</param>
/// <param name="HttpsUrl">Its https address, when its file names one.</param>
/// <param name="MayUseOperatorToken">False when the folder and the address need not belong together.</param>
internal sealed record NodeLocation(Uri Url, string Source, string? DataFolder, Uri? HttpsUrl, bool MayUseOperatorToken)
{
    public string? OperatorTokenFile => DataFolder is null ? null : Path.Combine(DataFolder, "operator.token");

    /// <summary>The node's own certificate authority, when this machine has it.</summary>
    public string? CaFile =>
        DataFolder is not null && Path.Combine(DataFolder, "ca.pem") is var path && File.Exists(path) ? path : null;
}

/// <summary>
/// Finds the node: its address is <c>--url</c>, else <c>SWARM_URL</c>, else what the data folder's <c>node.json</c> says, else
/// <see cref="DefaultUrl"/>; its data folder is <c>SWARM_DATA</c>, else the nearest <c>.swarm/</c> with a <c>node.json</c> upward from the
/// current folder, else <c>~/.swarm/</c>.
/// </summary>
internal static class NodeLocator
{
    public const string DefaultUrl = "http://127.0.0.1:8700";

    /// <exception cref="CliException">Exit 2: an address that is none, or one that a token must not be sent to in clear.</exception>
    public static NodeLocation Locate(string? urlOption, CliEnvironment environment)
    {
        var folder = environment["SWARM_DATA"] ?? Upward(environment.CurrentDirectory) ?? InHome(environment);
        var file = folder is null ? null : ReadFile(folder);
        var (text, source) = (urlOption, environment["SWARM_URL"], file?.Url) switch
        {
            ({ } option, _, _) => (option, "--url"),
            (_, { } variable, _) => (variable, "SWARM_URL"),
            (_, _, { } found) => (found, Path.Combine(folder!, NodeFile.FileName)),
            _ => (DefaultUrl, "the default address"),
        };
        var url = Parse(text, source, environment);
        if (file?.Url == text && environment["SWARM_DATA"] is null && !url.IsLoopback)
        {
            throw CliException.BadArguments(
                $"{source} names {url.Authority}, which is not this machine.",
                "A folder one happens to be in may not choose where tokens go; use --url.");
        }

        return new NodeLocation(url, source, folder, Https(file), environment["SWARM_DATA"] is not null || url.IsLoopback);
    }

    private static string? Upward(string from)
    {
        for (var folder = new DirectoryInfo(from); folder is not null; folder = folder.Parent)
        {
            var candidate = Path.Combine(folder.FullName, ".swarm");
            if (File.Exists(Path.Combine(candidate, NodeFile.FileName)))
            {
                return candidate;
            }
        }

        return null;
    }

    private static string? InHome(CliEnvironment environment)
    {
        var candidate = Path.Combine(environment.HomeDirectory, ".swarm");
        return File.Exists(Path.Combine(candidate, NodeFile.FileName)) ? candidate : null;
    }

    private static NodeFile? ReadFile(string folder)
    {
        var path = Path.Combine(folder, NodeFile.FileName);
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize(File.ReadAllText(path), CliJson.Default.NodeFile) : null;
        }
        catch (JsonException)
        {
            throw new CliException(ExitCode.General, $"{path} cannot be read.", "The node writes it anew when it starts.");
        }
    }

    private static Uri? Https(NodeFile? file) => Uri.TryCreate(file?.HttpsUrl, UriKind.Absolute, out var url) ? url : null;

    private static Uri Parse(string text, string source, CliEnvironment environment)
    {
        if (!Uri.TryCreate(text.Trim(), UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https") || url.UserInfo.Length > 0)
        {
            throw CliException.BadArguments($"{source}: '{Shown.Short(text)}' is not a node's address.", $"Write it like {DefaultUrl}.");
        }

        if (url.Scheme == "http" && !url.IsLoopback && environment["SWARM_ALLOW_HTTP"] != "1")
        {
            throw CliException.BadArguments(
                $"{url.Authority} is not this machine, and http would send the token in clear.",
                "Use https, or set SWARM_ALLOW_HTTP=1 on a network that you trust.");
        }

        return url;
    }
}
