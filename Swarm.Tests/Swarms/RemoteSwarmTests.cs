using System.Net;
using System.Text;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Swarms;

/// <summary>Swarms across nodes: joining one whose master is elsewhere, and telling remote members who left (ASP §10).</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class RemoteSwarmTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly SwarmId _swarm = new(Guid.NewGuid());
    private PeerServer _peer = null!;
    private NodeHost _node = null!;
    private string _joiner = "";
    private string _answer = "";
    private int _status = 200;

    public async Task InitializeAsync()
    {
        _peer = await PeerServer.StartAsync();
        _node = await NodeHost.StartAsync(postgres, settings: new Dictionary<string, string>
        {
            ["Egress:AllowLoopback"] = "true", ["Egress:TrustedRoots"] = _peer.Ca,
        });
        _joiner = (await _node.Hub.PostHubAsync("/hub/v1/agents", new { name = "zoe" })).Ok()["public_key"].GetString()!;
        _answer = Accepted(("master", _peer.Endpoint, _peer.PublicKey), ("zoe", "https://localhost:8743/agents/zoe/swarm", _joiner));
        _peer.Answer = (request, _, http) => request.Path.EndsWith("/join", StringComparison.Ordinal)
            ? PeerServer.RespondAsync(http, _status, _answer)
            : PeerServer.QueuedAsync(http);
    }

    public async Task DisposeAsync()
    {
        await _node.DisposeAsync();
        await _peer.DisposeAsync();
    }

    [Fact]
    [Conforms("ASP-48", "ASP-54")]
    public async Task A_join_goes_over_the_wire_and_the_swarm_is_then_known_and_used_both_ways()
    {
        var joined = (await JoinAsync()).Ok();
        Assert.Equal(("joined", "far away", "master", 2), (
            joined["status"].GetString(), joined["name"].GetString(), joined["master"].GetString(), joined["member_count"].GetInt32()));
        var request = Assert.Single(_peer.Requests);
        Assert.Equal("/swarm/join", request.Path);
        Assert.Equal(("application/json", "zoe", "0.1.0"), (request.Headers["Content-Type"], request.Headers["X-Agent-ID"], request.Headers["X-Swarm-Protocol"]));
        var jwt = request.Json.GetProperty("invite_token").GetString();
        var proof = request.Json.GetProperty("swarm_proof");
        Assert.Equal(
            $$$"""{"type":"system","action":"join_request","invite_token":"{{{jwt}}}","sender":{"agent_id":"zoe","endpoint":"https://localhost:8743/agents/zoe/swarm","public_key":"{{{_joiner}}}"},"swarm_proof":{{{proof.GetRawText()}}}}""",
            Encoding.UTF8.GetString(request.Body));
        Assert.Equal("join", proof.GetProperty("kind").GetString());

        // Again: nothing changes.
        Assert.Equal(2, (await JoinAsync()).Ok()["member_count"].GetInt32());

        // To the master, and from it.
        await using var worker = await WorkerHost.StartAsync(_node, _peer.Ca);
        (await SendAsync()).Ok();
        await Eventually.TrueAsync("the master has it", () => _peer.Messages.Any(m => m.Content == "hi"), Limit);
        var back = MessageSignature.Sign(_peer.Key, new()
        {
            MessageId = new(Guid.NewGuid()), Timestamp = AspTimestamp.Format(TimeProvider.System.GetUtcNow()), SenderId = "master",
            SenderEndpoint = _peer.Endpoint, Recipient = "zoe", SwarmId = _swarm, Kind = MessageKind.Message, Content = "hello back",
        });
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("zoe", MessageWriter.Write(back))).Status);

        // Leaving tells the master, byte for byte as the reference does.
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{_swarm}/leave", new { agent = "zoe" })).Ok();
        await Eventually.TrueAsync("the master is told", () => _peer.Messages.Any(m => m.Content.Contains("member_left")), Limit);
        var notice = _peer.Messages.Single(m => m.Content.Contains("member_left"));
        Assert.Equal("""{"action":"member_left","agent_id":"zoe"}""", notice.Content);
        Assert.Equal(("system", "broadcast"), (notice.Json.GetProperty("type").GetString(), notice.Json.GetProperty("recipient").GetString()));
        Assert.True(MessageSignature.Verify(PublicKeyText.Parse(_joiner), MessageParser.Parse(notice.Body)));
        (await SendAsync()).Refused(HttpStatusCode.NotFound, "not-a-member");
    }

    [Theory]
    [Conforms("ASP-48")]
    [InlineData(400, HttpStatusCode.UnprocessableEntity, "invalid-token")]
    [InlineData(401, HttpStatusCode.Unauthorized, "token-signature")]
    [InlineData(403, HttpStatusCode.Forbidden, "peer-refused")]
    [InlineData(404, HttpStatusCode.NotFound, "unknown-swarm")]
    [InlineData(429, HttpStatusCode.TooManyRequests, "rate-limited")]
    [InlineData(302, HttpStatusCode.BadGateway, "peer-unreachable")]
    [InlineData(501, HttpStatusCode.BadGateway, "peer-unreachable")]
    public async Task What_the_master_refuses_is_refused_in_the_words_of_the_catalogue(int status, HttpStatusCode expected, string error)
    {
        _status = status;
        _answer = """{"error":{"code":"X","message":"no \u001b[31m way","details":null}}""";
        var answer = await JoinAsync();
        answer.Refused(expected, error);
        Assert.DoesNotContain('\u001b', answer["detail"].GetString()!);
        Assert.Equal(0, await _node.ScalarAsync<long>("select count(*) from swarms"));
    }

    [Fact]
    [Conforms("ASP-48")]
    public async Task A_swarm_that_wants_approval_answers_pending_and_nothing_is_kept()
    {
        _status = 202;
        _answer = $$"""{"status":"pending","swarm_id":"{{_swarm}}","message":"wait"}""";
        Assert.Equal("pending", (await JoinAsync()).Ok()["status"].GetString());
        Assert.Equal(0, await _node.ScalarAsync<long>("select count(*) from swarms"));
    }

    [Fact]
    public async Task An_answer_that_is_none_is_not_believed()
    {
        foreach (var answer in new[]
            {
                "", "[]", "{", """{"status":"accepted"}""", Accepted(), Accepted(("master", _peer.Endpoint, _peer.PublicKey)),
                Accepted(("zoe", "https://localhost/x", _joiner)),
                Accepted(("master", "http://plain", _peer.PublicKey), ("zoe", "https://localhost/x", _joiner)),
                Accepted(("master", _peer.Endpoint, "no key"), ("zoe", "https://localhost/x", _joiner)),
                Accepted(("master", _peer.Endpoint, _peer.PublicKey), ("../x", _peer.Endpoint, _peer.PublicKey), ("zoe", "https://localhost/x", _joiner)),
                Accepted(("master", _peer.Endpoint, _joiner), ("zoe", "https://localhost/x", _joiner)),
                Accepted(("master", _peer.Endpoint, _peer.PublicKey), ("zoe", "https://localhost/x", _joiner)).Replace(_swarm.ToString(), $"{Guid.NewGuid()}"),
            })
        {
            _answer = answer;
            (await JoinAsync()).Refused(HttpStatusCode.BadGateway, "peer-unreachable");
        }

        _answer = Accepted(("master", _peer.Endpoint, _peer.PublicKey), ("zoe", "https://localhost/x", _peer.PublicKey));
        (await JoinAsync()).Refused(HttpStatusCode.Conflict, "already-member");
        Assert.Equal(0, await _node.ScalarAsync<long>("select count(*) from swarms"));
    }

    [Fact]
    [Refuses("W-12")]
    public async Task The_address_of_an_invite_is_not_called_when_it_may_not_be()
    {
        (await JoinAsync("https://10.0.0.1/swarm")).Refused(HttpStatusCode.BadGateway, "peer-unreachable");
        Assert.Empty(_peer.Requests);
    }

    [Fact]
    [Conforms("ASP-48", "ASP-55")]
    [Refuses("W-24")]
    public async Task A_kick_tells_the_kicked_first_and_then_the_other_remote_members()
    {
        using var scene = await Scene.CreateAsync(_node.Hub, ["alice", "carol"], []);
        await using var other = await PeerServer.StartAsync(_peer);
        await _peer.JoinAsync(_node, scene, "bob");
        await other.JoinAsync(_node, scene, "dave");
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{scene.Swarm}/kick", new { agent = "alice", target = "bob", reason = "says \"no\" \\ ünd mehr" })).Ok();
        await using var worker = await WorkerHost.StartAsync(_node, _peer.Ca);
        await Eventually.TrueAsync("both are told", () => _peer.Messages.Any(m => m.Content.Contains("kicked")) && other.Messages.Any(), Limit);

        var kicked = Assert.Single(_peer.Messages, m => m.Content.Contains("kicked"));
        var told = Assert.Single(other.Messages);
        Assert.Equal("""{"action":"kicked","agent_id":"bob","reason":"says \"no\" \\ ünd mehr"}""", kicked.Content);
        Assert.Equal("""{"action":"member_kicked","agent_id":"bob","reason":"says \"no\" \\ ünd mehr"}""", told.Content);
        Assert.Equal(("bob", "broadcast"), (kicked.Json.GetProperty("recipient").GetString(), told.Json.GetProperty("recipient").GetString()));
        Assert.Equal(kicked.Json.GetProperty("timestamp").GetString(), told.Json.GetProperty("timestamp").GetString());
        Assert.Equal(0, await _node.ScalarAsync<long>("select count(*) from members where name = 'bob'"));
    }

    private Task<Answer> SendAsync() => _node.Hub.PostHubAsync(
        "/hub/v1/messages", new { from = "zoe", swarm_id = _swarm.Value, to = "master", content = "hi" });

    private Task<Answer> JoinAsync(string? endpoint = null)
    {
        var at = endpoint ?? _peer.Endpoint;
        var token = InviteToken.Create(new(_swarm, "master", at, TimeProvider.System.GetUtcNow(), null, null), _peer.Key);
        return _node.Hub.PostHubAsync("/hub/v1/join", new { agent = "zoe", invite_token = token.ToUrl(at) });
    }

    private string Accepted(params (string Name, string Endpoint, string Key)[] members) => JsonSerializer.Serialize(new
    {
        status = "accepted",
        swarm_id = _swarm.ToString(),
        swarm_name = "far away",
        members = members.Select(m => new { agent_id = m.Name, endpoint = m.Endpoint, public_key = m.Key }),
    });
}
