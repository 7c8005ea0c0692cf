using System.Text;
using Swarm.Core;
using Swarm.Core.Delivery;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Storage;

namespace Swarm.Api.Hub;

/// <summary>Sending, and what was sent.</summary>
internal static class HubMessages
{
    /// <summary>The most messages of a batch.</summary>
    public const int BatchItemsMax = 512;

    public static async Task<IResult> Send(HttpContext http, AgentDirectory directory, Sending sending)
    {
        var request = await http.ReadAsync(HubJson.Default.SendRequest, HubRequests.SendBodyBytesMax);
        var from = await http.ActAsAsync(directory, request.From);
        var draft = ToDraft(request) with { IdempotencyKey = (string?)http.Request.Headers["Idempotency-Key"] };
        var (id, receipt) = await sending.SendAsync(from, draft, http.RequestAborted);
        return receipt.Error is { } error
            ? HubErrors.Problem(error, retryAfterSeconds: receipt.RetryAfterSeconds)
            : Results.Json(
                new SendBody(StatusOf(receipt), id.ToString(), draft.SwarmId.ToString(), draft.To, receipt.Recipients), HubJson.Default.SendBody);
    }

    /// <summary>Independent items, in order within a sender; each is answered after its commit (design §6).</summary>
    public static async Task<IResult> SendBatch(HttpContext http, AgentDirectory directory, Sending sending)
    {
        var batch = await StartAsync(http, directory, sending);
        await batch.CommitAsync(http.RequestAborted);
        var items = new BatchItem[batch.Count];
        for (var i = 0; i < items.Length; i++)
        {
            items[i] = await FinishAsync(batch, i, http.RequestAborted);
        }

        return Results.Json(new BatchBody(items), HubJson.Default.BatchBody);
    }

    public static async Task<IResult> Sent(HttpContext http, string agent, AgentDirectory directory, Outbox outbox, DeliveryTrace trace)
    {
        var profile = await http.SeeAsync(directory, agent);
        var limit = http.PageLimit();
        var cursor = http.Number("cursor", 0, long.MaxValue, long.MaxValue);
        var swarm = (string?)http.Request.Query["swarm_id"] is { Length: > 0 } id ? HubSwarms.Id(id) : (Core.Swarms.SwarmId?)null;
        var items = await outbox.ListAsync(profile.Id, swarm, cursor, limit, http.RequestAborted);
        var recipients = await trace.RecipientsAsync([.. items.Select(i => i.MessageNo)], http.RequestAborted);
        return Results.Json(
            new SentList(
                [.. items.Select(i => new SentBody(
                    i.Message.MessageId.ToString(), i.Message.SwarmId.ToString(), i.Message.Recipient, AspWords.Of(i.Message.Kind), i.Message.Content,
                    i.AcceptedAt, i.Recipients.ToDictionary(r => HubInbox.WordOf(r.Key), r => r.Value),
                    [.. recipients[i.MessageNo].Select(r => new SentRecipient(r.Recipient, HubInbox.WordOf(r.State), r.Attempts, r.LastError))])
                {
                    Status = i.Status switch { SentStatus.Sent => "sent", SentStatus.Delivered => "delivered", _ => "failed" },
                    Error = i.Error,
                })],
                items.Count > 0 && await outbox.ListAsync(profile.Id, swarm, items[^1].MessageNo, 1, http.RequestAborted) is { Count: > 0 }
                    ? items[^1].MessageNo.ToString()
                    : null),
            HubJson.Default.SentList);
    }

    /// <summary>Reads the batch and hands it in. A method of its own, so that what was read is garbage while the commits are waited for.</summary>
    private static async Task<SendingBatch> StartAsync(HttpContext http, AgentDirectory directory, Sending sending)
    {
        var request = await http.ReadAsync(HubJson.Default.BatchRequest, HubRequests.BatchBodyBytesMax);
        if (request.Messages is not { Count: > 0 and <= BatchItemsMax } messages)
        {
            throw new SwarmException(SwarmError.InvalidRequest, $"messages holds 1 to {BatchItemsMax} messages.");
        }

        var batch = sending.Begin(messages.Count);
        for (var i = 0; i < messages.Count; i++)
        {
            try
            {
                var from = await http.ActAsAsync(directory, HubRequests.Required(messages[i], "message").From);
                await batch.AddAsync(from, ToDraft(messages[i]), http.RequestAborted);
            }
            catch (SwarmException e)
            {
                batch.Refuse(e.Error, e.Message);
            }
            catch (Exception e) when (DatabaseFailure.Is(e))
            {
                // Earlier items may be committed already: each item has its own answer.
                batch.Refuse(SwarmError.Unavailable, null);
            }
        }

        return batch;
    }

