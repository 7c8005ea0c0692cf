using System.Runtime.CompilerServices;
using Swarm.Client.Transport;

namespace Swarm.Client;

public sealed partial class SwarmClient
{
    /// <summary>The most dead letters that one call names.</summary>
    public const int DeadLetterIdsMax = 500;

    /// <summary>The life of the messages of that id, with up to 100 recipients each; for operators. Empty when there is none.</summary>
    /// <param name="cursor"><see cref="TracedMessage.NextCursor"/>, for more recipients.</param>
    public async Task<IReadOnlyList<TracedMessage>> TraceAsync(Guid messageId, string? cursor = null, CancellationToken cancellation = default)
    {
        var query = new QueryText().Add("limit", QueryText.PageItemsMax).Add("cursor", cursor);
        return (await hub.CallAsync(HubRequest.Get($"deliveries/{messageId:D}{query}"), HubJson.Wire.TracePage, cancellation)).Messages;
    }

    /// <summary>Dead letters, newest first, fetched page by page; for operators.</summary>
    public async IAsyncEnumerable<DeadLetter> ListDeadLettersAsync(
        DeadLetterFilter filter, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(filter);
        string? cursor = null;
        do
        {
            var query = new QueryText().Add("recipient", filter.Recipient).Add("sender", filter.Sender).Add("swarm_id", filter.SwarmId?.ToString("D"))
                .Add("reason", filter.Reason).Add("from", filter.From is { } from ? SwarmTime.Format(from) : null)
                .Add("until", filter.Until is { } until ? SwarmTime.Format(until) : null)
                .Add("limit", QueryText.PageItemsMax).Add("cursor", cursor);
            var page = await hub.CallAsync(HubRequest.Get("dead-letters" + query), HubJson.Wire.DeadLetterPage, cancellation);
            foreach (var letter in page.DeadLetters)
            {
                yield return letter;
            }

            cursor = page.NextCursor;
        }
        while (cursor is not null);
    }

    /// <summary>One dead letter with its message and its failed tries; for operators.</summary>
    public Task<DeadLetter> GetDeadLetterAsync(string id, CancellationToken cancellation = default) =>
        hub.CallAsync(HubRequest.Get("dead-letters/" + Uri.EscapeDataString(id)), HubJson.Wire.DeadLetter, cancellation);

    /// <summary>Sends dead letters again: up to <see cref="DeadLetterIdsMax"/> by their ids.</summary>
    /// <returns>How many; ids that are none are not counted.</returns>
    public async Task<int> RequeueAsync(IReadOnlyList<string> ids, CancellationToken cancellation = default) =>
        (await ChangeAsync("requeue", new(ids, null), cancellation)).Changed;

    /// <summary>Sends all dead letters again that the filter means and that are dead now.</summary>
    /// <param name="progress">Told how many were sent so far.</param>
    public Task<int> RequeueAsync(DeadLetterFilter filter, Action<int>? progress = null, CancellationToken cancellation = default) =>
        ChangeAllAsync("requeue", filter, progress, cancellation);

    /// <summary>Forgets dead letters by their ids.</summary>
    public async Task<int> DiscardAsync(IReadOnlyList<string> ids, CancellationToken cancellation = default) =>
        (await ChangeAsync("discard", new(ids, null), cancellation)).Changed;

    /// <summary>Forgets all dead letters that the filter means and that are dead now.</summary>
    public Task<int> DiscardAsync(DeadLetterFilter filter, Action<int>? progress = null, CancellationToken cancellation = default) =>
        ChangeAllAsync("discard", filter, progress, cancellation);

    private async Task<int> ChangeAllAsync(string what, DeadLetterFilter filter, Action<int>? progress, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(filter);
        var all = 0;
        while (true)
        {
            var change = await ChangeAsync(what, new(null, filter), cancellation);
            all += change.Changed;
            if (change.Done)
            {
                return all;
            }

            progress?.Invoke(all);
            filter = filter with { Until = change.Until };
        }
    }

    // To change one twice is to change it once.
    private Task<DeadLetterChange> ChangeAsync(string what, DeadLetterOrder order, CancellationToken cancellation) => hub.CallAsync(
        HubRequest.Post($"dead-letters/{what}", order, HubJson.Wire.DeadLetterOrder) with { Idempotent = true },
        HubJson.Wire.DeadLetterChange, cancellation);
}
