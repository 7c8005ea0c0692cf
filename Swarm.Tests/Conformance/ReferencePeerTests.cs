using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Nodes;
using Peers;
using Swarm.Tests.Doors;

namespace Swarm.Tests.Conformance;

/// <summary>
/// The peer that other tests play against must itself be an honest one: it answers and signs as the reference implementation did, by the
/// published vectors and by what a recorder saw real peers send.
/// </summary>
public sealed class ReferencePeerTests : IDisposable
{
    private const string Swarm = "550e8400-e29b-41d4-a716-446655440000";
    private const string ApprovalSwarm = "550e8400-e29b-41d4-a716-446655440077";

    private readonly PeerAuthority _authority = new();

    public static TheoryData<string, string> Signed => VectorFile.Rows("message-sign");

    public static TheoryData<string, string> Changed => VectorFile.Rows("message-tamper", "message-unsigned-change");

    public static TheoryData<string, string> Tokens => VectorFile.Rows("invite-token");

    public static TheoryData<string, string> BadTokens => VectorFile.Rows("invite-token-reject");

    public static TheoryData<string, string> Requests => VectorFile.Rows("http");

    public static TheoryData<string, string> Sequences => VectorFile.Rows("http-sequence");

    public static TheoryData<string, string> Stored => VectorFile.Rows("toon-stored-content");

    public void Dispose() => _authority.Dispose();

