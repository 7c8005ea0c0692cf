using System.Text.Json;

namespace Aspire.Hosting.Running;

/// <summary>The profile of a project's <c>Properties/launchSettings.json</c> that its start follows.</summary>
internal sealed record LaunchProfile(
    string Name, IReadOnlyList<Uri> Urls, IReadOnlyDictionary<string, string> Environment, IReadOnlyList<string> Arguments)
{
    private static readonly JsonDocumentOptions Lenient = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <param name="projectFolder">The project's folder.</param>
    /// <param name="preferred">The profile to take when the project has it; otherwise its first one that runs the project.</param>
    public static LaunchProfile? Read(string projectFolder, string? preferred)
    {
        var file = Path.Combine(projectFolder, "Properties", "launchSettings.json");
        if (!File.Exists(file))
        {
            return null;
        }

        using var settings = JsonDocument.Parse(File.ReadAllText(file), Lenient);
        if (!settings.RootElement.TryGetProperty("profiles", out var profiles))
        {
            return null;
        }

        var all = profiles.EnumerateObject().ToList();
        var chosen = all.Find(p => p.Name == preferred);
        if (chosen.Value.ValueKind == JsonValueKind.Undefined)
        {
            chosen = all.Find(p => Text(p.Value, "commandName") is null or "" or "Project" or "Executable");
        }

        return chosen.Value.ValueKind == JsonValueKind.Object ? Parse(chosen) : null;
    }

    private static LaunchProfile Parse(JsonProperty profile)
    {
        var urls = (Text(profile.Value, "applicationUrl") ?? string.Empty).Split(';', StringSplitOptions.RemoveEmptyEntries).Select(u => new Uri(u));
        var environment = profile.Value.TryGetProperty("environmentVariables", out var variables)
            ? variables.EnumerateObject().ToDictionary(v => v.Name, v => System.Environment.ExpandEnvironmentVariables(v.Value.GetString() ?? string.Empty))
            : [];
        var arguments = (Text(profile.Value, "commandLineArgs") ?? string.Empty).Split(' ', StringSplitOptions.RemoveEmptyEntries);
        return new LaunchProfile(profile.Name, [.. urls], environment, arguments);
    }

    private static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;
}
