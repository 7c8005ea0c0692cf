using System.Buffers;
using System.Runtime.CompilerServices;
using System.Text;
using Swarm.Client.Transport;

namespace Swarm.Client;

public sealed partial class SwarmClient
{
    /// <summary>The most messages in one batch.</summary>
    public const int BatchItemsMax = 512;

    /// <summary>
    /// Sends one message; returns after the node committed it. It carries an idempotency key, so it is safely tried again when an
    /// answer is lost: it is sent once.
    /// </summary>
    /// <param name="idempotencyKey">
    /// A key of your own, to make one send of several calls (for example after a restart of your program); null makes a fresh one.
    /// </param>
    /// <exception cref="ArgumentException">The content holds half a surrogate pair, which no UTF-8 can carry.</exception>
    public Task<SendResult> SendAsync(OutgoingMessage message, string? idempotencyKey = null, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(message);
        RequireWellFormed(message);
        var request = HubRequest.Post("messages", message, HubJson.Wire.OutgoingMessage) with
        {
            Idempotent = true,
            IdempotencyKey = idempotencyKey ?? Guid.NewGuid().ToString("D"),
        };
        return hub.CallAsync(request, HubJson.Wire.SendResult, cancellation);
    }

    /// <summary>
    /// Sends 1 to <see cref="BatchItemsMax"/> messages; one result each, in order. Items are independent. A lost answer is only tried
    /// again when every item is signed by its sender, because only then a second copy is known for one.
    /// </summary>
    public async Task<IReadOnlyList<BatchItemResult>> SendBatchAsync(
        IReadOnlyList<OutgoingMessage> messages, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(messages);
        ArgumentOutOfRangeException.ThrowIfZero(messages.Count, nameof(messages));
        ArgumentOutOfRangeException.ThrowIfGreaterThan(messages.Count, BatchItemsMax, nameof(messages));
        foreach (var message in messages)
        {
            RequireWellFormed(message);
        }

        var request = HubRequest.Post("messages/batch", new MessageBatch(messages), HubJson.Wire.MessageBatch) with
        {
            Idempotent = messages.All(message => message.Signature is not null),
        };
        return (await hub.CallAsync(request, HubJson.Wire.BatchResults, cancellation)).Results;
    }

    /// <summary>What the agent has sent, newest first, fetched page by page.</summary>
    public IAsyncEnumerable<SentMessage> ListOutboxAsync(string agent, CancellationToken cancellation = default) =>
        ListOutboxAsync(agent, null, cancellation);

    /// <summary>How many of the agent's messages stand where.</summary>
    /// <param name="swarmId">Only those to this swarm; null for all.</param>
    public Task<SentCounts> CountOutboxAsync(string agent, Guid? swarmId = null, CancellationToken cancellation = default) =>
        hub.CallAsync(
            HubRequest.Get($"{Agent(agent)}/outbox/counts{new QueryText().Add("swarm_id", swarmId?.ToString("D"))}"), HubJson.Wire.SentCounts, cancellation);

    /// <summary>The same, of one swarm unless that is null.</summary>
    public async IAsyncEnumerable<SentMessage> ListOutboxAsync(
        string agent, Guid? swarmId, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        string? cursor = null;
        do
        {
            var query = new QueryText().Add("limit", QueryText.PageItemsMax).Add("cursor", cursor).Add("swarm_id", swarmId?.ToString("D"));
            var page = await hub.CallAsync(HubRequest.Get($"{Agent(agent)}/outbox{query}"), HubJson.Wire.OutboxPage, cancellation);
            foreach (var message in page.Messages)
            {
                yield return message;
            }

            cursor = page.NextCursor;
        }
        while (cursor is not null);
    }

    private static void RequireWellFormed(OutgoingMessage message)
    {
        for (var rest = message.Content.AsSpan(); !rest.IsEmpty;)
        {
            if (Rune.DecodeFromUtf16(rest, out _, out var length) != OperationStatus.Done)
            {
                throw new ArgumentException("The content holds half a surrogate pair.", nameof(message));
            }

            rest = rest[length..];
        }
    }
}
