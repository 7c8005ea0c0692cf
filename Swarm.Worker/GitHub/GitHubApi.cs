using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Swarm.ServiceDefaults.Egress;

namespace Swarm.Worker.GitHub;

/// <summary>What came of a call to GitHub.</summary>
/// <param name="Body">Of a 200; null of a 304 and of a failure.</param>
/// <param name="Next">The next page's URL, when there is one and it is of the same API.</param>
/// <param name="PauseUntil">GitHub wants no calls before that. A 200 may say it too.</param>
/// <param name="Failure">Why there is no answer; safe to log.</param>
internal sealed record GitHubAnswer(JsonElement? Body, bool IsNotModified, string? ETag, string? Next, DateTimeOffset? PauseUntil, string? Failure, bool IsTooLarge);

/// <summary>Reads GitHub's REST API through the guarded client: conditional, page by page, and as slowly as GitHub asks.</summary>
internal sealed partial class GitHubApi(GuardedHttp http, GitHubOptions options, TimeProvider time)
{
    /// <summary>The longest that one call may take (ASP §18: 30 s).</summary>
    public static readonly TimeSpan TimeMax = TimeSpan.FromSeconds(30);

    /// <summary>The pause after a refusal that does not say how long.</summary>
    public static readonly TimeSpan PauseDefault = TimeSpan.FromMinutes(1);

    /// <summary>The longest pause that GitHub can ask for.</summary>
    public static readonly TimeSpan PauseMax = TimeSpan.FromHours(2);

    private const int ETagLengthMax = 256;

    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = 32 };

    private readonly string _base = options.BaseUrl.TrimEnd('/') + "/";

    /// <summary>The address of a path of the API.</summary>
    public string UrlOf(string path) => _base + path;

    /// <summary>Whether a URL is of this API: nobody else gets the token.</summary>
    public bool IsOurs(string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var uri) && Uri.TryCreate(_base, UriKind.Absolute, out var root)
        && Uri.Compare(uri, root, UriComponents.SchemeAndServer, UriFormat.SafeUnescaped, StringComparison.OrdinalIgnoreCase) == 0
        && uri.UserInfo.Length == 0;

    public async Task<GitHubAnswer> GetAsync(string url, string? etag, CancellationToken cancellation)
    {
        List<KeyValuePair<string, string>> headers = [new("Accept", "application/vnd.github+json"), new("X-GitHub-Api-Version", "2022-11-28")];
        if (options.Token is { Length: > 0 } token)
        {
            headers.Add(new("Authorization", "Bearer " + token));
        }

        if (etag is not null)
        {
            headers.Add(new("If-None-Match", etag));
        }

        var answer = await http.SendAsync(
            new EgressRequest(HttpMethod.Get, url) { Headers = headers, TimeMax = TimeMax, BodyBytesMax = GuardedHttp.BodyBytesMax }, cancellation);
        if (answer.Failure is { } failure)
        {
            return Failed(answer.Reason) with { IsTooLarge = failure == EgressFailure.TooLarge };
        }

        var pause = PauseOf(answer);
        switch (answer.Status)
        {
            case 304:
                return new(null, true, etag, null, pause, null, false);
            case 200:
                try
                {
                    using var json = JsonDocument.Parse(answer.Body, Reading);
                    return new(json.RootElement.Clone(), false, TagOf(answer), NextOf(answer), pause, null, false);
                }
                catch (JsonException)
                {
                    return Failed("The answer is no JSON.");
                }

            default:
                return Failed(answer.Reason) with { PauseUntil = pause };
        }
    }

    /// <summary>
    /// Until when to be quiet: <c>Retry-After</c>, the reset of a budget that is used up, or a minute when a refusal says that it is about the
    /// budget and not until when. A 403 without any of that is about rights, and pauses nothing.
    /// </summary>
    private DateTimeOffset? PauseOf(EgressResponse answer)
    {
        var now = time.GetUtcNow();
        var isRefused = answer.Status is 403 or 429;
        DateTimeOffset? until = null;
        if (isRefused && Number(answer, "Retry-After") is { } seconds)
        {
            until = now.AddSeconds(Math.Min(seconds, PauseMax.TotalSeconds));
        }
        else if (Number(answer, "X-RateLimit-Remaining") == 0)
        {
            until = Number(answer, "X-RateLimit-Reset") is { } reset && reset < 253_402_300_800 ? DateTimeOffset.FromUnixTimeSeconds(reset).AddSeconds(1) : now + PauseDefault;
        }
        else if (answer.Status == 429 || (answer.Status == 403 && answer.Body.Span.IndexOf("rate limit"u8) >= 0))
        {
            until = now + PauseDefault;
        }

        // A reset that is past still means that this call was refused.
        return until is null ? null
            : until > now + PauseMax ? now + PauseMax
            : isRefused && until < now.AddSeconds(1) ? now.AddSeconds(1)
            : until;
    }

    private static long? Number(EgressResponse answer, string header) =>
        answer.Headers.TryGetValue(header, out var text) && long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static string? TagOf(EgressResponse answer) =>
        answer.Headers.TryGetValue("ETag", out var tag) && tag.Length <= ETagLengthMax && tag.All(c => c is > ' ' and <= '~') ? tag : null;

    private string? NextOf(EgressResponse answer)
    {
        if (!answer.Headers.TryGetValue("Link", out var links))
        {
            return null;
        }

        var next = NextLink().Match(links);
        return next.Success && IsOurs(next.Groups["url"].Value) ? next.Groups["url"].Value : null;
    }

    private static GitHubAnswer Failed(string reason) => new(null, false, null, null, null, reason, false);

    [GeneratedRegex("<(?<url>[^<>]{1,2048})>[^<>,]*;\\s*rel=\"next\"", RegexOptions.CultureInvariant, 1000)]
    private static partial Regex NextLink();
}
