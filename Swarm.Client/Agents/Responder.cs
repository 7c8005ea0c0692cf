namespace Swarm.Client;

/// <summary>What a reply carries beside its text.</summary>
public sealed record ReplyOptions
{
    public string? ThreadId { get; init; }

    /// <summary><c>low</c>, <c>normal</c> (when null) or <c>high</c>.</summary>
    public string? Priority { get; init; }
}

/// <summary>
/// An agent's answer to one message (ASP §11.5). Whatever comes of it, the message is marked as read: it has been dealt with, and a reply
/// that cannot be sent must not be tried for ever. For agents whose key the node holds; others sign for themselves.
/// </summary>
public sealed class Responder(SwarmClient client, string agent, InboxMessage message)
{
    /// <summary>To every member of the swarm.</summary>
    public Task<SendResult> ReplyToAllAsync(string content, ReplyOptions? options = null, CancellationToken cancellation = default) =>
        DoneWithAsync(() => SendAsync(null, "message", content, options, cancellation), cancellation);

    /// <summary>To the sender alone.</summary>
    public Task<SendResult> ReplyDirectAsync(string content, ReplyOptions? options = null, CancellationToken cancellation = default) =>
        DoneWithAsync(() => SendAsync(message.Sender, "message", content, options, cancellation), cancellation);

    /// <summary>Tells the sender that the message arrived, by a notification.</summary>
    public Task<SendResult> AcknowledgeAsync(string content = "acknowledged", CancellationToken cancellation = default) =>
        DoneWithAsync(() => SendAsync(message.Sender, "notification", content, null, cancellation), cancellation);

    /// <summary>Leaves the message's swarm.</summary>
    public Task<LeaveResult> LeaveAsync(CancellationToken cancellation = default) =>
        DoneWithAsync(() => client.LeaveAsync(message.SwarmId, agent, cancellation), cancellation);

    /// <summary>Nothing is to be said.</summary>
    public Task<bool> IgnoreAsync(CancellationToken cancellation = default) => DoneWithAsync(() => Task.FromResult(true), cancellation);

    private Task<SendResult> SendAsync(string? to, string type, string content, ReplyOptions? options, CancellationToken cancellation) =>
        client.SendAsync(
            new()
            {
                From = agent, SwarmId = message.SwarmId, To = to, Type = type, Content = content, InReplyTo = message.MessageId.ToString("D"),
                ThreadId = options?.ThreadId, Priority = options?.Priority,
            },
            idempotencyKey: null,
            cancellation);

    private async Task<T> DoneWithAsync<T>(Func<Task<T>> answer, CancellationToken cancellation)
    {
        try
        {
            return await answer();
        }
        finally
        {
            await client.MarkReadAsync(agent, [message.Seq], cancellation);
        }
    }
}
