using System.Text;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Doors;

/// <summary>Requests as bytes on a socket: paths that change when they are decoded, lengths that lie, bodies that do not end.</summary>
[Collection(DoorCollection.Name)]
[Shown(By.Wire)]
public sealed class RawRequestTests(DoorFixture fixture)
{
    private readonly DoorWorld _world = fixture.World;

    private Uri Address => _world.Node.Address;

    [Theory]
    [InlineData("/agents/../swarm/message")]
    [InlineData("/agents/%2e%2e/swarm/message")]
    [InlineData("/agents/%2E./swarm/message")]
    [InlineData("/agents/.%2e/swarm/message")]
    [InlineData("/agents/./swarm/message")]
    [InlineData("/agents/%2e/swarm/message")]
    [InlineData("/agents/alice/../../swarm/message")]
    [InlineData("/agents/alice/../alice/swarm/message")]
    [InlineData("/./swarm/message")]
    [InlineData("/x/../swarm/message")]
    [InlineData("/agents/..%2fswarm/message")]
    [InlineData("/agents/alice%2fswarm/message")]
    [InlineData("/agents/alice%2Fswarm%2Fmessage")]
    [InlineData("/agents/%252e%252e/swarm/message")]
    [InlineData("/agents/al%69ce%2f/swarm/message")]
    [InlineData("/agents/..%5cswarm/message")]
    [InlineData("/agents\\alice\\swarm\\message")]
    [InlineData("/agents/alice\\..\\swarm/message")]
    [InlineData("/agents//swarm/message")]
    [InlineData("/agents/%/swarm/message")]
    [InlineData("/agents/%zz/swarm/message")]
    [InlineData("/agents/%00/swarm/message")]
    [InlineData("/agents/alice%00/swarm/message")]
    [InlineData("/agents/%c0%ae%c0%ae/swarm/message")]
    [InlineData("/agents/%ff/swarm/message")]
    [InlineData("/agents/alice;x/swarm/message")]
    [InlineData("/agents/alice/swarm/message/..")]
    [InlineData("/agents/alice/swarm/message%2f")]
    [InlineData("http://localhost/agents/../swarm/message")]
    [InlineData("http://localhost/agents/%2e%2e/swarm/message")]
    [InlineData("swarm/message")]
    public async Task A_path_that_means_two_things_is_refused_cleanly(string target)
    {
        var before = await _world.Node.CountRowsAsync();
        var (status, text) = await RawSocket.SendAsync(Address, "POST", target, _world.FromBob());
        Assert.True(status is 400 or 404, $"{target}: {status} {text}");
        if (status == 404 && text.Length > 0)
        {
            Assert.Equal("""{"detail":"Not Found"}""", text);
        }

        Assert.Equal(before, await _world.Node.CountRowsAsync());
    }

    [Theory]
    [InlineData("/swarm/message")]
    [InlineData("/agents/alice/swarm/message")]
    [InlineData("/agents/%61lice/swarm/message")]
    [InlineData("/agents/alice/swarm/message?a=/../b")]
    [InlineData("http://localhost/swarm/message")]
    public async Task A_plain_path_is_found_however_it_is_written(string target)
    {
        var (status, text) = await RawSocket.SendAsync(Address, "POST", target, _world.FromBob());
        Assert.True(status == 200, $"{target}: {status} {text}");
    }

    [Fact]
    public async Task A_trailing_slash_is_a_redirect_that_keeps_the_query()
    {
        Assert.True(RawPathGuard.IsPlain("/swarm/message/"));
        var (status, _) = await RawSocket.SendAsync(Address, "POST", "/swarm/message/?x=1", _world.FromBob());
        Assert.Equal(307, status);
    }

    [Fact]
    [Conforms("ASP-42")]
    public async Task A_hundred_announced_megabytes_are_refused_before_they_are_read()
    {
        var (status, text) = await RawSocket.SendAsync(Address, stream => stream.WriteAsync(Encoding.ASCII.GetBytes(
            "POST /swarm/message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n{")).AsTask());
        Assert.Equal(413, status);
        Assert.Contains("\"INVALID_FORMAT\"", text, StringComparison.Ordinal);
    }

