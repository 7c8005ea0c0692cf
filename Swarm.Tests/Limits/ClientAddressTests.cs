using System.Net;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Swarm.Api;

namespace Swarm.Tests.Limits;

public sealed class ClientAddressTests
{
    [Theory]
    [InlineData("", "203.0.113.9", null, "203.0.113.9")]
    [InlineData("", "203.0.113.9", "198.51.100.7", "203.0.113.9")] // No proxy's word.
    [InlineData("", "127.0.0.1", null, null)]
    [InlineData("", "127.0.0.1", "198.51.100.7", "198.51.100.7")]
    [InlineData("", "::ffff:127.0.0.1", "198.51.100.7", "198.51.100.7")]
    [InlineData("", "127.0.0.1", "1.1.1.1, 198.51.100.7", "198.51.100.7")]
    [InlineData("", "127.0.0.1", "127.0.0.1", null)]
    [InlineData("", "127.0.0.1", "rubbish", null)]
    [InlineData("", "172.18.0.1", "198.51.100.7", "172.18.0.1")]
    [InlineData("172.16.0.0/12", "172.18.0.1", "198.51.100.7", "198.51.100.7")]
    [InlineData("172.16.0.0/12", "::ffff:172.18.0.1", "198.51.100.7", "198.51.100.7")]
    [InlineData("172.16.0.0/12", "172.18.0.1", null, "172.18.0.1")]
    [InlineData("172.16.0.0/12", "172.18.0.1", "rubbish", "172.18.0.1")]
    [InlineData("172.16.0.0/12", "172.15.0.1", "198.51.100.7", "172.15.0.1")]
    public void The_caller_is_who_a_trusted_proxy_says_else_the_peer(string proxies, string peer, string? forwarded, string? caller)
    {
        var http = new DefaultHttpContext();
        http.Connection.RemoteIpAddress = IPAddress.Parse(peer);
        if (forwarded is not null)
        {
            http.Request.Headers["X-Forwarded-For"] = forwarded;
        }

        Assert.Equal(caller is null ? null : IPAddress.Parse(caller), With(proxies).Of(http));
    }

    [Fact]
    public void A_network_that_is_none_stops_the_start() =>
        Assert.Contains("'intranet'", Assert.Throws<InvalidOperationException>(() => With("intranet")).Message, StringComparison.Ordinal);

    private static ClientAddress With(string proxies) =>
        new(new ConfigurationBuilder().AddInMemoryCollection([new("Swarm:TrustedProxies:0", proxies)]).Build());
}
