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

    /// <summary>Puts an unread or read message away.</summary>
    /// <exception cref="SwarmApiException"><c>unknown-message</c>, or <c>wrong-status</c>: it is put or thrown away already.</exception>
    public Task ArchiveMessageAsync(string agent, Guid messageId, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.PostNothing($"{Agent(agent)}/mailbox/{messageId:D}/archive"), HubJson.Wire.MailChange, cancellation);

    /// <summary>Throws a message away, whatever its status; again is no change.</summary>
    /// <exception cref="SwarmApiException"><c>unknown-message</c>.</exception>
    public Task DeleteMessageAsync(string agent, Guid messageId, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.PostNothing($"{Agent(agent)}/mailbox/{messageId:D}/delete") with { Idempotent = true }, HubJson.Wire.MailChange, cancellation);

    /// <summary>Puts every read message away; returns how many.</summary>
    /// <param name="swarmId">Only those of this swarm; null for all.</param>
    public async Task<int> ArchiveReadAsync(string agent, Guid? swarmId = null, CancellationToken cancellation = default)
    {
        var request = HubRequest.Post(Agent(agent) + "/mailbox/archive-read", new ArchiveOrder(swarmId), HubJson.Wire.ArchiveOrder);
        for (var all = 0; ;)
        {
            var step = await hub.CallAsync(request, HubJson.Wire.Archived, cancellation);
            all += step.Updated;
            if (step.Done)
            {
                return all;
            }
        }
    }

    /// <summary>The inbox by the statuses of a mail program.</summary>
    public Task<MailboxCounts> CountMailboxAsync(string agent, Guid? swarmId = null, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Get($"{Agent(agent)}/mailbox/counts{new QueryText().Add("swarm_id", swarmId?.ToString("D"))}"), HubJson.Wire.MailboxCounts, cancellation);

    /// <summary>Takes deleted messages, archived ones, or silent sessions away for good.</summary>
    public Task<PurgeResult> PurgeAsync(string agent, PurgeOrder order, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Post(Agent(agent) + "/purge", order, HubJson.Wire.PurgeOrder), HubJson.Wire.PurgeResult, cancellation);

    public Task<InboxCounts> CountInboxAsync(string agent, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Get(Agent(agent) + "/inbox/counts"), HubJson.Wire.InboxCounts, cancellation);
}
