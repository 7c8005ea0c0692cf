using System.Runtime.CompilerServices;
using Swarm.Core.Identity;
using Swarm.Core.Signals;

namespace Swarm.Core.Messaging;

/// <summary>Follows an inbox: a view, which leases nothing; every stream sees every message (design §3).</summary>
public sealed class InboxStream(Inbox inbox, LocalSignals signals)
{
    /// <summary>How many items are read ahead of a slow reader.</summary>
    public const int ReadAheadItems = 50;

    /// <summary>
    /// Items after <paramref name="after"/> in order, without gap or repeat, for as long as the caller asks. It is told of a signal
    /// before it looks, so nothing can slip between a look and a wait.
    /// </summary>
    public async IAsyncEnumerable<InboxItem> FollowAsync(
        AgentId recipient, long after, [EnumeratorCancellation] CancellationToken cancellation)
    {
        using var subscription = signals.Subscribe(recipient);
        while (true)
        {
            var items = await inbox.ListAsync(recipient, after, ReadAheadItems, InboxFilter.All, null, cancellation);
            foreach (var item in items)
            {
                yield return item;
                after = item.Seq;
            }

            if (items.Count == 0)
            {
                await subscription.WaitAsync(cancellation);
            }
        }
    }
}
