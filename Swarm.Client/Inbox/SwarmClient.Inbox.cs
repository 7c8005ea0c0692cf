using Swarm.Client.Transport;

namespace Swarm.Client;

public sealed partial class SwarmClient
{
    /// <summary>The most messages of one list, read or lease.</summary>
    public const int InboxItemsMax = 100;

    /// <summary>One page of the inbox, oldest first. Looking changes nothing.</summary>
    public Task<InboxPage> ListInboxAsync(string agent, InboxQuery? query = null, CancellationToken cancellation = default)
    {
        query ??= new InboxQuery();
        var text = new QueryText()
            .Add("after", query.After).Add("limit", query.Limit).Add("swarm_id", query.SwarmId?.ToString("D")).Add("state", query.State);
        return hub.CallAsync(HubRequest.Get($"{Agent(agent)}/inbox{text}"), HubJson.Wire.InboxPage, cancellation);
    }

    /// <summary>Marks 1 to <see cref="InboxItemsMax"/> messages as read; returns how many changed.</summary>
    public async Task<int> MarkReadAsync(string agent, IReadOnlyList<long> seqs, CancellationToken cancellation = default)
    {
        var request = HubRequest.Post(Agent(agent) + "/inbox/read", new SeqList(seqs), HubJson.Wire.SeqList) with { Idempotent = true };
        return (await hub.CallAsync(request, HubJson.Wire.UpdateCount, cancellation)).Updated;
    }

    public Task<InboxCounts> CountInboxAsync(string agent, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Get(Agent(agent) + "/inbox/counts"), HubJson.Wire.InboxCounts, cancellation);
}
