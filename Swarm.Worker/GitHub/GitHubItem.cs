using System.Globalization;
using System.Text.Json;

namespace Swarm.Worker.GitHub;

/// <summary>Where events come from; a repository has four feeds.</summary>
internal enum GitHubFeed
{
    /// <summary>Issues and pull requests, for those that were opened.</summary>
    Issues,

    Comments,

    /// <summary>Comments on the lines of pull requests.</summary>
    Reviews,

    /// <summary>What was done to issues and pull requests: assigned, labelled, closed, review asked for.</summary>
    Actions,
}

/// <summary>One item of a feed, as far as the monitor needs it.</summary>
/// <param name="Order">What the feed is ordered by: the time of the last change, or a number.</param>
/// <param name="Id">GitHub's number of a comment or action; of an issue, its own number.</param>
/// <param name="Login">Who did it.</param>
/// <param name="Title">Null in the feeds of comments.</param>
internal sealed record GitHubItem(
    string Order, long Id, long Number, string Type, string? Login, bool IsPullRequest, string? Title, string Url, string Body,
    IReadOnlyList<string>? Labels, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt, string? Detail)
{
    /// <summary>The most labels that are told.</summary>
    public const int LabelsMax = 50;

    /// <summary>Reads one item; null for one that the monitor does not tell, or cannot make sense of.</summary>
    /// <param name="order">Its place in the feed all the same; null when it has none.</param>
    public static GitHubItem? Read(GitHubFeed feed, JsonElement json, out string? order)
    {
        order = null;
        if (json.ValueKind != JsonValueKind.Object)
        {
            return null;
        }

        if (feed == GitHubFeed.Actions)
        {
            order = NumberOf(json, "id") is { } no ? no.ToString(CultureInfo.InvariantCulture) : null;
            return order is null ? null : ReadAction(json, order);
        }

        if (Time(json, "updated_at") is not { } updated || Time(json, "created_at") is not { } created)
        {
            return null;
        }

        order = Format(updated);
        return feed == GitHubFeed.Issues ? ReadIssue(json, order, created, updated) : ReadComment(feed, json, order, created, updated);
    }

    /// <summary>A time as GitHub writes it.</summary>
    public static string Format(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    /// <summary>Title and labels of an issue or pull request.</summary>
    public static (string? Title, IReadOnlyList<string> Labels) ReadHead(JsonElement issue) => (Text(issue, "title"), LabelsOf(issue));

    private static GitHubItem? ReadIssue(JsonElement json, string order, DateTimeOffset created, DateTimeOffset updated) =>
        NumberOf(json, "number") is not { } number || Text(json, "html_url") is not { } url ? null
        : new(
            order, number, number, "opened", LoginOf(json, "user"), Has(json, "pull_request"), Text(json, "title"), url, Text(json, "body") ?? "",
            LabelsOf(json), created, updated, null);

    private static GitHubItem? ReadComment(GitHubFeed feed, JsonElement json, string order, DateTimeOffset created, DateTimeOffset updated)
    {
        if (NumberOf(json, "id") is not { } id || Text(json, "html_url") is not { } url
            || NumberAtEnd(Text(json, feed == GitHubFeed.Reviews ? "pull_request_url" : "issue_url")) is not { } number)
        {
            return null;
        }

        return new(
            order, id, number, feed == GitHubFeed.Reviews ? "review" : "commented", LoginOf(json, "user"),
            feed == GitHubFeed.Reviews || url.Contains("/pull/", StringComparison.Ordinal), null, url, Text(json, "body") ?? "", null, created, updated, null);
    }

    private static GitHubItem? ReadAction(JsonElement json, string order)
    {
        var type = Text(json, "event") is "assigned" or "labeled" or "closed" or "review_requested" ? Text(json, "event")! : null;
        if (type is null || Time(json, "created_at") is not { } at || !json.TryGetProperty("issue", out var issue)
            || issue.ValueKind != JsonValueKind.Object || NumberOf(issue, "number") is not { } number || Text(issue, "html_url") is not { } url)
        {
            return null;
        }

        var detail = type switch
        {
            "assigned" => LoginOf(json, "assignee"),
            "labeled" => json.TryGetProperty("label", out var label) && label.ValueKind == JsonValueKind.Object ? Text(label, "name") : null,
            "review_requested" => LoginOf(json, "requested_reviewer"),
            _ => null,
        };
        return new(
            order, NumberOf(json, "id")!.Value, number, type, LoginOf(json, "actor"), Has(issue, "pull_request"), Text(issue, "title"), url,
            Text(issue, "body") ?? "", LabelsOf(issue), at, at, detail);
    }

    private static List<string> LabelsOf(JsonElement json) =>
        json.TryGetProperty("labels", out var labels) && labels.ValueKind == JsonValueKind.Array
            ? [.. labels.EnumerateArray().Take(LabelsMax).Where(l => l.ValueKind == JsonValueKind.Object).Select(l => Text(l, "name")).OfType<string>()]
            : [];

    private static string? LoginOf(JsonElement json, string name) =>
        json.TryGetProperty(name, out var user) && user.ValueKind == JsonValueKind.Object ? Text(user, "login") : null;

    private static bool Has(JsonElement json, string name) => json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Object;

    private static string? Text(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? Sound(value) : null;

    /// <summary>A lone surrogate can be written in JSON, and in nothing else.</summary>
    private static string? Sound(JsonElement text)
    {
        try
        {
            return text.GetString()!.Replace('\0', '\uFFFD');
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }

    private static long? NumberOf(JsonElement json, string name) =>
        json.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var number) && number > 0 ? number : null;

    private static long? NumberAtEnd(string? url) =>
        url is not null && long.TryParse(url.AsSpan(url.LastIndexOf('/') + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0
            ? number
            : null;

    private static DateTimeOffset? Time(JsonElement json, string name) =>
        Text(json, name) is { } text && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)
            ? time
            : null;
}
