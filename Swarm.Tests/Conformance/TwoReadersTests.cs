using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using NSec.Cryptography;
using Peers;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Doors;
using Xunit.Abstractions;

namespace Swarm.Tests.Conformance;

/// <summary>What the product and the peer, written apart from one text, make of the same random input; the seed is printed.</summary>
[Shown(By.Unit)]
public sealed class TwoReadersTests(ITestOutputHelper output)
{
    private const int RoundsMax = 3_000;
    private const int SignedMax = 25;

    /// <summary>Pieces of texts and keys that the rules treat in different ways.</summary>
    private static readonly string[] Pieces =
    [
        "a", "Z", "_", ".", "-", " ", "0", "7", "12", "1e5", "+5", ".5", "1_0", "inf", "NaN", "Infinity", "null", "true", "false", ":", ",", "[", "]", "{", "}", "\"", "\\",
        "\n", "\r", "\t", "\0", "\u001c", "\u0085", "\u00a0", "\u2028", "\ufeff", "\u3000", "é", "e\u0301", "ß", "Ж", "中", "\u0661", "\u0967", "😀", "𝟙", "\u0130", "\u0131", "\u017f", "\u212a",
    ];

    [Fact]
    [Conforms("ASP-17")]
    public void A_stored_text_is_the_same()
    {
        var random = new Random(Seed.Take(output));
        for (var round = 0; round < RoundsMax; round++)
        {
            var json = Object(random, 0);
            Assert.Equal(PeerToon.Of(json), Toon.OfObject(JsonElement.Parse(json.ToJsonString())));
        }
    }

    [Fact]
    [Conforms("ASP-05", "ASP-07", "ASP-09")]
    public void A_signature_is_the_same_and_each_verifies_the_others()
    {
        var random = new Random(Seed.Take(output));
        for (var round = 0; round < SignedMax; round++)
        {
            var seed = new byte[Peers.Ed25519.SeedLength];
            random.NextBytes(seed);
            using var key = Key.Import(SignatureAlgorithm.Ed25519, seed, KeyBlobFormat.RawPrivateKey);
            var ours = MessageSignature.Sign(key, new()
            {
                MessageId = new(Guid.NewGuid()), Timestamp = AspTimestamp.Format(DateTimeOffset.UnixEpoch.AddMilliseconds(random.NextInt64(4_000_000_000_000))),
                SenderId = "alice", SenderEndpoint = "https://alice.example.com/swarm", Recipient = random.Next(2) == 0 ? "broadcast" : "bob",
                SwarmId = new SwarmId(Guid.NewGuid()), Kind = (MessageKind)random.Next(1, 4), Content = Text(random),
            });
            var wire = MessageWriter.Write(ours);
            var theirs = PeerMessage.Read(JsonNode.Parse(wire)!.AsObject());
            var publicKey = PublicKeyText.Format(key.PublicKey);
            Assert.Equal(ours.Signature, theirs.Signed(seed).Signature);
            Assert.True(theirs.IsSignedBy(publicKey));
            var written = Encoding.UTF8.GetBytes(theirs.ToJson());
            Assert.True(MessageSignature.Verify(key.PublicKey, MessageParser.Parse(written)));
            Assert.False((theirs with { Content = theirs.Content + "x" }).IsSignedBy(publicKey));
            Assert.False(MessageSignature.Verify(key.PublicKey, MessageParser.Parse(written) with { Recipient = "x" }));
        }
    }

    private static JsonObject Object(Random random, int depth)
    {
        var json = new JsonObject();
        for (var i = random.Next(4); i > 0; i--)
        {
            json[Text(random)] = Value(random, depth + 1);
        }

        return json;
    }

    private static JsonNode? Value(Random random, int depth) => random.Next(depth > 4 ? 5 : 8) switch
    {
        0 => null,
        1 => random.Next(2) == 0,
        2 => JsonNode.Parse(Number(random)),
        3 or 4 => Text(random),
        5 => Object(random, depth),
        6 => new JsonArray([.. Enumerable.Range(0, random.Next(4)).Select(_ => Value(random, depth + 1))]),
        _ => Table(random),
    };

    /// <summary>Objects that are often alike enough to be rows.</summary>
    private static JsonArray Table(Random random)
    {
        string[] keys = [.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => Text(random)).Distinct()];
        return new([.. Enumerable.Range(0, random.Next(1, 4)).Select(_ => new JsonObject(
            (random.Next(8) == 0 ? keys.Reverse() : keys).Select(k => KeyValuePair.Create(k, random.Next(10) == 0 ? Value(random, 4) : Value(random, 9)))))]);
    }

    private static string Number(Random random) => random.Next(5) switch
    {
        0 => $"{random.Next(-5, 5)}",
        1 => $"{random.NextInt64()}{random.NextInt64()}",
        2 => BitConverter.Int64BitsToDouble(random.NextInt64()) is var any && double.IsFinite(any) ? any.ToString("R") : "1.0",
        3 => $"{random.Next(-1000, 1000)}.{random.Next(1000):000}",
        _ => $"{random.Next(1, 10)}{(random.Next(2) == 0 ? "" : ".5")}e{random.Next(-330, 300)}",
    };

    private static string Text(Random random) => string.Concat(Enumerable.Range(0, random.Next(4)).Select(_ => Pieces[random.Next(Pieces.Length)]));
}
