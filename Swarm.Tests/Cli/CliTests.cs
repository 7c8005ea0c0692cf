using System.Text.Json.Nodes;
using Swarm.Cli;
using Swarm.Cli.Profile;
using Swarm.Tests.Client;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Cli;

/// <summary>Commands against a peer that speaks the Hub API contract.</summary>
[Shown(By.Wire)]
public sealed class CliTests : IDisposable
{
    public const string SwarmId = "550e8400-e29b-41d4-a716-446655440000";
    private const string Agent = """{"name":"alice","kind":"hosted","endpoint":"https://localhost:8743/agents/alice/swarm","public_key":"A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=","display_name":null,"description":null,"default":false,"created_at":"2026-02-05T14:30:00.000Z","revoked_at":null}""";
    private const string Swarm = """{"swarm_id":"550e8400-e29b-41d4-a716-446655440000","name":"research","master":"alice","settings":{"allow_member_invite":false,"require_approval":false},"member_count":2,"joined_at":"2026-02-05T14:30:00.000Z"}""";

    private const string DeadLetter = """{"id":"7-4","message_id":"00000000-0000-4000-8000-000000000001","swarm_id":"550e8400-e29b-41d4-a716-446655440000","sender":"alice","recipient":"dave","attempts":1,"died_at":"2026-02-05T14:30:00.000Z","reason":"HTTP 422" """;

    private const string State = """{"schema_version":"2.0.0","agent_id":"alice","exported_at":"2026-02-05T14:30:00+00:00","swarms":{},"muted_swarms":[],"muted_agents":["spam"],"public_keys":{},"inbox":[],"outbox":[]}""";

    private const string Jwt = "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCJ9.eyJzd2FybV9pZCI6IjU1MGU4NDAwLWUyOWItNDFkNC1hNzE2LTQ0NjY1NTQ0MDAwMCJ9.c2ln";
    private const string JwtHash = "0a0ba444e9577d98deb337e9ddb352f371147021c86e5ae514808bde684f706c";

    private readonly CliRun cli = new() { Variables = { ["SWARM_AGENT"] = "alice", ["SWARM_TOKEN"] = "t" } };

