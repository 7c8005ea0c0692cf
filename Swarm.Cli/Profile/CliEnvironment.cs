namespace Swarm.Cli.Profile;

/// <summary>What surrounds a run of <c>swarm</c>: variables, folders, clock.</summary>
internal sealed record CliEnvironment(
    IReadOnlyDictionary<string, string> Variables, string CurrentDirectory, string HomeDirectory, TimeProvider Clock)
{
    public static CliEnvironment OfProcess() => new(
        Environment.GetEnvironmentVariables().Cast<System.Collections.DictionaryEntry>()
            .ToDictionary(entry => (string)entry.Key, entry => (string?)entry.Value ?? "", StringComparer.Ordinal),
        Environment.CurrentDirectory,
        Environment.GetFolderPath(Environment.SpecialFolder.UserProfile, Environment.SpecialFolderOption.DoNotVerify),
        TimeProvider.System);

    /// <summary>The variable's value; null when it is not set or empty.</summary>
    public string? this[string variable] => Variables.TryGetValue(variable, out var value) && value.Length > 0 ? value : null;

    /// <summary>The CLI's own folder: <c>SWARM_HOME</c>, else <c>~/.swarm</c>.</summary>
    public string ConfigFolder => this["SWARM_HOME"] ?? Path.Combine(HomeDirectory, ".swarm");
}
