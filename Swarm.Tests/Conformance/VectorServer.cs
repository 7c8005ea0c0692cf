using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Conformance;

/// <summary>The server that the HTTP and token vectors expect (ASP §23), and how their requests are sent and their answers compared.</summary>
internal sealed partial class VectorServer : IAsyncDisposable
{
    private const string SwarmId = "550e8400-e29b-41d4-a716-446655440000";
    private const string ApprovalSwarmId = "550e8400-e29b-41d4-a716-446655440077";

    /// <summary>What the clock says where a vector does not.</summary>
    private static readonly DateTimeOffset DefaultTime = new(2026, 2, 5, 14, 30, 0, TimeSpan.Zero);

    private readonly Dictionary<(string Sender, Guid Id), string> _accepted = [];

    private VectorServer(TestNode node) => Node = node;

    public TestNode Node { get; }

    /// <summary>Agent alice, master and only member of the two swarms, made by the product's own API.</summary>
    public static async Task<VectorServer> StartAsync(PostgresFixture postgres, bool isReference)
    {
        var node = await TestNode.StartAsync(postgres, DefaultTime, isReference);
        var alice = VectorFile.Published.Key("alice");
        await node.CreateAgentAsync(new { name = "alice", endpoint = alice.Endpoint, private_key = Convert.ToBase64String(alice.Seed), @default = true });
        await node.HubAsync(HttpMethod.Post, "/hub/v1/swarms", new { agent = "alice", name = "Vector Swarm", swarm_id = SwarmId });
        await node.HubAsync(
            HttpMethod.Post, "/hub/v1/swarms", new { agent = "alice", name = "Approval Swarm", swarm_id = ApprovalSwarmId, require_approval = true });
        return new VectorServer(node);
    }

    /// <summary>Back to what the vectors expect: alice alone in the swarm, the clock as the vector says, and what the vector comes after.</summary>
    public async Task PrepareAsync(Vector vector)
    {
        Node.Time.Now = TimeOf(vector);
        var members = await Node.HubAsync(HttpMethod.Get, $"/hub/v1/swarms/{SwarmId}/members");
        foreach (var name in members.GetProperty("members").EnumerateArray().Select(m => m.GetProperty("agent_id").GetString()).Where(n => n != "alice"))
        {
            await Node.HubAsync(HttpMethod.Post, $"/hub/v1/swarms/{SwarmId}/kick", new { agent = "alice", target = name });
        }

        if (AfterVector().Match(vector.OptionalText("precondition") ?? "") is { Success: true } after
            && vector.File.FindBase(after.Groups[1].Value) is { } earlier)
        {
            await SendAsync(earlier);
        }
    }

    /// <summary>Sends the vector's request; to the default agent's door, as its path says.</summary>
    public Task<DoorAnswer> SendAsync(Vector vector) => SendAsync(Node.Http, vector.Json.GetProperty("request"));

    /// <summary>Sends a request of a vector, or one step of a sequence, to any server.</summary>
    public static Task<DoorAnswer> SendAsync(HttpClient http, JsonElement request)
    {
        var method = new HttpMethod(request.GetProperty("method").GetString()!);
        var path = request.GetProperty("path").GetString()!;
        return BodyOf(request) is { } body && method == HttpMethod.Post ? http.PostAsync(path, body, ContentTypeOf(request)) : http.SendAsync(method, path);
    }

    /// <summary>Sends each step of a sequence and compares its answer.</summary>
    public Task RunStepsAsync(Vector vector) => RunStepsAsync(Node.Http, vector);

    /// <summary>The same at any server.</summary>
    public static async Task RunStepsAsync(HttpClient http, Vector vector)
    {
        foreach (var step in vector.Json.GetProperty("steps").EnumerateArray())
        {
            AssertExpected(vector, step, await SendAsync(http, step));
        }
    }

    /// <summary>Compares an answer with what the vector expects: status, bodies, and of a 422 the places and kinds.</summary>
    public static void AssertExpected(Vector vector, DoorAnswer answer) => AssertExpected(vector, vector.Expect, answer);

