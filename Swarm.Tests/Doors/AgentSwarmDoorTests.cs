using System.Net;
using System.Text;
using System.Text.Json;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Doors;

/// <summary>What the message door answers to honest peers, and to what is nearly one of their messages.</summary>
[Collection(DoorCollection.Name)]
[Shown(By.Wire)]
public sealed class AgentSwarmDoorTests(DoorFixture fixture)
{
    private readonly DoorWorld _world = fixture.World;

    [Fact]
    [Conforms("ASP-36", "ASP-37", "ASP-41")]
    public async Task Health_and_info_have_the_reference_bytes()
    {
        var named = $"named-{Guid.NewGuid():N}";
        var agent = await _world.Node.CreateAgentAsync(new { name = named, display_name = "Bob", description = "naïve <b>" });
        var alice = VectorFile.Published.Key("alice");
        Assert.Equal(
            """{"status":"healthy","agent_id":"alice","protocol_version":"0.1.0","timestamp":"2026-11-21T12:00:00.000Z","message":null}""",
            await _world.Http.GetStringAsync("/swarm/health"));
        Assert.Equal(
            $$"""{"agent_id":"alice","endpoint":"{{alice.Endpoint}}","public_key":"{{alice.PublicKeyText}}","protocol_version":"0.1.0","capabilities":["message","system","notification"],"metadata":null}""",
            await _world.Http.GetStringAsync("/swarm/info"));
        Assert.Equal(
            $$$"""{"agent_id":"{{{named}}}","endpoint":"{{{agent.GetProperty("endpoint").GetString()}}}","public_key":"{{{agent.GetProperty("public_key").GetString()}}}","protocol_version":"0.1.0","capabilities":["message","system","notification"],"metadata":{"name":"Bob","description":"naïve <b>"}}""",
            await _world.Http.GetStringAsync($"/agents/{named}/swarm/info"));
    }

    [Fact]
    [Conforms("ASP-08", "ASP-13", "ASP-14", "ASP-26", "ASP-30", "ASP-41")]
    public async Task A_signed_message_of_a_member_is_queued_and_arrives_as_it_was_sent()
    {
        var message = MessageSignature.Sign(_world.Bob, AspMessages.Make("bob", "carol", _world.Swarm, "naïve\u0000 群れ 😀\r\n", DoorWorld.Now) with
        {
            Kind = MessageKind.Notification,
            InReplyTo = "the one before",
            ThreadId = "thread",
            Priority = Priority.High,
            ExpiresAt = "2026-12-01T00:00:00.000Z",
            Attachments = JsonElement.Parse("""[{"type":"url","mime_type":"text/plain","content":"https://x.example.com"}]"""),
            References = JsonElement.Parse("""[{"type":"url","url":"https://x.example.com"}]"""),
            Metadata = JsonElement.Parse("""{"a":[1,2.50,null,{"b":"\u00e9"}]}"""),
        });

        var answer = await _world.PostAsync(MessageWriter.Write(message), "carol");
        Assert.Equal($$"""{"status":"queued","message_id":"{{message.MessageId}}"}""", answer.Text);
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        Assert.Equal("application/json", answer.Http.Content.Headers.ContentType!.ToString());

        var item = Assert.Single(await _world.InboxAsync("carol"), i => i.GetProperty("message_id").GetString() == message.MessageId.ToString());
        Assert.Equal(message.Content, item.GetProperty("content").GetString());
        Assert.Equal("bob", item.GetProperty("sender").GetString());
        Assert.Equal("carol", item.GetProperty("recipient").GetString());
        Assert.Equal("notification", item.GetProperty("type").GetString());
        Assert.Equal("high", item.GetProperty("priority").GetString());
        Assert.Equal(message.Timestamp, item.GetProperty("timestamp").GetString());
        Assert.Equal(message.InReplyTo, item.GetProperty("in_reply_to").GetString());
        Assert.Equal(message.ThreadId, item.GetProperty("thread_id").GetString());
        Assert.Equal(message.ExpiresAt, item.GetProperty("expires_at").GetString());
        Assert.True(item.GetProperty("verified").GetBoolean());
        Assert.True(JsonElement.DeepEquals(message.Attachments!.Value, item.GetProperty("attachments")));
        Assert.True(JsonElement.DeepEquals(message.References!.Value, item.GetProperty("references")));
        Assert.True(JsonElement.DeepEquals(message.Metadata!.Value, item.GetProperty("metadata")));
    }

    [Fact]
    [Conforms("ASP-26", "ASP-05")]
    public async Task Ids_in_upper_case_are_accepted_and_echoed_as_they_were_sent()
    {
        var wire = Encoding.UTF8.GetString(_world.FromBob());
        var id = JsonElement.Parse(wire).GetProperty("message_id").GetString()!;
        var upper = wire.Replace(id, id.ToUpperInvariant(), StringComparison.Ordinal)
            .Replace(_world.Swarm.ToString(), _world.Swarm.ToString().ToUpperInvariant(), StringComparison.Ordinal);
        Assert.Equal($$"""{"status":"queued","message_id":"{{id.ToUpperInvariant()}}"}""", (await _world.PostAsync(Encoding.UTF8.GetBytes(upper))).Text);
    }

