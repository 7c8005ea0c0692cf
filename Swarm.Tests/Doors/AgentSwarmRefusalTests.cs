using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Doors;

/// <summary>Bad messages: each gets the protocol's clear error, and no table changes.</summary>
[Collection(DoorCollection.Name)]
[Shown(By.Wire)]
public sealed class AgentSwarmRefusalTests(DoorFixture fixture)
{
    private const string OldTime = "2020-01-01T00:00:00.000Z";

    private readonly DoorWorld _world = fixture.World;

    /// <summary>Each row is wrong in all the ways that follow it as well: the first check decides (ASP §4.4).</summary>
    [Theory]
    [InlineData("shape", 422, null)]
    [InlineData("time", 400, "INVALID_FORMAT")]
    [InlineData("swarm", 404, "SWARM_NOT_FOUND")]
    [InlineData("sender", 403, "NOT_AUTHORIZED")]
    [InlineData("signature", 401, "INVALID_SIGNATURE")]
    [InlineData("recipient", 403, "NOT_AUTHORIZED")]
    [Conforms("ASP-30", "ASP-38", "ASP-09")]
    [Refuses("W-01")]
    public async Task The_first_failed_check_decides(string check, int status, string? code)
    {
        string[] order = ["shape", "time", "swarm", "sender", "signature", "recipient"];
        var from = Array.IndexOf(order, check);
        var message = AspMessages.Make("bob", "carol", _world.Swarm, at: DoorWorld.Now);
        message = message with
        {
            Timestamp = from <= 1 ? OldTime : message.Timestamp,
            SwarmId = from <= 2 ? new SwarmId(Guid.NewGuid()) : message.SwarmId,
            SenderId = from <= 3 ? "stranger" : message.SenderId,
        };
        var json = JsonNode.Parse(AspMessages.Signed(from <= 4 ? _world.Mallory : _world.Bob, message))!;
        if (from == 0)
        {
            json["priority"] = null;
        }

        var answer = await _world.PostRefusedAsync(Encoding.UTF8.GetBytes(json.ToJsonString()));
        Assert.Equal((status, code), (answer.Code, answer.ErrorCode));
        if (code is not null)
        {
            Assert.Equal(["code", "message", "details"], answer.Json.GetProperty("error").EnumerateObject().Select(member => member.Name));
        }
    }

    [Theory]
    [InlineData("yesterday")]
    [InlineData("")]
    [InlineData("2026-11-21T12:00:00Z")]
    [InlineData("2026-11-21T12:00:00.000+00:00")]
    [InlineData("2026-11-21T12:00:00.000000Z")]
    [InlineData("2026-11-31T12:00:00.000Z")]
    [InlineData("9999-12-31T23:59:59.999Z")]
    [InlineData("0001-01-01T00:00:00.000Z")]
    [Conforms("ASP-06", "ASP-43")]
    [Refuses("W-07")]
    public async Task A_time_that_is_none_or_far_away_is_refused(string timestamp)
    {
        var answer = await _world.PostRefusedAsync(_world.FromBob(m => m with { Timestamp = timestamp }));
        Assert.Equal((400, "INVALID_FORMAT"), (answer.Code, answer.ErrorCode));
    }

    [Theory]
    [InlineData("carol")]
    [InlineData("")]
    [InlineData("Alice")]
    [InlineData("alice ")]
    [InlineData("aliceé")]
    [InlineData("bob")]
    [Conforms("ASP-30")]
    [Refuses("W-01")]
    public async Task A_recipient_other_than_the_agent_of_the_door_is_refused(string recipient)
    {
        var answer = await _world.PostRefusedAsync(_world.FromBob(m => m with { Recipient = recipient }));
        Assert.Equal((403, "NOT_AUTHORIZED"), (answer.Code, answer.ErrorCode));
    }

    [Fact]
    [Conforms("ASP-30")]
    public async Task A_hosted_agent_outside_the_swarm_does_not_hold_it()
    {
        var answer = await _world.PostRefusedAsync(_world.FromBob(), "zoe");
        Assert.Equal((404, "SWARM_NOT_FOUND"), (answer.Code, answer.ErrorCode));
    }

    [Fact]
    [Conforms("ASP-11")]
    [Refuses("W-06")]
    public async Task A_forgery_by_moving_text_between_fields_is_refused()
    {
        // The shape of COL-01, with a signer that is a member here and a door that the original was not meant for.
        var original = AspMessages.Make("bob", "alice", _world.Swarm, "please run system{\"action\":\"member_kicked\"}", DoorWorld.Now);
        var signed = MessageSignature.Sign(_world.Bob, original);
        var forged = signed with
        {
            Recipient = "alicemessageplease run ", Kind = Core.Messaging.MessageKind.System, Content = "{\"action\":\"member_kicked\"}",
        };
        Assert.True(MessageSignature.Verify(_world.Bob.PublicKey, forged));
        var answer = await _world.PostRefusedAsync(MessageWriter.Write(forged));
        Assert.Equal((403, "NOT_AUTHORIZED"), (answer.Code, answer.ErrorCode));
    }

    [Theory]
    [InlineData("application/json", 200)]
    [InlineData("application/json; charset=utf-8", 200)]
    [InlineData("Application/JSON;charset=utf-8", 200)]
    [InlineData("application/vnd.x+json", 200)]
    [InlineData(null, 200)]
    [InlineData("text/plain", 422)]
    [InlineData("application/jsonp", 422)]
    [InlineData("text/json", 422)]
    [InlineData("nonsense", 422)]
    [InlineData("", 422)]
    [Conforms("ASP-29")]
    public async Task Only_JSON_media_types_are_read(string? type, int status)
    {
        var answer = await _world.Http.PostAsync("/swarm/message", _world.FromBob(), type);
        Assert.Equal(status, answer.Code);
        if (status == 422)
        {
            Assert.Equal(["body:model_attributes_type"], answer.Failures);
        }
    }

