using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text;
using Swarm.Core.Identity;

namespace Swarm.Core.Messaging.Limits;

/// <summary>What a limit is counted by.</summary>
public enum RateScope : byte
{
    Sender = 1,
    Swarm = 2,
    Address = 3,
    Destination = 4,

    /// <summary>In kilobytes.</summary>
    SenderVolume = 5,
}

/// <summary>Whose budget it is.</summary>
public readonly record struct RateKey(RateScope Scope, UInt128 Id)
{
    public static RateKey Sender(AgentId agent) => new(RateScope.Sender, (UInt128)agent.Value);

    public static RateKey SenderVolume(AgentId agent) => new(RateScope.SenderVolume, (UInt128)agent.Value);

    public static RateKey Swarm(long swarmNo) => new(RateScope.Swarm, (UInt128)swarmNo);

    /// <summary>An IPv4 address, or the /64 of an IPv6 one: who has one address of it has all.</summary>
    public static RateKey Address(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        bytes.Clear();
        var plain = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        plain.TryWriteBytes(bytes, out _);
        if (plain.AddressFamily == AddressFamily.InterNetworkV6)
        {
            bytes[8..].Clear();
        }

        return new(RateScope.Address, System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(bytes));
    }

    /// <summary>Scheme, host and port of a push.</summary>
    public static RateKey Destination(string destination)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(Encoding.UTF8.GetBytes(destination), hash);
        return new(RateScope.Destination, System.Buffers.Binary.BinaryPrimitives.ReadUInt128BigEndian(hash));
    }
}

/// <summary>The answer of a limit.</summary>
/// <param name="IsAllowed">Whether to go on.</param>
/// <param name="Limit">The limit, a minute; 0 when there is none.</param>
/// <param name="Remaining">What is left of this minute after this call, as this replica knows.</param>
/// <param name="ResetsAt">The end of the minute, in seconds since 1970.</param>
/// <param name="RetryAfterSeconds">1 to 60 when refused, else 0.</param>
public readonly record struct RateDecision(bool IsAllowed, int Limit, int Remaining, long ResetsAt, int RetryAfterSeconds);
