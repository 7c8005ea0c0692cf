using Swarm.Core.Identity;
using Swarm.Core.Signals;

namespace Swarm.Tests.SignalBuses;

/// <summary>One waiter for many inboxes.</summary>
public sealed class ManySubscriptionTests
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan AtOnce = TimeSpan.FromMilliseconds(1);

    [Fact]
    public async Task A_signal_of_any_followed_inbox_completes_one_wait_and_of_no_other()
    {
        var signals = new LocalSignals();
        using var many = signals.SubscribeMany();
        many.Follow(new HashSet<AgentId> { new(1), new(2) });
        Assert.Equal(2, signals.Count);
        signals.Notify(new AgentId(3));
        Assert.False(await many.WaitAsync(AtOnce, TimeProvider.System, default));
        signals.Notify(new AgentId(1));
        signals.Notify(new AgentId(2));
        Assert.True(await many.WaitAsync(Limit, TimeProvider.System, default));
        Assert.False(await many.WaitAsync(AtOnce, TimeProvider.System, default));

        many.Follow(new HashSet<AgentId> { new(2), new(3) });
        signals.Notify(new AgentId(1));
        Assert.False(await many.WaitAsync(AtOnce, TimeProvider.System, default));
        signals.Notify(new AgentId(3));
        Assert.True(await many.WaitAsync(Limit, TimeProvider.System, default));
        many.Wake();
        Assert.True(await many.WaitAsync(Limit, TimeProvider.System, default));
        many.Dispose();
        Assert.Equal(0, signals.Count);
    }
}
