namespace Swarm.Client;

/// <summary>Which messages of an inbox are looked for by what they refer to; newest first.</summary>
/// <param name="Repo"><c>owner/name</c>; upper and lower case are the same.</param>
public sealed record ReferenceQuery(string Repo)
{
    /// <summary>The number of an issue; at most one of issue, pull request and commit.</summary>
    public int? Issue { get; init; }

    public int? PullRequest { get; init; }

    /// <summary>A commit's name, or how that begins.</summary>
    public string? Commit { get; init; }

    public Guid? SwarmId { get; init; }

    /// <summary><c>unread</c>, <c>read</c> or <c>all</c>; null for all.</summary>
    public string? State { get; init; }

    /// <summary>1–100; null for the node's default (20).</summary>
    public int? Limit { get; init; }

    /// <summary>The <see cref="InboxPage.NextCursor"/> of the page before.</summary>
    public string? Cursor { get; init; }
}

/// <summary>What a message refers to (ASP §3).</summary>
/// <param name="Type"><c>github_repo</c>, <c>github_issue</c>, <c>github_pr</c>, <c>github_commit</c> or <c>url</c>.</param>
public sealed record MessageReference(string Type, string? Repo, long? Number, string? Sha, string? Url)
{
    /// <summary>As people write it: <c>owner/name#12</c>.</summary>
    public override string ToString() => Number is { } number ? $"{Repo}#{number}" : Sha is not null ? $"{Repo}@{Sha}" : Repo ?? Url ?? "";
}

/// <summary>One member's claim on one thing, as the newest message about it says.</summary>
/// <param name="Agent">Whose claim it is.</param>
/// <param name="State"><c>assigned</c>, <c>claimed</c>, <c>blocked</c> or <c>completed</c>.</param>
/// <param name="BlockedOn">When blocked: what else the message refers to.</param>
/// <param name="Note">The first line of the message.</param>
public sealed record Claim(
    Guid? SwarmId, MessageReference Item, string Agent, string State, string Sender, Guid MessageId, DateTimeOffset At,
    IReadOnlyList<MessageReference> BlockedOn, string Note);

/// <param name="NextCursor">Present when there are more.</param>
public sealed record BoardPage(IReadOnlyList<Claim> Claims, string? NextCursor);