    [Fact]
    [Conforms("ASP-27", "ASP-10")]
    public async Task The_same_message_again_is_answered_alike_and_the_first_copy_is_kept()
    {
        var message = MessageSignature.Sign(_world.Bob, AspMessages.Make("bob", "dave", _world.Swarm, "once", DoorWorld.Now));
        var first = await _world.PostAsync(MessageWriter.Write(message), "dave");
        var again = await _world.PostRefusedAsync(MessageWriter.Write(message), "dave");
        var otherwise = await _world.PostRefusedAsync(
            MessageWriter.Write(message with { SenderEndpoint = "https://evil.example.com/swarm", ThreadId = "changed" }), "dave");
        Assert.Equal((200, first.Text), (first.Code, again.Text));
        Assert.Equal((200, first.Text), (otherwise.Code, otherwise.Text));
        var item = Assert.Single(await _world.InboxAsync("dave"), i => i.GetProperty("message_id").GetString() == message.MessageId.ToString());
        Assert.False(item.TryGetProperty("thread_id", out _));
    }

    [Fact]
    [Conforms("ASP-28")]
    [Refuses("W-08")]
    public async Task A_reused_id_with_other_content_is_refused_and_another_senders_same_id_is_another_message()
    {
        var id = Guid.NewGuid();
        Assert.Equal(200, (await _world.PostAsync(_world.FromBob(m => m with { MessageId = new(id) }))).Code);

        var reused = await _world.PostRefusedAsync(_world.FromBob(m => m with { MessageId = new(id), Content = "other" }));
        Assert.Equal((409, "MESSAGE_ID_REUSED"), (reused.Code, reused.ErrorCode));

        Assert.Equal(200, (await _world.JoinAsync("mallory", _world.Mallory.PublicKey, await _world.JwtAsync(_world.Swarm))).Code);
        var squatted = await _world.PostAsync(_world.FromBob(m => m with { MessageId = new(id), SenderId = "mallory" }, _world.Mallory));
        Assert.Equal(200, squatted.Code);
        Assert.Equal(
            ["bob", "mallory"],
            (await _world.InboxAsync("alice")).Where(i => i.GetProperty("message_id").GetString() == id.ToString())
                .Select(i => i.GetProperty("sender").GetString()!).Order());
        await _world.Node.HubAsync(HttpMethod.Post, $"/hub/v1/swarms/{_world.Swarm}/kick", new { agent = "alice", target = "mallory" });
    }

    [Fact]
    [Conforms("ASP-26", "ASP-27")]
    public async Task One_broadcast_posted_to_three_hosted_agents_arrives_three_times_once_each()
    {
        var message = MessageSignature.Sign(_world.Bob, AspMessages.Make("bob", "broadcast", _world.Swarm, "to all", DoorWorld.Now));
        var wire = MessageWriter.Write(message);
        var before = await _world.Node.CountRowsAsync();
        foreach (var door in new[] { "alice", "carol", "dave", "alice", "carol" })
        {
            var answer = await _world.PostAsync(wire, door);
            Assert.Equal(200, answer.Code);
            Assert.Equal($$"""{"status":"queued","message_id":"{{message.MessageId}}"}""", answer.Text);
        }

        foreach (var door in new[] { "alice", "carol", "dave" })
        {
            var item = Assert.Single(await _world.InboxAsync(door), i => i.GetProperty("message_id").GetString() == message.MessageId.ToString());
            Assert.Equal("to all", item.GetProperty("content").GetString());
        }

        var after = await _world.Node.CountRowsAsync();
        Assert.Equal(before["messages"] + 1, after["messages"]);
        Assert.Equal(before["deliveries"] + 3, after["deliveries"]);
    }

    [Fact]
    [Conforms("ASP-43")]
    public async Task The_time_window_is_seven_days_back_and_five_minutes_ahead_to_the_millisecond()
    {
        foreach (var (time, status) in new[]
                 {
                     (DoorWorld.Now.AddDays(-7), 200),
                     (DoorWorld.Now.AddDays(-7).AddMilliseconds(-1), 400),
                     (DoorWorld.Now.AddMinutes(5), 200),
                     (DoorWorld.Now.AddMinutes(5).AddMilliseconds(1), 400),
                 })
        {
            var answer = await _world.PostAsync(_world.FromBob(m => m with { Timestamp = AspTimestamp.Format(time) }));
            Assert.Equal(status, answer.Code);
            Assert.Equal(status == 400 ? "INVALID_FORMAT" : null, answer.ErrorCode);
        }
    }

    [Theory]
    [InlineData("GET", "/swarm/message", 405, "POST")]
    [InlineData("DELETE", "/agents/alice/swarm/join", 405, "POST")]
    [InlineData("POST", "/swarm/health", 405, "GET")]
    [InlineData("POST", "/agents/alice/swarm/info", 405, "GET")]
    [InlineData("GET", "/swarm/other", 404, null)]
    [InlineData("GET", "/swarm", 404, null)]
    [InlineData("GET", "/agents/alice/swarm", 404, null)]
    [InlineData("GET", "/agents/nobody/swarm/info", 404, null)]
    [InlineData("GET", "/agents/broadcast/swarm/info", 404, null)]
    [InlineData("GET", "/agents/Alice/swarm/info", 404, null)]
    [InlineData("GET", "/agents/al%20ice/swarm/info", 404, null)]
    [InlineData("GET", "/agents/bob/swarm/info", 404, null)]
    [Conforms("ASP-38")]
    public async Task Unknown_paths_agents_and_methods_have_the_framework_shape(string method, string path, int status, string? allow)
    {
        var answer = await _world.Http.SendAsync(new HttpMethod(method), path);
        Assert.Equal(status, answer.Code);
        Assert.Equal(status == 404 ? """{"detail":"Not Found"}""" : """{"detail":"Method Not Allowed"}""", answer.Text);
        Assert.Equal(allow, answer.Http.Content.Headers.Allow.SingleOrDefault());
    }
}
