using System.Globalization;
using Swarm.Core;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.References;

namespace Swarm.Api.Hub;

/// <summary>Messages by what they refer to, and who works on what.</summary>
internal static class HubReferences
{
    /// <summary>Newest first. One of <c>issue</c>, <c>pr</c> and <c>commit</c> narrows it to one thing of the repository.</summary>
    public static async Task<IResult> Find(HttpContext http, string agent, AgentDirectory directory, ReferenceSearch search)
    {
        var profile = await http.SeeAsync(directory, agent);
        var (issue, pullRequest) = (Number(http, "issue"), Number(http, "pr"));
        var commit = Text(http, "commit");
        if ((issue is null ? 0 : 1) + (pullRequest is null ? 0 : 1) + (commit is null ? 0 : 1) > 1)
        {
            throw new SwarmException(SwarmError.InvalidRequest, "Give issue, pr or commit, at most one of them.");
        }

        if (commit is not null && !(commit.Length <= Reference.ShaLengthMax && commit.All(char.IsAsciiHexDigit)))
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"commit is 1 to {Reference.ShaLengthMax} hexadecimal digits.");
        }

        var kind = issue is not null ? ReferenceKind.Issue
            : pullRequest is not null ? ReferenceKind.PullRequest
            : commit is not null ? ReferenceKind.Commit
            : (ReferenceKind?)null;
        var query = new ReferenceQuery(Repo(http) ?? throw new SwarmException(SwarmError.InvalidRequest, "repo is missing."), kind, issue ?? pullRequest, commit)
        {
            Swarm = Text(http, "swarm_id") is { } id ? HubSwarms.Id(id) : null,
            Filter = HubInbox.Filter(http),
            Before = http.Number("cursor", 0, long.MaxValue, long.MaxValue),
            Limit = http.PageLimit(),
        };
        var page = await search.FindAsync(profile.Id, query, http.RequestAborted);
        return Results.Json(
            new MessageList([.. page.Items.Select(HubInbox.ToBody)], page.NextBefore?.ToString(CultureInfo.InvariantCulture)),
            HubJson.Default.MessageList);
    }

    /// <summary>Newest first; what the agent sent or got.</summary>
    public static async Task<IResult> Board(HttpContext http, string agent, AgentDirectory directory, ClaimBoard board)
    {
        var profile = await http.SeeAsync(directory, agent);
        ClaimState? state = Text(http, "state") switch
        {
            null or "all" => null,
            "assigned" => ClaimState.Assigned,
            "claimed" => ClaimState.Claimed,
            "blocked" => ClaimState.Blocked,
            "completed" => ClaimState.Completed,
            _ => throw new SwarmException(SwarmError.InvalidRequest, "state is assigned, claimed, blocked, completed or all."),
        };
        var page = await board.ListAsync(profile.Id, Repo(http), state, Cursor(http), http.PageLimit(), http.RequestAborted);
        return Results.Json(
            new BoardBody(
                [.. page.Claims.Select(ToBody)],
                page.Next is { } next ? string.Create(CultureInfo.InvariantCulture, $"{next.MessageNo}-{next.Ordinal}") : null),
            HubJson.Default.BoardBody);
    }

    private static ClaimBody ToBody(Claim claim) => new(
        claim.Swarm, ToBody(claim.Item), claim.Agent, claim.State.ToString().ToLowerInvariant(), claim.Sender, claim.MessageId, claim.At,
        [.. claim.BlockedOn.Select(ToBody)], claim.Note);

    private static ReferenceBody ToBody(Reference reference) =>
        new(Reference.WordOf(reference.Kind), reference.Repo, reference.Number, reference.Sha, reference.Url);

    private static string? Repo(HttpContext http) =>
        Text(http, "repo") is not { } repo ? null
        : Reference.IsRepo(repo) ? repo
        : throw new SwarmException(SwarmError.InvalidRequest, "repo is owner/name.");

    private static string? Text(HttpContext http, string name) => (string?)http.Request.Query[name] is { Length: > 0 } text ? text : null;

    private static long? Number(HttpContext http, string name) =>
        http.Number(name, 1, Reference.NumberMax, 0) is > 0 and var number ? number : null;

    private static BoardPosition? Cursor(HttpContext http)
    {
        if (Text(http, "cursor") is not { } text)
        {
            return null;
        }

        return text.Split('-') is [var message, var ordinal]
            && long.TryParse(message, NumberStyles.None, CultureInfo.InvariantCulture, out var no)
            && short.TryParse(ordinal, NumberStyles.None, CultureInfo.InvariantCulture, out var place)
            ? new(no, place)
            : throw new SwarmException(SwarmError.InvalidRequest, "cursor is the next_cursor of the page before.");
    }
}
