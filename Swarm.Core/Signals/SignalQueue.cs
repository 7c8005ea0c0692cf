using System.Threading.Channels;
using Swarm.Core.Identity;

namespace Swarm.Core.Signals;

/// <summary>What waits to be sent. The same recipient waits once; too many recipients become "everybody", too many changes "everything".</summary>
internal sealed class SignalQueue(Guid replica, int packetAgentsMax)
{
    /// <summary>The most recipients that wait.</summary>
    public const int RecipientsMax = 16 * 1024;

    /// <summary>The most control events that wait; more are left to the epoch that every replica reads (design §3 promise 7).</summary>
    public const int ControlMax = 1024;

    private readonly Lock _lock = new();
    private readonly Channel<bool> _any = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private HashSet<AgentId> _recipients = [];
    private List<ControlEvent> _control = [];
    private bool _everybody;

    public void Add(ReadOnlySpan<AgentId> recipients)
    {
        lock (_lock)
        {
            foreach (AgentId recipient in recipients)
            {
                if (_recipients.Count == RecipientsMax)
                {
                    _everybody = true;
                    break;
                }

                _ = _recipients.Add(recipient);
            }

            Wake();
        }
    }

    public void Add(ControlEvent change)
    {
        lock (_lock)
        {
            if (_control.Count < ControlMax)
            {
                _control.Add(change);
            }

            Wake();
        }
    }

    /// <summary>Waits until something is there, then takes all of it, packed; control events come first.</summary>
    public async Task<List<byte[]>> TakeAsync(CancellationToken cancellation)
    {
        _ = await _any.Reader.ReadAsync(cancellation);
        HashSet<AgentId> recipients;
        List<ControlEvent> control;
        bool everybody;
        lock (_lock)
        {
            (recipients, _recipients) = (_recipients, []);
            (control, _control) = (_control, []);
            (everybody, _everybody) = (_everybody, false);
        }

        List<byte[]> packets = [.. control.Select(change => SignalPacket.Control(replica, change))];
        if (everybody)
        {
            packets.Add(SignalPacket.Everybody(replica));
        }
        else
        {
            packets.AddRange(recipients.Chunk(packetAgentsMax).Select(chunk => SignalPacket.Recipients(replica, chunk)));
        }

        return packets;
    }

    private void Wake() => _any.Writer.TryWrite(true);
}
