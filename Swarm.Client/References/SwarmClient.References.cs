using System.Runtime.CompilerServices;
using Swarm.Client.Transport;

namespace Swarm.Client;

public sealed partial class SwarmClient
{
    /// <summary>One page of the messages that refer to something on GitHub, newest first. Looking changes nothing.</summary>
    public Task<InboxPage> FindByReferenceAsync(string agent, ReferenceQuery query, CancellationToken cancellation = default)
    {
        var text = new QueryText()
            .Add("repo", query.Repo).Add("issue", query.Issue).Add("pr", query.PullRequest).Add("commit", query.Commit)
            .Add("swarm_id", query.SwarmId?.ToString("D")).Add("state", query.State).Add("limit", query.Limit).Add("cursor", query.Cursor);
        return hub.CallAsync(HubRequest.Get($"{Agent(agent)}/references{text}"), HubJson.Wire.InboxPage, cancellation);
    }

    /// <summary>Who claimed, completed or is blocked on what, newest first, in what the agent sent or got.</summary>
    /// <param name="repo">Only this repository's; null for all.</param>
    /// <param name="state"><c>assigned</c>, <c>claimed</c>, <c>blocked</c> or <c>completed</c>; null for all.</param>
    public async IAsyncEnumerable<Claim> ListClaimsAsync(
        string agent, string? repo = null, string? state = null, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        string? cursor = null;
        do
        {
            var text = new QueryText().Add("repo", repo).Add("state", state).Add("limit", QueryText.PageItemsMax).Add("cursor", cursor);
            var page = await hub.CallAsync(HubRequest.Get($"{Agent(agent)}/board{text}"), HubJson.Wire.BoardPage, cancellation);
            foreach (var claim in page.Claims)
            {
                yield return claim;
            }

            cursor = page.NextCursor;
        }
        while (cursor is not null);
    }
}
