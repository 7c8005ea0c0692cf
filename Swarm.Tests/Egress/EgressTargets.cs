using System.Globalization;
using System.Net;

namespace Swarm.Tests.Egress;

/// <summary>Generates addresses and the many ways to write them.</summary>
internal static class EgressTargets
{
    private static readonly string[] ClosedNetworks =
    [
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
        "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "169.254.169.254/32", "168.63.129.16/32",
    ];

    /// <summary>Any IPv4 address, half of them in networks that are not public.</summary>
    public static IPAddress AnyV4(Random random)
    {
        var bytes = new byte[4];
        random.NextBytes(bytes);
        return random.Next(2) == 0 ? new IPAddress(bytes) : ClosedV4(random);
    }

    /// <summary>An IPv4 address that is not public.</summary>
    public static IPAddress ClosedV4(Random random)
    {
        var parts = ClosedNetworks[random.Next(ClosedNetworks.Length)].Split('/');
        var prefix = int.Parse(parts[1], CultureInfo.InvariantCulture);
        var bytes = IPAddress.Parse(parts[0]).GetAddressBytes();
        for (var bit = prefix; bit < 32; bit++)
        {
            bytes[bit / 8] |= (byte)(random.Next(2) << (7 - (bit % 8)));
        }

        return new IPAddress(bytes);
    }

    /// <summary>IPv6 addresses that lead to an IPv4 one.</summary>
    public static IEnumerable<IPAddress> Embeddings(IPAddress inner)
    {
        var v4 = inner.GetAddressBytes();
        yield return inner.MapToIPv6();
        yield return Join([.. new byte[12], .. v4]); // Compatible.
        yield return Join([.. new byte[8], 0xff, 0xff, 0, 0, .. v4]); // Translated (SIIT).
        yield return Join([0, 0x64, 0xff, 0x9b, .. new byte[8], .. v4]); // NAT64.
        yield return Join([0x20, 2, .. v4, .. new byte[9], 1]); // 6to4.
        yield return Join([0x20, 1, 0, 0, 8, 8, 8, 8, 0, 0, 0, 0, .. v4.Select(b => (byte)~b)]); // Teredo, behind a public server.
        yield return Join([0x26, 6, 0x47, 0, .. new byte[4], 0, 0, 0x5e, 0xfe, .. v4]); // ISATAP.
    }

    /// <summary>One of the ways in which a URL's host can say an IPv4 address.</summary>
    public static string Write(IPAddress address, Random random)
    {
        var b = address.GetAddressBytes();
        var number = ((uint)b[0] << 24) | ((uint)b[1] << 16) | ((uint)b[2] << 8) | b[3];
        return random.Next(12) switch
        {
            0 => address.ToString(),
            1 => $"{number}",
            2 => $"0x{number:x}",
            3 => $"0{Convert.ToString(number, 8)}",
            4 => string.Join('.', b.Select(part => Part(part, random))),
            5 => $"{Part(b[0], random)}.{Part(number & 0xff_ffff, random)}",
            6 => $"{Part(b[0], random)}.{Part(b[1], random)}.{Part(number & 0xffff, random)}",
            7 => $"{address}.",
            8 => string.Concat(address.ToString().Select(c => char.IsDigit(c) ? (char)('０' + (c - '0')) : '。')), // Full width; IDN maps it.
            9 => $"0x{number:X}.",
            10 => $"[{Embeddings(address).ElementAt(random.Next(7))}]",
            _ => $"[{Embeddings(address).First()}%25eth0]",
        };
    }

    private static string Part(uint value, Random random) => random.Next(4) switch
    {
        0 => $"0x{value:x}",
        1 => $"0{Convert.ToString(value, 8)}",
        2 => $"000{Convert.ToString(value, 8)}",
        _ => $"{value}",
    };

    private static IPAddress Join(byte[] bytes) => new(bytes);
}
