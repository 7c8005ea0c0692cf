using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;
using Xunit.Abstractions;

namespace Swarm.Tests.Hub;

/// <summary>No input makes a 500 (design §3 promise 9): hostile values in every field of every route, as problems, with nothing changed.</summary>
[Collection(PostgresCollection.Name)]
public sealed class HubBadInputTests(PostgresFixture postgres, ITestOutputHelper output) : IAsyncLifetime
{
    /// <summary>Values that a text may hold where any text may stand, because they are text: the content, and ids that only refer.</summary>
    private static readonly string[] FreeText = ["content", "in_reply_to", "thread_id", "Idempotency-Key"];

    private NodeHost _node = null!;
    private Scene _scene = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob"], ["eve"]);
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("bob", _scene.Signed("eve", "bob"))).Status);
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    [Refuses("W-25")]
    public async Task Hostile_values_in_every_field_are_refused_and_change_nothing()
    {
        var before = await TableState.ReadAsync(_node.Database);
        var cases = 0;
        var faults = new List<string>();
        foreach (var (path, fields) in Routes())
        {
            foreach (var field in fields.Select(f => f.Key))
            {
                foreach (var (kind, value) in HostileValues())
                {
                    if (FreeText.Contains(field) && kind is "64 kB" or "U+0000")
                    {
                        continue;
                    }

                    cases++;
                    var answer = await PostAsync(path, With(fields, field, value));
                    Note(faults, $"POST {path} {field} = {kind}", answer);
                }
            }
        }

        output.WriteLine($"{cases} cases");
        Assert.True(faults.Count == 0, string.Join('\n', faults));
        Assert.Equal(before, await TableState.ReadAsync(_node.Database));
    }

    [Fact]
    public async Task Bodies_that_are_no_JSON_object_of_the_route_are_refused_and_change_nothing()
    {
        var before = await TableState.ReadAsync(_node.Database);
        var faults = new List<string>();
        foreach (var (path, fields) in Routes())
        {
            var good = With(fields, "", "");
            var some = fields.First().Key;
            string[] bodies =
            [
                "", " ", "null", "true", "1", "\"text\"", "[]", "[{}]", "{", "}", "{]", good[..^1], good + "x", good + good, "{\"a\":}", "{'a':1}", "// hi",
                $"{{\"{some}\":1,{good[1..]}", $"{good[..^1]},\"{some}\":null}}", $"{good[..^1]},\"x\":{Deep(1000)}}}", $"{good[..^1]},\"x\":tru}}",
                $"\uFEFF{good[..^1]},\"{some}\":1}}",
            ];
            foreach (var body in bodies)
            {
                Note(faults, $"POST {path} {body[..Math.Min(60, body.Length)]}", await PostAsync(path, body));
            }

            Note(faults, $"POST {path} as text/plain", await PostAsync(path, good, "text/plain"));
            byte[] notUtf8 = [.. Encoding.UTF8.GetBytes(good[..^1] + ",\"x\":\""), 0xC3, 0x28, (byte)'"', (byte)'}'];
            Note(faults, $"POST {path} invalid UTF-8", await PostAsync(path, notUtf8));
            Note(faults, $"POST {path} too large", await PostAsync(path, $"{good[..^1]},\"x\":\"{new string('x', 17 * 1024 * 1024)}\"}}"));
        }

        Assert.True(faults.Count == 0, string.Join('\n', faults));
        Assert.Equal(before, await TableState.ReadAsync(_node.Database));
    }

    [Fact]
    public async Task Hostile_paths_and_queries_are_refused_and_change_nothing()
    {
        var before = await TableState.ReadAsync(_node.Database);
        var faults = new List<string>();
        string[] texts =
        [
            "..%2f..", "%20", "%ff", "%ed%a0%80", "%F0%9F%90%9D", new string('a', 8_000), "-1", "1e9", new string('9', 5_000), "0x10", "%27%3B--",
        ];
        string[] queries =
        [
            "agents?limit=", "agents?cursor=", "swarms?limit=", "swarms?cursor=", "swarms?agent=", "agents/bob/inbox?after=", "agents/bob/inbox?cursor=",
            "agents/bob/inbox?limit=", "agents/bob/inbox?state=", "agents/bob/inbox?swarm_id=", "agents/bob/outbox?limit=", "agents/bob/outbox?cursor=",
            "agents/bob/inbox/stream?after=", "agents/bob/references?repo=", "agents/bob/references?repo=o/r&issue=", "agents/bob/references?repo=o/r&commit=x",
            "agents/bob/references?repo=o/r&cursor=", "agents/bob/board?repo=", "agents/bob/board?cursor=", "agents/bob/board?state=",
        ];
        foreach (var text in texts)
        {
            foreach (var path in new[] { "agents/", "swarms/" })
            {
                Note(faults, $"GET {path}{text}", await _node.Hub.GetHubAsync($"/hub/v1/{path}{text}"));
                Note(faults, $"DELETE {path}{text}", await _node.Hub.DeleteHubAsync($"/hub/v1/{path}{text}"));
            }

            Note(faults, $"DELETE token {text}", await _node.Hub.DeleteHubAsync($"/hub/v1/agents/bob/tokens/{text}"));
            Note(faults, $"DELETE invite {text}", await _node.Hub.DeleteHubAsync($"/hub/v1/swarms/{_scene.Swarm}/invites/{text}?agent=alice"));
        }

        // No server lets U+0000 into a path, but it may stand in a query.
        foreach (var query in queries)
        {
            foreach (var text in texts.Concat(["%00", "1%00", "+1", "%201"]))
            {
                Note(faults, $"GET {query}{text}", await _node.Hub.GetHubAsync($"/hub/v1/{query}{text}"));
            }
        }

        Assert.True(faults.Count == 0, string.Join('\n', faults));
        Assert.Equal(before, await TableState.ReadAsync(_node.Database));
    }

    /// <summary>Every route that takes a body, with one that would be good if its subjects existed: so that nothing can succeed by chance.</summary>
    private IEnumerable<(string Path, JsonObject Fields)> Routes()
    {
        var swarm = _scene.Swarm.ToString();
        var lease = Guid.NewGuid().ToString();
        yield return ("agents", new()
        {
            ["name"] = "alice", ["kind"] = "hosted", ["endpoint"] = "https://x.example", ["private_key"] = Bytes(32), ["display_name"] = "d",
            ["description"] = "d", ["default"] = false,
        });
        yield return ("agents", new() { ["name"] = "alice", ["kind"] = "external", ["public_key"] = Bytes(32), ["default"] = false });
        yield return ("agents/nobody/tokens", new() { ["label"] = "l" });
        yield return ("enrol", new()
        {
            ["enrolment_token"] = "t", ["name"] = "judy", ["public_key"] = Bytes(32), ["proof"] = Bytes(64), ["endpoint"] = "https://x.example",
        });
        yield return ("swarms", new()
        {
            ["agent"] = "alice", ["name"] = "s", ["allow_member_invite"] = false, ["require_approval"] = false, ["swarm_id"] = swarm,
        });
        yield return ($"swarms/{swarm}/invites", new() { ["agent"] = "nobody", ["expires_in_hours"] = 1, ["max_uses"] = 1 });
        yield return ("join", new() { ["agent"] = "bob", ["invite_token"] = "swarm://x@y?token=a.b.c" });
        yield return ($"swarms/{swarm}/leave", new() { ["agent"] = "nobody" });
        yield return ($"swarms/{swarm}/kick", new() { ["agent"] = "alice", ["target"] = "nobody", ["reason"] = "r" });
        yield return ($"swarms/{swarm}/transfer", new() { ["agent"] = "alice", ["target"] = "nobody" });
        yield return ($"swarms/{swarm}/agree", new() { ["agent"] = "nobody", ["accept"] = true });
        yield return ($"swarms/{swarm}/sync", new() { ["agent"] = "nobody" });
        yield return ($"swarms/{swarm}/dissolve", new() { ["agent"] = "nobody", ["reason"] = "r" });
        yield return ($"swarms/{swarm}/requests/nobody/approve", new() { ["agent"] = "alice" });
        yield return ($"swarms/{swarm}/requests/nobody/reject", new() { ["agent"] = "alice" });
        yield return ("agents/alice/endpoint", new() { ["endpoint"] = "http://x.example" });
        yield return ("messages", new()
        {
            ["from"] = "alice", ["swarm_id"] = Guid.NewGuid().ToString(), ["to"] = "bob", ["type"] = "message", ["content"] = "c", ["priority"] = "high",
            ["in_reply_to"] = "r", ["thread_id"] = "t", ["expires_at"] = "2030-01-01T00:00:00.000Z", ["attachments"] = new JsonArray(),
            ["references"] = new JsonArray(), ["metadata"] = new JsonObject(), ["message_id"] = Guid.NewGuid().ToString(), ["timestamp"] = "2026-01-01T00:00:00.000Z",
            ["signature"] = Bytes(64),
        });
        yield return ("messages/batch", new() { ["messages"] = new JsonArray() });
        yield return ("agents/bob/mute", new() { ["agent_id"] = "broadcast", ["swarm_id"] = swarm, ["reason"] = "r" });
        yield return ("agents/bob/unmute", new() { ["agent_id"] = "broadcast", ["swarm_id"] = swarm });
        yield return ("agents/bob/wake", new()
        {
            ["preferences"] = new JsonObject { ["enabled"] = true }, ["action"] = "webhook", ["url"] = "ftp://x.example", ["secret"] = "s",
        });
        yield return ("agents/bob/inbox/read", new() { ["seqs"] = new JsonArray() });
        yield return ("agents/nobody/inbox/lease", new() { ["max"] = 1, ["lease_seconds"] = 30, ["wait_seconds"] = 0 });
        yield return ("agents/bob/inbox/ack", new() { ["lease_id"] = lease, ["seqs"] = new JsonArray(1) });
        yield return ("agents/bob/inbox/nak", new() { ["lease_id"] = lease, ["seqs"] = new JsonArray(1), ["delay_seconds"] = 1 });
        yield return ("agents/bob/inbox/extend", new() { ["lease_id"] = lease, ["lease_seconds"] = 30 });
    }

    private static IEnumerable<(string Kind, string Value)> HostileValues()
    {
        yield return ("64 kB", $"\"{new string('x', 64 * 1024)}\"");
        yield return ("U+0000", "\"a\\u0000b\"");
        yield return ("a lone surrogate", "\"\\ud800\"");
        yield return ("a lone low surrogate", "\"x\\udc00\"");
        yield return ("5,000 digits", new string('9', 5_000));
        yield return ("5,000 decimals", "0." + new string('1', 5_000) + "e-9999");
        yield return ("a huge exponent", "1e99999");
        yield return ("depth 1,000", Deep(1000));
        yield return ("an object", "{\"a\":{\"b\":[1,2]}}");
        yield return ("a list of lists", "[[[]]]");
        yield return ("a list of texts", "[\"a\\u0000\"]");
        yield return ("a negative number", "-9223372036854775809");
        yield return ("an escape that ends", "\"\\u12");
    }

    private static string Deep(int levels) => new string('[', levels) + new string(']', levels);

    private static string Bytes(int count) => Convert.ToBase64String(new byte[count]);

    private static string With(JsonObject fields, string changed, string raw) =>
        "{" + string.Join(',', fields.Select(f => $"\"{f.Key}\":{(f.Key == changed ? raw : f.Value?.ToJsonString() ?? "null")}")) + "}";

    private Task<Answer> PostAsync(string path, string body, string type = "application/json") => PostAsync(path, Encoding.UTF8.GetBytes(body), type);

    private Task<Answer> PostAsync(string path, byte[] body, string type = "application/json")
    {
        var content = new ByteArrayContent(body);
        content.Headers.ContentType = new(type);
        return _node.Hub.CallAsync(HttpMethod.Post, $"/hub/v1/{path}", content);
    }

    private static void Note(List<string> faults, string what, Answer answer)
    {
        if ((int)answer.Status is < 400 or >= 500 || answer.ContentType != "application/problem+json")
        {
            faults.Add($"{what}: {(int)answer.Status} {answer.ContentType} {answer.Text[..Math.Min(200, answer.Text.Length)]}");
        }
    }
}
