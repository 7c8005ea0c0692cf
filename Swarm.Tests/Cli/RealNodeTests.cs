using System.Text;
using Swarm.Cli;
using Swarm.Client;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Cli;

/// <summary>The commands and the client against a real node: Kestrel, Hub API, Postgres.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.EndToEnd)]
public sealed class RealNodeTests(PostgresFixture postgres) : IAsyncLifetime, IDisposable
{
    private readonly CliRun cli = new();
    private TestNode node = null!;
    private string operatorToken = "";

    private Uri Url => node.Hub.BaseAddress!;

    public async Task InitializeAsync()
    {
        node = await TestNode.StartAsync(postgres, listens: true);
        operatorToken = node.Hub.DefaultRequestHeaders.Authorization!.Parameter!;
    }

    public async Task DisposeAsync() => await node.DisposeAsync();

    public void Dispose() => cli.Dispose();

    [Fact]
    [Conforms("ASP-89", "ASP-90", "ASP-91", "ASP-95")]
    public async Task Two_agents_meet_by_commands_and_read_byte_for_byte_in_order()
    {
        await MeetAsync();
        var large = Path.Combine(cli.Home, "large");
        await File.WriteAllTextAsync(large, string.Concat(Enumerable.Repeat("200 kB of text, שלום\n", 10_000)));
        var longest = string.Concat(Enumerable.Repeat("🐝", 65_536));
        string[][] sends =
        [
            ["-m", "first"], ["-m", "👩‍💻 שלום مرحبا \u001b[31m\u202E"], ["-m", "", "--allow-empty"], ["--file", large], ["-m", longest],
            ["-m", "last", "--priority", "high"],
        ];
        foreach (var send in sends)
        {
            await OkAsync(["send", "--as", "alice", "-t", "bob", .. send]);
        }

        string[] expected = ["first", "👩‍💻 שלום مرحبا \u001b[31m\u202E", "", await File.ReadAllTextAsync(large), longest, "last"];
        foreach (var content in expected)
        {
            await OkAsync("messages", "--as", "bob", "-l", "1", "--raw");
            Assert.Equal(content, cli.Out);
        }

        await OkAsync("messages", "--as", "bob", "--count", "--json");
        Assert.Equal((0, 6), (cli.Json["unread"]!.GetValue<int>(), cli.Json["read"]!.GetValue<int>()));
    }

