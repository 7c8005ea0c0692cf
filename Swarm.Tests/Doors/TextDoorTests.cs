using System.Text;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Doors;

/// <summary>The v2 text form at the message door (ASP §5.2): off unless it is asked for, and then the same intake.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class TextDoorTests(PostgresFixture postgres)
{
    private static readonly Dictionary<string, string> On = new() { ["AgentSwarm:AcceptText"] = "true" };

    [Fact]
    [Conforms("ASP-19")]
    public async Task A_text_is_accepted_like_the_json_of_the_same_message()
    {
        await using var node = await NodeHost.StartAsync(postgres, settings: On);
        using var scene = await Scene.CreateAsync(node.Hub, ["alice"], ["eve"]);
        var message = scene.Sign("eve", "alice", "Line one\n---\n\u001b[2J שלום\n") with { ThreadId = "t-1", Priority = Core.Messaging.Priority.High };
        var answer = await PostAsync(node, TextForm.Write(message));
        Assert.Equal($$"""{"status":"queued","message_id":"{{message.MessageId}}"}""", answer.Ok().Text);

        // The same message as JSON is the same message: its signed bytes are the same.
        Assert.Equal(answer.Text, (await node.Http.PostMessageAsync("alice", MessageWriter.Write(message))).Ok().Text);
        var item = Assert.Single((await node.Hub.GetHubAsync("/hub/v1/agents/alice/inbox"))["messages"].EnumerateArray());
        Assert.Equal(
            (message.Content, "eve", true, "t-1", "high"),
            (item.GetProperty("content").GetString(), item.GetProperty("sender").GetString(), item.GetProperty("verified").GetBoolean(),
                item.GetProperty("thread_id").GetString(), item.GetProperty("priority").GetString()));

        // What is stored is v1 JSON with the endpoint of the roster.
        var stored = MessageParser.Parse(await node.ScalarAsync<byte[]>("select wire from messages"));
        var endpoint = await node.ScalarAsync<string>("select endpoint from members where name = 'eve'");
        Assert.Equal(message with { SenderEndpoint = endpoint }, stored);

        // JSON under the text's media type is JSON: both forms are accepted.
        Assert.Equal(200, (int)(await PostAsync(node, scene.Signed("eve", "alice", "as JSON"))).Status);
    }

    [Fact]
    [Conforms("ASP-19")]
    public async Task A_text_passes_the_same_checks_and_a_refused_one_changes_nothing()
    {
        await using var node = await NodeHost.StartAsync(postgres, settings: On);
        using var scene = await Scene.CreateAsync(node.Hub, ["alice"], ["eve"]);
        var message = scene.Sign("eve", "alice", "Hello");
        var text = Encoding.UTF8.GetString(TextForm.Write(message));
        (string Text, int Status)[] refused =
        [
            (text + "!", 401),
            (text.Replace("from: eve", "from: mallory", StringComparison.Ordinal), 403),
            (text.Replace(scene.Swarm.ToString(), Guid.NewGuid().ToString(), StringComparison.Ordinal), 404),
            (text.Replace("---\n", "--- \n", StringComparison.Ordinal), 400),
            (text.Replace("type: message", "type: order", StringComparison.Ordinal), 400),
            (text.Replace("v: 0.1.0", "v: x", StringComparison.Ordinal), 422),
            (text.Replace("from: eve", "from: eve\nfrom: alice", StringComparison.Ordinal), 400),
            ("", 400),
            ("\0\u00ff", 400),
            ("[1]", 400),
            ("{", 422),
        ];
        foreach (var (body, status) in refused)
        {
            var answer = await PostAsync(node, Encoding.UTF8.GetBytes(body));
            Assert.True((int)answer.Status == status, $"{body}: {(int)answer.Status} {answer.Text}");
        }

        Assert.Equal(400, (int)(await PostAsync(node, [.. Encoding.UTF8.GetBytes(text), 0xFF])).Status);
        Assert.Equal(0, await node.ScalarAsync<long>("select count(*) from messages"));
        Assert.Equal(200, (int)(await PostAsync(node, Encoding.UTF8.GetBytes(text), "TEXT/X-Swarm-Message; charset=utf-8")).Status);
    }

    [Fact]
    [Conforms("ASP-19")]
    public async Task Unless_it_is_asked_for_a_text_is_refused_as_at_a_reference_server()
    {
        await using var node = await NodeHost.StartAsync(postgres);
        using var scene = await Scene.CreateAsync(node.Hub, ["alice"], ["eve"]);
        var text = TextForm.Write(scene.Sign("eve", "alice", "Hello"));
        var answer = await PostAsync(node, text);
        Assert.Equal((422, "model_attributes_type"), ((int)answer.Status, answer["detail"][0].GetProperty("type").GetString()));
    }

    private static Task<Answer> PostAsync(NodeHost node, byte[] body, string type = TextForm.MediaType, string agent = "alice")
    {
        var content = new ByteArrayContent(body);
        content.Headers.TryAddWithoutValidation("Content-Type", type);
        return node.Http.CallAsync(HttpMethod.Post, $"/agents/{agent}/swarm/message", content);
    }
}
