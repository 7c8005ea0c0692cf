using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Swarm.Tests.GitHub;

/// <summary>One call as GitHub saw it.</summary>
internal sealed record GitHubCall(string Target, string? IfNoneMatch, string? Authorization, int Status);

/// <summary>
/// A server on loopback that behaves like GitHub's REST API where the monitor calls it: lists by since, sort and page with Link, ETag and 304,
/// the budget's headers, 403 and 429. A test fills it, and can break any call.
/// </summary>
internal sealed class GitHubServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private readonly Lock _lock = new();
    private readonly List<JsonObject> _issues = [];
    private readonly List<JsonObject> _comments = [];
    private readonly List<JsonObject> _reviews = [];
    private readonly List<JsonObject> _actions = [];
    private long _nextId = 1000;

    private GitHubServer(WebApplication app) => _app = app;

    public ConcurrentQueue<GitHubCall> Calls { get; } = new();

    /// <summary>Answers in its place when it returns true.</summary>
    public Func<HttpContext, Task<bool>> Break { get; set; } = _ => Task.FromResult(false);

    /// <summary>Calls that are left of the budget; null for no budget.</summary>
    public int? Budget { get; set; }

    public DateTimeOffset BudgetReset { get; set; }

    public string Url => _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();

    public static async Task<GitHubServer> StartAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(k => k.Listen(System.Net.IPAddress.Loopback, 0));
        var app = builder.Build();
        var server = new GitHubServer(app);
        app.Run(server.AnswerAsync);
        await app.StartAsync();
        return server;
    }

    public void AddIssue(
        string repo, int number, string user, DateTimeOffset created, string title = "A title", string body = "A body", bool isPullRequest = false,
        DateTimeOffset? updated = null, params string[] labels)
    {
        var issue = new JsonObject
        {
            ["repo"] = repo, ["id"] = NextId(), ["number"] = number, ["title"] = title, ["html_url"] = HtmlUrl(repo, number, isPullRequest),
            ["user"] = new JsonObject { ["login"] = user }, ["body"] = body, ["state"] = "open",
            ["labels"] = new JsonArray([.. labels.Select(l => new JsonObject { ["name"] = l })]),
            ["created_at"] = Time(created), ["updated_at"] = Time(updated ?? created),
        };
        if (isPullRequest)
        {
            issue["pull_request"] = new JsonObject { ["url"] = "x" };
        }

        lock (_lock)
        {
            _issues.Add(issue);
        }
    }

    /// <summary>As GitHub does, a comment changes its issue too.</summary>
    public long AddComment(string repo, int number, string user, DateTimeOffset at, string body, bool isPullRequest = false, bool isReview = false)
    {
        var id = NextId();
        var anchor = isReview ? $"#discussion_r{id}" : $"#issuecomment-{id}";
        var comment = new JsonObject
        {
            ["repo"] = repo, ["id"] = id, ["html_url"] = HtmlUrl(repo, number, isPullRequest || isReview) + anchor,
            [isReview ? "pull_request_url" : "issue_url"] = $"{Url}/repos/{repo}/{(isReview ? "pulls" : "issues")}/{number}",
            ["user"] = new JsonObject { ["login"] = user }, ["body"] = body, ["created_at"] = Time(at), ["updated_at"] = Time(at),
        };
        lock (_lock)
        {
            (isReview ? _reviews : _comments).Add(comment);
            Touch(repo, number, at);
        }

        return id;
    }

    public void EditComment(long id, DateTimeOffset at, string body)
    {
        lock (_lock)
        {
            var comment = _comments.Single(c => c["id"]!.GetValue<long>() == id);
            (comment["body"], comment["updated_at"]) = (body, Time(at));
        }
    }

    public void AddAction(string repo, int number, string @event, string actor, DateTimeOffset at, JsonObject? more = null)
    {
        lock (_lock)
        {
            var issue = _issues.Single(i => i["repo"]!.GetValue<string>() == repo && i["number"]!.GetValue<int>() == number);
            var action = new JsonObject
            {
                ["repo"] = repo, ["id"] = NextId(), ["event"] = @event, ["actor"] = new JsonObject { ["login"] = actor }, ["created_at"] = Time(at),
                ["issue"] = issue.DeepClone(),
            };
            foreach (var (name, value) in more ?? [])
            {
                action[name] = value?.DeepClone();
            }

            _actions.Add(action);
            Touch(repo, number, at);
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync(new CancellationToken(true));
        await _app.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext http)
    {
        try
        {
            if (!await Break(http))
            {
                await AnswerWellAsync(http);
            }
        }
        finally
        {
            Calls.Enqueue(new(
                http.Request.Path + http.Request.QueryString, (string?)http.Request.Headers.IfNoneMatch, (string?)http.Request.Headers.Authorization,
                http.Response.StatusCode));
        }
    }

    private async Task AnswerWellAsync(HttpContext http)
    {
        var parts = http.Request.Path.Value!.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (parts is not ["repos", var owner, var name, .. var rest] || http.Request.Method != "GET")
        {
            http.Response.StatusCode = 404;
            return;
        }

        if (Budget is not null)
        {
            http.Response.Headers["X-RateLimit-Reset"] = BudgetReset.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
            http.Response.Headers["X-RateLimit-Remaining"] = Math.Max(0, Budget.Value - 1).ToString(CultureInfo.InvariantCulture);
            if (Budget == 0)
            {
                http.Response.StatusCode = 403;
                await http.Response.WriteAsync("""{"message":"API rate limit exceeded"}""");
                return;
            }
        }

        var repo = $"{owner}/{name}";
        JsonNode? answer;
        lock (_lock)
        {
            answer = rest switch
            {
                ["issues"] => List(http, _issues, repo),
                ["issues", "comments"] => List(http, _comments, repo),
                ["pulls", "comments"] => List(http, _reviews, repo),
                ["issues", "events"] => List(http, [.. _actions.AsEnumerable().Reverse()], repo),
                ["issues", var number] => _issues.FirstOrDefault(i => i["repo"]!.GetValue<string>() == repo && i["number"]!.ToString() == number)?.DeepClone(),
                _ => null,
            };
        }

        if (answer is null)
        {
            http.Response.StatusCode = 404;
            return;
        }

        var body = Encoding.UTF8.GetBytes(answer.ToJsonString());
        var tag = $"W/\"{Convert.ToHexStringLower(SHA256.HashData(body))}\"";
        http.Response.Headers.ETag = tag;
        if (http.Request.Headers.IfNoneMatch == tag)
        {
            // A 304 costs nothing of the budget.
            http.Response.StatusCode = 304;
            return;
        }

        Budget--;
        http.Response.ContentType = "application/json; charset=utf-8";
        await http.Response.Body.WriteAsync(body);
    }

    private JsonArray List(HttpContext http, IEnumerable<JsonObject> all, string repo)
    {
        var query = http.Request.Query;
        var items = all.Where(i => i["repo"]!.GetValue<string>() == repo);
        if (query.ContainsKey("since"))
        {
            items = items.Where(i => string.CompareOrdinal(i["updated_at"]!.GetValue<string>(), query["since"]) >= 0);
        }

        if (query["sort"] == "updated" && query["direction"] == "asc")
        {
            items = items.OrderBy(i => i["updated_at"]!.GetValue<string>(), StringComparer.Ordinal);
        }

        var size = query.ContainsKey("per_page") ? int.Parse(query["per_page"]!, CultureInfo.InvariantCulture) : 30;
        var page = query.ContainsKey("page") ? int.Parse(query["page"]!, CultureInfo.InvariantCulture) : 1;
        var matching = items.ToList();
        if (page * size < matching.Count)
        {
            var others = string.Join('&', query.Where(q => q.Key != "page").Select(q => $"{q.Key}={Uri.EscapeDataString(q.Value!)}"));
            var path = $"{Url}{http.Request.Path}?{others}";
            http.Response.Headers.Link =
                $"<{path}&page={page + 1}>; rel=\"next\", <{path}&page={(matching.Count + size - 1) / size}>; rel=\"last\"";
        }

        return new([.. matching.Skip((page - 1) * size).Take(size).Select(i =>
        {
            var shown = (JsonObject)i.DeepClone();
            shown.Remove("repo");
            return shown;
        })]);
    }

    private void Touch(string repo, int number, DateTimeOffset at)
    {
        foreach (var issue in _issues.Where(i => i["repo"]!.GetValue<string>() == repo && i["number"]!.GetValue<int>() == number))
        {
            issue["updated_at"] = Time(at);
        }
    }

    private long NextId() => Interlocked.Increment(ref _nextId);

    private static string HtmlUrl(string repo, int number, bool isPullRequest) => $"https://github.com/{repo}/{(isPullRequest ? "pull" : "issues")}/{number}";

    private static string Time(DateTimeOffset at) => at.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}
