using System.Globalization;
using System.Net;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Swarm.ServiceDefaults.Egress;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Egress;

[Shown(By.Wire)]
public sealed class LyingPeerTests
{
    private const int BodyMax = 1024;
    private const string Ok = "HTTP/1.1 200 OK\r\n";

    private static readonly EgressOptions Loopback = new() { AllowLoopback = true };

    [Fact]
    public async Task An_answer_comes_back_with_the_headers_that_are_needed()
    {
        await using var server = LyingServer.Saying("HTTP/1.1 429 No\r\nRetry-After: 7\r\nX-RateLimit-Reset: 99\r\nSet-Cookie: a=b\r\nContent-Length: 5\r\n\r\nhello");
        using var rig = new EgressRig(0, Loopback);

        var answer = await rig.Http.SendAsync(
            new(HttpMethod.Post, server.Url) { Body = "{}"u8.ToArray(), Headers = [new("X-Agent-ID", "alice")] }, CancellationToken.None);

        Assert.Equal((null, 429, false), (answer.Failure, answer.Status, answer.IsSuccess));
        Assert.Equal("hello", Encoding.ASCII.GetString(answer.Body.Span));
        Assert.Equal(("7", "99"), (answer.Headers["retry-after"], answer.Headers["X-RATELIMIT-RESET"]));
        Assert.False(answer.Headers.ContainsKey("Set-Cookie"));
        Assert.StartsWith("POST /x HTTP/1.1\r\n", server.Head, StringComparison.Ordinal);
        Assert.Contains("X-Agent-ID: alice\r\n", server.Head, StringComparison.Ordinal);
        Assert.Contains("Content-Length: 2\r\n", server.Head, StringComparison.Ordinal);
        Assert.DoesNotContain("traceparent", server.Head, StringComparison.OrdinalIgnoreCase);
    }