    [Theory]
    [MemberData(nameof(Signed))]
    public void It_signs_and_verifies_as_the_vectors_say(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var key = vector.File.Key(vector.Text("signer"));
        var message = PeerMessage.Read(JsonNode.Parse(vector.Wire())!.AsObject());
        Assert.Equal(vector.Text("sha256_hex"), Convert.ToHexStringLower(SHA256.HashData(message.SignedText())));
        Assert.Equal(vector.Text("signature_b64"), message.Signed(key.Seed).Signature);
        Assert.True(message.IsSignedBy(key.PublicKeyText));
        Assert.Equal(key.PublicKeyText, Convert.ToBase64String(Ed25519.PublicKeyOf(key.Seed)));
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(vector.Wire()), JsonNode.Parse(message.ToJson())), message.ToJson());
    }

    [Theory]
    [MemberData(nameof(Changed))]
    public void It_tells_what_was_changed_as_the_vectors_say(string file, string id)
    {
        if (VectorFile.Find(file, id) is { } vector)
        {
            var message = PeerMessage.Read(JsonNode.Parse(vector.ChangedWire())!.AsObject());
            Assert.Equal(vector.Expect.GetProperty("verify").GetBoolean(), message.IsSignedBy(vector.File.Key(vector.Text("verify_with")).PublicKeyText));
        }
    }

    [Theory]
    [MemberData(nameof(Tokens))]
    public void It_makes_and_reads_invites_as_the_vectors_say(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var claims = vector.Json.GetProperty("claims");
        var seed = vector.File.Key(vector.Text("signer")).Seed;
        Assert.Equal(vector.Text("jwt"), PeerInvite.Sign(vector.Text("header_json"), vector.Text("payload_json"), seed));
        var invite = PeerInvite.Parse(vector.Text("url"), new(2026, 2, 5, 14, 30, 0, TimeSpan.Zero));
        Assert.Equal((vector.Text("jwt"), claims.GetProperty("master").GetString()), (invite.Jwt, invite.Master));
        DateTimeOffset? end = claims.GetProperty("expires_at").GetString() is { } text ? DateTimeOffset.Parse(text) : null;
        int? uses = claims.GetProperty("max_uses").ValueKind == JsonValueKind.Number ? claims.GetProperty("max_uses").GetInt32() : null;
        var made = PeerInvite.Create(
            invite.SwarmId, invite.Master, invite.Endpoint, DateTimeOffset.FromUnixTimeSeconds(claims.GetProperty("iat").GetInt64()), seed, end, uses);
        if (vector.Text("header_json") == PeerInvite.Header)
        {
            Assert.Equal(vector.Text("url"), made.Url);
        }
    }

    [Theory]
    [MemberData(nameof(BadTokens))]
    public async Task It_refuses_invites_as_the_vectors_say(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        if (vector.Expect.TryGetProperty("client_parse_without_key", out var parse))
        {
            var error = Record.Exception(() => PeerInvite.Parse(vector.Text("url"), VectorServer.TimeOf(vector)));
            Assert.Equal(!parse.GetString()!.StartsWith("accepted", StringComparison.Ordinal), error is PeerException { Kind: PeerError.Token });
        }

        if (vector.Expect.TryGetProperty("join_http_status", out var status))
        {
            await using var alice = await StartAsync(vector);
            var bob = VectorFile.Published.Key("bob");
            using var http = Client(alice);
            var answer = await http.PostObjectAsync("/swarm/join", new
            {
                type = "system", action = "join_request", invite_token = vector.Text("jwt"),
                sender = new { agent_id = "bob", endpoint = bob.Endpoint, public_key = bob.PublicKeyText },
            });
            var expected = vector.Expect.GetProperty("join_body").GetProperty("error").GetProperty("code").GetString();
            Assert.Equal((status.GetInt32(), expected), (answer.Code, answer.ErrorCode));
            Assert.Equal(["alice"], alice.Store.MembersOf(Swarm));
        }
    }

    [Theory]
    [MemberData(nameof(Requests))]
    public async Task It_answers_requests_as_the_vectors_say(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        await using var alice = await StartAsync(vector);
        using var http = Client(alice);
        if (vector.OptionalText("precondition")?.StartsWith("after ", StringComparison.Ordinal) == true)
        {
            await VectorServer.SendAsync(http, vector.File.Base(vector.Text("precondition").Split(' ')[1].TrimEnd(',', '.', ';')).Json.GetProperty("request"));
        }

        VectorServer.AssertExpected(vector, await VectorServer.SendAsync(http, vector.Json.GetProperty("request")));
    }

    [Theory]
    [MemberData(nameof(Sequences))]
    public async Task It_answers_sequences_as_the_vectors_say(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var steps = vector.Json.GetProperty("steps");
        if (steps[0].TryGetProperty("path", out var first) && first.GetString()!.StartsWith("/api/inbox/", StringComparison.Ordinal))
        {
            await using var alice = await StartAsync(vector);
            using var http = Client(alice);
            var wire = JsonNode.Parse(VectorFile.Published.Base("MSG-01").Wire())!.AsObject();
            wire["message_id"] = first.GetString()!.Split('/')[3];
            Assert.Equal(200, (await http.PostObjectAsync("/swarm/message", wire)).Code);
            await VectorServer.RunStepsAsync(http, vector);
        }
        else if (steps[0].TryGetProperty("has_retry_after", out _))
        {
            await using var alice = await StartAsync(vector, rateLimit: int.Parse(vector.Text("precondition").Split('=')[1]));
            using var http = Client(alice);
            foreach (var step in steps.EnumerateArray())
            {
                var answer = await http.SendAsync(HttpMethod.Get, "/swarm/health");
                Assert.Equal(
                    (step.GetProperty("status").GetInt32(), step.GetProperty("x-ratelimit-limit").GetString(), step.GetProperty("x-ratelimit-remaining").GetString()),
                    (answer.Code, Header(answer, "X-RateLimit-Limit"), Header(answer, "X-RateLimit-Remaining")));
                Assert.Equal(step.GetProperty("has_retry_after").GetBoolean(), Header(answer, "Retry-After") is not null);
            }
        }
    }

    [Theory]
    [MemberData(nameof(Stored))]
    public void It_stores_messages_as_the_vectors_say(string file, string id)
    {
        if (VectorFile.Find(file, id) is { } vector)
        {
            var wire = vector.OptionalText("base") is { } other ? vector.File.Base(other).Wire() : vector.Wire();
            Assert.Equal(vector.Expect.GetProperty("content_preview").GetString(), PeerToon.OfMessage(JsonNode.Parse(wire)!.AsObject()));
        }
    }

    [Fact]
    public void It_verifies_what_real_peers_signed()
    {
        var recorded = RecordedSwarm.Read();
        var messages = recorded.Captures.Where(c => c.Path == "/swarm/message").Select(c => PeerMessage.Read(JsonNode.Parse(c.Body)!.AsObject())).ToList();
        Assert.Equal(8, messages.Count);
        Assert.All(messages, message => Assert.True(message.IsSignedBy(recorded.Members.Single(m => m.Name == message.Sender).PublicKey)));
    }

    [Fact]
    public async Task It_answers_the_recorded_requests_with_the_recorded_bodies()
    {
        var recorded = RecordedSwarm.Read();
        var time = new SettableTime(recorded.Captures[0].At);
        var peers = new Dictionary<string, ReferencePeer>();
        foreach (var (name, endpoint, key) in recorded.Members)
        {
            var peer = peers[name] = await ReferencePeer.StartAsync(
                name, _authority, new() { Endpoint = endpoint, PublicKey = key, Time = time, AnnouncesJoins = false });
            var swarm = new PeerSwarm { Id = recorded.SwarmId, Name = recorded.Name, Master = "agent-a" };
            swarm.Members.AddRange(recorded.Members.Where(m => name != "agent-a" || m.Name == name).Select(m => new PeerMember(m.Name, m.Endpoint, m.PublicKey, "")));
            peer.Store.Swarms.Add(swarm.Id, swarm);
        }

        foreach (var capture in recorded.Captures)
        {
            time.Now = capture.At;
            var peer = peers[capture.Agent];
            peer.Store.Find(recorded.SwarmId)!.Members.RemoveAll(m => m.AgentId == capture.Joiner);

            // Own notices have ids that only their maker knows.
            var ids = peer.Store.Inbox.Select(m => m.MessageId).Reverse().ToList();
            var body = capture.Path == "/api/inbox/batch" ? JsonSerializer.SerializeToUtf8Bytes(new { message_ids = ids, action = "read" }) : capture.Body;
            using var http = Client(peer);
            var answer = body.Length > 0 ? await http.PostAsync(capture.Path, body) : await http.SendAsync(HttpMethod.Get, capture.Path);
            Assert.Equal(capture.Status, answer.Code);
            Assert.Equal(RecordedSwarm.Normalise(capture.Json), RecordedSwarm.Normalise(answer.Json));
        }

        foreach (var peer in peers.Values)
        {
            await peer.DisposeAsync();
        }
    }

    private async Task<ReferencePeer> StartAsync(Vector vector, int rateLimit = 1000)
    {
        var key = VectorFile.Published.Key("alice");
        var alice = await ReferencePeer.StartAsync("alice", _authority, new()
        {
            Seed = key.Seed, Endpoint = key.Endpoint, Time = new SettableTime(VectorServer.TimeOf(vector)), RateLimit = rateLimit,
        });
        foreach (var (id, name, approval) in new[] { (Swarm, "Vector Swarm", false), (ApprovalSwarm, "Approval Swarm", true) })
        {
            var swarm = new PeerSwarm { Id = id, Name = name, Master = "alice", RequireApproval = approval };
            swarm.Members.Add(new("alice", key.Endpoint, key.PublicKeyText, ""));
            alice.Store.Swarms.Add(id, swarm);
        }

        return alice;
    }

    private HttpClient Client(ReferencePeer peer) => new(new SocketsHttpHandler { SslOptions = new() { CertificateChainPolicy = _authority.Policy() } })
    {
        BaseAddress = peer.Origin,
    };

    private static string? Header(DoorAnswer answer, string name) => answer.Http.Headers.TryGetValues(name, out var values) ? values.Single() : null;
}
