using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Swarm.ServiceDefaults.Egress;

/// <summary>What an address is for, by the special-purpose registries of IANA (RFC 6890). Only <see cref="Public"/> is called without configuration.</summary>
public enum AddressKind
{
    Public,
    Unspecified,
    Loopback,
    Private,
    CarrierGradeNat,
    LinkLocal,

    /// <summary>Where a cloud hands out credentials to its machines. Never called, whatever is configured.</summary>
    Metadata,
    Multicast,
    Broadcast,
    Documentation,
    Benchmarking,
    Reserved,

    /// <summary>A tunnel or a translator whose far end cannot be judged.</summary>
    Translation,
}

/// <summary>Judges addresses. Pure: the same answer for the same address, always.</summary>
public static class AddressRules
{
    /// <summary>IPv4 networks that are not public, the narrower before the wider.</summary>
    private static readonly (IPNetwork Network, AddressKind Kind)[] V4 =
    [
        // AWS, GCP, Azure, OpenStack; the task and pod credentials of AWS; Alibaba; Oracle; Azure's wire server, which has a public address.
        (IPNetwork.Parse("169.254.169.254/32"), AddressKind.Metadata),
        (IPNetwork.Parse("169.254.170.2/32"), AddressKind.Metadata),
        (IPNetwork.Parse("169.254.170.23/32"), AddressKind.Metadata),
        (IPNetwork.Parse("100.100.100.200/32"), AddressKind.Metadata),
        (IPNetwork.Parse("192.0.0.192/32"), AddressKind.Metadata),
        (IPNetwork.Parse("168.63.129.16/32"), AddressKind.Metadata),
        (IPNetwork.Parse("0.0.0.0/32"), AddressKind.Unspecified),
        (IPNetwork.Parse("255.255.255.255/32"), AddressKind.Broadcast),
        (IPNetwork.Parse("0.0.0.0/8"), AddressKind.Reserved), // "This network": Linux connects some of it to itself.
        (IPNetwork.Parse("10.0.0.0/8"), AddressKind.Private),
        (IPNetwork.Parse("100.64.0.0/10"), AddressKind.CarrierGradeNat),
        (IPNetwork.Parse("127.0.0.0/8"), AddressKind.Loopback),
        (IPNetwork.Parse("169.254.0.0/16"), AddressKind.LinkLocal),
        (IPNetwork.Parse("172.16.0.0/12"), AddressKind.Private),
        (IPNetwork.Parse("192.0.0.0/24"), AddressKind.Reserved),
        (IPNetwork.Parse("192.0.2.0/24"), AddressKind.Documentation),
        (IPNetwork.Parse("192.88.99.0/24"), AddressKind.Translation), // The relays of 6to4.
        (IPNetwork.Parse("192.168.0.0/16"), AddressKind.Private),
        (IPNetwork.Parse("198.18.0.0/15"), AddressKind.Benchmarking),
        (IPNetwork.Parse("198.51.100.0/24"), AddressKind.Documentation),
        (IPNetwork.Parse("203.0.113.0/24"), AddressKind.Documentation),
        (IPNetwork.Parse("224.0.0.0/4"), AddressKind.Multicast),
        (IPNetwork.Parse("240.0.0.0/4"), AddressKind.Reserved),
    ];

    /// <summary>IPv6 networks with a meaning of their own. What is outside 2000::/3 and not here is reserved.</summary>
    private static readonly (IPNetwork Network, AddressKind Kind)[] V6 =
    [
        // AWS (also pods), GCP, Oracle.
        (IPNetwork.Parse("fd00:ec2::254/128"), AddressKind.Metadata),
        (IPNetwork.Parse("fd00:ec2::23/128"), AddressKind.Metadata),
        (IPNetwork.Parse("fd20:ce::254/128"), AddressKind.Metadata),
        (IPNetwork.Parse("fd00:c1::a9fe:a9fe/128"), AddressKind.Metadata),
        (IPNetwork.Parse("::/128"), AddressKind.Unspecified),
        (IPNetwork.Parse("::1/128"), AddressKind.Loopback),
        (IPNetwork.Parse("64:ff9b:1::/48"), AddressKind.Translation), // NAT64 of a site: only the site knows what it reaches.
        (IPNetwork.Parse("100::/64"), AddressKind.Reserved), // Discard.
        (IPNetwork.Parse("2001:2::/48"), AddressKind.Benchmarking),
        (IPNetwork.Parse("2001:db8::/32"), AddressKind.Documentation),
        (IPNetwork.Parse("2001::/23"), AddressKind.Reserved), // Protocol assignments, ORCHID. Teredo is judged before.
        (IPNetwork.Parse("3fff::/20"), AddressKind.Documentation),
        (IPNetwork.Parse("fc00::/7"), AddressKind.Private),
        (IPNetwork.Parse("fe80::/10"), AddressKind.LinkLocal),
        (IPNetwork.Parse("fec0::/10"), AddressKind.Private), // Site-local, deprecated, still routed by some.
        (IPNetwork.Parse("ff00::/8"), AddressKind.Multicast),
    ];

