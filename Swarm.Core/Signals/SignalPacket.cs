using System.Buffers.Binary;
using Swarm.Core.Identity;

namespace Swarm.Core.Signals;

/// <summary>
/// One message of a transport, little-endian: 16 bytes of the sender's replica id, one byte <see cref="Kind"/>, then 8 bytes an agent
/// (recipients), or one byte kind and 8 bytes number (control), or nothing (everybody).
/// </summary>
internal static class SignalPacket
{
    private const int ReplicaBytes = 16;
    private const int HeadBytes = ReplicaBytes + 1;
    private const int ControlBytes = HeadBytes + 1 + sizeof(long);

    private enum Kind : byte
    {
        Recipients = 1,
        Control = 2,
        Everybody = 3,
    }

    public static byte[] Recipients(Guid replica, ReadOnlySpan<AgentId> agents)
    {
        byte[] packet = Head(replica, Kind.Recipients, agents.Length * sizeof(long));
        for (int i = 0; i < agents.Length; i++)
        {
            BinaryPrimitives.WriteInt64LittleEndian(packet.AsSpan(HeadBytes + (i * sizeof(long))), agents[i].Value);
        }

        return packet;
    }

    public static byte[] Control(Guid replica, ControlEvent change)
    {
        byte[] packet = Head(replica, Kind.Control, ControlBytes - HeadBytes);
        packet[HeadBytes] = (byte)change.Kind;
        BinaryPrimitives.WriteInt64LittleEndian(packet.AsSpan(HeadBytes + 1), change.No);
        return packet;
    }

    public static byte[] Everybody(Guid replica) => Head(replica, Kind.Everybody, 0);

    /// <summary>Acts on a packet, unless <paramref name="own"/> sent it; false when it is malformed, and then nothing happened.</summary>
    public static bool TryReceive(ReadOnlySpan<byte> packet, Guid own, LocalSignals signals, ControlEvents control)
    {
        if (packet.Length < HeadBytes)
        {
            return false;
        }

        bool foreign = new Guid(packet[..ReplicaBytes]) != own;
        ReadOnlySpan<byte> body = packet[HeadBytes..];
        switch ((Kind)packet[ReplicaBytes])
        {
            case Kind.Recipients when body.Length % sizeof(long) == 0:
                for (; foreign && !body.IsEmpty; body = body[sizeof(long)..])
                {
                    signals.Notify(new AgentId(BinaryPrimitives.ReadInt64LittleEndian(body)));
                }

                return true;
            case Kind.Control when packet.Length == ControlBytes && Enum.IsDefined((ControlKind)body[0]):
                if (foreign)
                {
                    control.Raise(new((ControlKind)body[0], BinaryPrimitives.ReadInt64LittleEndian(body[1..])));
                }

                return true;
            case Kind.Everybody when body.IsEmpty:
                if (foreign)
                {
                    signals.NotifyAll();
                }

                return true;
            default:
                return false;
        }
    }

    private static byte[] Head(Guid replica, Kind kind, int bodyBytes)
    {
        byte[] packet = new byte[HeadBytes + bodyBytes];
        _ = replica.TryWriteBytes(packet);
        packet[ReplicaBytes] = (byte)kind;
        return packet;
    }
}
