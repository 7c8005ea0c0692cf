using System.Net;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.References;
using Swarm.Core.Storage;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;
using SettableTime = Swarm.Tests.Doors.SettableTime;

namespace Swarm.Tests.References;

/// <summary>What messages refer to: carried unchanged, indexed behind the accept without a gap, found, and shown on the board.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed class ReferenceTests(PostgresFixture postgres) : IAsyncLifetime
{
    private readonly SettableTime _time = new(TimeProvider.System.GetUtcNow());
    private NodeHost _node = null!;
    private Scene _scene = null!;
    private ReferenceIndex _index = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres, time: _time);
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob", "carol"], ["eve"]);
        _index = _node.Get<ReferenceIndex>();
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _node.DisposeAsync();
    }

    [Fact]
    [Conforms("ASP-13")]
    public async Task Messages_are_found_by_repository_issue_pull_request_and_commit()
    {
        await SendAsync("alice", "bob", "an issue", Issue("Octo/Spoon", 12));
        await SendAsync("alice", "bob", "its pull request", PullRequest("octo/spoon", 12));
        await SendAsync("alice", "bob", "a commit", new { type = "github_commit", repo = "octo/spoon", sha = "0123456789abcdef" });
        await SendAsync("alice", "bob", "the repository", new { type = "github_repo", repo = "octo/spoon" });
        await SendAsync("alice", "bob", "two at once", Issue("octo/spoon", 12), Issue("octo/spoon", 12));
        await SendAsync("alice", "bob", "another repository", Issue("octo/fork", 12));
        await SendAsync("alice", "carol", "not for bob", Issue("octo/spoon", 12));
        await SendAsync("carol", "broadcast", "for all", Issue("octo/spoon", 12));
        await IndexAsync();

        Assert.Equal(["for all", "two at once", "an issue"], await FindAsync("repo=octo/spoon&issue=12"));
        Assert.Equal(["its pull request"], await FindAsync("repo=OCTO/spoon&pr=12"));
        Assert.Equal(["a commit"], await FindAsync("repo=octo/spoon&commit=01234567"));
        Assert.Equal(["for all", "two at once", "the repository", "a commit", "its pull request", "an issue"], await FindAsync("repo=octo/spoon"));
        Assert.Empty(await FindAsync("repo=octo/spoon&issue=13"));
        Assert.Empty(await FindAsync("repo=octo/spoon&issue=12&state=read"));
        Assert.Empty(await FindAsync($"repo=octo/spoon&swarm_id={Guid.NewGuid()}"));

        // Page by page it is the same.
        var pages = new List<string>();
        string? cursor = null;
        do
        {
            var page = (await _node.Hub.GetHubAsync($"/hub/v1/agents/bob/references?repo=octo/spoon&limit=2{cursor}")).Ok();
            pages.AddRange(Contents(page));
            cursor = page.Json.TryGetProperty("next_cursor", out var next) ? $"&cursor={next.GetString()}" : null;
        }
        while (cursor is not null);
        Assert.Equal(await FindAsync("repo=octo/spoon"), pages);
        Assert.Equal(6, pages.Count);
    }

    [Fact]
    public async Task Only_the_agent_itself_looks_into_its_messages()
    {
        using var carol = _node.ClientOf(_scene.TokenOf("carol"));
        (await carol.GetHubAsync("/hub/v1/agents/bob/references?repo=octo/spoon")).Refused(HttpStatusCode.Forbidden, "forbidden");
        (await carol.GetHubAsync("/hub/v1/agents/bob/board")).Refused(HttpStatusCode.Forbidden, "forbidden");
        (await carol.GetHubAsync("/hub/v1/agents/carol/board")).Ok();
    }

    [Theory]
    [InlineData("references")]
    [InlineData("references?repo=spoon")]
    [InlineData("references?repo=octo/..")]
    [InlineData("references?repo=octo/spoon/x")]
    [InlineData("references?repo=octo/spoon&issue=0")]
    [InlineData("references?repo=octo/spoon&issue=2147483648")]
    [InlineData("references?repo=octo/spoon&issue=1&pr=1")]
    [InlineData("references?repo=octo/spoon&commit=xyz")]
    [InlineData("references?repo=octo/spoon&state=new")]
    [InlineData("board?state=done")]
    [InlineData("board?repo=%00/x")]
    [InlineData("board?cursor=1")]
    [InlineData("board?cursor=1--1")]
    public async Task A_query_that_makes_no_sense_is_refused(string query) =>
        (await _node.Hub.GetHubAsync($"/hub/v1/agents/bob/{query}")).Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");

    [Fact]
    [Conforms("ASP-13")]
    public async Task References_of_unknown_kinds_are_carried_unchanged()
    {
        const string Unknown = """[{"type":"jira","key":"OPS-7","action":["odd"],"number":"x"},{"type":"github_issue","repo":"o/r","number":7,"extra":null}]""";
        (await SendAsync("alice", "bob", "x", JsonElement.Parse(Unknown))).Ok();
        await IndexAsync();
        Assert.Equal(Unknown, Assert.Single((await _node.Hub.GetHubAsync("/hub/v1/agents/bob/inbox")).Ok()["messages"].EnumerateArray())
            .GetProperty("references").GetRawText());
        Assert.Equal(1, await CountAsync());
    }

    [Theory]
    [InlineData("""[{"repo":"o/r"}]""")]
    [InlineData("""[7]""")]
    [InlineData("""[{"type":"github_repo"}]""")]
    [InlineData("""[{"type":"github_issue","repo":"o/r"}]""")]
    [InlineData("""[{"type":"github_issue","repo":"o/r","number":"7"}]""")]
    [InlineData("""[{"type":"github_issue","repo":"o/r","number":7.5}]""")]
    [InlineData("""[{"type":"github_issue","repo":"o/r","number":0}]""")]
    [InlineData("""[{"type":"github_pr","repo":"o r/x","number":7}]""")]
    [InlineData("""[{"type":"github_pr","repo":"../..","number":7}]""")]
    [InlineData("""[{"type":"github_commit","repo":"o/r"}]""")]
    [InlineData("""[{"type":"github_commit","repo":"o/r","sha":"main"}]""")]
    [InlineData("""[{"type":"url"}]""")]
    [InlineData("""[{"type":"url","url":"javascript:alert(1)"}]""")]
    [InlineData("""[{"type":"github_issue","repo":"o/r","number":7,"action":"stolen"}]""")]
    public async Task A_wrong_reference_of_a_known_kind_is_not_sent(string references)
    {
        var answer = await SendAsync("alice", "bob", "x", JsonElement.Parse(references));
        answer.Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        Assert.Contains("references[0]", answer["detail"].GetString(), StringComparison.Ordinal);
        Assert.Equal(0, await _node.ScalarAsync<long>("select count(*) from messages"));
    }

    [Fact]
    public async Task As_many_references_as_are_allowed_and_one_more()
    {
        (await SendAsync("alice", "bob", "x", [.. Enumerable.Range(1, Reference.CountMax).Select(n => Issue("o/r", n))])).Ok();
        (await SendAsync("alice", "bob", "x", [.. Enumerable.Range(1, Reference.CountMax + 1).Select(n => Issue("o/r", n))]))
            .Refused(HttpStatusCode.UnprocessableEntity, "invalid-request");
        await IndexAsync();
        Assert.Equal(Reference.CountMax, await CountAsync());
    }

    [Fact]
    [Conforms("ASP-13")]
    public async Task What_a_peer_sends_is_carried_unchanged_and_found_however_it_wrote_it()
    {
        var signed = _scene.Sign("eve", "bob", "from elsewhere", at: _time.Now);
        var odd = JsonElement.Parse("""[{"type":"github_issue","repo":"o/r","number":7},{"type":"github_issue"},{"type":"github_pr","repo":5},{}]""");
        var wire = Encoding.UTF8.GetString(MessageWriter.Write(signed with { References = odd })).Replace("\"references\"", "\"ref\\u0065rences\"", StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await _node.Http.PostMessageAsync("bob", Encoding.UTF8.GetBytes(wire))).Status);
        await IndexAsync();
        Assert.Equal(["from elsewhere"], await FindAsync("repo=o/r&issue=7"));
        Assert.Equal(1, await CountAsync());
        Assert.Equal(
            odd.GetRawText(),
            (await _node.Hub.GetHubAsync("/hub/v1/agents/bob/inbox")).Ok()["messages"][0].GetProperty("references").GetRawText());
    }

    [Fact]
    public async Task What_names_no_references_is_marked_so_that_nobody_looks_into_it()
    {
        (await _node.Hub.PostHubAsync("/hub/v1/messages", new { from = "alice", swarm_id = _scene.Swarm.Value, to = "bob", content = "plain references" })).Ok();
        (await SendAsync("alice", "bob", "with one", Issue("o/r", 1))).Ok();
        Assert.Equal(1, await _node.ScalarAsync<long>("select count(*) from messages where not refers and position('plain' in convert_from(wire, 'UTF8')) > 0"));
        Assert.Equal(1, await _node.ScalarAsync<long>("select count(*) from messages where refers"));
        await IndexAsync();
        Assert.Equal(["with one"], await FindAsync("repo=o/r"));
    }

    [Fact]
    public async Task A_message_that_commits_after_a_later_number_is_not_forgotten()
    {
        // Somebody takes a number and has not committed (it is not even a writer yet) while later ones are.
        await using var slow = await _node.Database.OpenConnectionAsync();
        await using var transaction = await slow.BeginTransactionAsync();
        var number = (long)(await new NpgsqlCommand("select next_message_no()", slow).ExecuteScalarAsync())!;
        await SendAsync("alice", "bob", "later", Issue("o/r", 1));
        await StepsAsync();

        // What is there is found already; the position waits.
        Assert.Equal(["later"], await FindAsync("repo=o/r"));
        Assert.True(await _node.ScalarAsync<long>("select done_to from reference_index") < number);

        await new NpgsqlCommand(
            $"""
            insert into messages select {number}, sender_no, swarm_no, '{Guid.NewGuid()}', protocol, kind, priority, verified, sent_at, accepted_at, expires_at, trace, wire, outgoing
            from messages;
            """,
            slow).ExecuteNonQueryAsync();
        await StepsAsync();
        await transaction.CommitAsync();
        await IndexAsync();
        Assert.Equal(2, await CountAsync());
        Assert.True(await _node.ScalarAsync<long>("select done_to from reference_index") > number);
    }

    [Fact]
    public async Task The_first_message_of_a_node_is_found_although_the_index_was_there_before_it()
    {
        await IndexAsync();
        (await SendAsync("alice", "bob", "the first", Issue("o/r", 1))).Ok();
        await IndexAsync();
        Assert.Equal(1, await CountAsync());
    }

    [Fact]
    public async Task Several_workers_index_everything_once_while_it_arrives()
    {
        const int Senders = 6;
        const int Each = 40;
        using var stop = new CancellationTokenSource();
        var workers = Enumerable.Range(0, 3).Select(_ => Task.Run(async () =>
        {
            var index = new ReferenceIndex(_node.Database, NullLogger<ReferenceIndex>.Instance);
            while (!stop.IsCancellationRequested)
            {
                await index.RunOnceAsync(default);
            }
        })).ToArray();
        await Task.WhenAll(Enumerable.Range(0, Senders).Select(s => Task.Run(async () =>
        {
            for (var n = 1; n <= Each; n++)
            {
                (await SendAsync(s % 2 == 0 ? "alice" : "carol", "bob", $"{s}-{n}", Issue($"o/r{s}", n))).Ok();
            }
        })));
        await stop.CancelAsync();
        await Task.WhenAll(workers);
        await IndexAsync();
        Assert.Equal(Senders * Each, await CountAsync());
        Assert.Equal(Senders * Each, await _node.ScalarAsync<long>("select count(distinct (lower(repo), number)) from message_references"));
    }

    [Fact]
    public async Task What_was_there_before_the_index_is_indexed_in_steps()
    {
        (await SendAsync("alice", "bob", "old", Issue("o/r", 1))).Ok();
        await _node.ExecuteAsync(
            $"""
            insert into messages select message_no + n, sender_no, swarm_no, gen_random_uuid(), protocol, kind, priority, verified, sent_at, accepted_at, expires_at, trace, wire, outgoing
            from messages, generate_series(1, {ReferenceIndex.ChunkMax}) n
            """);
        await _node.ExecuteAsync($"select setval('message_no_blocks', (select last_value + {ReferenceIndex.ChunkMax} from message_no_blocks))");
        await IndexAsync();
        Assert.Equal(ReferenceIndex.ChunkMax + 1, await CountAsync());
    }

    [Fact]
    public async Task Retention_takes_references_with_their_messages()
    {
        (await SendAsync("alice", "bob", "x", Issue("o/r", 1))).Ok();
        await IndexAsync();
        await _node.ExecuteAsync("update deliveries set state = 3");
        _time.Now += TimeSpan.FromDays(31);
        await _node.Get<Retention>().RunOnceAsync(default);
        Assert.Equal((0, 0), (await _node.ScalarAsync<long>("select count(*) from messages"), await CountAsync()));
    }

    [Fact]
    public async Task The_board_shows_who_claimed_completed_and_is_blocked_on_what()
    {
        await SendAsync("alice", "broadcast", "I take this\nand more", Issue("octo/spoon", 1, "claimed"));
        await SendAsync("bob", "broadcast", "so do I", Issue("octo/spoon", 1, "claimed"));
        await SendAsync("alice", "broadcast", "waits for the API", Issue("octo/spoon", 2, "blocked"), PullRequest("octo/api", 9), Issue("octo/api", 8, "mention"));
        await SendAsync("carol", "bob", "please review", PullRequest("octo/api", 9, "assigned"));
        await SendAsync("bob", "broadcast", "done", Issue("octo/spoon", 1, "completed"));
        await SendAsync("alice", "broadcast", "a remark", Issue("octo/spoon", 3, "mention"), Issue("octo/spoon", 4));
        await IndexAsync();

        Assert.Equal(
            ["octo/spoon#1 bob completed", "octo/api#9 bob assigned", "octo/spoon#2 alice blocked", "octo/spoon#1 alice claimed"], await BoardAsync("carol"));
        var blocked = (await _node.Hub.GetHubAsync("/hub/v1/agents/carol/board?state=blocked")).Ok()["claims"][0];
        Assert.Equal("waits for the API", blocked.GetProperty("note").GetString());
        Assert.Equal(
            ["github_pr octo/api 9", "github_issue octo/api 8"],
            blocked.GetProperty("blocked_on").EnumerateArray().Select(r => $"{r.GetProperty("type").GetString()} {r.GetProperty("repo").GetString()} {r.GetProperty("number").GetInt64()}"));
        Assert.Equal("I take this", (await _node.Hub.GetHubAsync("/hub/v1/agents/carol/board?state=claimed")).Ok()["claims"][0].GetProperty("note").GetString());
        Assert.Equal(["octo/api#9 bob assigned"], await BoardAsync("bob", "repo=Octo/API"));

        // An assignment that alice neither sent nor got is none of her business; everything that she got is.
        Assert.Equal(["octo/spoon#1 bob completed", "octo/spoon#2 alice blocked", "octo/spoon#1 alice claimed"], await BoardAsync("alice"));

        // Each moves its own claims; unblocked is claimed again.
        await SendAsync("alice", "broadcast", "goes on", Issue("Octo/Spoon", 2, "unblocked"));
        await SendAsync("bob", "broadcast", "took over", PullRequest("octo/api", 9, "claimed"));
        await IndexAsync();
        Assert.Equal(
            ["octo/api#9 bob claimed", "Octo/Spoon#2 alice claimed", "octo/spoon#1 bob completed", "octo/spoon#1 alice claimed"], await BoardAsync("carol"));

        // Page by page it is the same.
        Assert.Equal(await BoardAsync("carol"), await BoardAsync("carol", "limit=1"));
    }

    [Fact]
    public async Task An_unverified_message_claims_nothing()
    {
        await SendAsync("alice", "bob", "mine", Issue("o/r", 1, "claimed"));
        await IndexAsync();
        Assert.Single(await BoardAsync("bob"));
        await _node.ExecuteAsync("update messages set verified = false");
        Assert.Empty(await BoardAsync("bob"));
    }

    private static object Issue(string repo, int number, string? action = null) => action is null
        ? new { type = "github_issue", repo, number }
        : new { type = "github_issue", repo, number, action };

    private static object PullRequest(string repo, int number, string? action = null) => action is null
        ? new { type = "github_pr", repo, number }
        : new { type = "github_pr", repo, number, action };

    private Task<Answer> SendAsync(string from, string to, string content, params object[] references) =>
        _node.Hub.PostHubAsync(
            "/hub/v1/messages",
            new { from, swarm_id = _scene.Swarm.Value, to, content, references = references is [JsonElement { ValueKind: JsonValueKind.Array } list] ? (object)list : references });

    private async Task<string[]> FindAsync(string query) => Contents((await _node.Hub.GetHubAsync($"/hub/v1/agents/bob/references?{query}")).Ok());

    private static string[] Contents(Answer answer) => [.. answer["messages"].EnumerateArray().Select(m => m.GetProperty("content").GetString()!)];

    private async Task<string[]> BoardAsync(string agent, string query = "")
    {
        var claims = new List<string>();
        string? cursor = null;
        do
        {
            var page = (await _node.Hub.GetHubAsync($"/hub/v1/agents/{agent}/board?{query}{cursor}")).Ok();
            claims.AddRange(page["claims"].EnumerateArray().Select(c =>
                $"{c.GetProperty("item").GetProperty("repo").GetString()}#{c.GetProperty("item").GetProperty("number").GetInt64()} "
                + $"{c.GetProperty("agent").GetString()} {c.GetProperty("state").GetString()}"));
            cursor = page.Json.TryGetProperty("next_cursor", out var next) ? $"&cursor={next.GetString()}" : null;
        }
        while (cursor is not null);
        return [.. claims];
    }

    private Task<long> CountAsync() => _node.ScalarAsync<long>("select count(*) from message_references");

    /// <summary>As many steps as there are at once.</summary>
    private async Task StepsAsync()
    {
        for (var i = 0; i < 3; i++)
        {
            while (await _index.RunOnceAsync(default))
            {
            }
        }
    }

    /// <summary>Until everything that was accepted by now is indexed for good.</summary>
    private async Task IndexAsync()
    {
        var newest = await _node.ScalarAsync<long>("select newest_message_no()");
        await Eventually.TrueAsync(
            "the index has caught up",
            async () =>
            {
                await StepsAsync();
                return await _node.ScalarAsync<long>("select done_to from reference_index") >= newest;
            },
            TimeSpan.FromSeconds(30));
    }
}
