using Swarm.Core;
using Swarm.Core.Delivery;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;

namespace Swarm.Api.Hub;

/// <summary>The inbox as a view.</summary>
internal static class HubInbox
{
    public static async Task<IResult> List(HttpContext http, string agent, AgentDirectory directory, Inbox inbox)
    {
        var profile = await http.SeeAsync(directory, agent);
        var limit = http.PageLimit();
        var after = http.Number("cursor", 0, long.MaxValue, http.Number("after", 0, long.MaxValue, 0));
        var filter = Filter(http);
        var swarm = (string?)http.Request.Query["swarm_id"] is { Length: > 0 } id ? HubSwarms.Id(id) : (Core.Swarms.SwarmId?)null;
        var items = await inbox.ListAsync(profile.Id, after, limit, filter, swarm, http.RequestAborted);

        // A page may end early because of its bytes, so only an empty look beyond it proves the end.
        var more = items.Count > 0
            && await inbox.ListAsync(profile.Id, items[^1].Seq, 1, filter, swarm, http.RequestAborted) is { Count: > 0 };
        return Results.Json(
            new MessageList([.. items.Select(ToBody)], more ? items[^1].Seq.ToString() : null), HubJson.Default.MessageList);
    }

    public static async Task<IResult> MarkRead(HttpContext http, string agent, AgentDirectory directory, Inbox inbox)
    {
        var profile = await http.ActAsAsync(directory, agent);
        var seqs = Seqs((await http.ReadAsync(HubJson.Default.SeqsRequest)).Seqs);
        return Results.Json(new UpdatedBody(await inbox.MarkReadAsync(profile.Id, seqs, http.RequestAborted)), HubJson.Default.UpdatedBody);
    }

    public static async Task<IResult> Counts(HttpContext http, string agent, AgentDirectory directory, Inbox inbox)
    {
        var counts = await inbox.CountAsync((await http.SeeAsync(directory, agent)).Id, http.RequestAborted);
        return Results.Json(new CountsBody(counts.Unread, counts.Read, counts.Total), HubJson.Default.CountsBody);
    }

    /// <summary>The <c>state</c> of a list.</summary>
    public static InboxFilter Filter(HttpContext http) => (string?)http.Request.Query["state"] switch
    {
        null or "" or "all" => InboxFilter.All,
        "unread" => InboxFilter.Unread,
        "read" => InboxFilter.Read,
        "archived" => InboxFilter.Archived,
        _ => throw new SwarmException(SwarmError.InvalidRequest, "state is unread, read, archived or all."),
    };

    public static long[] Seqs(long[]? seqs) => seqs is { Length: > 0 and <= Inbox.MarkItemsMax }
        ? seqs
        : throw new SwarmException(SwarmError.InvalidRequest, $"seqs holds 1 to {Inbox.MarkItemsMax} numbers.");

    public static MessageBody ToBody(InboxItem item)
    {
        var message = item.Message;
        return new(
            item.Seq, message.MessageId.ToString(), message.SwarmId.ToString(), message.SenderId, message.Recipient, AspWords.Of(message.Kind),
            AspWords.Of(message.Priority), message.Content, message.Timestamp, item.AcceptedAt, WordOf(item.State), item.Verified)
        {
            InReplyTo = message.InReplyTo,
            ThreadId = message.ThreadId,
            ExpiresAt = message.ExpiresAt,
            Attachments = message.Attachments,
            References = message.References,
            Metadata = message.Metadata,
            ReadAt = item.ReadAt,
            Archived = item.IsArchived,
        };
    }

    public static string WordOf(DeliveryState state) => state == DeliveryState.TimedOut ? "timed_out" : state.ToString().ToLowerInvariant();
}