    private static void AssertExpected(Vector vector, JsonElement expect, DoorAnswer answer)
    {
        Assert.True(expect.GetProperty("status").GetInt32() == answer.Code, $"{vector.Id}: {answer.Code} {answer.Text}");
        if (expect.TryGetProperty("body", out var body))
        {
            Assert.True(Matches(body, answer.Json, isSubset: false, messageIsFree: answer.Code == 202), $"{vector.Id}: {answer.Text}");
        }

        if (expect.TryGetProperty("body_subset", out var subset))
        {
            Assert.True(Matches(subset, answer.Json, isSubset: true, messageIsFree: answer.Code == 202), $"{vector.Id}: {answer.Text}");
        }

        if (expect.TryGetProperty("detail", out var detail) && detail.ValueKind == JsonValueKind.Array)
        {
            Assert.Equal(
                detail.EnumerateArray().Select(f => $"{string.Join('.', f.GetProperty("loc").EnumerateArray())}:{f.GetProperty("type").GetString()}"),
                answer.Failures);
        }
    }

    /// <summary>
    /// What a strict node says to a message that the reference queues: null when it queues it too, else the status of the first check
    /// that fails (ASP §4.4).
    /// </summary>
    public int? StrictRefusal(Vector vector)
    {
        var message = MessageParser.Parse(BodyOf(vector.Json.GetProperty("request"))!);
        if (!AspTimestamp.TryParse(message.Timestamp, out var sentAt) || sentAt < TimeOf(vector).AddDays(-7) || sentAt > TimeOf(vector).AddMinutes(5))
        {
            return 400;
        }

        return message.SwarmId.ToString() is not (SwarmId or ApprovalSwarmId) ? 404
            : message.SenderId != "alice" ? 403
            : !MessageSignature.Verify(vector.File.Key("alice").ToPublicKey(), message) ? 401
            : message.Recipient is not ("broadcast" or "alice") ? 403
            : IsReuse(message) ? 409
            : null;
    }

    /// <summary>
    /// True when the sender's message id stands for another message already: two vectors may share an id. Notes the message otherwise.
    /// </summary>
    public bool IsReuse(AspMessage message)
    {
        var digest = Convert.ToHexString(SignedDigest.Compute(message));
        return !_accepted.TryAdd((message.SenderId, message.MessageId.Value), digest)
            && _accepted[(message.SenderId, message.MessageId.Value)] != digest;
    }

    public static DateTimeOffset TimeOf(Vector vector) =>
        vector.OptionalText("time") is { } text && AspTimestamp.TryParseAny(text, out var time) ? time : DefaultTime;

    public ValueTask DisposeAsync() => Node.DisposeAsync();

    private static byte[]? BodyOf(JsonElement request) =>
        request.TryGetProperty("body", out var body) ? Encoding.UTF8.GetBytes(Repeated().Replace(body.GetRawText(), Strings))
        : request.TryGetProperty("raw_body", out var raw) ? Encoding.UTF8.GetBytes(raw.GetString()!)
        : request.GetProperty("method").GetString() == "POST" ? []
        : null;

    private static string ContentTypeOf(JsonElement request) =>
        request.TryGetProperty("headers", out var headers)
            && headers.EnumerateObject().FirstOrDefault(h => h.Name.Equals("content-type", StringComparison.OrdinalIgnoreCase)) is { Value.ValueKind: JsonValueKind.String } named
                ? named.Value.GetString()!
                : "application/json";

    private static bool Matches(JsonElement expected, JsonElement actual, bool isSubset, bool messageIsFree)
    {
        switch (expected.ValueKind)
        {
            case JsonValueKind.String when expected.GetString() is ['<', .., '>']:
                return true;
            case JsonValueKind.Object:
                return actual.ValueKind == JsonValueKind.Object
                    && (isSubset || expected.GetPropertyCount() == actual.GetPropertyCount())
                    && expected.EnumerateObject().All(member => actual.TryGetProperty(member.Name, out var value)
                        && ((messageIsFree && member.Name == "message") || Matches(member.Value, value, isSubset, messageIsFree)));
            case JsonValueKind.Array:
                return actual.ValueKind == JsonValueKind.Array && expected.GetArrayLength() == actual.GetArrayLength()
                    && expected.EnumerateArray().Zip(actual.EnumerateArray()).All(pair => Matches(pair.First, pair.Second, isSubset, messageIsFree));
            default:
                return JsonElement.DeepEquals(expected, actual);
        }
    }

    /// <summary>A placeholder such as <c>"&lt;101 strings&gt;"</c> stands for an array of so many.</summary>
    private static string Strings(Match placeholder) =>
        JsonSerializer.Serialize(Enumerable.Range(0, int.Parse(placeholder.Groups[1].Value)).Select(i => $"id-{i}"));

    [GeneratedRegex("\"<([0-9]+) strings>\"")]
    private static partial Regex Repeated();

    [GeneratedRegex("after ([A-Z][A-Z0-9]*-[0-9]+)")]
    private static partial Regex AfterVector();
}