    public static Dictionary<string, string> Answers { get; } = new()
    {
        ["GET /health"] = """{"status":"ok"}""",
        ["GET /hub/v1/status"] = """{"node_id":"n1","version":"0.1.0","started_at":"2026-02-05T14:30:00.000Z","signals":"redis","agents":1,"swarms":2,"messages":3}""",
        ["GET /hub/v1/agents"] = $$"""{"agents":[{{Agent}}],"next_cursor":null}""",
        ["GET /hub/v1/agents/alice"] = Agent,
        ["POST /hub/v1/agents"] = Agent[..^1] + ",\"token\":\"swarm_secret\"}",
        ["DELETE /hub/v1/agents/alice"] = "",
        ["GET /hub/v1/swarms"] = $$"""{"swarms":[{{Swarm}}]}""",
        ["POST /hub/v1/swarms"] = Swarm,
        [$"GET /hub/v1/swarms/{SwarmId}/members"] = """{"members":[{"agent_id":"alice","endpoint":"https://a/swarm","public_key":"k","joined_at":"2026-02-05T14:30:00.000Z"}]}""",
        [$"POST /hub/v1/swarms/{SwarmId}/invites"] = """{"invite_token":"swarm://550e8400-e29b-41d4-a716-446655440000@h?token=a.b.c","token_hash":"00","expires_at":null,"max_uses":null}""",
        ["POST /hub/v1/join"] = $$"""{"status":"joined","swarm_id":"{{SwarmId}}","name":"research","master":"alice","member_count":2}""",
        [$"POST /hub/v1/swarms/{SwarmId}/leave"] = $$"""{"status":"left","swarm_id":"{{SwarmId}}","name":"research"}""",
        [$"POST /hub/v1/swarms/{SwarmId}/kick"] = $$"""{"status":"kicked","swarm_id":"{{SwarmId}}","agent_id":"bob"}""",
        ["POST /hub/v1/messages"] = $$"""{"status":"accepted","message_id":"00000000-0000-4000-8000-000000000001","swarm_id":"{{SwarmId}}","recipient":"bob","recipients":1}""",
        ["GET /hub/v1/agents/alice/inbox"] = $$"""{"messages":[{{HubPeer.Item(1, "first")}},{{HubPeer.Item(2, "second", "read")}}],"next_cursor":null}""",
        ["POST /hub/v1/agents/alice/inbox/read"] = """{"updated":1}""",
        ["GET /hub/v1/agents/alice/inbox/counts"] = """{"unread":4,"read":5,"total":9}""",
        ["GET /hub/v1/agents/alice/mailbox/counts"] = """{"unread":4,"read":5,"archived":2,"deleted":1,"total":12}""",
        ["POST /hub/v1/agents/alice/mailbox/archive-read"] = """{"updated":3,"done":true}""",
        ["POST /hub/v1/agents/alice/mailbox/00000000-0000-4000-8000-000000000001/archive"] = """{"status":"archived","message_id":"00000000-0000-4000-8000-000000000001"}""",
        ["POST /hub/v1/agents/alice/mailbox/00000000-0000-4000-8000-000000000001/delete"] = """{"status":"deleted","message_id":"00000000-0000-4000-8000-000000000001"}""",
        ["POST /hub/v1/agents/alice/purge"] = """{"messages":3,"archived":2,"sessions":1}""",
        ["GET /hub/v1/agents/alice/outbox/counts"] = """{"sent":1,"delivered":2,"failed":3,"total":6}""",
        ["GET /hub/v1/agents/alice/export"] = State,
        ["POST /hub/v1/agents/alice/import"] = """{"schema_version":"2.0.0","swarms":1,"public_keys":2,"muted_agents":3,"muted_swarms":4,"inbox":5,"outbox":6,"skipped":[]}""",
        [$"GET /hub/v1/swarms/{SwarmId}/requests"] = """{"swarm_id":"550e8400-e29b-41d4-a716-446655440000","pending":[{"agent_id":"bob","endpoint":"https://b/swarm","public_key":"k","requested_at":"2026-02-05T14:30:00.000Z","expires_at":"2026-02-12T14:30:00.000Z"}],"next_cursor":null}""",
        [$"POST /hub/v1/swarms/{SwarmId}/requests/bob/approve"] = $$"""{"status":"approved","swarm_id":"{{SwarmId}}","agent_id":"bob"}""",
        [$"POST /hub/v1/swarms/{SwarmId}/requests/bob/reject"] = $$"""{"status":"rejected","swarm_id":"{{SwarmId}}","agent_id":"bob"}""",
        [$"POST /hub/v1/swarms/{SwarmId}/agree"] = $$"""{"status":"agreed","swarm_id":"{{SwarmId}}","agent_id":"alice"}""",
        [$"POST /hub/v1/swarms/{SwarmId}/sync"] = $$"""{"status":"synced","swarm_id":"{{SwarmId}}","name":"team","master":"bob","member_count":2}""",
        [$"POST /hub/v1/swarms/{SwarmId}/transfer"] = $$"""{"status":"transferred","swarm_id":"{{SwarmId}}","old_master":"alice","new_master":"bob"}""",
        [$"POST /hub/v1/swarms/{SwarmId}/dissolve"] = $$"""{"status":"dissolved","swarm_id":"{{SwarmId}}","name":"research"}""",
        [$"DELETE /hub/v1/swarms/{SwarmId}/invites/{JwtHash}"] = "",
        ["GET /hub/v1/agents/alice/mutes"] = """{"agents":[{"agent_id":"mallory","muted_at":"2026-02-05T14:30:00.000Z","reason":"spam"}],"swarms":[]}""",
        ["POST /hub/v1/agents/alice/mute"] = """{"status":"muted","type":"agent","id":"bob"}""",
        ["POST /hub/v1/agents/alice/unmute"] = """{"status":"unmuted","type":"agent","id":"bob","was_muted":true}""",
        ["GET /hub/v1/agents/alice/outbox"] = $$"""{"messages":[{"message_id":"00000000-0000-4000-8000-000000000001","swarm_id":"{{SwarmId}}","recipient":"broadcast","type":"message","content":"hi","accepted_at":"2026-02-05T14:30:00.000Z","recipients":{"delivered":1,"dead":1},"status":"failed","error":"HTTP 422","deliveries":[{"recipient":"bob","state":"delivered","attempts":0},{"recipient":"dave","state":"dead","attempts":1,"error":"HTTP 422"}]}]}""",
        ["GET /hub/v1/deliveries/00000000-0000-4000-8000-000000000001"] = $$"""{"messages":[{"message_id":"00000000-0000-4000-8000-000000000001","swarm_id":"{{SwarmId}}","sender":"alice","verified":true,"sent_at":"2026-02-05T14:30:00.000Z","accepted_at":"2026-02-05T14:30:00.000Z","expires_at":null,"remaining":0,"trace":null,"recipients":[{"recipient":"dave","seq":4,"state":"dead","attempts":1,"error":"HTTP 422","due_at":null,"read_at":null,"tries":[{"attempt":1,"at":"2026-02-05T14:30:00.000Z","error":"HTTP 422"}]}]}]}""",
        ["GET /hub/v1/dead-letters"] = $$"""{"dead_letters":[{{DeadLetter}}}]}""",
        ["GET /hub/v1/dead-letters/7-4"] = $$"""{{DeadLetter}},"type":"message","timestamp":"2026-02-05T14:30:00.000Z","content":"hi","tries":[{"attempt":1,"at":"2026-02-05T14:30:00.000Z","error":"HTTP 422"}]}""",
        ["POST /hub/v1/dead-letters/requeue"] = """{"changed":3,"done":true}""",
        ["POST /hub/v1/dead-letters/discard"] = """{"changed":1,"done":true}""",
        ["GET /hub/v1/agents/alice/board"] = $$"""{"claims":[{"swarm_id":"{{SwarmId}}","item":{"type":"github_issue","repo":"o/r","number":1},"agent":"bob","state":"claimed","sender":"bob","message_id":"00000000-0000-4000-8000-000000000001","at":"2026-02-05T14:30:00.000Z","blocked_on":[],"note":"mine"}]}""",
        ["POST /hub/v1/backup"] = """{"path":"/data/backups/b.tar","bytes":10,"tables":3,"rows":4}""",
        ["GET /hub/v1/agents/alice/tokens"] = """{"tokens":[{"id":7,"label":"laptop","created_at":"2026-02-05T14:30:00.000Z","last_used_at":null,"revoked_at":null}]}""",
        ["POST /hub/v1/agents/alice/tokens"] = """{"id":8,"label":null,"token":"swarm_other","created_at":"2026-02-05T14:30:00.000Z"}""",
        ["DELETE /hub/v1/agents/alice/tokens/7"] = "",
        ["POST /hub/v1/enrolments"] = """{"enrolment_token":"swarm_enrol","expires_at":"2026-02-06T14:30:00.000Z"}""",
    };

