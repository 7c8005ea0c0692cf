using System.Text;
using NSec.Cryptography;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Api.Protocols.AgentSwarm.Wire;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Conformance;
using Xunit.Abstractions;

namespace Swarm.Tests.Doors;

/// <summary>The reader of the message door alone: what it takes, and what it says about the rest.</summary>
[Shown(By.Unit)]
public sealed class MessageReaderTests(ITestOutputHelper output)
{
    private static readonly SwarmId Swarm = new(new Guid("550e8400-e29b-41d4-a716-446655440000"));
    private static readonly DateTimeOffset Now = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    [Conforms("ASP-12", "ASP-29")]
    public void Reader_and_explainer_agree_on_3_000_bodies()
    {
        var seed = Seed.Take(output);
        using var key = Key.Create(SignatureAlgorithm.Ed25519);
        var mutations = new MessageMutations(seed, Swarm, "alice", "bob", key, Now);
        var taken = 0;
        for (var i = 0; i < 3_000; i++)
        {
            var body = mutations.Next();
            var isTaken = MessageReader.TryRead(body.Body, out _);
            var failures = MessageShape.Explain(body.Body, isJson: true);
            Assert.True(isTaken == (failures.Count == 0), $"case {i} of seed {seed} ({body.Name}): {Encoding.UTF8.GetString(body.Body)}");
            if (body.ContentType == "application/json")
            {
                Assert.True(isTaken || body.Allowed.Contains(422), $"case {i} of seed {seed} ({body.Name}) was refused: {string.Join(", ", failures)}");
            }

            taken += isTaken ? 1 : 0;
        }

        output.WriteLine($"{taken} of 3,000 have the shape of a message");
        Assert.InRange(taken, 750, 2_250);
    }

    [Theory]
    [InlineData("recipient", 256)]
    [InlineData("in_reply_to", 256)]
    [InlineData("thread_id", 256)]
    [InlineData("expires_at", 256)]
    [InlineData("timestamp", 256)]
    [InlineData("signature", 1024)]
    [InlineData("content", 1024 * 1024)]
    [Conforms("ASP-42")]
    public void A_text_may_be_as_long_as_its_limit_and_not_one_byte_longer(string member, int limit)
    {
        Assert.Empty(Explain(member, $"\"{new string('a', limit)}\""));
        Assert.Empty(Explain(member, $"\"{new string('a', limit - 1)}\\n\""));
        Assert.Equal("string_too_long", Assert.Single(Explain(member, $"\"{new string('a', limit + 1)}\"")).Type);
        Assert.Equal("string_too_long", Assert.Single(Explain(member, $"\"{new string('a', limit)}\\n\"")).Type);
    }

    [Fact]
    [Conforms("ASP-42")]
    public void An_endpoint_has_at_most_2048_characters_of_any_script()
    {
        Assert.Empty(Explain("sender", $$"""{"agent_id":"bob","endpoint":"https://{{new string('é', 2040)}}"}"""));
        Assert.Equal("value_error", Assert.Single(Explain("sender", $$"""{"agent_id":"bob","endpoint":"https://{{new string('é', 2041)}}"}""")).Type);
    }