    [Theory]
    [InlineData("")]
    [InlineData("HTTP/1.1 200 OK\r\nX-Half")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")]
    public async Task A_peer_that_stops_in_the_middle_costs_the_time_cap_and_no_more(string answer)
    {
        await using var server = LyingServer.Hanging(answer);
        using var rig = new EgressRig(0, Loopback);

        Assert.Equal(EgressFailure.TimedOut, (await rig.GetAsync(server.Url, timeMaxMs: 300)).Failure);
    }

    [Theory]
    [InlineData("")]
    [InlineData("HTTP/1.1 200 OK\r\nX-Half")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhel")]
    public async Task An_answer_that_breaks_off_or_is_no_http_is_a_failure(string answer)
    {
        await using var server = LyingServer.Saying(answer);
        using var rig = new EgressRig(0, Loopback);

        Assert.Equal(EgressFailure.ProtocolError, (await rig.GetAsync(server.Url)).Failure);
    }

    [Fact]
    public async Task Endless_headers_are_cut_off()
    {
        await using var server = LyingServer.Endless(Ok, $"X-More: {new string('a', 1000)}\r\n");
        using var rig = new EgressRig(0, Loopback);

        Assert.Equal(EgressFailure.TooLarge, (await rig.GetAsync(server.Url)).Failure);
    }

    [Fact]
    public async Task Endless_interim_answers_end_with_the_time()
    {
        await using var server = LyingServer.Endless("", "HTTP/1.1 102 Processing\r\n\r\n");
        using var rig = new EgressRig(0, Loopback);

        Assert.NotNull((await rig.GetAsync(server.Url, timeMaxMs: 300)).Failure);
    }

    [Theory]
    [InlineData("Content-Length: 999999999\r\n\r\n", "aaaa")]
    [InlineData("\r\n", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n", "4\r\naaaa\r\n")]
    public async Task An_endless_body_is_cut_off(string start, string rest)
    {
        await using var server = LyingServer.Endless(Ok + start, rest);
        using var rig = new EgressRig(0, Loopback);

        Assert.Equal(EgressFailure.TooLarge, (await rig.GetAsync(server.Url)).Failure);
    }

    [Theory]
    [InlineData(BodyMax, null)]
    [InlineData(BodyMax + 1, EgressFailure.TooLarge)]
    public async Task The_body_cap_is_exact(int length, EgressFailure? failure)
    {
        await using var sized = LyingServer.Saying($"{Ok}Content-Length: {length}\r\n\r\n{new string('a', length)}");
        await using var unsized = LyingServer.Saying($"{Ok}\r\n{new string('a', length)}");
        using var rig = new EgressRig(0, Loopback);

        Assert.Equal(failure, (await rig.GetAsync(sized.Url, bodyBytesMax: BodyMax)).Failure);
        Assert.Equal(failure, (await rig.GetAsync(unsized.Url, bodyBytesMax: BodyMax)).Failure);
    }

    [Fact]
    [Refuses("W-12")]
    public async Task A_redirect_is_an_answer_and_is_not_followed()
    {
        await using var inside = LyingServer.Saying($"{Ok}Content-Length: 0\r\n\r\n");
        await using var server = LyingServer.Saying($"HTTP/1.1 307 Go\r\nLocation: {inside.Url}\r\nContent-Length: 0\r\n\r\n");
        using var rig = new EgressRig(0, Loopback);

        Assert.Equal((null, 307), (await rig.GetAsync(server.Url)) is var answer ? (answer.Failure, answer.Status) : default);
        Assert.Equal(0, inside.Accepted);
    }

    [Fact]
    public async Task Cookies_are_not_kept_and_compressed_bodies_are_left_as_they_are()
    {
        await using var server = LyingServer.Saying($"{Ok}Set-Cookie: a=b\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc");
        using var rig = new EgressRig(0, Loopback);

        await rig.GetAsync(server.Url);
        var second = await rig.GetAsync(server.Url);

        Assert.Equal("abc", Encoding.ASCII.GetString(second.Body.Span));
        Assert.DoesNotContain("Cookie", server.Head, StringComparison.Ordinal);
        Assert.DoesNotContain("Accept-Encoding", server.Head, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Host", "inside")]
    [InlineData("Transfer-Encoding", "chunked")]
    [InlineData("X-A", "b\r\nX-C: d")]
    [InlineData("X A", "b")]
    [InlineData("X-A", "ü")]
    public async Task Headers_cannot_change_the_request(string name, string value)
    {
        await using var server = LyingServer.Saying($"{Ok}Content-Length: 0\r\n\r\n");
        using var rig = new EgressRig(0, Loopback);

        var answer = await rig.Http.SendAsync(new(HttpMethod.Get, server.Url) { Headers = [new(name, value)] }, CancellationToken.None);

        Assert.Equal((EgressFailure.NotAllowed, 0), (answer.Failure, server.Accepted));
    }

    [Fact]
    [Conforms("ASP-44")]
    public async Task The_certificate_must_be_of_the_host_and_of_a_trusted_authority()
    {
        using var authority = new TestAuthority();
        using var stranger = new TestAuthority();
        using var good = authority.Issue("peer.example.com");
        using var foreign = stranger.Issue("peer.example.com");
        await using var server = LyingServer.Saying($"{Ok}Content-Length: 0\r\n\r\n", good);
        await using var imposter = LyingServer.Saying($"{Ok}Content-Length: 0\r\n\r\n", foreign);
        var trusted = new EgressOptions { TrustedRoots = authority.PemFile };
        using var rig = new EgressRig(server.Port, trusted);
        using var untrusting = new EgressRig(server.Port);
        using var deceived = new EgressRig(imposter.Port, trusted);

        Assert.Equal(200, (await rig.GetAsync("https://peer.example.com/")).Status);
        Assert.Equal(200, (await rig.GetAsync("https://peer.example.com./")).Status);
        Assert.Equal(EgressFailure.TlsFailed, (await rig.GetAsync("https://other.example.com/")).Failure);
        Assert.Equal(EgressFailure.TlsFailed, (await untrusting.GetAsync("https://peer.example.com/")).Failure);
        Assert.Equal(EgressFailure.TlsFailed, (await deceived.GetAsync("https://peer.example.com/")).Failure);
    }

    [Fact]
    public async Task Nothing_is_fetched_from_where_a_certificate_points()
    {
        using var authority = new TestAuthority();
        await using var inside = LyingServer.Saying($"{Ok}Content-Length: 0\r\n\r\n");
        using var certificate = authority.Issue("peer.example.com", issuersUrl: $"http://127.0.0.1:{inside.Port}/issuer.cer", throughIntermediate: true);
        await using var server = LyingServer.Saying($"{Ok}Content-Length: 0\r\n\r\n", certificate);
        using var rig = new EgressRig(server.Port, new EgressOptions { TrustedRoots = authority.PemFile });

        Assert.Equal(EgressFailure.TlsFailed, (await rig.GetAsync("https://peer.example.com/")).Failure);
        Assert.Equal(0, inside.Accepted);
    }

    [Theory]
    [InlineData(HttpProtocols.Http1AndHttp2, "HTTP/2")]
    [InlineData(HttpProtocols.Http1, "HTTP/1.1")]
    public async Task Http2_is_offered_and_http1_understood(HttpProtocols protocols, string used)
    {
        using var authority = new TestAuthority();
        using var certificate = authority.Issue("peer.example.com");
        var builder = WebApplication.CreateEmptyBuilder(new());
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            listen.Protocols = protocols;
            listen.UseHttps(certificate);
        }));
        await using var app = builder.Build();
        app.Run(http => http.Response.WriteAsync(http.Request.Protocol));
        await app.StartAsync();
        var port = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()).Port;
        using var rig = new EgressRig(port, new EgressOptions { TrustedRoots = authority.PemFile });

        var answers = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => rig.GetAsync("https://peer.example.com/")));

        Assert.All(answers, answer => Assert.Equal(used, Encoding.ASCII.GetString(answer.Body.Span)));
    }

