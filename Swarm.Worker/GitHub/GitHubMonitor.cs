using System.Text.Json;
using Swarm.Core.GitHub;

namespace Swarm.Worker.GitHub;

/// <summary>What a poll is for.</summary>
internal enum PollMode
{
    /// <summary>Events are stored, to be sent.</summary>
    Tell,

    /// <summary>Events are only recorded as known.</summary>
    Seed,

    /// <summary>Events are logged, nothing is stored.</summary>
    Dry,
}

/// <summary>
/// Reads what happened in the configured repositories, and stores one event for each thing that a listed user did (ASP §18). The user is the one
/// that GitHub names for exactly this event, so nobody acts in another's tier.
/// </summary>
internal sealed partial class GitHubMonitor(GitHubApi api, GitHubState state, GitHubOptions options, TimeProvider time, ILogger<GitHubMonitor> logger)
{
    /// <summary>The items of a page.</summary>
    public const int PageItems = 30;

    /// <summary>The items of a page, when thirty are too many bytes.</summary>
    public const int PageItemsSmall = 3;

    /// <summary>The most pages of one feed in one poll; the next poll goes on from there.</summary>
    public const int PagesMax = 20;

    /// <summary>The most pages that are read back in the feed that has the newest first.</summary>
    public const int PagesBackMax = 100;

    /// <summary>An issue that is older than this is not news, whatever changed about it. Shorter than its event is remembered.</summary>
    private static readonly TimeSpan NewsFor = GitHubState.KeptFor - TimeSpan.FromDays(1);

    /// <summary>How much a clock of ours may be ahead of GitHub's, so that nothing is missed at the first poll.</summary>
    private static readonly TimeSpan Overlap = TimeSpan.FromMinutes(1);

    /// <summary>Polls every repository once, unless another Worker does, or GitHub asked to wait.</summary>
    /// <returns>How many events were found.</returns>
    public async Task<int> PollAsync(PollMode mode, CancellationToken cancellation)
    {
        await using var turn = await state.TryLockAsync(cancellation);
        if (turn is null || (await state.ReadAsync(cancellation)).PausedUntil > time.GetUtcNow())
        {
            return 0;
        }

        if (mode != PollMode.Dry)
        {
            await state.PolledAsync(cancellation);
        }

        var found = 0;
        foreach (var repository in options.Repositories)
        {
            foreach (var feed in Enum.GetValues<GitHubFeed>())
            {
                var poll = new FeedPoll(repository.Name, feed, repository.Coordinator ?? options.DefaultCoordinator!, mode);
                var isOpen = await PollAsync(poll, cancellation);
                found += poll.Found;
                if (!isOpen)
                {
                    return found;
                }
            }
        }

        var lost = mode == PollMode.Dry ? 0 : await state.PruneAsync(cancellation);
        if (lost > 0)
        {
            LogLost(lost, GitHubState.KeptFor.TotalDays);
        }

        return found;
    }

    /// <returns>False when GitHub wants no more calls now.</returns>
    private async Task<bool> PollAsync(FeedPoll poll, CancellationToken cancellation)
    {
        var known = await state.FindFeedAsync(poll.Repo, poll.Name, cancellation);
        if (known is null && poll.Feed != GitHubFeed.Actions)
        {
            // From now on; dry runs show what was lately.
            var now = time.GetUtcNow();
            var baseline = poll.Mode == PollMode.Dry ? now.AddDays(-1) : now - Overlap;
            known = new(baseline, GitHubItem.Format(baseline), null, null);
        }

        return poll.Feed == GitHubFeed.Actions
            ? await PollActionsAsync(poll, known, cancellation)
            : await PollByTimeAsync(poll, known!, cancellation);
    }

    /// <summary>
    /// A feed by the time of the last change, oldest first. Each page is kept before the next is asked for. The next one begins where this one
    /// ended, as long as that is later than where this one began: what changes meanwhile moves to the end and not past us. Only when a whole page has one time
    /// is the link followed.
    /// </summary>
    private async Task<bool> PollByTimeAsync(FeedPoll poll, FeedState at, CancellationToken cancellation)
    {
        var items = PageItems;
        string? follow = null;
        for (var page = 0; page < PagesMax;)
        {
            var url = follow ?? UrlOf(poll, at.Position, items);
            var answer = await api.GetAsync(url, url == at.Url ? at.ETag : null, cancellation);
            if (answer.IsTooLarge && items > PageItemsSmall)
            {
                (items, follow) = (PageItemsSmall, null);
                continue;
            }

            page++;
            if (answer.Body is not { ValueKind: JsonValueKind.Array } body)
            {
                return await NoteAsync(poll, WithoutList(answer), cancellation);
            }

            var (events, last, isOpen) = await EventsAsync(poll, at, body, cancellation);
            if (!isOpen)
            {
                return false;
            }

            // Times in this form sort as text.
            var position = last is not null && string.CompareOrdinal(last, at.Position) > 0 ? last : at.Position;
            var isSame = position == at.Position;
            at = at with { Position = position, Url = isSame && follow is null ? url : null, ETag = isSame && follow is null ? answer.ETag : null };
            await KeepAsync(poll, at, events, cancellation);
            if (!await NoteAsync(poll, answer, cancellation))
            {
                return false;
            }

            if (answer.Next is null)
            {
                return true;
            }

            follow = isSame ? answer.Next : null;
        }

        LogMore(poll.Repo, poll.Name);
        return true;
    }

