using System.Text.Json.Nodes;
using Swarm.Cli;
using Swarm.Cli.Watch;
using Swarm.Client;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Cli;

/// <summary><c>swarm watch</c> against a real node, with real programs.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.EndToEnd)]
public sealed class WatchTests(PostgresFixture postgres) : IAsyncLifetime
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("swarm-watch-");
    private NodeProcess _node = null!;
    private Scene _scene = null!;

    private string Seen => Path.Combine(_folder.FullName, "seen");

    public async Task InitializeAsync()
    {
        _node = await NodeProcess.StartNewAsync(await postgres.CreateDatabaseAsync());
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob"], []);
    }

    public async Task DisposeAsync()
    {
        _scene.Dispose();
        await _node.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    [Fact]
    [Conforms("ASP-79", "ASP-80")]
    public async Task A_command_gets_each_message_and_a_restart_neither_misses_nor_repeats()
    {
        using var cli = new CliRun { Variables = { ["SWARM_TOKEN"] = _scene.TokenOf("bob") } };
        await SendAsync("before");
        await WatchOnceAsync(cli, () => SendAsync("one"), "tee", "-a", Seen);
        await SendAsync("two");
        await SendAsync("three");
        await WatchOnceAsync(cli, null, "tee", "-a", Seen);
        await WatchOnceAsync(cli, null, "tee", "-a", Seen);
        Assert.Equal(["one", "two", "three"], Contents());
    }

    [Fact]
    [Conforms("ASP-80")]
    public async Task What_arrives_during_a_run_is_handled_together_by_the_next_and_never_beside_it()
    {
        // Each run says when it begins and ends, and waits until it is allowed to go on.
        var script = Script(
            """
            echo begin >>"$1"
            cat >>"$1"
            while [ ! -e "$2" ]; do sleep 0.05; done
            echo end >>"$1"
            """);
        var go = Path.Combine(_folder.FullName, "go");
        using var cli = new CliRun { Variables = { ["SWARM_TOKEN"] = _scene.TokenOf("bob") } };
        using var stop = new CancellationTokenSource();
        await SendAsync("first");
        var watching = cli.RunAsync(_node.Url, stop.Token, "watch", "--as", "bob", "--from-start", "--batch", "100", "--", script, Seen, go);
        await Eventually.TrueAsync("the first run began", () => File.Exists(Seen) && File.ReadAllText(Seen).Contains("first"), Limit);
        for (var i = 0; i < 5; i++)
        {
            await SendAsync($"meanwhile {i}");
        }

        await File.WriteAllTextAsync(go, "");
        await Eventually.TrueAsync("the second run ended", () => Lines().Count(l => l == "end") >= 2 && File.ReadAllText(Seen).Contains("meanwhile 4"), Limit);
        await stop.CancelAsync();
        Assert.Equal(ExitCode.Interrupted, await watching);
        var marks = Lines().Where(l => l is "begin" or "end").ToList();
        Assert.Equal(Enumerable.Range(0, marks.Count).Select(i => i % 2 == 0 ? "begin" : "end"), marks);
        Assert.Equal(["first", .. Enumerable.Range(0, 5).Select(i => $"meanwhile {i}")], Contents());
    }

    [Fact]
    [Conforms("ASP-79")]
    public async Task The_position_stays_before_a_message_whose_command_failed()
    {
        using var cli = new CliRun { Variables = { ["SWARM_TOKEN"] = _scene.TokenOf("bob") } };
        await SendAsync("stubborn");
        var failing = Script("cat >>\"$1\"; echo tried >>\"$1\"; exit 3");
        using var stop = new CancellationTokenSource();
        var watching = cli.RunAsync(_node.Url, stop.Token, "watch", "--as", "bob", "--from-start", "--", failing, Seen);
        await Eventually.TrueAsync("it was tried twice", () => File.Exists(Seen) && Lines().Count(l => l == "tried") >= 2, Limit);
        await stop.CancelAsync();
        Assert.Equal(ExitCode.Interrupted, await watching);
        Assert.Contains("exit code 3", cli.Error, StringComparison.Ordinal);
        File.Delete(Seen);
        await WatchOnceAsync(cli, null, "tee", "-a", Seen);
        Assert.Equal(["stubborn"], Contents());
    }

    [Fact]
    [Conforms("ASP-79")]
    public async Task Filters_pass_over_what_is_not_meant_and_the_position_moves_past_it()
    {
        using var cli = new CliRun { Variables = { ["SWARM_TOKEN"] = _scene.TokenOf("bob") } };
        await SendAsync("to all", to: "broadcast");
        await SendAsync("direct but normal");
        await SendAsync("direct and high", priority: "high");
        await OkAsync(cli, "--from-start", "--direct", "--priority", "high", "--from", "alice", "--type", "message", "-s", $"{_scene.Swarm}", "--once", "--json", "--", "tee", "-a", Seen);
        Assert.Equal(["direct and high"], Contents());
        Assert.Equal(3, JsonNode.Parse(cli.Out.Trim().Split('\n')[^1])!["seq"]!.GetValue<long>());
    }

    [Fact]
    public async Task Wrong_arguments_a_foreign_position_and_a_second_watcher_are_refused()
    {
        using var cli = new CliRun { Variables = { ["SWARM_TOKEN"] = _scene.TokenOf("bob") } };
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(_node.Url, "watch", "--as", "bob"));
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(_node.Url, "watch", "--as", "bob", "--tmux", "x", "--", "cat"));
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(_node.Url, "watch", "--as", "bob", "--tmux=-x"));
        var position = Path.Combine(_folder.FullName, "position");
        await File.WriteAllTextAsync(position, """{"node":"http://other:1","agent":"bob","seq":7}""");
        Assert.Equal(ExitCode.General, await cli.RunAsync(_node.Url, "watch", "--as", "bob", "--position", position, "--", "cat"));
        await File.WriteAllTextAsync(position, "{broken");
        Assert.Equal(ExitCode.General, await cli.RunAsync(_node.Url, "watch", "--as", "bob", "--position", position, "--", "cat"));
        Assert.Equal("{broken", await File.ReadAllTextAsync(position));
        File.Delete(position);
        await using (File.Open(position + ".lock", FileMode.OpenOrCreate, FileAccess.Write, FileShare.None))
        {
            Assert.Equal(ExitCode.General, await cli.RunAsync(_node.Url, "watch", "--as", "bob", "--position", position, "--", "cat"));
        }
    }

    [Fact]
    [Conforms("ASP-79", "ASP-80")]
    public async Task A_tmux_session_gets_one_clean_line_and_enter_in_a_second_call()
    {
        // Named tmux and first on the path: writes down how it was called.
        Script("printf '%s|' \"$@\" >>\"$(dirname \"$0\")/calls\"; echo >>\"$(dirname \"$0\")/calls\"", "tmux");
        using var cli = new CliRun { Variables = { ["SWARM_TOKEN"] = _scene.TokenOf("bob") } };
        var path = Environment.GetEnvironmentVariable("PATH");
        try
        {
            Environment.SetEnvironmentVariable("PATH", $"{_folder.FullName}:{path}");
            await SendAsync("$(rm -rf /)\u001b]0;evil\u0007\nsecond line");
            await OkAsync(cli, "--from-start", "--tmux", "bob:0.1", "--once");
        }
        finally
        {
            Environment.SetEnvironmentVariable("PATH", path);
        }

        Assert.Equal(
            ["send-keys|-t|bob:0.1|-l|--|[swarm] 1 new message from alice (#1)|", "send-keys|-t|bob:0.1|C-m|"],
            await File.ReadAllLinesAsync(Path.Combine(_folder.FullName, "calls")));
    }

    [Fact]
    [Conforms("ASP-80")]
    [Refuses("W-04")]
    public void A_notice_holds_no_word_that_a_sender_chose()
    {
        Assert.Equal("[swarm] 1 new message from unknown (#1)", TmuxReaction.Notice([Message(1, "x; rm -rf / #")]));
        Assert.Equal("[swarm] 1 new message from unknown (#1)", TmuxReaction.Notice([Message(1, "\u001b[31mred\nroot")]));
        Assert.Equal("[swarm] 1 new message from unknown (#1)", TmuxReaction.Notice([Message(1, new string('a', 257))]));
        Assert.Equal(
            "[swarm] 5 new messages from a, b, c and others (#5)",
            TmuxReaction.Notice([.. new[] { "a", "b", "a", "c", "d" }.Select((s, i) => Message(i + 1, s))]));
    }

    [Fact]
    [Conforms("ASP-79")]
    public async Task A_real_tmux_shows_the_line()
    {
        if (!File.Exists("/usr/bin/tmux"))
        {
            return;
        }

        var session = $"swarm-{Guid.NewGuid():N}";
        var typed = Path.Combine(_folder.FullName, "typed");
        await RunAsync("tmux", "new-session", "-d", "-s", session, "-x", "200", $"cat > {typed}");
        try
        {
            using var cli = new CliRun { Variables = { ["SWARM_TOKEN"] = _scene.TokenOf("bob") } };
            await SendAsync("hello");
            await OkAsync(cli, "--from-start", "--tmux", session, "--once");
            await Eventually.TrueAsync(
                "the line was typed", () => File.Exists(typed) && File.ReadAllText(typed) == "[swarm] 1 new message from alice (#1)\n", Limit);
        }
        finally
        {
            await RunAsync("tmux", "kill-session", "-t", session);
        }
    }

    private static InboxMessage Message(long seq, string sender) => new(
        seq, Guid.NewGuid(), Guid.NewGuid(), sender, "bob", "message", "normal", "text", "2026-02-05T14:30:00.123Z", default, "pending", true, null, null, null,
        null, null, null);

    private static async Task RunAsync(string program, params string[] arguments)
    {
        var (code, output) = await ChildProcess.RunAsync("/", new Dictionary<string, string?>(), program, arguments);
        Assert.True(code == 0, output);
    }

    private string Script(string body, string name = "script")
    {
        var path = Path.Combine(_folder.FullName, name);
        File.WriteAllText(path, "#!/bin/sh\n" + body + "\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        return path;
    }

    private string[] Lines() => File.ReadAllLines(Seen);

    private IEnumerable<string> Contents() =>
        Lines().Where(line => line.StartsWith('{')).Select(line => JsonNode.Parse(line)!["content"]!.GetValue<string>());

    /// <summary>Runs until one message was handled; <paramref name="then"/> happens once the watcher knows where it begins.</summary>
    private async Task WatchOnceAsync(CliRun cli, Func<Task>? then, params string[] command)
    {
        var position = Path.Combine(cli.Profile, "watch-bob.json");
        var watching = cli.RunAsync(_node.Url, "watch", "--as", "bob", "--once", "--", command[0], command[1], command[2]);
        if (then is not null)
        {
            await Eventually.TrueAsync("the position is kept", () => File.Exists(position), Limit);
            await then();
        }

        Assert.True(await watching.WaitAsync(Limit) == ExitCode.Ok, cli.Error);
    }

    private async Task OkAsync(CliRun cli, params string[] arguments)
    {
        var code = await cli.RunAsync(_node.Url, ["watch", "--as", "bob", .. arguments]).WaitAsync(Limit);
        Assert.True(code == ExitCode.Ok, $"{code} {cli.Error}{cli.Out}");
    }

    private async Task SendAsync(string content, string to = "bob", string priority = "normal") =>
        (await _node.Hub.PostHubAsync("/hub/v1/messages", new { from = "alice", swarm_id = _scene.Swarm.ToString(), to, content, priority })).Ok();
}