    public static TheoryData<string, string> JsonOfCommands => new()
    {
        { "create -n research", "status swarm_id name master" },
        { $"invite -s {SwarmId}", "status invite_token" },
        { "join -t swarm://x?token=y", "status swarm_id name master member_count" },
        { "leave", "status swarm_id name" },
        { "kick -a bob", "status swarm_id agent_id" },
        { "list", "swarms" },
        { "send -m hi", "status message_id swarm_id recipient" },
        { "messages", "count messages" },
        { "messages --count", "swarm_id unread read archived deleted total" },
        { "messages --archive 00000000-0000-4000-8000-000000000001", "status message_id" },
        { "messages --delete 00000000-0000-4000-8000-000000000001", "status message_id" },
        { "messages --archive-all", "action updated total" },
        { "messages --archive 00000000-0000-4000-8000-000000000001 --delete x --archive-all --count", "status message_id" },
        { "messages --archive-all --count", "action updated total" },
        { "messages --status archived", "count messages" },
        { "sent --count", "swarm_id sent delivered failed total" },
        { "config", "agent_id endpoint config_path db_path default_swarm resolved_swarm_id resolved_via" },
        { "purge --messages --yes", "status messages_purged retention_hours" },
        { "purge --messages --force --include-archived --yes", "status messages_purged archived_purged" },
        { "purge --messages --sessions --yes", "status messages_purged retention_hours sessions_purged timeout_minutes" },
        { "purge --sessions --timeout-minutes 5 --yes", "status sessions_purged timeout_minutes" },
        { "approve", "swarm_id pending" },
        { "approve -a bob", "status swarm_id agent_id" },
        { "approve -a bob --reject", "status swarm_id agent_id" },
        { "transfer -a bob", "status swarm_id old_master new_master" },
        { "agree", "status swarm_id agent_id" },
        { "sync", "status swarm_id name master member_count" },
        { "dissolve", "status swarm_id name" },
        { $"revoke -t {Jwt}", "status swarm_id token_hash" },
        { $"revoke -t swarm://{SwarmId}@h?token={Jwt}", "status swarm_id token_hash" },
        { "inbox", "count messages" },
        { "sent", "swarm_id count messages" },
        { "board", "count more claims" },
        { "trace 00000000-0000-4000-8000-000000000001", "count messages" },
        { "dlq list --recipient dave --from 2h", "count more dead_letters" },
        { "dlq show 7-4", "id message_id swarm_id sender recipient attempts died_at reason message_type timestamp content tries" },
        { "dlq requeue 7-4", "status count" },
        { "dlq requeue --reason 422", "status count" },
        { "dlq discard --all", "status count" },
        { "status", "status agent_id endpoint public_key config_path db_path swarm_count muted_agents muted_swarms node" },
        { "status -v", "status agent_id endpoint public_key config_path db_path swarm_count muted_agents muted_swarms swarms muted_agent_ids muted_swarm_ids node" },
        { "mute -a bob", "status type id" },
        { $"mute -s {SwarmId} -r noisy", "status type id" },
        { "unmute -a bob", "status type id was_muted" },
        { "init -a alice", "status agent_id endpoint public_key config_path" },
        { "agent create alice", "name kind endpoint public_key default created_at online token" },
        { "agent show alice", "name kind endpoint public_key default created_at online" },
        { "agent list", "agents" },
        { "agent revoke alice", "status agent_id" },
        { "agent token new alice", "id label token created_at" },
        { "agent token list alice", "tokens" },
        { "agent token revoke alice 7", "status agent_id id" },
        { "agent enrolment", "enrolment_token expires_at" },
        { "backup", "status path bytes tables rows" },
        { "doctor", "status checks" },
    };