    /// <summary>The feed of actions, newest first, back to the last one known. It is kept whole, or not at all.</summary>
    private async Task<bool> PollActionsAsync(FeedPoll poll, FeedState? known, CancellationToken cancellation)
    {
        var items = PageItems;
        var first = UrlOf(poll, "", items);
        var position = known is null ? long.MaxValue : long.Parse(known.Position, System.Globalization.CultureInfo.InvariantCulture);
        var (newest, tag) = (known is null ? 0 : position, (string?)null);
        var found = new List<GitHubItem>();
        string? url = first;
        for (var page = 0; url is not null && page < PagesBackMax;)
        {
            var answer = await api.GetAsync(url, known is not null && url == known.Url ? known.ETag : null, cancellation);
            if (answer.IsTooLarge && items > PageItemsSmall)
            {
                items = PageItemsSmall;
                url = first = UrlOf(poll, "", items);
                found.Clear();
                page = 0;
                continue;
            }

            if (answer.Body is not { ValueKind: JsonValueKind.Array } body)
            {
                return await NoteAsync(poll, WithoutList(answer), cancellation);
            }

            page++;
            tag = url == first ? answer.ETag : tag;
            var isBack = known is null;
            foreach (var json in body.EnumerateArray())
            {
                var item = GitHubItem.Read(poll.Feed, json, out var order);
                if (order is null)
                {
                    continue;
                }

                var id = long.Parse(order, System.Globalization.CultureInfo.InvariantCulture);
                newest = Math.Max(newest, id);
                isBack |= id <= position;
                if (item is not null && id > position)
                {
                    found.Add(item);
                }
            }

            url = isBack ? null : answer.Next;
            if (answer.PauseUntil is not null && url is not null)
            {
                return await NoteAsync(poll, answer, cancellation);
            }

            if (url is null)
            {
                await NoteAsync(poll, answer, cancellation);
            }
            else if (page == PagesBackMax)
            {
                LogTooFar(poll.Repo, PagesBackMax);
            }
        }

        var events = new List<GitHubEvent>();
        foreach (var item in found.OrderBy(i => i.Id))
        {
            if (ToEvent(poll, item) is { } story)
            {
                events.Add(story);
            }
        }

        var at = new FeedState(
            known?.Baseline ?? time.GetUtcNow(), newest.ToString(System.Globalization.CultureInfo.InvariantCulture), tag is null ? null : first, tag);
        await KeepAsync(poll, at, events, cancellation);
        return (await state.ReadAsync(cancellation)).PausedUntil is not { } until || until <= time.GetUtcNow();
    }

    /// <summary>The events of a page, and the order of its last item.</summary>
    private async Task<(List<GitHubEvent> Events, string? Last, bool IsOpen)> EventsAsync(
        FeedPoll poll, FeedState at, JsonElement body, CancellationToken cancellation)
    {
        string? last = null;
        var items = new List<GitHubItem>();
        foreach (var json in body.EnumerateArray())
        {
            var item = GitHubItem.Read(poll.Feed, json, out var order);
            last = order is not null && string.CompareOrdinal(order, last) > 0 ? order : last;
            var since = poll.Feed == GitHubFeed.Issues ? item?.CreatedAt : item?.UpdatedAt;
            if (item is not null && options.TierOf(item.Login) is not null && since >= TruncateToSecond(at.Baseline) && since > time.GetUtcNow() - NewsFor)
            {
                items.Add(item);
            }
        }

        var known = await state.KnownAsync([.. items.Select(i => KeyOf(poll, i))], cancellation);
        var events = new List<GitHubEvent>();
        foreach (var item in items.Where(i => !known.Contains(KeyOf(poll, i))))
        {
            var whole = item;
            if (item.Title is null)
            {
                // Comments do not say what they are about.
                var answer = await api.GetAsync(
                    api.UrlOf($"repos/{poll.Repo}/issues/{item.Number}"), null, cancellation);
                if (answer.PauseUntil is not null && answer.Body is null)
                {
                    await NoteAsync(poll, answer, cancellation);
                    return ([], null, false);
                }

                if (answer.Body is { ValueKind: JsonValueKind.Object } issue)
                {
                    var (title, labels) = GitHubItem.ReadHead(issue);
                    whole = item with { Title = title, Labels = labels };
                }
            }

            if (ToEvent(poll, whole) is { } story)
            {
                events.Add(story);
            }
        }

        return (events, last, true);
    }

