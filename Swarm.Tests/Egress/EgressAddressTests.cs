using System.Net;
using System.Net.Sockets;
using Swarm.ServiceDefaults.Egress;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Xunit.Abstractions;

namespace Swarm.Tests.Egress;

public sealed class EgressAddressTests(ITestOutputHelper output)
{
    private const int Cases = 4_000;

    private static readonly string[] Paths = ["", "/", "/a?b=c", "/swarm/message", "#f"];

    [Fact]
    [Refuses("W-12")]
    public async Task However_an_address_that_is_not_public_is_written_no_connection_is_made()
    {
        var random = new Random(Seed.Take(output));
        using var rig = new EgressRig(1, resolve: LikeInetAton);
        for (var i = 0; i < Cases; i++)
        {
            var target = EgressTargets.ClosedV4(random);
            var scheme = random.Next(4) == 0 ? "http" : "HTTPS";
            var user = random.Next(8) switch { 0 => "user:pass@", 1 => "93.184.215.14@", 2 => "@", _ => "" };
            var port = random.Next(3) switch { 0 => ":443", 1 => ":8080", _ => "" };
            var url = $"{scheme}://{user}{EgressTargets.Write(target, random)}{port}{Paths[random.Next(Paths.Length)]}";

            var answer = await rig.GetAsync(url);

            Assert.True(answer.Failure is EgressFailure.NotAllowed or EgressFailure.Unresolvable, $"{url}: {answer.Reason}");
            Assert.True(rig.Dialled.IsEmpty, $"{url} led to {string.Join(", ", rig.Dialled)}");
        }
    }

    [Fact]
    public async Task A_name_is_as_good_as_its_addresses()
    {
        var random = new Random(Seed.Take(output));
        IPAddress[] addresses = [];
        using var rig = new EgressRig(1, resolve: (_, _) => Task.FromResult(addresses));
        for (var i = 0; i < Cases / 4; i++)
        {
            addresses = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => EgressTargets.ClosedV4(random))
                .Select(v4 => random.Next(2) == 0 ? v4 : EgressTargets.Embeddings(v4).ElementAt(random.Next(7)))];

            var answer = await rig.GetAsync($"https://host{i}.example.com/");

            Assert.Equal(EgressFailure.NotAllowed, answer.Failure);
            Assert.Empty(rig.Dialled);
        }
    }

    [Fact]
    public async Task Among_several_addresses_only_public_ones_are_dialled()
    {
        using var authority = new TestAuthority();
        using var certificate = authority.Issue("mixed.example.com");
        await using var server = LyingServer.Saying("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", certificate);
        using var rig = new EgressRig(
            server.Port,
            new EgressOptions { TrustedRoots = authority.PemFile },
            (_, _) => Task.FromResult<IPAddress[]>([IPAddress.Loopback, EgressRig.PublicAddress, IPAddress.Parse("10.0.0.1")]));

        Assert.Equal(200, (await rig.GetAsync("https://mixed.example.com/")).Status);
        Assert.Equal([EgressRig.PublicAddress], rig.Dialled.Select(dialled => dialled.Address).Distinct());
    }

    [Fact]
    [Refuses("W-12")]
    public async Task A_name_that_changes_its_address_after_the_check_reaches_the_checked_address_or_nothing()
    {
        using var authority = new TestAuthority();
        using var certificate = authority.Issue("rebind.example.com");
        await using var server = LyingServer.Saying("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi", certificate);
        var asked = 0;
        using var rig = new EgressRig(
            server.Port,
            new EgressOptions { TrustedRoots = authority.PemFile },
            (_, _) => Task.FromResult<IPAddress[]>([asked++ == 0 ? EgressRig.PublicAddress : IPAddress.Loopback]));

        var first = await rig.GetAsync("https://rebind.example.com/");
        var second = await rig.GetAsync("https://rebind.example.com/");

        Assert.Equal((null, 200), (first.Failure, first.Status));
        Assert.Equal(EgressFailure.NotAllowed, second.Failure);
        Assert.Equal(2, asked); // One look-up a connection: nothing is looked up between the check and the connection.
        Assert.Equal([EgressRig.PublicAddress], rig.Dialled.Select(dialled => dialled.Address));
    }

    [Theory]
    [InlineData("ftp://example.com/")]
    [InlineData("file:///etc/passwd")]
    [InlineData("unix:///var/run/docker.sock")]
    [InlineData("https://")]
    [InlineData("https://./")]
    [InlineData("https://a..b/")]
    [InlineData("https://exa mple.com/")]
    [InlineData("https://example.com\\@127.0.0.1/")]
    [InlineData("https://example.com:0/")]
    [InlineData("https://example.com:99999/")]
    [InlineData("https://@example.com/")]
    [InlineData("https://a@example.com/")]
    [InlineData("https://[fe80::1%25eth0]/")]
    [InlineData("https://999.1.2.3/")]
    [InlineData("https://1.2.3.4.5/")]
    [InlineData("https://example.0x7f/")]
    [InlineData("https://example.com/\r\nX: y")]
    [InlineData("/relative")]
    [InlineData("")]
    public async Task Malformed_urls_are_refused_before_any_look_up(string url)
    {
        var asked = 0;
        using var rig = new EgressRig(1, new EgressOptions { AllowLoopback = true }, (_, _) => Task.FromResult<IPAddress[]>([.. Enumerable.Repeat(EgressRig.PublicAddress, ++asked)]));

        Assert.Equal(EgressFailure.NotAllowed, (await rig.GetAsync(url)).Failure);
        Assert.Equal(0, asked);
    }

    [Fact]
    public void A_url_has_a_longest_length()
    {
        var start = "https://example.com/";
        Assert.NotNull(EgressUrl.Parse(start + new string('a', EgressUrl.LengthMax - start.Length)));
        Assert.Null(EgressUrl.Parse(start + new string('a', EgressUrl.LengthMax - start.Length + 1)));
    }

    [Theory]
    [InlineData("https://Example.COM./x", "https://example.com:443")]
    [InlineData("https://bücher.example/x", "https://xn--bcher-kva.example:443")]
    [InlineData("http://127.1:8080/", "http://127.0.0.1:8080")]
    [InlineData("https://[2606:4700:0:0::1111]/", "https://2606:4700::1111:443")]
    public void One_destination_has_one_name(string url, string destination) => Assert.Equal(destination, EgressUrl.Parse(url)!.Destination);

    /// <summary>A resolver as lenient as the C library's: it reads numbers in every base as addresses, and knows localhost.</summary>
    private static Task<IPAddress[]> LikeInetAton(string host, CancellationToken cancellation) =>
        IPAddress.TryParse(host.Trim('.'), out var address) ? Task.FromResult<IPAddress[]>([address])
        : host.EndsWith("localhost", StringComparison.Ordinal) ? Task.FromResult<IPAddress[]>([IPAddress.Loopback])
        : throw new SocketException((int)SocketError.HostNotFound);
}