    [Theory]
    [MemberData(nameof(JsonOfCommands))]
    [Conforms("ASP-88", "ASP-89", "ASP-90", "ASP-91", "ASP-92", "ASP-93", "ASP-96")]
    public async Task Json_has_the_documented_keys_in_their_order(string command, string keys)
    {
        await using var peer = await HubPeer.StartAsync(Answers);
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, [.. command.Split(' '), "--json"]));
        Assert.Equal(keys.Split(' '), cli.Json.AsObject().Select(member => member.Key));
    }

    [Theory]
    [MemberData(nameof(JsonOfCommands))]
    public async Task People_get_text_that_is_no_json(string command, string keys)
    {
        await using var peer = await HubPeer.StartAsync(Answers);
        Assert.Equal(
            ExitCode.Ok,
            await cli.RunAsync(peer.Url,
            [
                .. command.Split(' '),
                .. command is "leave" or "kick -a bob" or "agent revoke alice" or "transfer -a bob" or "dissolve" || command.StartsWith("dlq requeue", StringComparison.Ordinal)
                    || command.StartsWith("dlq discard", StringComparison.Ordinal) ? ["--yes"] : Array.Empty<string>(),
            ]));
        Assert.NotEmpty(cli.Out);
        Assert.False(cli.Out.StartsWith('{'), keys);
    }

    [Fact]
    public async Task A_long_requeue_goes_on_until_it_is_done_and_says_how_far_it_is()
    {
        var calls = 0;
        await using var peer = await HubPeer.StartAsync((context, _, _) => HubPeer.JsonAsync(
            context, 200, ++calls < 3 ? """{"changed":500,"done":false,"until":"2026-02-05T14:30:00.000Z"}""" : """{"changed":7,"done":true}"""));
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "dlq", "requeue", "--recipient", "bob", "--yes"));
        Assert.Equal("1007 dead letters requeued.\n", cli.Out);
        Assert.Equal(["500 so far", "1000 so far"], cli.Error.TrimEnd('\n').Split('\n'));
        Assert.Equal("""{"filter":{"recipient":"bob"}}""", peer.Seen[0].Body);
        Assert.All(peer.Seen.Skip(1), call => Assert.Equal("""{"filter":{"recipient":"bob","until":"2026-02-05T14:30:00.000Z"}}""", call.Body));
    }

    [Theory]
    [InlineData("dlq requeue")]
    [InlineData("dlq requeue 1-2 --all")]
    [InlineData("dlq discard --all --reason x")]
    [InlineData("dlq list --from yesterday")]
    [InlineData("trace nonsense")]
    public async Task What_is_meant_must_be_clear(string command)
    {
        await using var peer = await HubPeer.StartAsync(Answers);
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(peer.Url, command.Split(' ')));
        Assert.Empty(peer.Seen);
    }

    [Fact]
    [Conforms("ASP-91", "ASP-95")]
    public async Task Messages_are_shown_then_marked_as_read()
    {
        var marked = false;
        string? shownBefore = null;
        await using var peer = await HubPeer.StartAsync((context, request, _) =>
        {
            marked |= request.Path.EndsWith("/read", StringComparison.Ordinal);
            return HubPeer.JsonAsync(context, 200, Answers[$"{request.Method} {request.Path.Split('?')[0]}"]);
        });
        cli.OnOutput = text => shownBefore ??= text.Contains("second", StringComparison.Ordinal) && !marked ? text : null;
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "messages"));
        Assert.NotNull(shownBefore);
        Assert.Equal("GET /hub/v1/agents/alice/inbox?limit=10&state=unread", peer.Seen[0].ToString());
        Assert.Equal("""{"seqs":[1]}""", peer.Seen[1].Body);
        Assert.StartsWith(
            "Inbox (2 messages)\n\n#1  2026-02-05T14:30:00.456Z  bob → alice\nfirst\n\n#2  ", cli.Out, StringComparison.Ordinal);
        Assert.EndsWith("1 marked as read\n", cli.Out, StringComparison.Ordinal);
    }

    [Fact]
    [Conforms("ASP-95")]
    [Refuses("W-10")]
    public async Task Messages_that_could_not_be_shown_stay_unread()
    {
        await using var peer = await HubPeer.StartAsync(Answers);
        cli.OnOutput = _ => throw new IOException("The pipe is closed.");
        await cli.RunAsync(peer.Url, "messages");
        Assert.Single(peer.Seen);
    }

    [Fact]
    [Conforms("ASP-91")]
    public async Task No_mark_read_marks_nothing()
    {
        await using var peer = await HubPeer.StartAsync(Answers);
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "messages", "--no-mark-read", "--status", "all", "-l", "5", "-s", SwarmId));
        Assert.Equal($"GET /hub/v1/agents/alice/inbox?limit=5&swarm_id={SwarmId}&state=all", Assert.Single(peer.Seen).ToString());
    }

    [Fact]
    public async Task Raw_prints_the_contents_and_nothing_else()
    {
        await using var peer = await HubPeer.StartAsync(Answers);
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "messages", "--raw"));
        Assert.Equal("firstsecond", cli.Out);
    }

    [Fact]
    public async Task Messages_as_json_are_the_list_object_of_the_protocol()
    {
        await using var peer = await HubPeer.StartAsync(Answers);
        await cli.RunAsync(peer.Url, "messages", "--json");
        Assert.Equal(
            ["message_id", "swarm_id", "sender_id", "recipient_id", "message_type", "status", "received_at", "read_at", "content_preview"],
            cli.Json["messages"]![0]!.AsObject().Select(member => member.Key));
        Assert.Equal(["unread", "read"], cli.Json["messages"]!.AsArray().Select(item => item!["status"]!.GetValue<string>()));
    }

    [Theory]
    [InlineData(true, "␛[2Jhi")]
    [InlineData(false, "\u001b[2Jhi")]
    [Conforms("ASP-95")]
    [Refuses("W-10")]
    public async Task A_person_gets_no_control_sequences_and_a_script_gets_the_text_as_it_is(bool person, string shown)
    {
        await using var peer = await HubPeer.StartAsync(new Dictionary<string, string>
        {
            ["GET /hub/v1/agents/alice/inbox"] = $$"""{"messages":[{{HubPeer.Item(1, "\u001b[2Jhi")}}]}""",
        });
        cli.OutIsTerminal = person;
        await cli.RunAsync(peer.Url, "messages", "--no-mark-read");
        Assert.Contains(shown, cli.Out, StringComparison.Ordinal);
    }

    [Fact]
    [Refuses("W-10")]
    public async Task Markup_in_a_text_is_text_and_the_message_is_marked_after_it_was_shown()
    {
        await using var peer = await HubPeer.StartAsync(new Dictionary<string, string>
        {
            ["GET /hub/v1/agents/alice/inbox"] = $$"""{"messages":[{{HubPeer.Item(1, "[/x] [bold]gone?[/] [red")}}]}""",
            ["POST /hub/v1/agents/alice/inbox/read"] = """{"updated":1}""",
        });
        int? askedWhenShown = null;
        cli.OutIsTerminal = true;
        cli.OnOutput = text => askedWhenShown ??= text.Contains("gone?", StringComparison.Ordinal) ? peer.Seen.Count : null;
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "messages"));
        Assert.Contains("\n[/x] [bold]gone?[/] [red\n", cli.Out, StringComparison.Ordinal);
        Assert.Equal((1, 2), (askedWhenShown, peer.Seen.Count));
    }

    [Fact]
    public async Task Following_prints_one_object_a_line_and_ends_after_max()
    {
        await using var peer = await HubPeer.StartAsync(async (context, _, _) =>
        {
            await HubPeer.EventsAsync(context, HubPeer.Event(1, "one\ntwo"), HubPeer.Event(2), HubPeer.Event(3));
            await HubPeer.UntilAbortedAsync(context);
        });
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "inbox", "--follow", "--from-start", "--json", "--max", "2"));
        var lines = cli.Out.TrimEnd('\n').Split('\n').Select(line => JsonNode.Parse(line)!).ToList();
        Assert.Equal([1, 2], lines.Select(line => line["seq"]!.GetValue<long>()));
        Assert.Equal("one\ntwo", lines[0]["content"]!.GetValue<string>());
        Assert.Equal("0", peer.Seen[0]["Last-Event-ID"]);
        Assert.Contains("Following", cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Following_ends_with_130_when_it_is_interrupted()
    {
        using var interrupt = new CancellationTokenSource();
        await using var peer = await HubPeer.StartAsync(async (context, _, _) =>
        {
            await HubPeer.EventsAsync(context, HubPeer.Event(1));
            await HubPeer.UntilAbortedAsync(context);
        });
        cli.OnOutput = text => { if (text.Contains("text", StringComparison.Ordinal)) { interrupt.Cancel(); } };
        Assert.Equal(ExitCode.Interrupted, await cli.RunAsync(peer.Url, interrupt.Token, "inbox", "--follow"));
    }

    [Fact]
    public async Task Following_ends_when_nobody_reads_any_more()
    {
        await using var peer = await HubPeer.StartAsync(async (context, _, _) =>
        {
            await HubPeer.EventsAsync(context, HubPeer.Event(1));
            await HubPeer.UntilAbortedAsync(context);
        });
        cli.OnOutput = _ => throw new IOException("The pipe is closed.");
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "inbox", "--follow"));
    }

    [Theory]
    [InlineData("y\n", 0, 2)]
    [InlineData("YES\n", 0, 2)]
    [InlineData("n\n", 0, 1)]
    [InlineData("\n", 0, 1)]
    [InlineData("", 1, 1)]
    [Conforms("ASP-89", "ASP-93")]
    public async Task Leaving_asks_first(string answer, int exitCode, int requests)
    {
        await using var peer = await HubPeer.StartAsync(Answers);
        cli.Input = System.Text.Encoding.UTF8.GetBytes(answer);
        Assert.Equal(exitCode, await cli.RunAsync(peer.Url, "leave"));
        Assert.Equal(requests, peer.Seen.Count);
    }

    [Theory]
    [InlineData("-")]
    [InlineData(null)]
    public async Task An_invitation_may_come_by_standard_input(string? option)
    {
        await using var peer = await HubPeer.StartAsync(Answers);
        cli.Input = "  swarm://x@h?token=a.b.c\n"u8.ToArray();
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, ["join", .. option is null ? Array.Empty<string>() : ["-t", option]]));
        Assert.Equal("""{"agent":"alice","invite_token":"swarm://x@h?token=a.b.c"}""", Assert.Single(peer.Seen).Body);
    }

    [Fact]
    [Conforms("ASP-88")]
    public async Task Status_without_an_agent_tells_of_the_node_and_exits_1()
    {
        await using var peer = await HubPeer.StartAsync(Answers);
        cli.Variables.Remove("SWARM_AGENT");
        Assert.Equal(ExitCode.General, await cli.RunAsync(peer.Url, "status", "--json"));
        Assert.Equal("not_initialized", cli.Json["status"]!.GetValue<string>());
        Assert.Equal("n1", cli.Json["node"]!["node_id"]!.GetValue<string>());
    }

    [Theory]
    [InlineData("purge --messages --force --json", "y\n", 0, 1)]
    [InlineData("purge --messages --json", "n\n", 0, 0)]
    [InlineData("purge --messages --json", "", 1, 0)]
    [InlineData("purge --messages", "n\n", 0, 0)]
    [InlineData("import -i {state} --json", "y\n", 0, 1)]
    [InlineData("import -i {state} --json", "no\n", 0, 0)]
    [InlineData("import -i {state} --json", "", 1, 0)]
    [InlineData("import -i {state} --json --merge", "", 0, 1)]
    [InlineData("import -i {state} --json -y", "", 0, 1)]
    [Conforms("ASP-92")]
    public async Task Purge_and_import_ask_scripts_too(string command, string answer, int exitCode, int requests)
    {
        await using var peer = await HubPeer.StartAsync(Answers);
        var path = Path.Combine(cli.Home, "state.json");
        await File.WriteAllTextAsync(path, State);
        cli.Input = System.Text.Encoding.UTF8.GetBytes(answer);
        Assert.Equal(exitCode, await cli.RunAsync(peer.Url, command.Replace("{state}", path, StringComparison.Ordinal).Split(' ')));
        Assert.Equal(requests, peer.Seen.Count);
    }

    [Fact]
    [Conforms("ASP-92", "ASP-93")]
    public async Task An_import_says_what_it_brought_and_sends_the_file_compactly()
    {
        await using var peer = await HubPeer.StartAsync(Answers);
        var path = Path.Combine(cli.Home, "state.json");
        await File.WriteAllTextAsync(path, "{\n  \"schema_version\": \"2.0.0\", \"x\": \"na\\u00efve \\ud83d\\ude00\"\n}");
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "import", "-i", path, "--merge", "--json"));
        Assert.Equal(
            ["status", "source", "merge", "schema_version", "swarms", "public_keys", "muted_agents", "muted_swarms", "inbox", "outbox"],
            cli.Json.AsObject().Select(member => member.Key));
        Assert.Equal(("imported", path, true, 5), (
            cli.Json["status"]!.GetValue<string>(), cli.Json["source"]!.GetValue<string>(), cli.Json["merge"]!.GetValue<bool>(), cli.Json["inbox"]!.GetValue<int>()));
        Assert.Equal("POST /hub/v1/agents/alice/import?merge=true", Assert.Single(peer.Seen).ToString());
        Assert.Equal("""{"schema_version":"2.0.0","x":"naïve 😀"}""", peer.Seen[0].Body);
    }

    [Theory]
    [InlineData(5, null, 0, "")]
    [InlineData(1, "not json", 0, "")]
    [InlineData(2, "{}", 422, "unsupported-version")]
    [InlineData(1, "{}", 422, "invalid-request")]
    [InlineData(1, "{}", 422, "invalid-key")]
    [InlineData(1, "{}", 409, "swarm-exists")]
    [InlineData(4, "{}", 403, "forbidden")]
    [Conforms("ASP-93")]
    public async Task An_import_that_fails_says_how(int exitCode, string? file, int status, string error)
    {
        await using var peer = await HubPeer.StartAsync((context, _, _) => HubPeer.ProblemAsync(context, status, error, "In the node's words."));
        var path = Path.Combine(cli.Home, "state.json");
        if (file is not null)
        {
            await File.WriteAllTextAsync(path, file);
        }

        Assert.Equal(exitCode, await cli.RunAsync(peer.Url, "import", "-i", path, "-y", "--json"));
        Assert.Equal(("error", exitCode), (cli.Json["status"]!.GetValue<string>(), cli.Json["exit_code"]!.GetValue<int>()));
    }

    [Fact]
    [Conforms("ASP-85", "ASP-92")]
    public async Task An_export_is_printed_or_written_privately_in_the_references_form()
    {
        await using var peer = await HubPeer.StartAsync(new Dictionary<string, string>
        {
            ["GET /hub/v1/agents/alice/export"] = State.Replace("spam", "naïve 😀\\u007f", StringComparison.Ordinal),
        });
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "export"));
        Assert.Equal("2.0.0", cli.Json["schema_version"]!.GetValue<string>());
        var path = Path.Combine(cli.Home, "out.json");
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "export", "-o", path, "--no-outbox"));
        Assert.Equal("GET /hub/v1/agents/alice/export?outbox=false", peer.Seen[^1].ToString());
        Assert.Contains("Muted agents: 1", cli.Out, StringComparison.Ordinal);
        var text = await File.ReadAllTextAsync(path);
        Assert.StartsWith("{\n  \"schema_version\": \"2.0.0\",\n", text, StringComparison.Ordinal);
        Assert.EndsWith("\"outbox\": []\n}", text, StringComparison.Ordinal);
        Assert.Contains("na\\u00efve \\ud83d\\ude00", text, StringComparison.Ordinal);
        Assert.True(text.All(char.IsAscii));
        Assert.False(PrivateFiles.IsOpenToOthers(path));
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "export", "-o", path, "--json"));
        Assert.Equal(["schema_version", "agent_id", "exported_at", "swarms", "muted_swarms", "muted_agents", "public_keys", "inbox", "outbox"],
            cli.Json.AsObject().Select(member => member.Key));
    }

    [Theory]
    [InlineData("SWARM_ID", "{550E8400-E29B-41D4-A716-446655440000}", "", SwarmId, "SWARM_ID environment variable")]
    [InlineData("", "", "660e8400e29b41d4a716446655440001", "660e8400-e29b-41d4-a716-446655440001", "default_swarm in ")]
    [InlineData("", "", "", SwarmId, "auto-detected (single swarm in DB)")]
    [Conforms("ASP-88", "ASP-94")]
    public async Task Config_says_which_swarm_is_meant_and_why(string variable, string value, string defaultSwarm, string resolved, string via)
    {
        await using var peer = await HubPeer.StartAsync(Answers);
        if (variable.Length > 0)
        {
            cli.Variables[variable] = value;
        }

        if (defaultSwarm.Length > 0)
        {
            Directory.CreateDirectory(cli.Profile);
            await File.WriteAllTextAsync(Path.Combine(cli.Profile, "config.json"), $$"""{"default_swarm":"{{defaultSwarm}}"}""");
        }

        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "config", "--json"));
        Assert.Equal(resolved, cli.Json["resolved_swarm_id"]!.GetValue<string>());
        Assert.StartsWith(via, cli.Json["resolved_via"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.Equal(defaultSwarm.Length > 0 ? defaultSwarm : null, cli.Json["default_swarm"]?.GetValue<string>());
    }

    [Theory]
    [InlineData("{\"swarms\":[]}")]
    [InlineData("{\"swarms\":[{0},{0}]}")]
    [Conforms("ASP-94")]
    public async Task Config_says_when_no_swarm_is_meant(string swarms)
    {
        await using var peer = await HubPeer.StartAsync(new Dictionary<string, string>(Answers)
        {
            ["GET /hub/v1/swarms"] = swarms.Replace("{0}", Swarm, StringComparison.Ordinal),
        });
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "config", "--json"));
        Assert.Null(cli.Json["resolved_swarm_id"]);
        Assert.Equal("not resolved", cli.Json["resolved_via"]!.GetValue<string>());
    }

    [Fact]
    [Conforms("ASP-90")]
    public async Task More_than_100_sent_messages_count_as_100()
    {
        var one = Answers["GET /hub/v1/agents/alice/outbox"];
        var item = one[one.IndexOf("[{", StringComparison.Ordinal)..].TrimStart('[').TrimEnd('}').TrimEnd(']');
        await using var peer = await HubPeer.StartAsync(new Dictionary<string, string>
        {
            ["GET /hub/v1/agents/alice/outbox"] = $$"""{"messages":[{{string.Join(',', Enumerable.Repeat(item, 100))}}],"next_cursor":"7"}""",
        });
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "sent", "-l", "1000", "--json"));
        Assert.Equal(100, cli.Json["count"]!.GetValue<int>());
        Assert.Single(peer.Seen);
    }

    public void Dispose() => cli.Dispose();
}
