using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using NSec.Cryptography;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Tests.Doors;

/// <summary>One request of a property run.</summary>
/// <param name="Name">Which mutation made it.</param>
/// <param name="Body">What is posted.</param>
/// <param name="Allowed">The statuses that the protocol gives it.</param>
/// <param name="IsMemberMessage">It is a valid signed message of a member with exactly one mutation.</param>
internal sealed record MutatedCase(string Name, byte[] Body, int[] Allowed, bool IsMemberMessage = true, string ContentType = "application/json");

/// <summary>Makes requests from a seed: mostly a valid signed message of a member with one mutation, signed again where it matters.</summary>
internal sealed class MessageMutations(int seed, SwarmId swarm, string door, string sender, Key senderKey, DateTimeOffset now)
{
    private static readonly string[] Members =
    [
        "protocol_version", "message_id", "timestamp", "sender", "recipient", "swarm_id", "type", "content", "signature", "in_reply_to",
        "thread_id", "priority", "expires_at", "attachments", "references", "metadata",
    ];

    private static readonly string[] RequiredMembers = Members[..9];

    private static readonly string[] TextMembers =
        [.. Members[..3], "recipient", "swarm_id", "type", "content", "signature", "in_reply_to", "thread_id", "priority", "expires_at"];

    private readonly Random _random = new(seed);
    private readonly List<AspMessage> _accepted = [];

    public MutatedCase Next() => _random.Next(24) switch
    {
        0 => Accepted("untouched", Valid()),
        1 => Accepted("other text", Valid() with { Content = RandomText(_random.Next(200)) }),
        2 => Accepted("optional members", WithOptions()),
        3 => new("time outside the window", Sign(Valid() with { Timestamp = OutOfWindow() }), [400]),
        4 => new("no time", Sign(Valid() with { Timestamp = Pick("yesterday", "", "2026-02-30T00:00:00.000Z", "2026-11-21T05:42:57Z", Valid().Timestamp + "Z", RandomText(24)) }), [400]),
        5 => new("unknown swarm", Sign(Valid() with { SwarmId = new SwarmId(RandomGuid()) }), [404]),
        6 => new("stranger as sender", Sign(Valid() with { SenderId = Pick("mallory", sender.ToUpperInvariant(), sender + ".", "broadcast", RandomText(20) + "x") }), [403]),
        7 => new("forged signature", MessageWriter.Write(Signed(Valid()) with { Signature = ForgedSignature() }), [401]),
        8 => new("signed member changed afterwards", ChangedAfterSigning(), [401]),
        9 => new("wrong recipient", Sign(Valid() with { Recipient = Pick("carol", "", sender, door + " ", "Broadcast", RandomText(20) + "x") }), [403]),
        10 => Replay(),
        11 => ReusedId(),
        12 => new("member missing", Edit(json => json.Remove(Pick(RequiredMembers))), [422]),
        13 => WrongType(),
        14 => LongText(),
        15 => Text("U+0000", name => name is "content" or "timestamp" ? [401, 422] : [422], "\\u0000"),
        16 => Text("lone surrogate", _ => [422], Pick("\\ud800", "\\udfff", "\\ud800\\ud800", "\\udc00\\ud800")),
        17 => DuplicateMember(),
        18 => new("unsound metadata", Raw("metadata", UnsoundJson()), [422]),
        19 => Depth(),
        20 => new("other media type", Sign(Valid()), [422], ContentType: Pick("text/plain", "application/xml", "application/jsonx", "multipart/form-data", "json")),
        21 => SameMessageOtherwiseWritten(),
        22 => Broken(),
        _ => Nonsense(),
    };

    private AspMessage Valid() =>
        AspMessages.Make(sender, _random.Next(2) == 0 ? door : "broadcast", swarm, "Hello", now.AddSeconds(-_random.Next(3600)), RandomGuid());

    private AspMessage Signed(AspMessage message) => MessageSignature.Sign(senderKey, message);

    private byte[] Sign(AspMessage message) => MessageWriter.Write(Signed(message));

    private MutatedCase Accepted(string name, AspMessage message)
    {
        var signed = Signed(message);
        if (_accepted.Count < 1000)
        {
            _accepted.Add(signed);
        }

        return new(name, MessageWriter.Write(signed), [200]);
    }

