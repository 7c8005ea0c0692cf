using Swarm.Core;
using Swarm.Core.Delivery.Wake;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Api.Hub;

/// <summary>Inbox and outbox with the statuses of a mail program (ASP §9): put away, throw away, count, purge.</summary>
internal static class HubMailbox
{
    /// <summary>The longest retention or timeout of a purge: ten years.</summary>
    private static readonly TimeSpan AgeMax = TimeSpan.FromDays(3650);

    public static async Task<IResult> Counts(HttpContext http, string agent, AgentDirectory directory, Mailbox mailbox)
    {
        var profile = await http.SeeAsync(directory, agent);
        var counts = await mailbox.CountAsync(profile.Id, Swarm(http.Request.Query["swarm_id"]), http.RequestAborted);
        return Results.Json(new MailCountsBody(counts.Unread, counts.Read, counts.Archived, counts.Deleted, counts.Total), HubJson.Default.MailCountsBody);
    }

    public static async Task<IResult> SentCounts(HttpContext http, string agent, AgentDirectory directory, Outbox outbox)
    {
        var profile = await http.SeeAsync(directory, agent);
        var counts = await outbox.CountSentAsync(profile.Id, Swarm(http.Request.Query["swarm_id"]), http.RequestAborted);
        return Results.Json(new SentCountsBody(counts.Sent, counts.Delivered, counts.Failed, counts.Total), HubJson.Default.SentCountsBody);
    }

    public static Task<IResult> Archive(HttpContext http, string agent, string id, AgentDirectory directory, Mailbox mailbox) =>
        ChangeAsync(http, agent, id, MailAction.Archive, "archived", directory, mailbox);

    public static Task<IResult> Delete(HttpContext http, string agent, string id, AgentDirectory directory, Mailbox mailbox) =>
        ChangeAsync(http, agent, id, MailAction.Delete, "deleted", directory, mailbox);

    public static async Task<IResult> ArchiveRead(HttpContext http, string agent, AgentDirectory directory, Mailbox mailbox)
    {
        var profile = await http.ActAsAsync(directory, agent);
        var request = await http.ReadAsync(HubJson.Default.ArchiveRequest);
        var updated = await mailbox.ArchiveReadAsync(profile.Id, Swarm(request.SwarmId), http.RequestAborted);
        return Results.Json(new ArchivedBody(updated, updated < Mailbox.ChunkMax), HubJson.Default.ArchivedBody);
    }

    public static async Task<IResult> Purge(
        HttpContext http, string agent, AgentDirectory directory, Mailbox mailbox, Conversations conversations, TimeProvider time)
    {
        var profile = await http.ActAsAsync(directory, agent);
        var request = await http.ReadAsync(HubJson.Default.PurgeRequest);
        var retention = Age(request.RetentionHours, "retention_hours", TimeSpan.FromHours);
        var timeout = Age(request.TimeoutMinutes, "timeout_minutes", TimeSpan.FromMinutes);
        var wantsMessages = request.Messages == true;
        if ((request.Sessions == true) != timeout.HasValue || !(wantsMessages || timeout.HasValue) || (!wantsMessages && request.IncludeArchived == true))
        {
            throw new SwarmException(
                SwarmError.InvalidRequest, "Ask for messages (and include_archived) or sessions (with timeout_minutes), or both.");
        }

        return Results.Json(
            new PurgedBody(
                wantsMessages ? await PurgeAsync(MailStatus.Deleted, retention is { } age ? time.GetUtcNow() - age : null) : null,
                wantsMessages && request.IncludeArchived == true ? await PurgeAsync(MailStatus.Archived, null) : null,
                timeout is { } silent ? await conversations.PurgeAsync(profile.Id, silent, http.RequestAborted) : null),
            HubJson.Default.PurgedBody);

        async Task<int> PurgeAsync(MailStatus status, DateTimeOffset? before)
        {
            int all = 0, chunk;
            do
            {
                all += chunk = await mailbox.PurgeAsync(profile.Id, status, before, http.RequestAborted);
            }
            while (chunk == Mailbox.ChunkMax);
            return all;
        }
    }

    private static async Task<IResult> ChangeAsync(
        HttpContext http, string agent, string id, MailAction action, string word, AgentDirectory directory, Mailbox mailbox)
    {
        var profile = await http.ActAsAsync(directory, agent);
        if (!AspUuid.TryParse(id, out var uuid))
        {
            throw new SwarmException(SwarmError.InvalidRequest, "A message id is a UUID with hyphens.");
        }

        var message = new MessageId(uuid);
        var changed = await mailbox.ApplyAsync(profile.Id, action, [message], http.RequestAborted);
        if (changed.Count == 0)
        {
            var found = await mailbox.FindAsync(profile.Id, message, http.RequestAborted) ?? throw new SwarmException(SwarmError.UnknownMessage);
            if (action == MailAction.Archive)
            {
                throw new SwarmException(SwarmError.WrongStatus, $"Cannot archive from '{found.Status.ToString().ToLowerInvariant()}'");
            }
        }

        return Results.Json(new MailChangeBody(word, message.ToString()), HubJson.Default.MailChangeBody);
    }

    private static SwarmId? Swarm(string? text) => string.IsNullOrEmpty(text) ? null : HubSwarms.Id(text);

    private static TimeSpan? Age(double? count, string name, Func<double, TimeSpan> unit) =>
        count is not { } number ? null
        : number >= 0 && number <= AgeMax / unit(1) ? unit(number)
        : throw new SwarmException(SwarmError.InvalidRequest, $"{name} is from 0 to ten years.");
}
