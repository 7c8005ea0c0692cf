using System.Text.Json.Nodes;
using Swarm.Cli;
using Swarm.Tests.Client;

namespace Swarm.Tests.Cli;

/// <summary>Commands against a peer that speaks the Hub API contract.</summary>
public sealed class CliTests : IDisposable
{
    public const string SwarmId = "550e8400-e29b-41d4-a716-446655440000";
    private const string Agent = """{"name":"alice","kind":"hosted","endpoint":"https://localhost:8743/agents/alice/swarm","public_key":"A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg=","display_name":null,"description":null,"default":false,"created_at":"2026-02-05T14:30:00.000Z","revoked_at":null}""";
    private const string Swarm = """{"swarm_id":"550e8400-e29b-41d4-a716-446655440000","name":"research","master":"alice","settings":{"allow_member_invite":false,"require_approval":false},"member_count":2,"joined_at":"2026-02-05T14:30:00.000Z"}""";

    private const string DeadLetter = """{"id":"7-4","message_id":"00000000-0000-4000-8000-000000000001","swarm_id":"550e8400-e29b-41d4-a716-446655440000","sender":"alice","recipient":"dave","attempts":1,"died_at":"2026-02-05T14:30:00.000Z","reason":"HTTP 422" """;

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
        ["GET /hub/v1/agents/alice/mutes"] = """{"agents":[{"agent_id":"mallory","muted_at":"2026-02-05T14:30:00.000Z","reason":"spam"}],"swarms":[]}""",
        ["POST /hub/v1/agents/alice/mute"] = """{"status":"muted","type":"agent","id":"bob"}""",
        ["POST /hub/v1/agents/alice/unmute"] = """{"status":"unmuted","type":"agent","id":"bob","was_muted":true}""",
        ["GET /hub/v1/agents/alice/outbox"] = $$"""{"messages":[{"message_id":"00000000-0000-4000-8000-000000000001","swarm_id":"{{SwarmId}}","recipient":"broadcast","type":"message","content":"hi","accepted_at":"2026-02-05T14:30:00.000Z","recipients":{"delivered":1,"dead":1},"deliveries":[{"recipient":"bob","state":"delivered","attempts":0},{"recipient":"dave","state":"dead","attempts":1,"error":"HTTP 422"}]}]}""",
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
                .. command is "leave" or "kick -a bob" or "agent revoke alice" || command.StartsWith("dlq requeue", StringComparison.Ordinal)
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
    public async Task Messages_that_could_not_be_shown_stay_unread()
    {
        await using var peer = await HubPeer.StartAsync(Answers);
        cli.OnOutput = _ => throw new IOException("The pipe is closed.");
        await cli.RunAsync(peer.Url, "messages");
        Assert.Single(peer.Seen);
    }

    [Fact]
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
    public async Task Status_without_an_agent_tells_of_the_node_and_exits_1()
    {
        await using var peer = await HubPeer.StartAsync(Answers);
        cli.Variables.Remove("SWARM_AGENT");
        Assert.Equal(ExitCode.General, await cli.RunAsync(peer.Url, "status", "--json"));
        Assert.Equal("not_initialized", cli.Json["status"]!.GetValue<string>());
        Assert.Equal("n1", cli.Json["node"]!["node_id"]!.GetValue<string>());
    }

    public void Dispose() => cli.Dispose();
}