    [Fact]
    public async Task What_was_sent_is_shown_with_its_recipients_and_traced()
    {
        await MeetAsync();
        await OkAsync("send", "--as", "alice", "-m", "hi");
        await OkAsync("sent", "--as", "alice", "--json");
        var sent = cli.Json["messages"]![0]!;
        Assert.Equal(("sent", "bob", "pending"), (
            sent["status"]!.GetValue<string>(), sent["deliveries"]![0]!["recipient"]!.GetValue<string>(), sent["deliveries"]![0]!["state"]!.GetValue<string>()));
        cli.Variables["SWARM_TOKEN"] = operatorToken;
        await OkAsync("trace", sent["message_id"]!.GetValue<string>(), "--json");
        Assert.Equal("bob", cli.Json["messages"]![0]!["recipients"]![0]!["recipient"]!.GetValue<string>());
        await OkAsync("dlq", "list", "--recipient", "bob", "--from", "2h", "--json");
        Assert.Equal(0, cli.Json["count"]!.GetValue<int>());
        await OkAsync("dlq", "requeue", "--all", "--json");
        Assert.Equal(0, cli.Json["count"]!.GetValue<int>());
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "dlq", "show", "1-2"));
    }

    [Fact]
    public async Task Each_agent_acts_with_its_own_token_and_for_nobody_else()
    {
        await MeetAsync();
        await OkAsync("list", "--as", "bob", "--members", "--json");
        Assert.Equal(
            ["alice", "bob"], cli.Json["swarms"]![0]!["members"]!.AsArray().Select(member => member!["agent_id"]!.GetValue<string>()));
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "agent", "list")); // bob is no operator, and the operator's token is not here.
        cli.Variables["SWARM_TOKEN"] = new Swarm.Cli.Profile.Credentials(cli.Profile, TimeProvider.System).Find(Url, "bob")!;
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "messages", "--as", "alice"));
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "backup"));
        cli.Variables["SWARM_TOKEN"] = "swarm_" + new string('x', 43);
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "messages", "--as", "bob"));
    }

    [Fact]
    [Conforms("ASP-89", "ASP-93")]
    public async Task Refusals_have_the_exit_codes_of_the_protocol()
    {
        await MeetAsync();
        Assert.Equal(ExitCode.Network, await cli.RunAsync(Url, "send", "--as", "alice", "-m", "x", "-t", "nobody"));
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "kick", "--as", "bob", "-a", "alice", "-y"));
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "kick", "--as", "alice", "-a", "nobody", "-y"));
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "kick", "--as", "alice", "-a", "alice", "-y"));
        Assert.Equal(ExitCode.General, await cli.RunAsync(Url, "invite", "--as", "bob"));
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "leave", "--as", "alice", "-y"));
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "invite", "--as", "alice", "-s", Guid.NewGuid().ToString()));
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "join", "--as", "bob", "-t", "swarm://x@y?token=z"));
        await OkAsync("list", "--as", "alice", "--json");
        var id = cli.Json["swarms"]![0]!["swarm_id"]!.GetValue<string>();
        await OkAsync("kick", "--as", "alice", "-a", "bob", "-y");
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "send", "--as", "bob", "-m", "x", "-s", id));
        cli.Variables["SWARM_TOKEN"] = operatorToken;
        Assert.Equal(ExitCode.General, await cli.RunAsync(Url, "init", "-a", "alice"));
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "init", "-a", "broadcast"));
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "agent", "show", "nobody"));
    }

    [Fact]
    public async Task The_operator_sees_to_tokens_backup_and_health()
    {
        cli.Variables["SWARM_TOKEN"] = operatorToken;
        await OkAsync("agent", "create", "eve", "--display-name", "Eve", "--json");
        var first = cli.Json["token"]!.GetValue<string>();
        await OkAsync("agent", "token", "new", "eve", "--label", "laptop", "--json");
        var id = cli.Json["id"]!.GetValue<long>();
        var second = cli.Json["token"]!.GetValue<string>();
        await OkAsync("agent", "token", "revoke", "eve", $"{id}");
        cli.Variables["SWARM_TOKEN"] = second;
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "list", "--as", "eve"));
        cli.Variables["SWARM_TOKEN"] = first;
        await OkAsync("list", "--as", "eve");
        cli.Variables["SWARM_TOKEN"] = operatorToken;
        await OkAsync("backup", "--json");
        Assert.True(File.Exists(cli.Json["path"]!.GetValue<string>()));
        await OkAsync("doctor", "--json");
        Assert.DoesNotContain("fail", cli.Json["checks"]!.AsArray().Select(check => check!["result"]!.GetValue<string>()));
        await OkAsync("agent", "revoke", "eve", "-y");
        cli.Variables["SWARM_TOKEN"] = first;
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "list", "--as", "eve"));
    }

    [Fact]
    public async Task The_client_sends_once_follows_live_and_works_the_queue()
    {
        await MeetAsync();
        using var client = new SwarmClient(new SwarmClientOptions { Url = Url, Token = operatorToken });
        var swarm = new List<SwarmInfo>();
        await foreach (var item in client.ListSwarmsAsync("alice"))
        {
            swarm.Add(item);
        }

        var message = new OutgoingMessage { From = "alice", SwarmId = Assert.Single(swarm).SwarmId, To = "bob", Content = "once" };
        var stands = new TaskCompletionSource();
        var live = Task.Run(async () =>
        {
            using var limit = new CancellationTokenSource(TimeSpan.FromSeconds(60));
            var seen = new List<InboxMessage>();
            var options = new InboxStreamOptions { OnConnected = () => stands.TrySetResult() };
            await foreach (var item in client.StreamAsync("bob", options, limit.Token))
            {
                seen.Add(item);
                if (seen.Count == 3)
                {
                    break;
                }
            }

            return seen;
        });
        await stands.Task.WaitAsync(TimeSpan.FromSeconds(60));
        var first = await client.SendAsync(message, idempotencyKey: "k1");
        var again = await client.SendAsync(message, idempotencyKey: "k1");
        Assert.Equal(("accepted", "duplicate"), (first.Status, again.Status));
        Assert.Equal(first.MessageId, again.MessageId);
        var batch = await client.SendBatchAsync(
            [message with { Content = "two" }, message with { To = "nobody" }, message with { Content = "three" }]);
        Assert.Equal(["accepted", "refused", "accepted"], batch.Select(result => result.Status));
        Assert.Equal([(1, "once"), (2, "two"), (3, "three")], (await live).Select(item => (item.Seq, item.Content)));

        var lease = await client.LeaseAsync("bob", max: 10, leaseSeconds: 60);
        Assert.Equal([1, 2, 3], lease.Messages.Select(item => item.Seq));
        Assert.Equal(2, await client.AckAsync("bob", lease.LeaseId, [1, 2]));
        Assert.True(await client.ExtendLeaseAsync("bob", lease.LeaseId, 120) > lease.ExpiresAt);
        await client.NakAsync("bob", lease.LeaseId, [3]);
        Assert.Equal(3, Assert.Single((await client.LeaseAsync("bob")).Messages).Seq);
        Assert.Equal(new InboxCounts(3, 0, 3), await client.CountInboxAsync("bob"));
        Assert.Equal(1, await client.MarkReadAsync("bob", [1]));
        var sent = new List<SentMessage>();
        await foreach (var item in client.ListOutboxAsync("alice"))
        {
            sent.Add(item);
        }

        Assert.Equal(["three", "two", "once"], sent.Select(item => item.Content));
        Assert.Equal(3, (await client.GetStatusAsync()).Messages);
        Assert.Equal(1, (await client.GetStatsAsync()).Duplicates);
    }

    [Fact]
    [Conforms("ASP-91", "ASP-92")]
    public async Task Messages_are_counted_put_away_thrown_away_and_purged()
    {
        await MeetAsync();
        foreach (var text in new[] { "one", "two", "three", "four" })
        {
            await OkAsync("send", "--as", "alice", "-t", "bob", "-m", text);
        }

        await OkAsync("messages", "--as", "bob", "--no-mark-read", "--json");
        var ids = cli.Json["messages"]!.AsArray().Select(message => message!["message_id"]!.GetValue<string>()).ToList();
        await OkAsync("messages", "--as", "bob", "--archive", ids[0], "--json");
        Assert.Equal(("archived", ids[0]), (cli.Json["status"]!.GetValue<string>(), cli.Json["message_id"]!.GetValue<string>()));
        Assert.Equal(ExitCode.General, await cli.RunAsync(Url, "messages", "--as", "bob", "--archive", ids[0]));
        Assert.Contains("Cannot archive from 'archived'", cli.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "messages", "--as", "bob", "--archive", Guid.NewGuid().ToString()));
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "messages", "--as", "bob", "--archive", "x"));
        Assert.Equal(ExitCode.General, await cli.RunAsync(Url, "messages", "--as", "bob", "--delete", Guid.NewGuid().ToString()));
        await OkAsync("messages", "--as", "bob", "--delete", ids[1].ToUpperInvariant(), "--json");
        await OkAsync("messages", "--as", "bob", "--delete", ids[1], "--json");
        Assert.Equal((2, 0, 1, 1, 4), await CountAsync());

        await OkAsync("messages", "--as", "bob", "-l", "1", "--raw");
        Assert.Equal("three", cli.Out);
        await OkAsync("messages", "--as", "bob", "--status", "archived", "--json");
        Assert.Equal(["archived"], Statuses());
        await OkAsync("messages", "--as", "bob", "--status", "read", "--json");
        Assert.Equal(["read"], Statuses());
        Assert.NotNull(cli.Json["messages"]![0]!["read_at"]);
        await OkAsync("messages", "--as", "bob", "--archive-all", "--json");
        Assert.Equal((1, 1), (cli.Json["updated"]!.GetValue<int>(), cli.Json["total"]!.GetValue<int>()));
        await OkAsync("messages", "--as", "bob", "--archive-all", "--json");
        Assert.Equal((1, 0, 2, 1, 4), await CountAsync());

        // Within the retention nothing deleted goes; by force it does, and a repeat of the message is still a repeat.
        await OkAsync("purge", "--as", "bob", "--messages", "--yes", "--json");
        Assert.Equal(0, cli.Json["messages_purged"]!.GetValue<int>());
        await OkAsync("purge", "--as", "bob", "--messages", "--force", "--include-archived", "--sessions", "--yes", "--json");
        Assert.Equal((1, 2, 0), (
            cli.Json["messages_purged"]!.GetValue<int>(), cli.Json["archived_purged"]!.GetValue<int>(), cli.Json["sessions_purged"]!.GetValue<int>()));
        Assert.Equal((1, 0, 0, 0, 1), await CountAsync());
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "messages", "--as", "bob", "--archive", ids[0]));
        await OkAsync("messages", "--as", "bob", "--status", "all", "--no-mark-read", "--json");
        Assert.Equal(["unread"], Statuses());

        // An agent puts away its own messages alone.
        Assert.Equal(ExitCode.NotFound, await cli.RunAsync(Url, "messages", "--as", "alice", "--archive", ids[3]));
        await OkAsync("sent", "--as", "alice", "--count", "--json");
        Assert.Equal((1, 3, 0, 4), (
            cli.Json["sent"]!.GetValue<int>(), cli.Json["delivered"]!.GetValue<int>(), cli.Json["failed"]!.GetValue<int>(), cli.Json["total"]!.GetValue<int>()));

        IEnumerable<string> Statuses() => cli.Json["messages"]!.AsArray().Select(message => message!["status"]!.GetValue<string>());

        async Task<(int Unread, int Read, int Archived, int Deleted, int Total)> CountAsync()
        {
            await OkAsync("messages", "--as", "bob", "--count", "--json");
            int Of(string name) => cli.Json[name]!.GetValue<int>();
            return (Of("unread"), Of("read"), Of("archived"), Of("deleted"), Of("total"));
        }
    }

    [Fact]
    [Conforms("ASP-92")]
    public async Task An_agent_is_exported_and_imported_by_commands()
    {
        await MeetAsync();
        await OkAsync("send", "--as", "alice", "-t", "bob", "-m", "naïve 😀");
        await OkAsync("mute", "--as", "bob", "-a", "mallory");
        var path = Path.Combine(cli.Home, "bob.json");
        await OkAsync("export", "--as", "bob", "-o", path);
        cli.Variables["SWARM_TOKEN"] = new Swarm.Cli.Profile.Credentials(cli.Profile, TimeProvider.System).Find(Url, "bob")!;
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "import", "--as", "bob", "-i", path, "-y"));
        cli.Variables["SWARM_TOKEN"] = operatorToken;
        await OkAsync("import", "--as", "bob", "-i", path, "-y", "--json");
        Assert.Equal((1, 1, 1), (cli.Json["swarms"]!.GetValue<int>(), cli.Json["inbox"]!.GetValue<int>(), cli.Json["muted_agents"]!.GetValue<int>()));
        await OkAsync("messages", "--as", "bob", "--raw");
        Assert.Equal("naïve 😀", cli.Out);
        await File.WriteAllTextAsync(path, """{"schema_version":"3.0.0"}""");
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "import", "--as", "bob", "-i", path, "-y"));
        Assert.Contains("Unsupported schema version: 3.0.0", cli.Error, StringComparison.Ordinal);
        await OkAsync("config", "--as", "bob", "--json");
        Assert.Equal("auto-detected (single swarm in DB)", cli.Json["resolved_via"]!.GetValue<string>());
    }

    [Fact]
    [Conforms("ASP-96")]
    public async Task An_invitation_that_is_revoked_lets_nobody_in()
    {
        await MeetAsync();
        await OkAsync("invite", "--as", "alice", "-e", "1", "--json");
        var invite = cli.Json["invite_token"]!.GetValue<string>();
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "revoke", "--as", "bob", "-t", invite));
        await OkAsync("revoke", "--as", "alice", "-t", invite, "--json");
        Assert.Equal(64, cli.Json["token_hash"]!.GetValue<string>().Length);
        cli.Variables["SWARM_TOKEN"] = operatorToken;
        await OkAsync("init", "-a", "carol");
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(Url, "join", "--as", "carol", "-t", invite));
        Assert.Contains("revoked", cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Following_shows_a_message_as_it_arrives()
    {
        await MeetAsync();
        using var bob = new CliRun { Variables = { ["SWARM_TOKEN"] = operatorToken } };
        var follows = bob.RunAsync(Url, "inbox", "--follow", "--from-start", "--as", "bob", "--json", "--max", "2");
        await OkAsync("send", "--as", "alice", "-t", "bob", "-m", "one");
        await OkAsync("send", "--as", "alice", "-m", "two, to everybody");
        Assert.Equal(ExitCode.Ok, await follows.WaitAsync(TimeSpan.FromSeconds(60)));
        Assert.Equal(
            ["one", "two, to everybody"],
            bob.Out.TrimEnd('\n').Split('\n').Select(line => System.Text.Json.Nodes.JsonNode.Parse(line)!["content"]!.GetValue<string>()));
    }

    [Fact]
    public async Task Claims_are_made_by_send_found_by_messages_and_shown_by_board()
    {
        await MeetAsync();
        await OkAsync("send", "--as", "alice", "-m", "I take it", "--ref", "claimed:octo/spoon#12", "--ref", "https://github.com/octo/spoon/pull/13");
        await OkAsync("send", "--as", "alice", "-m", "stuck", "--ref", "blocked:octo/spoon#14", "--ref", "octo/api!9", "--ref", "https://example.com/why");
        await OkAsync("send", "--as", "alice", "-m", "about nothing");
        var index = new Swarm.Core.References.ReferenceIndex(node.Database, Microsoft.Extensions.Logging.Abstractions.NullLogger<Swarm.Core.References.ReferenceIndex>.Instance);
        await Eventually.TrueAsync(
            "the references are indexed",
            async () =>
            {
                await index.RunOnceAsync(default);
                await using var count = node.Database.CreateCommand("select count(*) from message_references");
                return (long)(await count.ExecuteScalarAsync())! == 4;
            },
            TimeSpan.FromSeconds(30));

        await OkAsync("messages", "--as", "bob", "--repo", "octo/spoon", "--issue", "12", "--raw");
        Assert.Equal("I take it", cli.Out);
        await OkAsync("messages", "--as", "bob", "--repo", "octo/spoon", "--pr", "13", "--json");
        Assert.Equal("unread", Assert.Single(cli.Json["messages"]!.AsArray())!["status"]!.GetValue<string>());
        await OkAsync("messages", "--as", "bob", "--repo", "octo/spoon", "--json");
        Assert.Equal(2, cli.Json["count"]!.GetValue<int>());
        await OkAsync("messages", "--as", "bob", "--repo", "octo/spoon", "--issue", "99");
        Assert.Equal("No messages found\n", cli.Out);

        await OkAsync("board", "--as", "bob", "--json");
        var claims = cli.Json["claims"]!.AsArray();
        Assert.Equal(["blocked alice octo/spoon 14", "claimed alice octo/spoon 12"], claims.Select(c => $"{c!["state"]} {c["agent_id"]} {c["repo"]} {c["number"]}"));
        Assert.Equal(["octo/api", null], claims[0]!["blocked_on"]!.AsArray().Select(b => (string?)b!["repo"]));
        await OkAsync("board", "--as", "bob", "--repo", "octo/spoon", "--state", "blocked");
        Assert.Contains("octo/api#9, https://example.com/why", cli.Out, StringComparison.Ordinal);
        Assert.DoesNotContain("octo/spoon#12", cli.Out, StringComparison.Ordinal);

        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "messages", "--as", "bob", "--issue", "12"));
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "messages", "--as", "bob", "--repo", "spoon"));
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "messages", "--as", "bob", "--repo", "o/r", "--issue", "1", "--pr", "1"));
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(Url, "send", "--as", "alice", "-m", "x", "--ref", "nonsense"));
    }

    private async Task MeetAsync()
    {
        cli.Variables["SWARM_TOKEN"] = operatorToken;
        await OkAsync("init", "-a", "alice");
        await OkAsync("init", "-a", "bob");
        cli.Variables.Remove("SWARM_TOKEN");
        await OkAsync("create", "--as", "alice", "-n", "research");
        await OkAsync("invite", "--as", "alice", "--json");
        cli.Input = Encoding.UTF8.GetBytes(cli.Json["invite_token"]!.GetValue<string>());
        await OkAsync("join", "--as", "bob", "-t", "-");
        cli.Input = null;
    }

    private async Task OkAsync(params string[] args)
    {
        var code = await cli.RunAsync(Url, args);
        Assert.True(
            code == ExitCode.Ok,
            $"swarm {string.Join(' ', args.Select(arg => arg.Length > 40 ? arg[..40] : arg))}: exit {code}\n{cli.Error}{cli.Out}");
    }
}