    private AspMessage WithOptions() => Valid() with
    {
        InReplyTo = RandomText(30),
        ThreadId = RandomGuid().ToString(),
        Priority = Pick(Priority.Low, Priority.Normal, Priority.High),
        ExpiresAt = Pick("never", AspTimestamp.Format(now.AddDays(1)), AspTimestamp.Format(now.AddDays(1)).Replace("Z", "+09:00", StringComparison.Ordinal)),
        Attachments = JsonSerializer.SerializeToElement(new[] { new { type = "url", content = RandomText(20) } }),
        References = JsonSerializer.SerializeToElement(new[] { new { type = "github_issue", number = _random.Next() } }),
        Metadata = JsonSerializer.SerializeToElement(new Dictionary<string, object?> { [RandomText(9)] = RandomText(9), ["n"] = null, ["d"] = 1.5 }),
    };

    private string OutOfWindow() => AspTimestamp.Format(_random.Next(4) switch
    {
        0 => now.AddMinutes(6 + _random.Next(100_000)),
        1 => now.AddDays(-8 - _random.Next(1000)),
        2 => DateTimeOffset.MinValue,
        _ => DateTimeOffset.MaxValue,
    });

    private string ForgedSignature()
    {
        var bytes = new byte[_random.Next(3) == 0 ? _random.Next(1, 200) : 64];
        _random.NextBytes(bytes);
        return Pick("", "====", Convert.ToBase64String(bytes), Convert.ToHexString(bytes), RandomText(60));
    }

    private byte[] ChangedAfterSigning()
    {
        var signed = Signed(Valid());
        return MessageWriter.Write(_random.Next(5) switch
        {
            0 => signed with { Content = signed.Content + " " },
            1 => signed with { MessageId = new MessageId(RandomGuid()) },
            2 => signed with { Timestamp = AspTimestamp.Format(now.AddMilliseconds(-_random.Next(1, 1000))) },
            3 => signed with { Kind = MessageKind.System },
            _ => signed with { Recipient = signed.Recipient == door ? "broadcast" : door },
        });
    }

    private MutatedCase Replay() =>
        _accepted.Count == 0 ? Accepted("untouched", Valid()) : new("replay", MessageWriter.Write(Pick(_accepted.ToArray())), [200]);

    private MutatedCase ReusedId() => _accepted.Count == 0
        ? Accepted("untouched", Valid())
        : new("reused id", Sign(Pick(_accepted.ToArray()) with { Content = "other " + RandomText(10) + _random.Next() }), [409]);

    private MutatedCase WrongType()
    {
        var name = Pick(Members);
        var value = Pick("17", "true", "[]", "[1]", "{}", "1e400", "\"\"", "null", "[[]]", "-0.5");
        var isRight = (value, name) switch
        {
            ("null", "in_reply_to" or "thread_id" or "expires_at" or "attachments" or "references" or "metadata") => true,
            ("[]", "attachments" or "references") => true,
            ("{}", "metadata") => true,
            ("\"\"", "in_reply_to" or "thread_id" or "expires_at") => true,
            _ => false,
        };
        int[] otherwise = (value, name) switch
        {
            ("\"\"", "timestamp") => [400],
            ("\"\"", "content" or "signature" or "recipient") => [401],
            _ => [422],
        };
        return new($"{name} = {value}", Raw(name, value), isRight ? [200] : otherwise);
    }

    private MutatedCase LongText()
    {
        var name = Pick(TextMembers);
        var text = new string(Pick('a', '/', 'é', '"', '\n'), 65_536);
        var message = Signed(Valid());
        return name == "content"
            ? Accepted("64 KiB of content", message with { Content = text })
            : new($"64 kB of {name}", Raw(name, JsonSerializer.Serialize(text)), [422]);
    }

    private MutatedCase Text(string what, Func<string, int[]> allowed, string escape)
    {
        var name = Pick(TextMembers);
        return new($"{what} in {name}", Raw(name, $"\"a{escape}b\""), allowed(name));
    }

    private MutatedCase DuplicateMember()
    {
        var json = Encoding.UTF8.GetString(Sign(Valid()));
        var name = Pick(RequiredMembers);
        using var document = JsonDocument.Parse(json);
        var again = _random.Next(2) == 0 ? $"\"{name}\":" : $"\"\\u{(int)name[0]:x4}{name[1..]}\":";
        var value = document.RootElement.GetProperty(name).GetRawText();
        return new("duplicate member", Encoding.UTF8.GetBytes($"{json[..^1]},{again}{value}}}"), [422]);
    }

    private string UnsoundJson() => Pick(
        $"{{\"n\":{new string('9', 5000)}}}",
        "{\"n\":1e999}",
        "{\"n\":NaN}",
        "{\"n\":01}",
        "{\"a\":1,\"a\":2}",
        "{\"a\":1,\"\\u0061\":2}",
        "{\"a\":\"\\udead\"}",
        "{\"\\ud800\":1}",
        "{\"a\":[1,]}",
        "{\"a\":\"\t\"}",
        "{'a':1}",
        "{\"a\":1}}",
        "{\"a\":{}");

