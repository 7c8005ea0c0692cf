using System.Net;
using Swarm.ServiceDefaults.Egress;
using Swarm.Tests.Doors;
using Xunit.Abstractions;

namespace Swarm.Tests.Egress;

public sealed class AddressRulesTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData("1.1.1.1", AddressKind.Public)]
    [InlineData("93.184.215.14", AddressKind.Public)]
    [InlineData("0.0.0.0", AddressKind.Unspecified)]
    [InlineData("0.0.0.1", AddressKind.Reserved)]
    [InlineData("0.255.255.255", AddressKind.Reserved)]
    [InlineData("1.0.0.0", AddressKind.Public)]
    [InlineData("9.255.255.255", AddressKind.Public)]
    [InlineData("10.0.0.0", AddressKind.Private)]
    [InlineData("10.255.255.255", AddressKind.Private)]
    [InlineData("11.0.0.0", AddressKind.Public)]
    [InlineData("100.63.255.255", AddressKind.Public)]
    [InlineData("100.64.0.0", AddressKind.CarrierGradeNat)]
    [InlineData("100.100.100.200", AddressKind.Metadata)]
    [InlineData("100.127.255.255", AddressKind.CarrierGradeNat)]
    [InlineData("100.128.0.0", AddressKind.Public)]
    [InlineData("126.255.255.255", AddressKind.Public)]
    [InlineData("127.0.0.1", AddressKind.Loopback)]
    [InlineData("127.255.255.255", AddressKind.Loopback)]
    [InlineData("128.0.0.0", AddressKind.Public)]
    [InlineData("168.63.129.16", AddressKind.Metadata)]
    [InlineData("169.253.255.255", AddressKind.Public)]
    [InlineData("169.254.0.0", AddressKind.LinkLocal)]
    [InlineData("169.254.169.254", AddressKind.Metadata)]
    [InlineData("169.254.170.2", AddressKind.Metadata)]
    [InlineData("169.254.255.255", AddressKind.LinkLocal)]
    [InlineData("169.255.0.0", AddressKind.Public)]
    [InlineData("172.15.255.255", AddressKind.Public)]
    [InlineData("172.16.0.0", AddressKind.Private)]
    [InlineData("172.31.255.255", AddressKind.Private)]
    [InlineData("172.32.0.0", AddressKind.Public)]
    [InlineData("192.0.0.0", AddressKind.Reserved)]
    [InlineData("192.0.1.0", AddressKind.Public)]
    [InlineData("192.0.2.255", AddressKind.Documentation)]
    [InlineData("192.88.99.1", AddressKind.Translation)]
    [InlineData("192.167.255.255", AddressKind.Public)]
    [InlineData("192.168.0.0", AddressKind.Private)]
    [InlineData("192.168.255.255", AddressKind.Private)]
    [InlineData("192.169.0.0", AddressKind.Public)]
    [InlineData("198.17.255.255", AddressKind.Public)]
    [InlineData("198.18.0.0", AddressKind.Benchmarking)]
    [InlineData("198.19.255.255", AddressKind.Benchmarking)]
    [InlineData("198.20.0.0", AddressKind.Public)]
    [InlineData("198.51.100.7", AddressKind.Documentation)]
    [InlineData("203.0.113.0", AddressKind.Documentation)]
    [InlineData("223.255.255.255", AddressKind.Public)]
    [InlineData("224.0.0.1", AddressKind.Multicast)]
    [InlineData("239.255.255.255", AddressKind.Multicast)]
    [InlineData("240.0.0.0", AddressKind.Reserved)]
    [InlineData("255.255.255.254", AddressKind.Reserved)]
    [InlineData("255.255.255.255", AddressKind.Broadcast)]
    [InlineData("2606:4700:4700::1111", AddressKind.Public)]
    [InlineData("::", AddressKind.Unspecified)]
    [InlineData("::1", AddressKind.Loopback)]
    [InlineData("::127.0.0.1", AddressKind.Loopback)]
    [InlineData("::ffff:127.0.0.1", AddressKind.Loopback)]
    [InlineData("::ffff:169.254.169.254", AddressKind.Metadata)]
    [InlineData("::ffff:0:10.0.0.1", AddressKind.Private)]
    [InlineData("64:ff9b::10.1.2.3", AddressKind.Private)]
    [InlineData("64:ff9b::1.1.1.1", AddressKind.Public)]
    [InlineData("64:ff9b:1::1.1.1.1", AddressKind.Translation)]
    [InlineData("64:ff9b:1:ffff::1", AddressKind.Translation)]
    [InlineData("2002:7f00:1::", AddressKind.Loopback)]
    [InlineData("2002:101:101::1", AddressKind.Public)]
    [InlineData("2001:0:4136:e378:8000:63bf:3fff:fdd2", AddressKind.Documentation)] // Client 192.0.2.45, the example of RFC 4380.
    [InlineData("2001:0:7f00:1::fefe:fefe", AddressKind.Loopback)] // Server 127.0.0.1.
    [InlineData("2001:2::1", AddressKind.Benchmarking)]
    [InlineData("2001:10::1", AddressKind.Reserved)]
    [InlineData("2001:20::1", AddressKind.Reserved)]
    [InlineData("2001:200::1", AddressKind.Public)]
    [InlineData("2001:db8::1", AddressKind.Documentation)]
    [InlineData("3fff:fff::1", AddressKind.Documentation)]
    [InlineData("2606:4700::5efe:10.0.0.1", AddressKind.Private)]
    [InlineData("2606:4700::200:5efe:127.0.0.1", AddressKind.Loopback)]
    [InlineData("fc00::1", AddressKind.Private)]
    [InlineData("fdff::1", AddressKind.Private)]
    [InlineData("fd00:ec2::254", AddressKind.Metadata)]
    [InlineData("fd20:ce::254", AddressKind.Metadata)]
    [InlineData("fe80::1", AddressKind.LinkLocal)]
    [InlineData("fe80::1%3", AddressKind.LinkLocal)]
    [InlineData("fec0::1", AddressKind.Private)]
    [InlineData("ff02::1", AddressKind.Multicast)]
    [InlineData("100::1", AddressKind.Reserved)]
    [InlineData("4000::1", AddressKind.Reserved)]
    [InlineData("5f00::1", AddressKind.Reserved)]
    public void Each_address_is_what_the_registries_say(string address, AddressKind kind) =>
        Assert.Equal(kind, AddressRules.Judge(IPAddress.Parse(address)));

    [Fact]
    public void An_embedded_address_is_judged_as_the_address_it_is()
    {
        var random = new Random(Seed.Take(output));
        for (var i = 0; i < 20_000; i++)
        {
            var inner = EgressTargets.AnyV4(random);
            var kind = AddressRules.Judge(inner);
            if (kind == AddressKind.Unspecified || inner.Equals(IPAddress.Parse("0.0.0.1")))
            {
                continue; // "::" and "::1" have meanings of their own.
            }

            Assert.All(EgressTargets.Embeddings(inner), outer => Assert.Equal(kind, AddressRules.Judge(outer)));
        }
    }

    [Theory]
    [InlineData("https", "127.0.0.1", false, "", false)]
    [InlineData("https", "127.0.0.1", true, "", true)]
    [InlineData("http", "127.0.0.1", true, "", true)]
    [InlineData("http", "::1", true, "", true)]
    [InlineData("http", "127.0.0.1", false, "127.0.0.0/8", false)] // A listed network still needs TLS.
    [InlineData("https", "127.0.0.1", false, "127.0.0.0/8", true)]
    [InlineData("http", "93.184.215.14", true, "", false)]
    [InlineData("http", "10.1.2.3", true, "10.0.0.0/8", false)]
    [InlineData("https", "10.1.2.3", false, "10.1.0.0/16", true)]
    [InlineData("https", "10.2.2.3", false, "10.1.0.0/16", false)]
    [InlineData("https", "10.1.2.3", true, "", false)]
    [InlineData("https", "::ffff:10.1.2.3", false, "10.1.0.0/16", true)]
    [InlineData("https", "64:ff9b::10.1.2.3", false, "10.1.0.0/16", false)]
    [InlineData("https", "2002:a01:203::", false, "10.1.0.0/16", false)]
    [InlineData("https", "fd12::7", false, "fd12::/16", true)]
    [InlineData("https", "100.64.0.7", false, "100.64.0.0/10", true)]
    [InlineData("https", "169.254.169.254", true, "0.0.0.0/0", false)]
    [InlineData("https", "fd00:ec2::254", true, "::/0", false)]
    [InlineData("https", "169.254.7.7", true, "169.254.0.0/16", false)]
    [InlineData("https", "0.0.0.0", true, "0.0.0.0/0", false)]
    [InlineData("https", "224.0.0.1", true, "0.0.0.0/0", false)]
    public void Configuration_opens_what_it_names_and_never_what_must_stay_closed(
        string scheme, string address, bool loopback, string networks, bool allowed)
    {
        var options = new EgressOptions { AllowLoopback = loopback };
        foreach (var network in networks.Split(',', StringSplitOptions.RemoveEmptyEntries))
        {
            options.AllowedNetworks.Add(network);
        }

        Assert.Equal(allowed, new EgressPolicy(options).Allows(IPAddress.Parse(address), scheme));
    }

    [Theory]
    [InlineData("10.0.0.0/33", null)]
    [InlineData("intranet", null)]
    [InlineData(null, "/does/not/exist.pem")]
    [InlineData(null, "/etc/hostname")]
    public void Wrong_settings_are_named(string? network, string? roots)
    {
        var options = new EgressOptions { TrustedRoots = roots };
        if (network is not null)
        {
            options.AllowedNetworks.Add(network);
        }

        var result = new EgressOptionsValidator().Validate(null, options);

        Assert.True(result.Failed);
        Assert.Contains(network ?? roots!, result.FailureMessage, StringComparison.Ordinal);
    }
}
