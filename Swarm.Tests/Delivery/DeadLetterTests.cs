using System.Net;
using Swarm.Core.Delivery;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Delivery;

/// <summary>Dead letters at the Hub API: list, inspect, send again, discard; and the trace of a message.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class DeadLetterTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private NodeHost _node = null!;
    private Scene _scene = null!;
    private PeerServer _peer = null!;
    private WorkerHost _worker = null!;
    private volatile int _status = 422;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "carol"], []);
        _peer = await PeerServer.StartAsync();
        _peer.Answer = (_, _, http) => PeerServer.RespondAsync(http, _status);
        await _peer.JoinAsync(_node, _scene, "bob");
        _worker = await WorkerHost.StartAsync(_node, _peer.Ca);
    }

    public async Task DisposeAsync()
    {
        await _worker.DisposeAsync();
        await _peer.DisposeAsync();
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    public async Task They_are_listed_by_filters_and_page_by_page_and_inspected_with_their_tries()
    {
        for (var n = 0; n < 5; n++)
        {
            await SendAsync(n < 2 ? "alice" : "carol", $"{n}");
        }

        await StateAsync(DeliveryState.Dead, 5);
        Assert.Equal(5, await CountAsync(""));
        Assert.Equal(2, await CountAsync("?sender=alice"));
        Assert.Equal(5, await CountAsync($"?recipient=bob&swarm_id={_scene.Swarm}&reason=http%20422&from=2020-01-01T00:00:00Z"));
        Assert.Equal(0, await CountAsync("?recipient=alice"));
        Assert.Equal(0, await CountAsync("?reason=timed"));
        Assert.Equal(0, await CountAsync("?until=2020-01-01T00:00:00Z"));

        var ids = new List<string>();
        string? cursor = null;
        do
        {
            var page = (await _node.Hub.GetHubAsync($"/hub/v1/dead-letters?limit=2&cursor={cursor}")).Ok();
            ids.AddRange(page["dead_letters"].EnumerateArray().Select(l => l.GetProperty("id").GetString()!));
            cursor = page.Json.TryGetProperty("next_cursor", out var next) ? next.GetString() : null;
        }
        while (cursor is not null);
        Assert.Equal(5, ids.Distinct().Count());
        Assert.Equal(5, ids.Count);

        var letter = (await _node.Hub.GetHubAsync($"/hub/v1/dead-letters/{ids[0]}")).Ok();
        Assert.Equal(("bob", "HTTP 422", 1), (letter["recipient"].GetString(), letter["reason"].GetString(), letter["attempts"].GetInt32()));
        Assert.Equal("HTTP 422", Assert.Single(letter["tries"].EnumerateArray()).GetProperty("error").GetString());
        Assert.NotEqual("", letter["content"].GetString());
    }

    [Fact]
    public async Task Sent_again_each_keeps_its_seq_and_comes_in_order_and_the_decision_is_audited()
    {
        for (var n = 0; n < 4; n++)
        {
            await SendAsync("alice", $"{n}");
        }

        await StateAsync(DeliveryState.Dead, 4);
        var before = await SeqsAsync();
        _status = 200;
        await SendAsync("alice", "later");
        await StateAsync(DeliveryState.Delivered, 1);
        _peer.Requests.Clear();

        var first = await FirstIdAsync("?sender=alice");
        Assert.Equal(1, (await ChangeAsync("requeue", new { ids = new[] { first, "1-2" } }))["changed"].GetInt32());
        await StateAsync(DeliveryState.Delivered, 2);
        var rest = await ChangeAsync("requeue", new { filter = new { recipient = "bob" } });
        Assert.Equal((3, true), (rest["changed"].GetInt32(), rest["done"].GetBoolean()));
        await StateAsync(DeliveryState.Delivered, 5);
        Assert.Equal("3 0 1 2", string.Join(' ', _peer.Messages.Select(m => m.Content)));
        Assert.Equal(before, (await SeqsAsync())[..before.Length]);
        Assert.Equal(0, await CountAsync(""));
        Assert.Equal(0, await _node.ScalarAsync<long>("select count(*) from delivery_attempts"));
        Assert.Equal(2, await _node.ScalarAsync<long>("select count(*) from audit_entries where kind = 2 and detail like '%dead letters sent again%'"));
    }

    [Fact]
    public async Task Many_are_changed_in_bounded_steps_that_do_not_meet_what_dies_again()
    {
        await SendAsync("alice", "one");
        await StateAsync(DeliveryState.Dead, 1);
        await _node.ExecuteAsync(
            $"""
            insert into messages select message_no + n, sender_no, swarm_no, gen_random_uuid(), protocol, kind, priority, verified, sent_at, accepted_at,
                   expires_at, trace, wire, outgoing from messages, generate_series(1, {DeadLetters.ChangeMax}) n;
            insert into deliveries (message_no, recipient_no, seq, sender_no, swarm_no, priority, state)
            select message_no + n, recipient_no, seq + n, sender_no, swarm_no, priority, 7 from deliveries, generate_series(1, {DeadLetters.ChangeMax}) n;
            update mailboxes set last_seq = last_seq + {DeadLetters.ChangeMax} where recipient_no = (select max(recipient_no) from deliveries);
            insert into dead_letters select message_no + n, recipient_no, sender_no, swarm_no, died_at, reason from dead_letters, generate_series(1, {DeadLetters.ChangeMax}) n;
            """);
        var step = await ChangeAsync("requeue", new { filter = new { } });
        Assert.Equal((DeadLetters.ChangeMax, false), (step["changed"].GetInt32(), step["done"].GetBoolean()));
        await StateAsync(DeliveryState.Dead, DeadLetters.ChangeMax + 1);
        step = await ChangeAsync("requeue", new { filter = new { until = step["until"].GetString() } });
        Assert.Equal((1, true), (step["changed"].GetInt32(), step["done"].GetBoolean()));
    }

    [Fact]
    public async Task Discarded_they_are_gone_and_their_deliveries_stay_dead()
    {
        await SendAsync("alice", "one");
        await StateAsync(DeliveryState.Dead, 1);
        var id = await FirstIdAsync("");
        Assert.Equal(1, (await ChangeAsync("discard", new { ids = new[] { id } }))["changed"].GetInt32());
        Assert.Equal(0, (await ChangeAsync("discard", new { ids = new[] { id } }))["changed"].GetInt32());
        (await _node.Hub.GetHubAsync($"/hub/v1/dead-letters/{id}")).Refused(HttpStatusCode.NotFound, "unknown-dead-letter");
        await StateAsync(DeliveryState.Dead, 1);
    }

    [Fact]
    public async Task Only_operators_look_and_only_administrators_change()
    {
        using var alice = _node.ClientOf(_scene.TokenOf("alice"));
        (await alice.GetHubAsync("/hub/v1/dead-letters")).Refused(HttpStatusCode.Forbidden, "forbidden");
        (await alice.GetHubAsync("/hub/v1/dead-letters/1-2")).Refused(HttpStatusCode.Forbidden, "forbidden");
        (await alice.GetHubAsync($"/hub/v1/deliveries/{Guid.NewGuid()}")).Refused(HttpStatusCode.Forbidden, "forbidden");
        (await alice.PostHubAsync("/hub/v1/dead-letters/requeue", new { ids = new[] { "1-2" } })).Refused(HttpStatusCode.Forbidden, "forbidden");
        (await alice.PostHubAsync("/hub/v1/dead-letters/discard", new { filter = new { } })).Refused(HttpStatusCode.Forbidden, "forbidden");
    }

    [Theory]
    [InlineData("?cursor=x")]
    [InlineData("?cursor=9999999999999999999-1-2")]
    [InlineData("?from=yesterday")]
    [InlineData("?recipient=a%00b")]
    [InlineData("?reason=%00")]
    [InlineData("?swarm_id=x")]
    [InlineData("?limit=101")]
    [InlineData("/1")]
    [InlineData("/1-")]
    [InlineData("/-1-2")]
    [InlineData("/99999999999999999999-1")]
    public async Task Bad_questions_are_refused(string question) =>
        (await _node.Hub.GetHubAsync("/hub/v1/dead-letters" + question)).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");

    [Fact]
    public async Task Bad_orders_are_refused()
    {
        foreach (var order in new object[]
            {
                new { }, new { ids = Array.Empty<string>() }, new { ids = new[] { "x" } }, new { ids = new string?[] { null } },
                new { ids = new[] { "1-2" }, filter = new { } }, new { ids = Enumerable.Repeat("1-2", DeadLetters.ChangeMax + 1) },
                new { filter = new { from = "x" } }, new { filter = new { reason = new string('x', DeadLetters.ReasonLengthMax + 1) } },
            })
        {
            (await _node.Hub.PostHubAsync("/hub/v1/dead-letters/requeue", order)).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        }

        var most = await ChangeAsync("requeue", new { ids = Enumerable.Repeat("1-2", DeadLetters.ChangeMax) });
        Assert.Equal(0, most["changed"].GetInt32());
    }

    [Fact]
    [Conforms("ASP-49")]
    public async Task The_trace_tells_the_life_of_a_message_at_each_recipient()
    {
        var id = (await _node.Hub.PostHubAsync("/hub/v1/messages", new { from = "alice", swarm_id = _scene.Swarm.Value, content = "to all" })).Ok()["message_id"];
        await StateAsync(DeliveryState.Dead, 1);
        var message = Assert.Single((await _node.Hub.GetHubAsync($"/hub/v1/deliveries/{id.GetGuid()}")).Ok()["messages"].EnumerateArray());
        Assert.Equal(("alice", 0), (message.GetProperty("sender").GetString(), message.GetProperty("remaining").GetInt32()));
        var recipients = message.GetProperty("recipients").EnumerateArray().ToDictionary(r => r.GetProperty("recipient").GetString()!);
        Assert.Equal(("pending", 0), (recipients["carol"].GetProperty("state").GetString(), recipients["carol"].GetProperty("tries").GetArrayLength()));
        Assert.Equal(("dead", "HTTP 422"), (recipients["bob"].GetProperty("state").GetString(), recipients["bob"].GetProperty("error").GetString()));
        Assert.Equal(1, recipients["bob"].GetProperty("tries").GetArrayLength());
        Assert.Empty((await _node.Hub.GetHubAsync($"/hub/v1/deliveries/{Guid.NewGuid()}")).Ok()["messages"].EnumerateArray());
    }

    private async Task SendAsync(string from, string content) =>
        (await _node.Hub.PostHubAsync("/hub/v1/messages", new { from, swarm_id = _scene.Swarm.Value, to = "bob", content })).Ok();

    private async Task<int> CountAsync(string query) =>
        (await _node.Hub.GetHubAsync("/hub/v1/dead-letters" + query)).Ok()["dead_letters"].GetArrayLength();

    private async Task<string> FirstIdAsync(string query) =>
        (await _node.Hub.GetHubAsync("/hub/v1/dead-letters" + query)).Ok()["dead_letters"][0].GetProperty("id").GetString()!;

    private async Task<Answer> ChangeAsync(string what, object order) => (await _node.Hub.PostHubAsync($"/hub/v1/dead-letters/{what}", order)).Ok();

    private Task<long[]> SeqsAsync() => _node.ScalarAsync<long[]>("select array_agg(seq order by message_no) from deliveries");

    private Task StateAsync(DeliveryState state, int count) => Eventually.TrueAsync(
        $"{count} deliveries are {state}",
        async () => await _node.ScalarAsync<long>($"select count(*) from deliveries where state = {(int)state}") == count, Limit);
}