    private MutatedCase Depth()
    {
        // The message itself is the first level, metadata the second.
        var depth = Pick(1, 29, 30, 31, 32, 1000);
        var json = $"{{\"a\":{string.Concat(Enumerable.Repeat("[", depth))}{string.Concat(Enumerable.Repeat("]", depth))}}}";
        return new($"{depth} arrays in metadata", Raw("metadata", json), depth + 2 <= 32 ? [200] : [422]);
    }

    private MutatedCase SameMessageOtherwiseWritten()
    {
        var message = Valid() with { Content = "naïve 😀 \"text\"\n" };
        var json = JsonNode.Parse(Sign(message))!.AsObject();
        switch (_random.Next(4))
        {
            case 0:
                return new("members in another order", Shuffle(json), [200]);
            case 1:
                return new("every character escaped", Encoding.UTF8.GetBytes(EscapeStrings(json)), [200]);
            case 2:
                json["message_id"] = message.MessageId.ToString().ToUpperInvariant();
                json["swarm_id"] = swarm.ToString().ToUpperInvariant();
                return new("upper-case ids", Bytes(json), [200]);
            default:
                json["x"] = JsonNode.Parse("{\"y\":[1,2.5e3,null,{\"z\":\"\\u0000\"}]}");
                json["sender"]!["public_key"] = "k";
                return new("unknown members", Bytes(json), [200]);
        }
    }

    private MutatedCase Broken()
    {
        var body = Sign(Valid());
        if (_random.Next(2) == 0)
        {
            return new("cut short", body[.._random.Next(body.Length)], [422]);
        }

        body[_random.Next(body.Length)] = (byte)_random.Next(256);
        return new("one byte changed", body, [200, 400, 401, 403, 404, 422]);
    }

    private MutatedCase Nonsense()
    {
        var bytes = new byte[_random.Next(300)];
        _random.NextBytes(bytes);
        var text = Pick(
            "", "null", "[]", "{}", "0", "\"x\"", "[{}]", "{\"sender\":{}}", "{\"sender\":[]}", "\ufeff{}", new string('[', 100_000),
            string.Concat(Enumerable.Repeat("{\"a\":", 50_000)), "{\"attachments\":[" + string.Join(',', Enumerable.Repeat("1", 10_000)) + "]}");
        return new("nonsense", _random.Next(2) == 0 ? bytes : Encoding.UTF8.GetBytes(text), [422], IsMemberMessage: false);
    }

    private byte[] Edit(Action<JsonObject> edit)
    {
        var json = JsonNode.Parse(Sign(Valid()))!.AsObject();
        edit(json);
        return Bytes(json);
    }

    /// <summary>A signed message with one member replaced by JSON text that may not even be JSON.</summary>
    private byte[] Raw(string name, string value)
    {
        const string Mark = "@@here@@";
        var json = JsonNode.Parse(Sign(Valid()))!.AsObject();
        json[name] = Mark;
        return Encoding.UTF8.GetBytes(json.ToJsonString().Replace($"\"{Mark}\"", value, StringComparison.Ordinal));
    }

    private byte[] Shuffle(JsonObject json)
    {
        var members = json.Select(member => (member.Key, Value: member.Value?.DeepClone())).ToArray();
        _random.Shuffle(members);
        return Bytes(new JsonObject(members.Select(member => KeyValuePair.Create(member.Key, member.Value))));
    }

    private static byte[] Bytes(JsonNode json) => Encoding.UTF8.GetBytes(json.ToJsonString());

    private static string EscapeStrings(JsonNode json) => json switch
    {
        JsonObject members => "{" + string.Join(',', members.Select(member => $"{Escape(member.Key)} : {EscapeStrings(member.Value!)}")) + "}",
        _ => Escape(json.GetValue<string>()),
    };

    private static string Escape(string text) => $"\"{string.Concat(text.Select(c => "\\u" + ((int)c).ToString("X4", CultureInfo.InvariantCulture)))}\"";

    private T Pick<T>(params T[] choices) => choices[_random.Next(choices.Length)];

    private Guid RandomGuid()
    {
        Span<byte> bytes = stackalloc byte[16];
        _random.NextBytes(bytes);
        return new Guid(bytes);
    }

    /// <summary>Text from every part of Unicode, surrogates only in pairs.</summary>
    private string RandomText(int runes)
    {
        var text = new StringBuilder();
        while (runes-- > 0)
        {
            var limit = Pick(0x7F, 0x7FF, 0xFFFF, 0x10FFFF);
            var value = _random.Next(1, limit + 1);
            text.Append(Rune.IsValid(value) ? new Rune(value).ToString() : "x");
        }

        return text.ToString();
    }
}
