using System.Text;
using System.Text.Json;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Conformance;

/// <summary>A node in the reference's mode and a strict one, both as the vectors expect their server.</summary>
public sealed class VectorServersFixture : IAsyncLifetime
{
    private readonly PostgresFixture _postgres = new();

    internal VectorServer Reference { get; private set; } = null!;

    internal VectorServer Strict { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        await _postgres.InitializeAsync();
        Reference = await VectorServer.StartAsync(_postgres, isReference: true);
        Strict = await VectorServer.StartAsync(_postgres, isReference: false);
    }

    public async Task DisposeAsync()
    {
        await Reference.DisposeAsync();
        await Strict.DisposeAsync();
        await _postgres.DisposeAsync();
    }
}

/// <summary>The vectors that need a server (ASP §23), in process, with their own clock; and what a strict node says to the same requests.</summary>
[Shown(By.Vector)]
public sealed class HttpVectorTests(VectorServersFixture servers) : IClassFixture<VectorServersFixture>
{
    public static TheoryData<string, string> Requests => VectorFile.Rows(IsOurs, "http");

    public static TheoryData<string, string> Queued => VectorFile.Rows(IsQueued, "http");

    public static TheoryData<string, string> Joins => VectorFile.Rows(vector => vector.Json.TryGetProperty("jwt", out _), "invite-token-reject");

    public static TheoryData<string, string> Signed => VectorFile.Rows("message-sign");

    public static TheoryData<string, string> Tampered => VectorFile.Rows("message-tamper");

    public static TheoryData<string, string> Collisions => VectorFile.Rows("message-collision");

    public static TheoryData<string, string> Unsignable => VectorFile.Rows("sign-error");

    [Theory]
    [MemberData(nameof(Requests))]
    [Conforms("ASP-12", "ASP-26", "ASP-27", "ASP-29", "ASP-31", "ASP-32", "ASP-33", "ASP-35", "ASP-41")]
    public async Task A_request_is_answered_as_the_reference_answers_it(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        await servers.Reference.PrepareAsync(vector);
        VectorServer.AssertExpected(vector, await servers.Reference.SendAsync(vector));
    }

    [Theory]
    [MemberData(nameof(Queued))]
    [Conforms("ASP-09", "ASP-30", "ASP-43")]
    public async Task A_strict_node_refuses_what_the_reference_queues_unverified(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        await servers.Strict.PrepareAsync(vector);
        var before = await servers.Strict.Node.CountRowsAsync();
        var answer = await servers.Strict.SendAsync(vector);
        var refusal = servers.Strict.StrictRefusal(vector);
        Assert.Equal(refusal ?? 200, answer.Code);
        if (refusal is not null)
        {
            Assert.Equal(before, await servers.Strict.Node.CountRowsAsync());
        }
    }

    [Theory]
    [MemberData(nameof(Joins))]
    [Conforms("ASP-22", "ASP-38")]
    public async Task A_join_with_a_bad_invite_is_refused_as_the_vector_says_and_nobody_is_admitted(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector || !vector.Expect.TryGetProperty("join_http_status", out var status))
        {
            return;
        }