    private static async ValueTask<BatchItem> FinishAsync(SendingBatch batch, int place, CancellationToken cancellation)
    {
        try
        {
            return ToItem(await batch.ResultAsync(place, cancellation));
        }
        catch (Exception e) when (DatabaseFailure.Is(e))
        {
            return ToItem((default, Receipt.Refuse(SwarmError.Unavailable), null));
        }
    }

    private static BatchItem ToItem((MessageId Id, Receipt Receipt, string? Detail) sent) => sent.Receipt.Error is { } error
        ? new("refused", null, new(error.Id, sent.Detail ?? error.Meaning))
        : new(StatusOf(sent.Receipt), sent.Id.ToString(), null);

    private static string StatusOf(Receipt receipt) => receipt.Status == ReceiptStatus.Duplicate ? "duplicate" : "accepted";

    private static Draft ToDraft(SendRequest request)
    {
        if (request.MessageId is { } messageId && !AspUuid.TryParse(messageId, out _))
        {
            throw new SwarmException(SwarmError.InvalidRequest, "message_id is a UUID with hyphens.");
        }

        return new(HubSwarms.Id(HubRequests.Required(request.SwarmId, "swarm_id")), HubRequests.Required(request.Content, "content"))
        {
            To = request.To ?? AgentName.Broadcast,
            Kind = Word(request.Type, "message", AspWords.TryParseKind, MessageKind.Message, "type is message, system or notification."),
            Priority = Word(request.Priority, "normal", AspWords.TryParsePriority, Priority.Normal, "priority is low, normal or high."),
            InReplyTo = Text(request.InReplyTo, "in_reply_to"),
            ThreadId = Text(request.ThreadId, "thread_id"),
            ExpiresAt = Time(request.ExpiresAt, "expires_at"),
            DeliverAt = Time(request.DeliverAt, "deliver_at"),
            Attachments = Kind(request.Attachments, System.Text.Json.JsonValueKind.Array, "attachments"),
            References = References(request.References),
            Metadata = Kind(request.Metadata, System.Text.Json.JsonValueKind.Object, "metadata"),
            MessageId = request.MessageId is { } id && AspUuid.TryParse(id, out var uuid) ? new MessageId(uuid) : null,
            Timestamp = request.Timestamp,
            Signature = request.Signature,
        };
    }

    private delegate bool TryParse<T>(ReadOnlySpan<byte> word, out T value);

    private static T Word<T>(string? word, string absent, TryParse<T> parse, T unset, string error) =>
        word is null || word == absent ? unset
        : parse(Encoding.UTF8.GetBytes(word), out var value) ? value
        : throw new SwarmException(SwarmError.InvalidRequest, error);

    private static DateTimeOffset? Time(string? text, string name) =>
        text is null ? null
        : AspTimestamp.TryParseAny(text, out var time) ? time
        : throw new SwarmException(SwarmError.InvalidRequest, $"{name} is a time like 2026-11-21T15:30:00.000Z.");

    private static string? Text(string? text, string name) =>
        text is null || text.Length is > 0 and <= Sending.ReferenceLengthMax
            ? text
            : throw new SwarmException(SwarmError.InvalidRequest, $"{name} has 1 to {Sending.ReferenceLengthMax} characters.");

    private static System.Text.Json.JsonElement? References(System.Text.Json.JsonElement? value)
    {
        var references = Kind(value, System.Text.Json.JsonValueKind.Array, "references");
        Core.References.Reference.Check(references);
        return references;
    }

    private static System.Text.Json.JsonElement? Kind(System.Text.Json.JsonElement? value, System.Text.Json.JsonValueKind kind, string name) =>
        value is null || value.Value.ValueKind == System.Text.Json.JsonValueKind.Null ? null
        : value.Value.ValueKind == kind ? value
        : throw new SwarmException(SwarmError.InvalidRequest, $"{name} is a JSON {kind.ToString().ToLowerInvariant()}.");
}