    [Fact]
    [Conforms("ASP-42")]
    public void A_number_may_have_128_characters_and_an_object_1024_members()
    {
        Assert.Empty(Explain("metadata", $"{{\"n\":{new string('9', 128)}}}"));
        Assert.Equal("json_invalid", Assert.Single(Explain("metadata", $"{{\"n\":{new string('9', 129)}}}")).Type);
        Assert.Empty(Explain("metadata", Object(1024)));
        Assert.Equal("json_invalid", Assert.Single(Explain("metadata", Object(1025))).Type);

        static string Object(int members) => $"{{{string.Join(',', Enumerable.Range(0, members).Select(i => $"\"m{i}\":0"))}}}";
    }

    [Theory]
    [InlineData("{", 1, "Expecting property name enclosed in double quotes")]
    [InlineData("  ", 2, "Expecting value")]
    [InlineData("nope", 0, "Expecting value")]
    [InlineData("{\"a\" 1}", 5, "Expecting ':' delimiter")]
    [InlineData("{\"a\":}", 5, "Expecting value")]
    [InlineData("{\"a\":1", 6, "Expecting ',' delimiter")]
    [InlineData("{\"é\":1 2}", 7, "Expecting ',' delimiter")]
    [InlineData("{} {}", 3, "Extra data")]
    [InlineData("{\"a\":\"b", 5, "Unterminated string starting at")]
    [InlineData("{\"a\":\"\\x\"}", 6, "Invalid \\escape")]
    [Conforms("ASP-29")]
    public void Broken_JSON_is_reported_where_reference_servers_report_it(string body, int offset, string error)
    {
        var failure = Assert.Single(MessageShape.Explain(Encoding.UTF8.GetBytes(body), isJson: true));
        Assert.Equal("json_invalid", failure.Type);
        Assert.Equal([offset], failure.Path);
        Assert.Equal(error, failure.Context!.Value.Value);
    }

    [Theory]
    [InlineData("", "missing")]
    [InlineData("null", "missing")]
    [InlineData("[]", "model_attributes_type")]
    [InlineData("\"text\"", "model_attributes_type")]
    [Conforms("ASP-29")]
    public void A_body_that_is_no_object_is_one_failure_of_the_body(string body, string type)
    {
        var failure = Assert.Single(MessageShape.Explain(Encoding.UTF8.GetBytes(body), isJson: true));
        Assert.Equal(type, failure.Type);
        Assert.Empty(failure.Path);
    }

    [Fact]
    [Conforms("ASP-29", "ASP-42")]
    public void Failures_are_listed_in_field_order_and_at_most_a_hundred()
    {
        var all = MessageShape.Explain("""{"priority":null,"type":7,"sender":{"endpoint":"http://x"},"attachments":[1]}"""u8.ToArray(), isJson: true);
        Assert.Equal(
            [
                "protocol_version", "message_id", "timestamp", "sender.agent_id", "sender.endpoint", "recipient", "swarm_id", "type", "content",
                "signature", "priority", "attachments.0",
            ],
            all.Select(failure => string.Join('.', failure.Path)));
        Assert.Equal(100, Explain("attachments", $"[{string.Join(',', Enumerable.Repeat("1", 500))}]").Count);
    }

    [Fact]
    [Conforms("ASP-05")]
    public void The_door_signs_over_decoded_members_and_keeps_the_bytes_that_came()
    {
        using var key = Key.Create(SignatureAlgorithm.Ed25519);
        var message = MessageSignature.Sign(key, AspMessages.Make("bob", "älice😀", Swarm, "a\u0000b\r\n\u2028\"\\ 😀", Now));
        var escaped = string.Concat(Encoding.UTF8.GetString(MessageWriter.Write(message)).Select(c => c < 128 ? c.ToString() : $"\\u{(int)c:x4}"));
        var wire = Encoding.UTF8.GetBytes(escaped);
        Assert.True(MessageReader.TryRead(wire, out var read));
        var door = new Core.Identity.AgentProfile(
            new(1), "alice", Core.Identity.AgentKind.Hosted, "https://alice.example.com/swarm", key.PublicKey, null, null, IsDefault: true);
        var envelope = AgentSwarmMapper.ToEnvelope(read, wire, door, isUnchecked: false);
        Assert.Equal(SignedDigest.Compute(message), envelope.SignedBytes.ToArray());
        Assert.Equal("älice😀", envelope.Recipient);
        Assert.True(SignatureAlgorithm.Ed25519.Verify(key.PublicKey, envelope.SignedBytes.Span, envelope.Signature.Span));
        Assert.True(envelope.Wire.Span.SequenceEqual(wire));
    }

    [Fact]
    public void Reading_an_ordinary_message_allocates_nothing()
    {
        using var key = Key.Create(SignatureAlgorithm.Ed25519);
        var wire = AspMessages.Signed(key, AspMessages.Make("bob", "alice", Swarm, "line one\nline \"two\" " + new string('x', 1000), Now));
        Assert.True(MessageReader.TryRead(wire, out _));
        const int Calls = 10_000;
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < Calls; i++)
        {
            MessageReader.TryRead(wire, out _);
        }

        // The runtime itself may make an object now and then, when it compiles better code; a call's would be 24 bytes at least.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, Calls);
    }

    private static IReadOnlyList<ShapeFailure> Explain(string member, string value)
    {
        using var key = Key.Create(SignatureAlgorithm.Ed25519);
        var json = System.Text.Json.Nodes.JsonNode.Parse(AspMessages.Signed(key, AspMessages.Make("bob", "alice", Swarm, at: Now)))!.AsObject();
        json[member] = "@@";
        var body = Encoding.UTF8.GetBytes(json.ToJsonString().Replace("\"@@\"", value, StringComparison.Ordinal));
        var failures = MessageShape.Explain(body, isJson: true);
        Assert.Equal(failures.Count == 0, MessageReader.TryRead(body, out _));
        return failures;
    }
}