    [Fact]
    [Conforms("ASP-42")]
    [Refuses("W-21")]
    public async Task A_hundred_megabytes_in_chunks_are_cut_off_and_not_kept()
    {
        var before = await _world.Node.CountRowsAsync();
        var chunk = new byte[64 * 1024];
        Array.Fill(chunk, (byte)' ');
        var sent = 0;
        var allocatedBefore = GC.GetTotalAllocatedBytes();
        var (status, text) = await RawSocket.SendAsync(Address, async stream =>
        {
            await stream.WriteAsync("POST /swarm/message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"u8.ToArray());
            for (; sent < 100 * 1024 * 1024; sent += chunk.Length)
            {
                await stream.WriteAsync("10000\r\n"u8.ToArray());
                await stream.WriteAsync(chunk);
                await stream.WriteAsync("\r\n"u8.ToArray());
            }
        });
        Assert.Equal(413, status);
        Assert.Contains("\"error\"", text, StringComparison.Ordinal);
        Assert.InRange(sent, 0, 50 * 1024 * 1024);
        Assert.InRange(GC.GetTotalAllocatedBytes() - allocatedBefore, 0, 40L * 1024 * 1024);
        Assert.Equal(before, await _world.Node.CountRowsAsync());
    }

    [Fact]
    public async Task A_body_in_many_small_chunks_is_one_message()
    {
        var body = _world.FromBob();
        var (status, _) = await RawSocket.SendAsync(Address, async stream =>
        {
            await stream.WriteAsync("POST /swarm/message HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"u8.ToArray());
            foreach (var part in body.Chunk(7))
            {
                await stream.WriteAsync(Encoding.ASCII.GetBytes($"{part.Length:x}\r\n"));
                await stream.WriteAsync(part);
                await stream.WriteAsync("\r\n"u8.ToArray());
                await stream.FlushAsync();
            }

            await stream.WriteAsync("0\r\n\r\n"u8.ToArray());
        });
        Assert.Equal(200, status);
    }

    [Fact]
    public async Task A_length_that_is_too_short_gives_a_broken_message_and_one_too_long_gives_none()
    {
        var body = _world.FromBob();
        var before = await _world.Node.CountRowsAsync();
        var (status, text) = await RawSocket.SendAsync(
            Address,
            "POST",
            "/swarm/message",
            headers: $"Content-Type: application/json\r\nContent-Length: {body.Length - 10}\r\n\r\n{Encoding.Latin1.GetString(body)}");
        Assert.Equal(422, status);
        Assert.Contains("json_invalid", text, StringComparison.Ordinal);

        (status, _) = await RawSocket.SendAsync(Address, async stream =>
        {
            await stream.WriteAsync(Encoding.ASCII.GetBytes(
                $"POST /swarm/message HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {body.Length + 1}\r\n\r\n"));
            await stream.WriteAsync(body);
            stream.Socket.Shutdown(System.Net.Sockets.SocketShutdown.Send);
        });
        Assert.NotEqual(200, status);
        Assert.NotEqual(500, status);
        Assert.Equal(before, await _world.Node.CountRowsAsync());
    }

    [Theory]
    [InlineData("Transfer-Encoding: gzip\r\n")]
    [InlineData("Content-Length: -1\r\n")]
    [InlineData("Content-Length: 1\r\nContent-Length: 2\r\n")]
    [InlineData("Content-Length: 99999999999999999999\r\n")]
    public async Task Headers_that_do_not_say_where_the_body_ends_are_refused(string headers)
    {
        var (status, _) = await RawSocket.SendAsync(Address, "POST", "/swarm/message", headers: $"Content-Type: application/json\r\n{headers}");
        Assert.InRange(status, 400, 499);
    }
}
