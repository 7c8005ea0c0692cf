namespace Swarm.Client;

/// <summary>What an agent needs to decide on a message (ASP §11.5).</summary>
/// <param name="Recent">Up to <see cref="RecentMax"/> of the swarm's messages before this one, oldest first, of the last 100 in the inbox.</param>
/// <param name="SenderIsMuted">The agent does not want to hear the sender.</param>
/// <param name="SwarmIsMuted">The agent does not want to hear the swarm.</param>
/// <param name="Unread">How many messages the agent has not read, this one included while it is not.</param>
public sealed record MessageContext(
    InboxMessage Message, SwarmInfo Swarm, IReadOnlyList<InboxMessage> Recent, bool SenderIsMuted, bool SwarmIsMuted, long Unread)
{
    /// <summary>The most earlier messages.</summary>
    public const int RecentMax = 10;
}

public sealed partial class SwarmClient
{
    /// <summary>Loads what surrounds a message in an agent's inbox. Changes nothing.</summary>
    public async Task<MessageContext> LoadContextAsync(string agent, InboxMessage message, CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(message);
        var swarm = GetSwarmAsync(message.SwarmId, cancellation);
        var mutes = ListMutesAsync(agent, cancellation);
        var counts = CountInboxAsync(agent, cancellation);
        var before = ListInboxAsync(
            agent,
            new() { After = Math.Max(0, message.Seq - InboxItemsMax - 1), SwarmId = message.SwarmId, Limit = InboxItemsMax, State = "all" },
            cancellation);
        await Task.WhenAll(swarm, mutes, counts, before);
        return new(
            message,
            await swarm,
            [.. (await before).Messages.Where(m => m.Seq < message.Seq).TakeLast(MessageContext.RecentMax)],
            (await mutes).Agents.Any(m => m.AgentId == message.Sender),
            (await mutes).Swarms.Any(m => m.SwarmId == message.SwarmId),
            (await counts).Unread);
    }
}
