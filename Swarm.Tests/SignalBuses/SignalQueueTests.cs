using Swarm.Core.Identity;
using Swarm.Core.Signals;

namespace Swarm.Tests.SignalBuses;

public sealed class SignalQueueTests
{
    private static readonly Guid Sender = Guid.NewGuid();
    private static readonly Guid Receiver = Guid.NewGuid();

    [Fact]
    public async Task What_waits_is_sent_once_and_in_packets_of_limited_size()
    {
        var queue = new SignalQueue(Sender, 700);
        for (int round = 0; round < 3; round++)
        {
            queue.Add([.. Enumerable.Range(1, 1000).Select(i => new AgentId(i))]);
        }

        List<byte[]> packets = await queue.TakeAsync(CancellationToken.None);

        Assert.Equal(2, packets.Count);
        Assert.All(packets, packet => Assert.True(Convert.ToBase64String(packet).Length < 8000));
        Assert.Equal(Enumerable.Range(1, 1000).Select(i => (long)i), (await ReceivedAsync(packets, 1000)).Order());
    }

    [Fact]
    public async Task Too_many_recipients_become_everybody()
    {
        var queue = new SignalQueue(Sender, 4096);
        queue.Add([.. Enumerable.Range(1, SignalQueue.RecipientsMax).Select(i => new AgentId(i))]);
        List<byte[]> atTheLimit = await queue.TakeAsync(CancellationToken.None);
        queue.Add([.. Enumerable.Range(1, SignalQueue.RecipientsMax + 1).Select(i => new AgentId(i))]);
        List<byte[]> past = await queue.TakeAsync(CancellationToken.None);

        Assert.Equal(4, atTheLimit.Count);
        byte[] packet = Assert.Single(past);
        Assert.Equal([1, 2, 3], (await ReceivedAsync([packet], 3)).Order());
    }

    [Fact]
    public async Task Control_events_are_bounded_and_arrive_in_order()
    {
        var queue = new SignalQueue(Sender, 700);
        for (int i = 0; i <= SignalQueue.ControlMax; i++)
        {
            queue.Add(new ControlEvent(ControlKind.Agent, i));
        }

        List<byte[]> packets = await queue.TakeAsync(CancellationToken.None);
        List<ControlEvent> received = [];
        var control = new ControlEvents();
        control.Changed += received.Add;
        Assert.All(packets, packet => Assert.True(SignalPacket.TryReceive(packet, Receiver, new LocalSignals(), control)));

        Assert.Equal(Enumerable.Range(0, SignalQueue.ControlMax).Select(i => new ControlEvent(ControlKind.Agent, i)), received);
    }

    [Fact]
    public void Malformed_packets_are_refused_and_change_nothing()
    {
        var signals = new LocalSignals();
        var control = new ControlEvents();
        control.Changed += _ => Assert.Fail("a malformed packet raised a control event");
        byte[] recipients = SignalPacket.Recipients(Sender, [new AgentId(1)]);
        byte[] change = SignalPacket.Control(Sender, new ControlEvent(ControlKind.Token, 1));
        byte[] unknownControl = [.. change];
        unknownControl[17] = 99;
        byte[] unknownKind = [.. recipients];
        unknownKind[16] = 99;

        byte[][] malformed = [[], new byte[16], recipients[..^1], [.. recipients, 0], change[..^1], [.. change, 0], unknownControl, unknownKind, [.. SignalPacket.Everybody(Sender), 0]];

        Assert.All(malformed, packet => Assert.False(SignalPacket.TryReceive(packet, Receiver, signals, control)));
    }

    [Fact]
    public void Ones_own_packets_are_ignored()
    {
        var control = new ControlEvents();
        control.Changed += _ => Assert.Fail("an own event came back");

        Assert.True(SignalPacket.TryReceive(SignalPacket.Control(Sender, new ControlEvent(ControlKind.Token, 1)), Sender, new LocalSignals(), control));
    }

    // Which of the agents 1…count are woken by the packets.
    private static async Task<List<long>> ReceivedAsync(List<byte[]> packets, int count)
    {
        var signals = new LocalSignals();
        InboxSubscription[] subscriptions = [.. Enumerable.Range(1, count).Select(i => signals.Subscribe(new AgentId(i)))];
        Assert.All(packets, packet => Assert.True(SignalPacket.TryReceive(packet, Receiver, signals, new ControlEvents())));
        List<long> woken = [];
        foreach (InboxSubscription subscription in subscriptions)
        {
            if (await subscription.WaitAsync(TimeSpan.Zero, TimeProvider.System, default))
            {
                woken.Add(subscription.Agent.Value);
            }
        }

        return woken;
    }
}
