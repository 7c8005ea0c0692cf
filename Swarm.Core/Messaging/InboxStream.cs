using Swarm.Core.Identity;
using Swarm.Core.Signals;

namespace Swarm.Core.Messaging;

/// <summary>Follows inboxes: a view, which leases nothing; every stream sees every message (design §3).</summary>
public sealed class InboxStream(Inbox inbox, LocalSignals signals)
{
    /// <summary>How many items are read ahead of a slow reader.</summary>
    public const int ReadAheadItems = 50;

    /// <summary>
    /// A page ends when its messages reach this many bytes: with one larger message at most, this bounds what a stream holds in memory.
    /// </summary>
    public const int ReadAheadBytes = 256 * 1024;

    /// <summary>
    /// Items after <paramref name="after"/> in order, without gap or repeat. It is told of a signal before it looks, so nothing can slip
    /// between a look and a wait.
    /// </summary>
    public Follower Follow(AgentId recipient, long after) => new(inbox, signals.Subscribe(recipient), after);

    /// <summary>One who follows; not to be shared.</summary>
    public sealed class Follower : IDisposable
    {
        private readonly Inbox _inbox;
        private readonly InboxSubscription _subscription;
        private long _after;

        internal Follower(Inbox inbox, InboxSubscription subscription, long after) => (_inbox, _subscription, _after) = (inbox, subscription, after);

        /// <summary>The next page; empty when there is nothing new now.</summary>
        public async Task<IReadOnlyList<InboxItem>> ReadAsync(CancellationToken cancellation)
        {
            var items = await _inbox.ListAsync(_subscription.Agent, _after, ReadAheadItems, ReadAheadBytes, InboxFilter.All, null, cancellation);
            if (items.Count > 0)
            {
                _after = items[^1].Seq;
            }

            return items;
        }

        /// <summary>True when there may be something to read; false when <paramref name="limit"/> passed without a signal, and so without a look.</summary>
        public ValueTask<bool> WaitAsync(TimeSpan limit, TimeProvider time, CancellationToken cancellation) =>
            _subscription.WaitAsync(limit, time, cancellation);

        public void Dispose() => _subscription.Dispose();
    }
}