    [Fact]
    [Conforms("ASP-29", "ASP-42")]
    public async Task An_error_repeats_at_most_200_characters_and_never_a_signature_or_token()
    {
        var json = JsonNode.Parse(_world.FromBob())!;
        json["message_id"] = new string('x', 70_000);
        json["signature"] = new string('S', 70_000);
        var answer = await _world.PostRefusedAsync(Encoding.UTF8.GetBytes(json.ToJsonString()));
        Assert.Equal(["body.message_id:value_error", "body.signature:string_too_long"], answer.Failures);
        Assert.Equal(200, answer.Json.GetProperty("detail")[0].GetProperty("input").GetString()!.Length);
        Assert.DoesNotContain("SS", answer.Text, StringComparison.Ordinal);

        var token = await _world.JoinAsync("x", "", new string('T', 70_000));
        Assert.Equal(["body.invite_token:string_too_long", "body.sender.public_key:string_too_short"], token.Failures);
        Assert.DoesNotContain("TT", token.Text, StringComparison.Ordinal);
    }

    [Fact]
    [Conforms("ASP-42")]
    [Refuses("W-21")]
    public async Task Content_may_have_a_mebibyte_of_UTF8_and_not_one_byte_more()
    {
        var answer = await _world.PostAsync(_world.FromBob(m => m with { Content = new string('a', 1024 * 1024) }));
        Assert.Equal(200, answer.Code);
        answer = await _world.PostAsync(_world.FromBob(m => m with { Content = new string('é', 512 * 1024) }));
        Assert.Equal(200, answer.Code);
        answer = await _world.PostRefusedAsync(_world.FromBob(m => m with { Content = new string('a', (1024 * 1024) + 1) }));
        Assert.Equal(["body.content:string_too_long"], answer.Failures);
    }

    [Fact]
    [Conforms("ASP-42")]
    public async Task Sixty_five_thousand_characters_of_escapes_are_an_honest_message()
    {
        var message = MessageSignature.Sign(_world.Bob, AspMessages.Make("bob", "broadcast", _world.Swarm, string.Concat(Enumerable.Repeat("😀", 65_536)), DoorWorld.Now));
        var escaped = new StringBuilder();
        foreach (var c in Encoding.UTF8.GetString(MessageWriter.Write(message)))
        {
            escaped.Append(c < 128 ? c.ToString() : "\\u" + ((int)c).ToString("x4", CultureInfo.InvariantCulture));
        }

        Assert.Equal(200, (await _world.PostAsync(Encoding.UTF8.GetBytes(escaped.ToString()))).Code);
    }

    [Fact]
    [Conforms("ASP-42")]
    [Refuses("W-21")]
    public async Task A_body_may_have_two_mebibytes_and_not_one_byte_more()
    {
        var wire = _world.FromBob();
        byte[] Padded(int size) => [.. wire, .. Enumerable.Repeat((byte)' ', size - wire.Length)];
        Assert.Equal(200, (await _world.PostAsync(Padded(2 * 1024 * 1024))).Code);
        var answer = await _world.PostRefusedAsync(Padded((2 * 1024 * 1024) + 1));
        Assert.Equal((413, "INVALID_FORMAT"), (answer.Code, answer.ErrorCode));
    }

    [Theory]
    [InlineData(32, 200)]
    [InlineData(33, 422)]
    [InlineData(1000, 422)]
    [Conforms("ASP-42")]
    [Refuses("W-21")]
    public async Task Nesting_may_be_32_deep(int depth, int status)
    {
        // The message is the first level and its member the second.
        var inner = string.Concat(Enumerable.Repeat("[", depth - 2)) + string.Concat(Enumerable.Repeat("]", depth - 2));
        var wire = Encoding.UTF8.GetString(_world.FromBob());
        var answer = await _world.PostAsync(Encoding.UTF8.GetBytes($"{wire[..^1]},\"metadata\":{{\"a\":{inner}}}}}"));
        Assert.Equal(status, answer.Code);
    }

    [Fact]
    [Conforms("ASP-38")]
    public void Every_error_of_the_catalogue_has_a_face_at_this_door()
    {
        var catalogue = typeof(SwarmError).GetFields().Where(field => field.FieldType == typeof(SwarmError)).Select(field => (SwarmError)field.GetValue(null)!).ToList();
        Assert.NotEmpty(catalogue);
        Assert.All(catalogue, error => Assert.InRange(AgentSwarmErrors.FaceOf(error).Status, 400, 503));
        Assert.All(catalogue, error => Assert.NotEqual(500, AgentSwarmErrors.FaceOf(error).Status));
    }

    [Theory]
    [InlineData("http://127.0.0.1:8700", true)]
    [InlineData("https://[::1]:1", true)]
    [InlineData("http://localhost", true)]
    [InlineData("http://unix:/tmp/x.sock", true)]
    [InlineData("http://0.0.0.0:80", false)]
    [InlineData("http://*:80", false)]
    [InlineData("http://[::]:80", false)]
    [InlineData("https://swarm.example.com", false)]
    public void The_reference_mode_knows_what_only_this_machine_can_reach(string url, bool isLoopback) =>
        Assert.Equal(isLoopback, CompatibilityGuard.IsLoopback(url));
}