    private static readonly IPNetwork GlobalUnicast = IPNetwork.Parse("2000::/3");
    private static readonly IPNetwork Teredo = IPNetwork.Parse("2001::/32");
    private static readonly IPNetwork SixToFour = IPNetwork.Parse("2002::/16");
    private static readonly IPNetwork Nat64 = IPNetwork.Parse("64:ff9b::/96");
    private static readonly IPNetwork Compatible = IPNetwork.Parse("::/96");
    private static readonly IPNetwork Translated = IPNetwork.Parse("::ffff:0:0:0/96");

    /// <summary>The address as the kernel sees it: an IPv4-mapped one is IPv4, everything else is itself.</summary>
    public static IPAddress Unmap(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    /// <summary>What the address is for; an IPv4 address inside an IPv6 one is judged as IPv4.</summary>
    public static AddressKind Judge(IPAddress address)
    {
        var plain = Unmap(address);
        return plain.AddressFamily switch
        {
            AddressFamily.InterNetwork => JudgeV4(plain),
            AddressFamily.InterNetworkV6 => JudgeV6(plain),
            _ => AddressKind.Reserved,
        };
    }

    private static AddressKind JudgeV4(IPAddress address)
    {
        foreach (var (network, kind) in V4)
        {
            if (network.Contains(address))
            {
                return kind;
            }
        }

        return AddressKind.Public;
    }

    private static AddressKind JudgeV6(IPAddress scoped)
    {
        Span<byte> bytes = stackalloc byte[16];
        scoped.TryWriteBytes(bytes, out _);
        var address = new IPAddress(bytes); // Without the zone, which no network comparison should see.
        foreach (var (network, kind) in V6)
        {
            if (network.Contains(address) && !Teredo.Contains(address))
            {
                return kind;
            }
        }

        if (Compatible.Contains(address) || Translated.Contains(address) || Nat64.Contains(address))
        {
            return JudgeV4(V4At(bytes, 12));
        }

        if (SixToFour.Contains(address))
        {
            return JudgeV4(V4At(bytes, 2));
        }

        if (Teredo.Contains(address))
        {
            // The server, and the client with its bits inverted (RFC 4380 §4): both ends of the tunnel.
            var server = JudgeV4(V4At(bytes, 4));
            return server == AddressKind.Public ? JudgeV4(V4At(bytes, 12, invert: true)) : server;
        }

        if (!GlobalUnicast.Contains(address))
        {
            return AddressKind.Reserved;
        }

        return IsIsatap(bytes) ? JudgeV4(V4At(bytes, 12)) : AddressKind.Public;
    }

    /// <summary>An interface id 0000:5efe or 0200:5efe and an IPv4 address (RFC 5214 §6.1), under any prefix.</summary>
    private static bool IsIsatap(ReadOnlySpan<byte> bytes) => (BinaryPrimitives.ReadUInt32BigEndian(bytes[8..]) & ~0x0200_0000u) == 0x0000_5efe;

    private static IPAddress V4At(ReadOnlySpan<byte> bytes, int offset, bool invert = false)
    {
        Span<byte> inner = stackalloc byte[4];
        for (var i = 0; i < inner.Length; i++)
        {
            inner[i] = (byte)(invert ? ~bytes[offset + i] : bytes[offset + i]);
        }

        return new IPAddress(inner);
    }
}
