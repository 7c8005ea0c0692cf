using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Swarm.Core.Messaging;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Doors;

/// <summary>The local endpoints as a hardened node offers them (ASP §9): a token chooses the agent, nothing is open.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class LocalApiTests(PostgresFixture postgres) : IAsyncLifetime
{
    private NodeHost _node = null!;
    private Scene _scene = null!;
    private HttpClient _bob = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob"], ["eve", "mallory"]);
        _bob = _node.ClientOf(_scene.TokenOf("bob"));
    }

    public async Task DisposeAsync()
    {
        _bob.Dispose();
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    [Conforms("ASP-71")]
    [Refuses("W-03")]
    public async Task Without_a_valid_token_there_is_no_data_and_nothing_changes()
    {
        var id = await ReceiveAsync("Hello");
        var before = await TableState.ReadAsync(_node.Database);
        var batch = new { message_ids = new[] { id }, action = "delete" };
        foreach (var client in new[] { _node.Http, _node.ClientOf("swarm_" + new string('x', 43)), _node.ClientOf("") })
        {
            var answers = new[]
            {
                await client.GetHubAsync("/api/inbox"), await client.GetHubAsync("/api/inbox/count"), await client.GetHubAsync($"/api/inbox/{id}"),
                await client.GetHubAsync("/api/outbox"), await client.GetHubAsync($"/api/outbox/count?swarm_id={_scene.Swarm}"),
                await client.PostHubAsync("/api/inbox/batch", batch), await client.PostHubAsync($"/api/inbox/{id}/read", new { }),
                await client.PostHubAsync($"/api/inbox/{id}/archive", new { }), await client.PostHubAsync($"/api/inbox/{id}/delete", new { }),
            };
            Assert.All(answers, answer => Assert.Equal(
                (HttpStatusCode.Unauthorized, """{"error":"A token is needed: Authorization: Bearer …"}"""), (answer.Status, answer.Text)));
        }

        Assert.Equal(before, await TableState.ReadAsync(_node.Database));
    }

    [Fact]
    [Conforms("ASP-71")]
    public async Task A_token_opens_its_own_agents_inbox_and_no_other()
    {
        var id = await ReceiveAsync("for bob");
        using var alice = _node.ClientOf(_scene.TokenOf("alice"));
        Assert.Equal(0, (await alice.GetHubAsync("/api/inbox?status=all"))["count"].GetInt32());
        Assert.Equal(HttpStatusCode.NotFound, (await alice.GetHubAsync($"/api/inbox/{id}")).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await alice.PostHubAsync($"/api/inbox/{id}/delete", new { })).Status);
        Assert.Equal(0, (await alice.PostHubAsync("/api/inbox/batch", new { message_ids = new[] { id }, action = "delete" }))["updated"].GetInt32());
        Assert.Equal(1, (await _bob.GetHubAsync("/api/inbox/count"))["unread"].GetInt32());

        // This node has no default agent, so its operator has nothing to look at.
        Assert.Equal(HttpStatusCode.NotFound, (await _node.Hub.GetHubAsync("/api/inbox")).Status);
        await _node.ExecuteAsync("update agents set is_default = true where name = 'bob'");
        await using var replica = await _node.StartReplicaAsync();
        Assert.Equal(id, (await replica.Hub.GetHubAsync("/api/inbox"))["messages"][0].GetProperty("message_id").GetString());
    }

    [Fact]
    [Conforms("ASP-71")]
    [Refuses("W-03")]
    public async Task A_page_of_another_origin_and_a_foreign_host_name_get_nothing()
    {
        await ReceiveAsync("Hello");
        using var fromPage = new HttpRequestMessage(HttpMethod.Get, "/api/inbox") { Headers = { { "Origin", "https://evil.example.com" } } };
        using var rebound = new HttpRequestMessage(HttpMethod.Get, "/api/inbox") { Headers = { Host = "evil.example.com" } };
        foreach (var request in new[] { fromPage, rebound })
        {
            using var answer = await _bob.SendAsync(request);
            Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
            Assert.DoesNotContain("Hello", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
    }

    [Fact]
    [Conforms("ASP-65", "ASP-66", "ASP-67")]
    public async Task The_inbox_is_listed_newest_first_with_filters_and_the_whole_stored_text()
    {
        var first = await ReceiveAsync("one");
        var second = await ReceiveAsync("two", from: "mallory");
        var list = (await _bob.GetHubAsync("/api/inbox")).Ok();
        Assert.Equal([second, first], Ids(list));
        var item = list["messages"][1];
        Assert.Equal(
            ["message_id", "swarm_id", "sender_id", "recipient_id", "message_type", "status", "received_at", "read_at", "content_preview"],
            item.EnumerateObject().Select(m => m.Name));
        Assert.Equal(("eve", "bob", "message", "unread"), (Text(item, "sender_id"), Text(item, "recipient_id"), Text(item, "message_type"), Text(item, "status")));
        Assert.Matches(@"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?\+00:00$", Text(item, "received_at"));
        Assert.Equal(JsonValueKind.Null, item.GetProperty("read_at").ValueKind);
        Assert.Contains($"message_id: {first}\n", Text(item, "content_preview"), StringComparison.Ordinal);
        Assert.Contains("\ncontent: one\n", Text(item, "content_preview"), StringComparison.Ordinal);

        Assert.Equal([first], Ids(await _bob.GetHubAsync("/api/inbox?sender_id=eve")));
        Assert.Equal([second], Ids(await _bob.GetHubAsync("/api/inbox?sender_id=mallory&swarm_id=")));
        Assert.Equal([second, first], Ids(await _bob.GetHubAsync($"/api/inbox?sender_id=&swarm_id={_scene.Swarm}")));
        foreach (var nothing in new[] { "sender_id=nobody", "sender_id=%00", $"swarm_id={Guid.NewGuid()}", "swarm_id=x", "status=read", "status=archived" })
        {
            Assert.Empty(Ids(await _bob.GetHubAsync("/api/inbox?" + nothing)));
        }

        var got = (await _bob.GetHubAsync($"/api/inbox/{first}")).Ok();
        Assert.Equal("read", got["status"].GetString());
        Assert.NotNull(got["read_at"].GetString());
        Assert.Equal([first], Ids(await _bob.GetHubAsync("/api/inbox?status=read")));
        Assert.Equal([second, first], Ids(await _bob.GetHubAsync("/api/inbox?status=all")));
        Assert.Equal("""{"unread":1,"read":1,"archived":0,"deleted":0,"total":2}""", (await _bob.GetHubAsync("/api/inbox/count")).Text);
        Assert.Equal("""{"unread":0,"read":0,"archived":0,"deleted":0,"total":0}""", (await _bob.GetHubAsync("/api/inbox/count?swarm_id=x")).Text);
    }

    [Theory]
    [InlineData("limit=0", "query.limit:greater_than_equal")]
    [InlineData("limit=101", "query.limit:less_than_equal")]
    [InlineData("limit=99999999999999999999999999999999999999", "query.limit:less_than_equal")]
    [InlineData("limit=ten", "query.limit:int_parsing")]
    [InlineData("limit=", "query.limit:int_parsing")]
    [InlineData("limit=0&status=nonsense", "query.limit:greater_than_equal")]
    [InlineData("cursor=-1", "query.cursor:int_parsing")]
    [Conforms("ASP-65")]
    public async Task A_wrong_query_is_a_422_that_says_where(string query, string failure)
    {
        foreach (var list in new[] { "inbox", "outbox" })
        {
            var answer = await _bob.SendAsync(HttpMethod.Get, $"/api/{list}?{query}");
            Assert.Equal(422, answer.Code);
            Assert.Equal([failure], answer.Failures);
        }
    }

    [Fact]
    [Conforms("ASP-65")]
    public async Task An_unknown_status_is_a_400_that_names_the_valid_ones()
    {
        foreach (var status in new[] { "deleted", "", "x" })
        {
            var answer = await _bob.GetHubAsync($"/api/inbox?status={status}");
            Assert.Equal((HttpStatusCode.BadRequest, $$"""{"error":"Invalid status '{{status}}'. Valid: all, archived, read, unread"}"""), (answer.Status, answer.Text));
        }
    }

    [Fact]
    [Conforms("ASP-72")]
    [Refuses("W-26")]
    public async Task More_than_a_hundred_rows_are_reached_by_cursor_without_gap_or_repeat()
    {
        var sent = new List<string>();
        for (var i = 0; i < 5; i++)
        {
            var batch = await _node.Hub.PostHubAsync("/hub/v1/messages/batch", new
            {
                messages = Enumerable.Range(0, 50).Select(n => new { from = "alice", swarm_id = _scene.Swarm.ToString(), to = "bob", content = $"{i}-{n}" }),
            });
            sent.AddRange(batch.Ok()["results"].EnumerateArray().Select(r => r.GetProperty("message_id").GetString()!));
        }

        sent.Reverse();
        Assert.Equal(sent, await AllAsync(_bob, "inbox", 100));
        Assert.Equal(sent, await AllAsync(_bob, "inbox", 7, "&sender_id=alice"));
        using var alice = _node.ClientOf(_scene.TokenOf("alice"));
        Assert.Equal(sent, await AllAsync(alice, "outbox", 100));
        Assert.False((await _bob.GetHubAsync("/api/inbox?limit=100&cursor=101")).Json.TryGetProperty("next_cursor", out _));
    }

    [Fact]
    [Conforms("ASP-68", "ASP-69")]
    public async Task A_batch_changes_what_its_action_allows_and_counts_it()
    {
        var ids = new[] { await ReceiveAsync("1"), await ReceiveAsync("2"), await ReceiveAsync("3") };
        Assert.Equal("""{"action":"read","updated":1,"total":4}""", await BatchAsync("read", ids[0], ids[0].ToUpperInvariant(), "no-id", Guid.NewGuid().ToString()));
        Assert.Equal("""{"action":"read","updated":0,"total":1}""", await BatchAsync("read", ids[0]));
        Assert.Equal("""{"action":"archive","updated":2,"total":2}""", await BatchAsync("archive", ids[0], ids[1]));
        Assert.Equal("""{"action":"archive","updated":0,"total":2}""", await BatchAsync("archive", ids[0], ids[1]));
        Assert.Equal("""{"action":"delete","updated":2,"total":2}""", await BatchAsync("delete", ids[1], ids[2]));
        Assert.Equal("""{"action":"archive","updated":0,"total":1}""", await BatchAsync("archive", ids[2]));
        Assert.Equal("""{"unread":0,"read":0,"archived":1,"deleted":2,"total":3}""", (await _bob.GetHubAsync("/api/inbox/count")).Text);
        Assert.Equal([ids[0]], Ids(await _bob.GetHubAsync("/api/inbox?status=all")));

        var hundred = Enumerable.Range(0, Mailbox.BatchMax).Select(_ => Guid.NewGuid().ToString()).ToArray();
        Assert.Equal("""{"action":"delete","updated":0,"total":100}""", await BatchAsync("delete", hundred));
    }

    [Theory]
    [InlineData("", "body:missing")]
    [InlineData("[]", "body:model_attributes_type")]
    [InlineData("{\"message_ids\":\"x\"}", "body.message_ids:list_type body.action:missing")]
    [InlineData("{\"message_ids\":[1,\"x\",null],\"action\":\"read\"}", "body.message_ids.0:string_type body.message_ids.2:string_type")]
    [InlineData("{\"action\":1,\"message_ids\":[\"x\"]}", "body.action:literal_error")]
    [Conforms("ASP-69")]
    public async Task A_wrong_batch_is_a_422_that_lists_every_failure(string body, string failures)
    {
        var answer = await _bob.PostAsync("/api/inbox/batch", System.Text.Encoding.UTF8.GetBytes(body));
        Assert.Equal(422, answer.Code);
        Assert.Equal(failures, string.Join(' ', answer.Failures));
    }

    [Fact]
    [Conforms("ASP-68")]
    public async Task What_is_deleted_leaves_lists_streams_and_the_work_queue_and_what_is_archived_leaves_the_unread()
    {
        var kept = await ReceiveAsync("kept");
        var archived = await ReceiveAsync("archived");
        var deleted = await ReceiveAsync("deleted");
        await BatchAsync("archive", archived);
        await BatchAsync("delete", deleted);
        var all = (await _bob.GetHubAsync("/hub/v1/agents/bob/inbox")).Ok();
        Assert.Equal(["kept", "archived"], all["messages"].EnumerateArray().Select(m => Text(m, "content")));
        var unread = (await _bob.GetHubAsync("/hub/v1/agents/bob/inbox?state=unread")).Ok();
        Assert.Equal(["kept"], unread["messages"].EnumerateArray().Select(m => Text(m, "content")));
        Assert.Equal("""{"unread":1,"read":1,"total":2}""", (await _bob.GetHubAsync("/hub/v1/agents/bob/inbox/counts")).Text);
        var lease = (await _bob.PostHubAsync("/hub/v1/agents/bob/inbox/lease", new { max = 10 })).Ok();
        Assert.Equal([kept], lease["messages"].EnumerateArray().Select(m => Text(m, "message_id")));

        // The stream from the start shows the others; what comes after the deleted one comes too.
        using var stream = await SseStream.OpenAsync(_bob, "bob", lastEventId: 0);
        var last = await ReceiveAsync("last");
        var seen = new List<string>();
        while (seen.Count == 0 || seen[^1] != last)
        {
            seen.Add(Text((await stream.NextAsync())!.Data, "message_id"));
        }

        Assert.Equal([kept, archived, last], seen);
    }

    [Fact]
    [Conforms("ASP-28", "ASP-67")]
    public async Task The_same_id_from_two_senders_is_two_messages()
    {
        var id = Guid.NewGuid();
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("bob", _scene.Signed("mallory", "bob", "squatted", id))).Status);
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("bob", _scene.Signed("eve", "bob", "real", id))).Status);
        Assert.Equal(["eve", "mallory"], (await _bob.GetHubAsync("/api/inbox")).Json.GetProperty("messages").EnumerateArray().Select(m => Text(m, "sender_id")));
        Assert.Equal("eve", (await _bob.GetHubAsync($"/api/inbox/{id}"))["sender_id"].GetString());
    }

    [Fact]
    [Conforms("ASP-67")]
    public async Task A_message_of_somebody_who_was_kicked_since_is_still_found_and_filtered()
    {
        var id = await ReceiveAsync("old", from: "mallory");
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{_scene.Swarm}/kick", new { agent = "alice", target = "mallory" })).Ok();
        Assert.Equal([id], Ids(await _bob.GetHubAsync("/api/inbox?sender_id=mallory")));
        Assert.Equal("read", (await _bob.GetHubAsync($"/api/inbox/{id}"))["status"].GetString());
        Assert.Equal("archived", (await _bob.PostHubAsync($"/api/inbox/{id}/archive", new { }))["status"].GetString());
    }

    [Fact]
    [Conforms("ASP-70")]
    public async Task The_outbox_tells_what_became_of_each_message_as_a_whole()
    {
        using var alice = _node.ClientOf(_scene.TokenOf("alice"));
        Assert.Equal("""{"count":0,"messages":[]}""", (await alice.GetHubAsync("/api/outbox")).Text);
        var to = new Dictionary<string, string>();
        foreach (var content in new[] { "waits", "is read", "expires", "for all" })
        {
            to[content] = (await _node.Hub.PostHubAsync("/hub/v1/messages", new
            {
                from = "alice", swarm_id = _scene.Swarm.ToString(), to = content == "for all" ? "broadcast" : "bob", content,
            })).Ok()["message_id"].GetString()!;
        }

        await _bob.GetHubAsync($"/api/inbox/{to["is read"]}");
        await _bob.GetHubAsync($"/api/inbox/{to["for all"]}");
        await _node.ExecuteAsync(
            $"update deliveries set state = 8 where message_no = (select message_no from message_ids where message_id = '{to["expires"]}')");
        var list = (await alice.GetHubAsync("/api/outbox")).Ok();
        Assert.Equal(
            ["for all sent broadcast ", "expires failed bob expired", "is read delivered bob ", "waits sent bob "],
            list["messages"].EnumerateArray().Select(
                m => $"{Text(m, "content_preview")} {Text(m, "status")} {Text(m, "recipient_id")} {m.GetProperty("error").GetString()}"));
        Assert.Equal(
            ["message_id", "swarm_id", "recipient_id", "message_type", "status", "sent_at", "error", "content_preview"],
            list["messages"][0].EnumerateObject().Select(m => m.Name));
        Assert.Equal("""{"sent":2,"delivered":1,"failed":1,"total":4}""", (await alice.GetHubAsync($"/api/outbox/count?swarm_id={_scene.Swarm}")).Text);
        Assert.Equal("""{"sent":0,"delivered":0,"failed":0,"total":0}""", (await alice.GetHubAsync("/api/outbox/count?swarm_id=")).Text);
        Assert.Equal(["query.swarm_id:missing"], (await alice.SendAsync(HttpMethod.Get, "/api/outbox/count")).Failures);
    }

    [Fact]
    [Conforms("ASP-29", "ASP-71")]
    public async Task Paths_and_methods_that_are_not_there_are_told_as_the_reference_tells_them()
    {
        Assert.Equal((404, """{"detail":"Not Found"}"""), await Told(HttpMethod.Get, "/api/nothing"));
        Assert.Equal((405, """{"detail":"Method Not Allowed"}"""), await Told(HttpMethod.Delete, "/api/inbox"));
        Assert.Equal((405, """{"detail":"Method Not Allowed"}"""), await Told(HttpMethod.Get, $"/api/inbox/{Guid.NewGuid()}/read"));
        Assert.Equal(404, (await Told(HttpMethod.Get, "/api/inbox/" + new string('x', 5000))).Item1);
        Assert.Equal(413, (await _bob.PostAsync("/api/inbox/batch", new byte[64 * 1024 + 1])).Code);
        Assert.Equal(422, (await _bob.PostAsync("/api/inbox/batch", new byte[64 * 1024])).Code);

        async Task<(int, string)> Told(HttpMethod method, string path)
        {
            var answer = await _bob.SendAsync(method, path);
            return (answer.Code, answer.Text);
        }
    }

    private static string Text(JsonElement json, string name) => json.GetProperty(name).GetString()!;

    private static IEnumerable<string> Ids(Answer answer) => answer.Ok()["messages"].EnumerateArray().Select(m => Text(m, "message_id"));

    private static async Task<List<string>> AllAsync(HttpClient client, string list, int limit, string filter = "")
    {
        var all = new List<string>();
        var cursor = "";
        while (true)
        {
            var page = (await client.GetHubAsync($"/api/{list}?limit={limit}&cursor={cursor}{filter}")).Ok();
            Assert.Equal(page["count"].GetInt32(), page["messages"].GetArrayLength());
            all.AddRange(Ids(page));
            if (!page.Json.TryGetProperty("next_cursor", out var next))
            {
                return all;
            }

            cursor = next.GetString();
        }
    }

    private async Task<string> BatchAsync(string action, params string[] ids) =>
        (await _bob.PostHubAsync("/api/inbox/batch", new { message_ids = ids, action })).Ok().Text;

    private async Task<string> ReceiveAsync(string content, string from = "eve")
    {
        var id = Guid.NewGuid();
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("bob", _scene.Signed(from, "bob", content, id))).Status);
        return id.ToString();
    }
}