    private GitHubEvent? ToEvent(FeedPoll poll, GitHubItem item)
    {
        if (options.TierOf(item.Login) is not { } tier)
        {
            return null;
        }

        var isOwn = string.Equals(poll.Coordinator, item.Login, StringComparison.OrdinalIgnoreCase);
        return new(
            KeyOf(poll, item), poll.Repo, item.Number, GitHubNotice.EventTypeOf(item), item.Url.Length <= 2048 ? item.Url : "", poll.Coordinator,
            GitHubNotice.Write(poll.Repo, item, tier, poll.Coordinator), isOwn || poll.Mode == PollMode.Seed);
    }

    /// <summary>The reference's key, and what tells two events of one second apart. An edited comment is another event.</summary>
    private static string KeyOf(FeedPoll poll, GitHubItem item) =>
        $"{poll.Repo.ToLowerInvariant()}#{item.Number}@{GitHubItem.Format(poll.Feed == GitHubFeed.Issues ? item.CreatedAt : item.UpdatedAt)} {item.Type} {item.Id}";

    private async Task KeepAsync(FeedPoll poll, FeedState at, List<GitHubEvent> events, CancellationToken cancellation)
    {
        poll.Found += events.Count;
        foreach (var found in events)
        {
            LogFound(found.EventType, found.Repo, found.Number, found.Coordinator, poll.Mode == PollMode.Dry ? "dry run" : found.IsSilent ? "recorded" : "to be sent");
        }

        if (poll.Mode != PollMode.Dry)
        {
            await state.SaveAsync(poll.Repo, poll.Name, at, events, cancellation);
        }
    }

    /// <summary>Keeps what GitHub said about waiting, and logs failures.</summary>
    /// <returns>False when GitHub wants no more calls now.</returns>
    private async Task<bool> NoteAsync(FeedPoll poll, GitHubAnswer answer, CancellationToken cancellation)
    {
        if (answer.Failure is { } failure)
        {
            LogFailed(poll.Repo, poll.Name, failure);
        }

        if (answer.PauseUntil is { } until)
        {
            LogPaused(until);
            await state.PauseAsync(until, cancellation);
            return false;
        }

        return true;
    }

    private static GitHubAnswer WithoutList(GitHubAnswer answer) =>
        answer with { Failure = answer.Failure ?? (answer.IsNotModified ? null : "The answer is no list.") };

    private string UrlOf(FeedPoll poll, string since, int items) => api.UrlOf($"repos/{poll.Repo}/" + poll.Feed switch
    {
        GitHubFeed.Issues => $"issues?state=all&sort=updated&direction=asc&since={since}&per_page={items}",
        GitHubFeed.Comments => $"issues/comments?sort=updated&direction=asc&since={since}&per_page={items}",
        GitHubFeed.Reviews => $"pulls/comments?sort=updated&direction=asc&since={since}&per_page={items}",
        _ => $"issues/events?per_page={items}",
    });

    private static DateTimeOffset TruncateToSecond(DateTimeOffset at) => DateTimeOffset.FromUnixTimeSeconds(at.ToUnixTimeSeconds());

    [LoggerMessage(3201, LogLevel.Information, "GitHub: {Type} in {Repo}#{Number} for {Coordinator}: {What}.")]
    private partial void LogFound(string type, string repo, long number, string coordinator, string what);

    [LoggerMessage(3202, LogLevel.Warning, "GitHub: the {Feed} of {Repo} could not be read: {Reason} It is tried again at the next poll.")]
    private partial void LogFailed(string repo, string feed, string reason);

    [LoggerMessage(3203, LogLevel.Warning, "GitHub wants no calls before {Until:u}.")]
    private partial void LogPaused(DateTimeOffset until);

    [LoggerMessage(3204, LogLevel.Information, "GitHub: the {Feed} of {Repo} hold more than one poll reads; the next goes on.")]
    private partial void LogMore(string repo, string feed);

    [LoggerMessage(3205, LogLevel.Error, "GitHub: the actions in {Repo} go back further than {Pages} pages; older ones are not told.")]
    private partial void LogTooFar(string repo, int pages);

    [LoggerMessage(3206, LogLevel.Error, "GitHub: {Count} events could not be told to anybody for {Days} days and are forgotten.")]
    private partial void LogLost(long count, double days);

    private sealed class FeedPoll(string repo, GitHubFeed feed, string coordinator, PollMode mode)
    {
        public string Repo => repo;

        public GitHubFeed Feed => feed;

        public string Name { get; } = feed.ToString().ToLowerInvariant();

        public string Coordinator => coordinator;

        public PollMode Mode => mode;

        public int Found { get; set; }
    }
}