    [Fact]
    public async Task A_destination_gets_so_many_calls_at_once_and_the_next_wait_for_a_place()
    {
        var inside = 0;
        var full = new TaskCompletionSource();
        var release = new TaskCompletionSource();
        await using var server = new LyingServer(async (stream, end) =>
        {
            if (Interlocked.Increment(ref inside) == GuardedHttp.CallsPerDestinationMax)
            {
                full.SetResult();
            }

            await release.Task.WaitAsync(end);
            await stream.WriteAsync("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"u8.ToArray(), end);
        });
        using var rig = new EgressRig(0, Loopback);

        var calls = Enumerable.Range(0, GuardedHttp.CallsPerDestinationMax + 4).Select(_ => rig.GetAsync(server.Url)).ToArray();
        await full.Task;
        var late = await rig.GetAsync(server.Url, timeMaxMs: 200);
        Assert.Equal((EgressFailure.TimedOut, GuardedHttp.CallsPerDestinationMax), (late.Failure, Volatile.Read(ref inside)));
        release.SetResult();

        Assert.All(await Task.WhenAll(calls), answer => Assert.Equal(200, answer.Status));
    }

    [Fact]
    public async Task Gates_without_callers_take_no_memory()
    {
        var gates = new DestinationGates(1);
        for (var i = 0; i < 1000; i++)
        {
            (await gates.EnterAsync(i.ToString(CultureInfo.InvariantCulture), CancellationToken.None)).Dispose();
        }

        var place = await gates.EnterAsync("x", CancellationToken.None);
        using var gone = new CancellationTokenSource();
        var waiting = gates.EnterAsync("x", gone.Token);
        await gone.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting);
        Assert.Equal(1, gates.Count);
        place.Dispose();
        Assert.Equal(0, gates.Count);
    }

    [Fact]
    public async Task Nobody_there_and_no_such_name_are_told_apart_and_tell_nothing_of_the_inside()
    {
        using var rig = new EgressRig(0, Loopback, (_, _) => throw new System.Net.Sockets.SocketException((int)System.Net.Sockets.SocketError.HostNotFound));
        var port = Infrastructure.FreePorts.Take(1)[0];

        var closed = await rig.GetAsync($"http://127.0.0.1:{port}/secret");
        var unknown = await rig.GetAsync("https://nowhere.example.com/secret");

        Assert.Equal((EgressFailure.ConnectFailed, EgressFailure.Unresolvable), (closed.Failure, unknown.Failure));
        Assert.Equal("No connection could be made.", closed.Reason);
        Assert.Equal("The host name does not resolve.", unknown.Reason);
    }

    [Fact]
    public async Task The_callers_own_cancellation_is_an_exception()
    {
        await using var server = LyingServer.Hanging(Ok);
        using var rig = new EgressRig(0, Loopback);
        using var gone = new CancellationTokenSource(100);

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => rig.Http.SendAsync(new(HttpMethod.Get, server.Url), gone.Token));
    }
}
