using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using NSec.Cryptography;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Portability;

/// <summary>Export and import (ASP §13): nothing is lost on the way, nothing is believed too easily, and it is all or nothing.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class StateImportTests(PostgresFixture postgres) : IAsyncLifetime
{
    private const string SwarmId = "550e8400-e29b-41d4-a716-446655440000";

    private static readonly VectorKey Alice = VectorFile.Published.Key("alice");
    private static readonly VectorKey Bob = VectorFile.Published.Key("bob");
    private static readonly VectorKey Mallory = VectorFile.Published.Key("mallory");

    private NodeHost _node = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres);
        await AddAsync(_node, Alice);
    }

    public async Task DisposeAsync() => await _node.DisposeAsync();

    [Fact]
    [Conforms("ASP-85", "ASP-86", "ASP-87")]
    [Refuses("W-09")]
    public async Task An_agent_that_has_sent_and_received_moves_to_another_node_whole()
    {
        using var scene = await Scene.CreateAsync(_node.Hub, ["carol"], ["eve"]);
        await JoinAsync(scene, "alice");
        await SendAsync("alice", scene, "broadcast", "to all");
        await SendAsync("alice", scene, "carol", "to carol\n\"quoted\" \u001b שלום");
        (await _node.Http.PostMessageAsync("alice", scene.Signed("eve", "alice", "to alice: [x], 1.5\n---\n"))).Ok();
        await SendAsync("carol", scene, "alice", "");
        (await _node.Hub.PostHubAsync("/hub/v1/agents/alice/mute", new { agent_id = "mallory", reason = "spam" })).Ok();
        var inbox = (await _node.Hub.GetHubAsync("/hub/v1/agents/alice/inbox?state=all"))["messages"];
        (await _node.Hub.PostHubAsync("/hub/v1/agents/alice/inbox/read", new { seqs = new[] { inbox[0].GetProperty("seq").GetInt64() } })).Ok();
        var exported = await ExportAsync(_node);
        Assert.Equal((2, 2), (exported["inbox"]!.AsArray().Count, exported["outbox"]!.AsArray().Count));
        Assert.All(exported["outbox"]!.AsArray(), item => Assert.True(item!.AsObject().ContainsKey("delivered_at") && item["delivered_at"] is null));
        Assert.Empty((await _node.Hub.GetHubAsync("/hub/v1/agents/alice/export?outbox=false"))["outbox"].EnumerateArray());

        await using var other = await NodeHost.StartAsync(postgres);
        await AddAsync(other, Alice);
        var done = (await ImportAsync(other, exported)).Ok();
        Assert.Equal((1, 2, 2, 1), (done["swarms"].GetInt32(), done["inbox"].GetInt32(), done["outbox"].GetInt32(), done["muted_agents"].GetInt32()));
        var again = await ExportAsync(other);
        Assert.Equal(Comparable(exported), Comparable(again));

        // What its senders signed is still verified, and is what it was.
        var moved = (await other.Hub.GetHubAsync("/hub/v1/agents/alice/inbox?state=all"))["messages"].EnumerateArray().ToList();
        Assert.Equal(
            inbox.EnumerateArray().Select(m => (m.GetProperty("content").GetString(), m.GetProperty("message_id").GetString(), true)),
            moved.Select(m => (m.GetProperty("content").GetString(), m.GetProperty("message_id").GetString(), m.GetProperty("verified").GetBoolean())));
        Assert.Equal(["read", "pending"], moved.Select(m => m.GetProperty("state").GetString()));
        Assert.Equal(4, await other.ScalarAsync<long>("select count(*) from messages"));

        // The work queue gives out what is unread, and nothing else.
        var lease = (await other.Hub.PostHubAsync("/hub/v1/agents/alice/inbox/lease", new { max = 10, lease_seconds = 30 })).Ok();
        Assert.Equal([moved[1].GetProperty("seq").GetInt64()], lease["messages"].EnumerateArray().Select(m => m.GetProperty("seq").GetInt64()));
    }

    [Fact]
    [Conforms("ASP-86")]
    public async Task A_signed_message_that_comes_again_after_the_import_is_a_duplicate()
    {
        using var bob = Bob.ToKey();
        var message = MessageSignature.Sign(bob, Message("bob", "alice", "Hello", Guid.NewGuid()));
        var state = State();
        state["inbox"]!.AsArray().Add(Received(message, Toon.OfMessage(MessageWriter.Write(message))));
        (await ImportAsync(_node, state)).Ok();
        (await _node.Http.PostMessageAsync("alice", MessageWriter.Write(message))).Ok();
        var item = Assert.Single((await _node.Hub.GetHubAsync("/hub/v1/agents/alice/inbox?state=unread"))["messages"].EnumerateArray());
        Assert.True(item.GetProperty("verified").GetBoolean());
        Assert.Equal("Hello", item.GetProperty("content").GetString());
    }

    [Fact]
    [Conforms("ASP-86", "ASP-87")]
    [Refuses("W-08")]
    public async Task What_does_not_verify_is_kept_as_unverified_and_takes_no_id_from_its_sender()
    {
        using var bob = Bob.ToKey();
        using var mallory = Mallory.ToKey();
        var id = Guid.NewGuid();
        var forged = MessageSignature.Sign(mallory, Message("bob", "alice", "I am Bob", id));
        var state = State();
        state["inbox"]!.AsArray().Add(Received(forged, Toon.OfMessage(MessageWriter.Write(forged))));
        (await ImportAsync(_node, state)).Ok();
        (await _node.Http.PostMessageAsync("alice", MessageWriter.Write(MessageSignature.Sign(bob, Message("bob", "alice", "It is me", id))))).Ok();
        var items = (await _node.Hub.GetHubAsync("/hub/v1/agents/alice/inbox?state=unread"))["messages"].EnumerateArray().ToList();
        Assert.Equal(
            [("I am Bob", false), ("It is me", true)], items.Select(m => (m.GetProperty("content").GetString(), m.GetProperty("verified").GetBoolean())));
    }

    [Fact]
    [Conforms("ASP-86")]
    public async Task Replacing_takes_away_what_was_there_and_merging_keeps_it()
    {
        using var scene = await Scene.CreateAsync(_node.Hub, ["carol"], []);
        await JoinAsync(scene, "alice");
        await SendAsync("carol", scene, "alice", "native");
        await SendAsync("alice", scene, "carol", "sent here");
        (await _node.Hub.PostHubAsync("/hub/v1/agents/alice/mute", new { agent_id = "old" })).Ok();

        (await ImportAsync(_node, State(), merge: true)).Ok();
        var merged = await ExportAsync(_node);
        Assert.Equal((2, 2, 2), (merged["swarms"]!.AsObject().Count, merged["inbox"]!.AsArray().Count, merged["outbox"]!.AsArray().Count));
        Assert.Equal(["old", "spam"], merged["muted_agents"]!.AsArray().Select(m => m!.GetValue<string>()).Order());

        (await ImportAsync(_node, State())).Ok();
        var replaced = await ExportAsync(_node);
        Assert.Equal([SwarmId], replaced["swarms"]!.AsObject().Select(m => m.Key));
        Assert.Equal(["stored"], replaced["inbox"]!.AsArray().Select(m => m!["content"]!.GetValue<string>()));
        Assert.Equal([("failed", "no route")], replaced["outbox"]!.AsArray().Select(m => (m!["status"]!.GetValue<string>(), m["error"]!.GetValue<string>())));
        Assert.Equal(["spam"], replaced["muted_agents"]!.AsArray().Select(m => m!.GetValue<string>()));

        // It left carol's swarm; carol lost nothing.
        var carols = (await _node.Hub.GetHubAsync("/hub/v1/swarms?agent=carol"))["swarms"];
        Assert.Equal(1, Assert.Single(carols.EnumerateArray()).GetProperty("member_count").GetInt32());
        Assert.Equal("sent here", (await _node.Hub.GetHubAsync("/hub/v1/agents/carol/inbox"))["messages"][0].GetProperty("content").GetString());
        Assert.Equal(1, (await _node.Hub.GetHubAsync("/hub/v1/agents/alice/mailbox/counts"))["total"].GetInt64());
        Assert.Equal(1, (await _node.Hub.GetHubAsync("/hub/v1/agents/alice/outbox/counts"))["failed"].GetInt64());
    }

    [Fact]
    [Conforms("ASP-86")]
    public async Task A_master_comes_over_with_its_swarm_and_its_members_are_heard()
    {
        (await ImportAsync(_node, State())).Ok();
        using var bob = Bob.ToKey();
        (await _node.Http.PostMessageAsync("alice", MessageWriter.Write(MessageSignature.Sign(bob, Message("bob", "alice", "Hello", Guid.NewGuid()))))).Ok();
        var invite = (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{SwarmId}/invites", new { agent = "alice" })).Ok();
        Assert.StartsWith($"swarm://{SwarmId}@", invite["invite_token"].GetString(), StringComparison.Ordinal);
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{SwarmId}/kick", new { agent = "alice", target = "bob" })).Ok();
        Assert.Equal(
            HttpStatusCode.Forbidden,
            (await _node.Http.PostMessageAsync("alice", MessageWriter.Write(MessageSignature.Sign(bob, Message("bob", "alice", "Hello", Guid.NewGuid()))))).Status);
        Assert.Equal(0, await _node.ScalarAsync<long>("select count(*) from agents where kind <> 1 and sealed_seed is not null"));
    }

    [Fact]
    [Conforms("ASP-87")]
    public async Task Only_an_operator_imports_and_only_who_may_see_the_agent_exports()
    {
        using var scene = await Scene.CreateAsync(_node.Hub, ["carol"], []);
        using var carol = _node.ClientOf(scene.TokenOf("carol"));
        (await carol.PostHubAsync("/hub/v1/agents/carol/import", State("carol"))).Refused(HttpStatusCode.Forbidden, "forbidden");
        (await carol.GetHubAsync("/hub/v1/agents/alice/export")).Refused(HttpStatusCode.Forbidden, "forbidden");
        Assert.Equal("carol", (await carol.GetHubAsync("/hub/v1/agents/carol/export")).Ok()["agent_id"].GetString());
        (await _node.ClientOf(null).GetHubAsync("/hub/v1/agents/carol/export")).Refused(HttpStatusCode.Unauthorized, "unauthenticated");
        (await _node.Hub.GetHubAsync("/hub/v1/agents/nobody/export")).Refused(HttpStatusCode.NotFound, "unknown-agent");
        (await _node.Hub.PostHubAsync("/hub/v1/agents/nobody/import", State())).Refused(HttpStatusCode.NotFound, "unknown-agent");
        (await _node.Hub.PostHubAsync("/hub/v1/agents/alice/import?merge=yes", State())).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        (await _node.Hub.GetHubAsync("/hub/v1/agents/alice/export?outbox=1")).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
    }

    [Fact]
    [Conforms("ASP-87")]
    public async Task A_file_cannot_take_a_swarm_from_other_agents_of_the_node()
    {
        await AddAsync(_node, Mallory);
        (await ImportAsync(_node, State())).Ok();
        await AddAsync(_node, VectorFile.Published.Key("bob"), "robert");

        // Somebody's file says that mallory is the master of alice's swarm.
        var state = State("mallory");
        var swarm = state["swarms"]![SwarmId]!;
        swarm["master"] = "mallory";
        var before = await DumpAsync();
        (await ImportAsync(_node, state, agent: "mallory")).Refused(HttpStatusCode.Conflict, "swarm-exists");
        Assert.Equal(before, await DumpAsync());

        // With the master that is known, mallory becomes a member; name and settings stay alice's.
        swarm["master"] = "alice";
        swarm["name"] = "another name";
        (await ImportAsync(_node, state, agent: "mallory")).Ok();
        var known = (await _node.Hub.GetHubAsync($"/hub/v1/swarms/{SwarmId}")).Ok();
        Assert.Equal(("Old", "alice", 3), (known["name"].GetString(), known["master"].GetString(), known["member_count"].GetInt32()));

        // And alice cannot leave it behind by a file that does not hold it.
        before = await DumpAsync();
        var empty = new JsonObject { ["schema_version"] = "2.0.0", ["agent_id"] = "alice" };
        (await ImportAsync(_node, empty)).Refused(HttpStatusCode.Conflict, "master-may-not-leave");
        Assert.Equal(before, await DumpAsync());
        (await ImportAsync(_node, empty, agent: "mallory")).Ok();
        Assert.Equal(2, (await _node.Hub.GetHubAsync($"/hub/v1/swarms/{SwarmId}"))["member_count"].GetInt32());
        Assert.Equal("mallory", (await _node.Hub.GetHubAsync("/hub/v1/agents/mallory/export"))["agent_id"].GetString());
    }

    [Fact]
    [Conforms("ASP-87")]
    public async Task A_swarm_that_was_dissolved_does_not_come_back()
    {
        (await ImportAsync(_node, State())).Ok();
        (await _node.Hub.PostHubAsync($"/hub/v1/swarms/{SwarmId}/dissolve", new { agent = "alice" })).Ok();
        var before = await DumpAsync();
        (await ImportAsync(_node, State())).Refused(HttpStatusCode.Conflict, "swarm-exists");
        (await ImportAsync(_node, State(), merge: true)).Refused(HttpStatusCode.Conflict, "swarm-exists");
        Assert.Equal(before, await DumpAsync());
    }

    [Fact]
    [Conforms("ASP-86")]
    public async Task A_swarm_that_is_none_any_more_is_skipped_and_named()
    {
        var state = State();
        var left = (JsonObject)state["swarms"]![SwarmId]!.DeepClone();
        const string Other = "660e8400-e29b-41d4-a716-446655440001";
        left["swarm_id"] = Other;
        left["members"]!.AsArray().RemoveAt(0);
        left["master"] = "bob";
        state["swarms"]![Other] = left;
        var done = (await ImportAsync(_node, state)).Ok();
        Assert.Equal((1, Other), (done["swarms"].GetInt32(), Assert.Single(done["skipped"].EnumerateArray()).GetString()));
        Assert.Equal([SwarmId], (await ExportAsync(_node))["swarms"]!.AsObject().Select(m => m.Key));
    }

    public static TheoryData<string, string> Mistakes => new()
    {
        { "schema_version", "null" },
        { "schema_version", "7" },
        { "swarms", "[]" },
        { "swarms.*.swarm_id", "\"660e8400-e29b-41d4-a716-446655440001\"" },
        { "swarms.*.name", "\"\"" },
        { "swarms.*.name", "\"a\\nb\"" },
        { "swarms.*.members", "{}" },
        { "swarms.*.members.0.agent_id", "\"a b\"" },
        { "swarms.*.members.0.agent_id", "\"bob\"" },
        { "swarms.*.members.0.endpoint", "\"http://x\"" },
        { "swarms.*.members.0.public_key", "\"MCowBQYDK2VwAyEA\"" },
        { "swarms.*.members.0.public_key", "\"0EqyMnQrtKs6E2i9RhXk5tAiSrcaAWuvhSCjMsl3hzc=\"" },
        { "swarms.*.settings", "[]" },
        { "swarms.*.settings.allow_member_invite", "\"yes\"" },
        { "muted_swarms", "[\"x\"]" },
        { "muted_agents", "[1]" },
        { "muted_agents", "\"spam\"" },
        { "public_keys.bob.public_key", "null" },
        { "public_keys.bob.fetched_at", "\"yesterday\"" },
        { "public_keys.bob", "[]" },
        { "inbox", "{}" },
        { "inbox.0", "null" },
        { "inbox.0.message_id", "\"x\"" },
        { "inbox.0.sender_id", "\"\"" },
        { "inbox.0.status", "\"lost\"" },
        { "inbox.0.message_type", "\"order\"" },
        { "inbox.0.content", "null" },
        { "inbox.0.content", "\"\\ud800\"" },
        { "inbox.0.received_at", "\"\"" },
        { "inbox.0.read_at", "\"x\"" },
        { "outbox.0.recipient_id", "null" },
        { "outbox.0.status", "\"unread\"" },
        { "outbox.0.error", "\"\\u0000\"" },
        { "outbox.0.sent_at", "5" },
    };

    [Theory]
    [MemberData(nameof(Mistakes))]
    [Conforms("ASP-87")]
    [Refuses("W-09")]
    public async Task A_mistake_anywhere_is_refused_with_its_place_and_nothing_changes(string path, string value)
    {
        (await ImportAsync(_node, State())).Ok();
        var state = State();
        Set(state, path.Replace("*", SwarmId, StringComparison.Ordinal).Split('.'), value);
        var before = await DumpAsync();
        foreach (var merge in new[] { false, true })
        {
            var answer = await ImportTextAsync(_node, Raw(state), merge);
            Assert.True(answer.Error is "invalid-request" or "invalid-key", answer.Text);
            Assert.Equal(before, await DumpAsync());
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("{\"schema_version\":\"2.0.0\",\"schema_version\":\"2.0.0\"}")]
    [Conforms("ASP-87", "ASP-108")]
    public async Task What_is_no_object_is_refused(string body) =>
        (await ImportTextAsync(_node, body, false)).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");

    [Fact]
    [Conforms("ASP-87")]
    [Refuses("W-09")]
    public async Task A_failure_in_the_middle_leaves_everything_as_it_was()
    {
        (await ImportAsync(_node, State())).Ok();
        var before = await DumpAsync();
        var state = State();
        state["swarms"]![SwarmId]!["name"] = "changed";
        var first = state["inbox"]![0]!.DeepClone();
        first["message_id"] = "00000000-0000-4000-8000-00000000f001";
        first["received_at"] = "2027-01-01T00:00:00+00:00";
        state["inbox"]!.AsArray().Add(first);

        // The database refuses the last row, after all the others were written.
        await _node.ExecuteAsync(
            "alter table imported_messages add constraint planted check (at < '2026-12-31' or stored is null) not valid");
        Assert.True((int)(await ImportAsync(_node, state)).Status >= 400);
        Assert.Equal(before, await DumpAsync());
        await _node.ExecuteAsync("alter table imported_messages drop constraint planted");
        (await ImportAsync(_node, state)).Ok();
        Assert.NotEqual(before, await DumpAsync());
    }

    [Fact]
    [Conforms("ASP-87")]
    public async Task A_state_has_limits()
    {
        var state = State();
        state["muted_agents"] = new JsonArray([.. Enumerable.Range(0, 1_000).Select(i => JsonValue.Create($"a{i}"))]);
        (await ImportAsync(_node, state)).Ok();
        state["muted_agents"]!.AsArray().Add("one-more");
        (await ImportAsync(_node, state)).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        var merge = new JsonObject { ["schema_version"] = "2.0.0", ["muted_agents"] = new JsonArray("one-more") };
        (await ImportAsync(_node, merge, merge: true)).Refused(HttpStatusCode.Conflict, "limit-reached");
        Assert.Equal(1_000, (await ExportAsync(_node))["muted_agents"]!.AsArray().Count);

        var large = State();
        large["inbox"]![0]!["content"] = new string('x', 4 * 1024 * 1024);
        (await ImportAsync(_node, large)).Ok();
        large["inbox"]![0]!["content"] = new string('x', (4 * 1024 * 1024) + 1);
        (await ImportAsync(_node, large)).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        (await ImportTextAsync(_node, new string(' ', 33 * 1024 * 1024), false)).Refused(HttpStatusCode.RequestEntityTooLarge, "body-too-large");
    }

    [Fact]
    [Conforms("ASP-86")]
    public async Task The_old_queue_comes_over_with_its_words()
    {
        string?[] words = ["pending", "processing", "completed", "failed", "whatever", null];
        var state = new JsonObject
        {
            ["schema_version"] = "1.0.0",
            ["message_queue"] = new JsonArray([.. words.Select((word, i) => new JsonObject
            {
                ["message_id"] = $"00000000-0000-4000-8000-00000000000{i}", ["swarm_id"] = SwarmId, ["sender_id"] = "bob", ["message_type"] = "message",
                ["content"] = $"c{i}", ["received_at"] = $"2026-02-05T1{i}:00:00+00:00", ["status"] = word,
            })]),
        };
        (await ImportAsync(_node, state)).Ok();
        Assert.Equal(
            ["unread", "unread", "read", "read", "read", "unread"],
            (await ExportAsync(_node))["inbox"]!.AsArray().Reverse().Select(m => m!["status"]!.GetValue<string>()));
    }

    [Theory]
    [InlineData("priority: normal\n")]
    [InlineData("message_id: \"broken\n")]
    [InlineData("protocol_version: 0.1.0\nprotocol_version: 0.1.0")]
    [InlineData("sender:\n  agent_id: a\n    x: y\ncontent: \"a\\qb\"")]
    [InlineData("")]
    public void A_stored_text_that_is_no_message_reads_as_none(string text) => Assert.Null(ToonReader.ReadMessage(text));

    public static TheoryData<string, string> Stored => VectorFile.Rows("toon-stored-content");

    [Theory]
    [MemberData(nameof(Stored))]
    [Conforms("ASP-86")]
    public void A_stored_text_reads_back_as_its_message(string file, string id)
    {
        if (VectorFile.Find(file, id) is not { } vector)
        {
            return;
        }

        var wire = MessageParser.Parse(vector.OptionalText("base") is { } other ? vector.File.Base(other).Wire() : vector.Wire());
        Assert.Equal(
            wire with { Attachments = null, References = null, Metadata = null },
            ToonReader.ReadMessage(vector.Expect.GetProperty("content_preview").GetString()!));
    }

    private static async Task AddAsync(NodeHost node, VectorKey key, string? name = null) =>
        (await node.Hub.PostHubAsync(
            "/hub/v1/agents", new { name = name ?? key.AgentId, endpoint = key.Endpoint, private_key = Convert.ToBase64String(key.Seed) })).Ok();

    private static JsonObject State(string agent = "alice")
    {
        var members = new JsonArray();
        foreach (var key in agent == "mallory" ? new[] { Alice, Bob, Mallory } : [Alice, Bob])
        {
            members.Add(new JsonObject
            {
                ["agent_id"] = key.AgentId, ["endpoint"] = key.Endpoint, ["public_key"] = key.PublicKeyText, ["joined_at"] = "2026-02-05T14:30:00.5+00:00",
            });
        }

        return new()
        {
            ["schema_version"] = "2.0.0",
            ["agent_id"] = agent,
            ["swarms"] = new JsonObject
            {
                [SwarmId] = new JsonObject
                {
                    ["swarm_id"] = SwarmId, ["name"] = "Old", ["master"] = "alice", ["members"] = members, ["joined_at"] = "not a time",
                    ["settings"] = new JsonObject { ["allow_member_invite"] = false, ["require_approval"] = false },
                },
            },
            ["muted_swarms"] = new JsonArray(),
            ["muted_agents"] = new JsonArray("spam"),
            ["public_keys"] = new JsonObject
            {
                ["bob"] = new JsonObject { ["public_key"] = Bob.PublicKeyText, ["fetched_at"] = "2026-02-05T10:00:00+00:00" },
            },
            ["inbox"] = new JsonArray(new JsonObject
            {
                ["message_id"] = "00000000-0000-4000-8000-00000000e001", ["swarm_id"] = SwarmId, ["sender_id"] = "bob", ["recipient_id"] = null,
                ["message_type"] = "system", ["content"] = "stored", ["received_at"] = "2026-02-05T10:00:00.123456+00:00", ["status"] = "archived",
                ["read_at"] = "2026-02-05T11:00:00+00:00", ["deleted_at"] = null,
            }),
            ["outbox"] = new JsonArray(new JsonObject
            {
                ["message_id"] = "00000000-0000-4000-8000-00000000e002", ["swarm_id"] = SwarmId, ["recipient_id"] = "bob", ["message_type"] = "message",
                ["content"] = "sent there", ["sent_at"] = "2026-02-05T10:00:00+00:00", ["status"] = "failed", ["delivered_at"] = null, ["error"] = "no route",
            }),
        };
    }

    private static AspMessage Message(string from, string to, string content, Guid id) => new()
    {
        MessageId = new(id),
        Timestamp = AspTimestamp.Format(TimeProvider.System.GetUtcNow()),
        SenderId = from,
        SenderEndpoint = $"https://{from}.example.com/swarm",
        Recipient = to,
        SwarmId = new(Guid.Parse(SwarmId)),
        Kind = Core.Messaging.MessageKind.Message,
        Content = content,
    };

    private static JsonObject Received(AspMessage message, string stored) => new()
    {
        ["message_id"] = message.MessageId.ToString(), ["swarm_id"] = SwarmId, ["sender_id"] = message.SenderId, ["recipient_id"] = message.Recipient,
        ["message_type"] = "message", ["content"] = stored, ["received_at"] = AspTimestamp.FormatLocal(TimeProvider.System.GetUtcNow()), ["status"] = "unread",
        ["read_at"] = null, ["deleted_at"] = null,
    };

    /// <summary>Puts a value, as JSON text, at a place.</summary>
    private static void Set(JsonNode at, string[] path, string value)
    {
        foreach (var step in path[..^1])
        {
            at = at is JsonArray items ? items[int.Parse(step)]! : at[step]!;
        }

        // A marker, because a node cannot hold half a surrogate pair.
        JsonNode marker = JsonValue.Create("<<" + Convert.ToBase64String(Encoding.UTF8.GetBytes(value)) + ">>");
        if (at is JsonArray list)
        {
            list[int.Parse(path[^1])] = marker;
        }
        else
        {
            at[path[^1]] = marker;
        }
    }

    private static string Raw(JsonNode state) => System.Text.RegularExpressions.Regex.Replace(
        state.ToJsonString(new JsonSerializerOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }),
        "\"<<(.*?)>>\"",
        match => Encoding.UTF8.GetString(Convert.FromBase64String(match.Groups[1].Value)));

    private static async Task<JsonObject> ExportAsync(NodeHost node) =>
        JsonNode.Parse((await node.Hub.GetHubAsync("/hub/v1/agents/alice/export")).Ok().Text)!.AsObject();

    private static Task<Answer> ImportAsync(NodeHost node, JsonObject state, bool merge = false, string agent = "alice") =>
        ImportTextAsync(node, state.ToJsonString(), merge, agent);

    private static Task<Answer> ImportTextAsync(NodeHost node, string state, bool merge, string agent = "alice") => node.Hub.CallAsync(
        HttpMethod.Post, $"/hub/v1/agents/{agent}/import{(merge ? "?merge=true" : "")}", new StringContent(state, Encoding.UTF8, "application/json"));

    private async Task SendAsync(string from, Scene scene, string to, string content) =>
        (await _node.Hub.PostHubAsync("/hub/v1/messages", new { from, swarm_id = scene.Swarm.Value, to, content })).Ok();

    private Task JoinAsync(Scene scene, string agent) => scene.JoinAsync(_node.Hub, agent);

    /// <summary>Everything but the audit and what counts versions.</summary>
    private Task<string> DumpAsync() => _node.ScalarAsync<string>(
        """
        select concat_ws(E'\n',
            (select string_agg(t::text, ';' order by t::text) from (select agent_no, kind, name, endpoint, public_key from agents) t),
            (select string_agg(t::text, ';' order by t::text) from (select swarm_no, swarm_id, name, master_no, allow_member_invite, version from swarms) t),
            (select string_agg(t::text, ';' order by t::text) from members t), (select string_agg(t::text, ';' order by t::text) from mutes t),
            (select string_agg(t::text, ';' order by t::text) from known_keys t), (select string_agg(t::text, ';' order by t::text) from messages t),
            (select string_agg(t::text, ';' order by t::text) from deliveries t), (select string_agg(t::text, ';' order by t::text) from message_ids t),
            (select string_agg(t::text, ';' order by t::text) from mailboxes t), (select string_agg(t::text, ';' order by t::text) from imported_messages t))
        """);

    private static string Comparable(JsonObject export)
    {
        var copy = export.DeepClone().AsObject();
        copy["exported_at"] = "";
        foreach (var message in copy["outbox"]!.AsArray())
        {
            message!["status"] = ""; // What is on its way there is not on its way here.
        }

        return copy.ToJsonString();
    }
}
