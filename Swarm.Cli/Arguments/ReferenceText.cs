using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Swarm.Cli.Arguments;

/// <summary>
/// What <c>swarm send --ref</c> takes (ASP §3): an optional action with a colon, and <c>owner/name</c>, <c>owner/name#12</c> (an issue),
/// <c>owner/name!12</c> (a pull request), <c>owner/name@sha</c>, or a URL; a URL of an issue, pull request or commit on github.com is one of these.
/// </summary>
internal static partial class ReferenceText
{
    /// <summary>The list for the wire; null when there is none.</summary>
    /// <exception cref="CliException">Exit 2: one of them is none.</exception>
    public static JsonElement? Parse(IReadOnlyCollection<string>? texts) => texts is not { Count: > 0 } ? null
        : JsonSerializer.SerializeToElement(new JsonArray([.. texts.Select(Parse)]), JsonNodeContext.Default.JsonNode);

    private static JsonObject Parse(string text)
    {
        var action = Action().Match(text);
        var what = action.Success ? text[action.Length..] : text;
        var json = OnGitHub().Match(what) is { Success: true } link
            ? Thing(link.Groups["repo"].Value, link.Groups["kind"].Value switch { "issues" => "#", "pull" => "!", _ => "@" }, link.Groups["id"].Value)
            : Short().Match(what) is { Success: true } known ? Thing(known.Groups["repo"].Value, known.Groups["sign"].Value, known.Groups["id"].Value)
            : Uri.TryCreate(what, UriKind.Absolute, out var url) && (url.Scheme == "http" || url.Scheme == "https")
                ? new JsonObject { ["type"] = "url", ["url"] = what }
            : throw CliException.BadArguments(
                $"'{Shown.Short(text)}' is no reference.",
                "Write owner/name#12 for an issue, owner/name!12 for a pull request, owner/name@sha, owner/name, or a URL; with an action: claimed:owner/name#12.");
        if (action.Success)
        {
            json["action"] = action.Groups["word"].Value;
        }

        return json;
    }

    private static JsonObject Thing(string repo, string sign, string id) => sign switch
    {
        "#" => new() { ["type"] = "github_issue", ["repo"] = repo, ["number"] = Number(id) },
        "!" => new() { ["type"] = "github_pr", ["repo"] = repo, ["number"] = Number(id) },
        "@" => new() { ["type"] = "github_commit", ["repo"] = repo, ["sha"] = id },
        _ => new() { ["type"] = "github_repo", ["repo"] = repo },
    };

    private static int Number(string digits) =>
        int.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : throw CliException.BadArguments($"'{Shown.Short(digits)}' is no number of an issue or pull request.", null);

    [GeneratedRegex("^(?<word>claimed|completed|blocked|unblocked|assigned|mention|review_requested):", RegexOptions.CultureInvariant)]
    private static partial Regex Action();

    [GeneratedRegex(@"^(?<repo>[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)(?:(?<sign>[#!])(?<id>[0-9]+)|(?<sign>@)(?<id>[0-9A-Fa-f]{1,64}))?\z", RegexOptions.CultureInvariant)]
    private static partial Regex Short();

    [GeneratedRegex(
        @"^https://github\.com/(?<repo>[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+)/(?:(?<kind>issues|pull)/(?<id>[0-9]+)|(?<kind>commit)/(?<id>[0-9a-f]{7,64}))\z",
        RegexOptions.CultureInvariant)]
    private static partial Regex OnGitHub();
}

[System.Text.Json.Serialization.JsonSerializable(typeof(JsonNode))]
internal sealed partial class JsonNodeContext : System.Text.Json.Serialization.JsonSerializerContext;