        foreach (var server in new[] { servers.Reference, servers.Strict })
        {
            await server.PrepareAsync(vector);
            var bob = VectorFile.Published.Key("bob");
            var before = await server.Node.CountRowsAsync();
            var answer = await server.Node.Http.PostObjectAsync(
                "/swarm/join",
                new
                {
                    type = "system",
                    action = "join_request",
                    invite_token = vector.Text("jwt"),
                    sender = new { agent_id = "bob", endpoint = bob.Endpoint, public_key = bob.PublicKeyText },
                });
            Assert.Equal(status.GetInt32(), answer.Code);
            var expected = vector.Expect.GetProperty("join_body").GetProperty("error");
            var error = answer.Json.GetProperty("error");
            Assert.Equal(expected.GetProperty("code").GetString(), error.GetProperty("code").GetString());
            Assert.True(JsonElement.DeepEquals(expected.GetProperty("details"), error.GetProperty("details")), answer.Text);
            Assert.Equal(before, await server.Node.CountRowsAsync());
        }
    }

    [Theory]
    [MemberData(nameof(Signed))]
    [Conforms("ASP-05", "ASP-07", "ASP-08", "ASP-26", "ASP-27", "ASP-30")]
    public async Task A_strict_node_accepts_what_other_software_signed_when_it_is_meant_for_it(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var server = servers.Strict;
        var message = MessageParser.Parse(vector.Wire());
        await server.PrepareAsync(vector);
        server.Node.Time.Now = AspTimestamp.TryParse(message.Timestamp, out var sentAt) ? sentAt : server.Node.Time.Now;
        await AdmitAsync(server, vector, vector.Text("signer"));
        var before = await server.Node.CountRowsAsync();
        var answer = await server.Node.Http.PostAsync("/swarm/message", vector.Wire());
        if (message.Recipient is not ("broadcast" or "alice"))
        {
            Assert.Equal((403, "NOT_AUTHORIZED"), (answer.Code, answer.ErrorCode));
            Assert.Equal(before, await server.Node.CountRowsAsync());
        }
        else if (server.IsReuse(message))
        {
            Assert.Equal((409, "MESSAGE_ID_REUSED"), (answer.Code, answer.ErrorCode));
            Assert.Equal(before, await server.Node.CountRowsAsync());
        }
        else
        {
            Assert.Equal($$"""{"status":"queued","message_id":"{{message.MessageId}}"}""", answer.Text);
            var stored = await server.Node.CountRowsAsync();
            Assert.InRange(stored["deliveries"], before["deliveries"], before["deliveries"] + 1);
            Assert.Equal(answer.Text, (await server.Node.Http.PostAsync("/swarm/message", vector.Wire())).Text);
            Assert.Equal(stored, await server.Node.CountRowsAsync());
        }
    }

    [Theory]
    [MemberData(nameof(Tampered))]
    [Conforms("ASP-09", "ASP-30", "ASP-38")]
    public async Task A_strict_node_refuses_a_tampered_message_and_no_row_changes(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector || !vector.Expect.TryGetProperty("protocol_error", out var error))
        {
            return;
        }

        // The named error is what a server answers that knows swarm and sender, so the swarm and the key are made to fit.
        var server = servers.Strict;
        await server.PrepareAsync(vector);
        var wire = vector.ChangedWire();
        var verifier = vector.Text("verify_with");
        var message = MessageParser.Parse(wire);
        server.Node.Time.Now = AspTimestamp.TryNormalise(message.Timestamp, out var normal) && AspTimestamp.TryParse(normal, out var sentAt)
            ? sentAt
            : server.Node.Time.Now;
        await HoldAsync(server, message.SwarmId.ToString());
        if (verifier != "alice")
        {
            await AdmitAsync(server, vector, verifier);
            message = message with { SenderId = verifier };
            wire = MessageWriter.Write(message);
        }

        var before = await server.Node.CountRowsAsync();
        var answer = await server.Node.Http.PostAsync("/swarm/message", wire);
        Assert.Equal((error.GetProperty("http_status").GetInt32(), error.GetProperty("code").GetString()), (answer.Code, answer.ErrorCode));
        Assert.Equal(before, await server.Node.CountRowsAsync());
    }

    [Theory]
    [MemberData(nameof(Collisions))]
    [Conforms("ASP-11", "ASP-30")]
    public async Task A_strict_node_refuses_the_forged_half_of_a_collision(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        await servers.Strict.PrepareAsync(vector);
        var before = await servers.Strict.Node.CountRowsAsync();
        var answer = await servers.Strict.Node.Http.PostAsync("/swarm/message", vector.Wire("forged_wire"));
        Assert.Equal((403, "NOT_AUTHORIZED"), (answer.Code, answer.ErrorCode));
        Assert.Equal(before, await servers.Strict.Node.CountRowsAsync());
    }

    [Theory]
    [MemberData(nameof(Unsignable))]
    [Conforms("ASP-07", "ASP-29")]
    public async Task A_lone_surrogate_is_a_shape_error_in_both_modes(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var wire = Encoding.UTF8.GetString(VectorFile.Published.Base("MSG-01").Wire()).Replace("\"Hello, swarm!\"", vector.Text("content_json"), StringComparison.Ordinal);
        foreach (var server in new[] { servers.Reference, servers.Strict })
        {
            await server.PrepareAsync(vector);
            var before = await server.Node.CountRowsAsync();
            var answer = await server.Node.Http.PostAsync("/swarm/message", Encoding.UTF8.GetBytes(wire));
            Assert.Equal(422, answer.Code);
            Assert.Equal("json_invalid", answer.Json.GetProperty("detail")[0].GetProperty("type").GetString());
            Assert.Equal(before, await server.Node.CountRowsAsync());
        }
    }

    /// <summary>Makes an agent of the vectors a member of alice's swarm, by an invite at the door.</summary>
    private static async Task AdmitAsync(VectorServer server, Vector vector, string name)
    {
        if (name == "alice")
        {
            return;
        }

        var key = vector.File.Key(name);
        var answer = await server.Node.Http.PostObjectAsync(
            "/swarm/join",
            new
            {
                type = "system",
                action = "join_request",
                invite_token = VectorFile.Published.Base("TOK-01").Text("jwt"),
                sender = new { agent_id = key.AgentId, endpoint = key.Endpoint, public_key = key.PublicKeyText },
            });
        Assert.Equal(200, answer.Code);
    }

    /// <summary>Makes a swarm with that id, should the node not hold one yet.</summary>
    private static async Task HoldAsync(VectorServer server, string swarmId)
    {
        using var known = await server.Node.Hub.GetAsync($"/hub/v1/swarms/{swarmId}");
        if (!known.IsSuccessStatusCode)
        {
            await server.Node.HubAsync(HttpMethod.Post, "/hub/v1/swarms", new { agent = "alice", name = "Other Swarm", swarm_id = swarmId });
        }
    }

    /// <summary>Local endpoints have vectors too; they are another part of the protocol.</summary>
    private static bool IsOurs(Vector vector) =>
        !vector.Json.GetProperty("request").GetProperty("path").GetString()!.StartsWith("/api/", StringComparison.Ordinal);

    private static bool IsQueued(Vector vector) =>
        IsOurs(vector) && vector.Json.GetProperty("request").GetProperty("path").GetString() == "/swarm/message"
        && vector.Expect.GetProperty("status").GetInt32() == 200;
}
