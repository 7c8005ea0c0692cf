using Swarm.Cli;
using Swarm.Tests.Client;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Cli;

[Shown(By.Unit)]
public sealed class ParsingTests : IDisposable
{
    private readonly CliRun cli = new();

    public static TheoryData<string> CommandPaths =>
    [
        "init", "create", "invite", "join", "leave", "kick", "list", "send", "messages", "inbox", "status", "agent", "agent create",
        "agent list", "agent show",
        "agent import", "agent revoke", "agent token", "agent token new", "agent token list", "agent token revoke", "agent enrolment",
        "backup", "doctor", "config", "purge", "export", "import", "approve", "revoke", "transfer", "agree", "sync", "dissolve", "sent", "mute", "unmute",
        "keys", "keys new", "keys show", "passport", "passport issue", "passport list", "passport read", "passport inspect", "passport sub", "passport renew",
        "passport revoke", "authorize", "inspect", "demand", "grant", "a1", "a1 issue", "a1 verify", "a1 decode", "a1 inspect", "a1 revoke", "a1 create", "a1 add",
        "a1 remove", "a1 list", "a1 chain", "a1 heartbeat", "a1 delete",
    ];

    [Theory]
    [MemberData(nameof(CommandPaths))]
    public async Task Every_command_has_help_with_examples(string path)
    {
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(null, [.. path.Split(' '), "--help"]));
        Assert.Contains(
            "Usage:\n  swarm",
            cli.Out.ReplaceLineEndings("\n").Replace("testhost", "swarm", StringComparison.Ordinal).Replace(
                "Swarm.Tests", "swarm", StringComparison.Ordinal),
            StringComparison.Ordinal);
        Assert.Contains("Examples:\n  ", cli.Out.ReplaceLineEndings("\n"), StringComparison.Ordinal);
        Assert.Contains("swarm " + path, cli.Out, StringComparison.Ordinal);
    }

    [Fact]
    public async Task No_arguments_show_the_help()
    {
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(null));
        Assert.Contains("messages", cli.Out, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("bogus")]
    [InlineData("send", "--bogus")]
    [InlineData("init")]
    [InlineData("init", "-a", "a b")]
    [InlineData("init", "-a", "alice", "-e", "http://alice.example.com/swarm")]
    [InlineData("create")]
    [InlineData("create", "-n", "  ", "--as", "alice")]
    [InlineData("invite", "-e", "x")]
    [InlineData("invite", "-m", "x")]
    [InlineData("join", "--as", "alice")]
    [InlineData("join", "--as", "alice", "-t", "")]
    [InlineData("kick", "--as", "alice")]
    [InlineData("list", "-s", "x", "--as", "alice")]
    [InlineData("send", "--as", "alice", "-m", "hi", "--priority", "urgent")]
    [InlineData("send", "--as", "alice", "-m", "hi", "--expires", "soon")]
    [InlineData("send", "--as", "alice", "-m", "hi", "-t", "b@b")]
    [InlineData("messages", "--as", "alice", "--status", "deleted")]
    [InlineData("messages", "--as", "alice", "-l", "x")]
    [InlineData("sent", "--as", "alice", "-l", "x")]
    [InlineData("purge", "--as", "alice")]
    [InlineData("purge", "--as", "alice", "--sessions", "--include-archived")]
    [InlineData("purge", "--as", "alice", "--sessions", "--force")]
    [InlineData("purge", "--as", "alice", "--messages", "--retention-hours", "-1")]
    [InlineData("import", "--as", "alice")]
    [InlineData("approve", "--as", "alice", "--reject")]
    [InlineData("transfer", "--as", "alice")]
    [InlineData("revoke", "--as", "alice")]
    [InlineData("revoke", "--as", "alice", "not-a-fingerprint")]
    [InlineData("revoke", "--as", "alice", "--grant", "bob", "-t", "x")]
    [InlineData("keys", "show")]
    [InlineData("passport", "issue", "acme")]
    [InlineData("passport", "issue", "acme", "--allow", ",")]
    [InlineData("passport", "issue", "acme", "--allow", "a", "--ttl", "0")]
    [InlineData("passport", "issue", "acme", "--allow", "a", "--ttl", "99999999999y")]
    [InlineData("passport", "issue", "acme", "--allow", "a", "--ttl", "ever")]
    [InlineData("passport", "sub", "acme", "--allow", "a")]
    [InlineData("authorize", "-", "--as", "bob")]
    [InlineData("authorize", "-", "--as", "bob", "--intent", "a")]
    [InlineData("inspect")]
    [InlineData("demand", "everything", "--as", "alice")]
    [InlineData("demand", "send", "--none", "--as", "alice")]
    [InlineData("demand", "--allow", "a", "--as", "alice")]
    [InlineData("demand", "send", "--a1-swarm", "x", "--as", "alice")]
    [InlineData("grant", "--as", "alice")]
    [InlineData("grant", "bob", "--list", "--as", "alice")]
    [InlineData("grant", "bob", "--role", "king", "--as", "alice")]
    [InlineData("a1", "issue", "--delegate-pk", "bob")]
    [InlineData("a1", "issue", "--delegate-pk", "bob", "--intent", "a", "--ext", "k")]
    [InlineData("a1", "issue", "--delegate-pk", "bob", "--intent", "a", "--max-depth", "256")]
    [InlineData("a1", "revoke", "00")]
    [InlineData("a1", "add", "00", "--agent", "bob")]
    [InlineData("a1", "list", "x")]
    [InlineData("mute", "--as", "alice")]
    [InlineData("mute", "--as", "alice", "-a", "bob", "-s", CliTests.SwarmId)]
    [InlineData("unmute", "--as", "alice", "-s", "x")]
    [InlineData("messages", "--as", "alice", "-s", "x")]
    [InlineData("inbox", "--as", "alice", "--max", "0")]
    [InlineData("agent", "show")]
    [InlineData("agent", "token", "revoke", "bob", "x")]
    [InlineData("status", "--url", "ftp://127.0.0.1")]
    [InlineData("status", "--url", "http://user:secret@127.0.0.1")]
    [InlineData("status", "--url", "http://swarm.example.com")]
    [Conforms("ASP-93")]
    public async Task Bad_arguments_exit_2_and_change_nothing(params string[] args)
    {
        await using var peer = await HubPeer.StartAsync(500, "{}");
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(peer.Url, args));
        Assert.StartsWith("Error: ", cli.Error, StringComparison.Ordinal);
        Assert.Empty(cli.Out);
        Assert.Empty(peer.Seen);
    }

    [Theory]
    [InlineData(3, "messages", "-l", "0")]
    [InlineData(3, "messages", "-l", "101")]
    [InlineData(1, "sent", "-l", "0")]
    [InlineData(1, "sent", "-l", "-5")]
    [Conforms("ASP-93")]
    public async Task A_limit_out_of_range_exits_as_in_the_reference_and_asks_nobody(int exitCode, params string[] args)
    {
        await using var peer = await HubPeer.StartAsync(500, "{}");
        cli.Variables["SWARM_TOKEN"] = "t";
        Assert.Equal(exitCode, await cli.RunAsync(peer.Url, [.. args, "--as", "alice"]));
        Assert.Empty(peer.Seen);
    }

    [Theory]
    [InlineData("send", "-m", "hi")]
    [InlineData("list")]
    [InlineData("config")]
    [Conforms("ASP-93")]
    public async Task Without_an_agent_there_is_nothing_to_act_with(params string[] args)
    {
        await using var peer = await HubPeer.StartAsync(500, "{}");
        Assert.Equal(ExitCode.General, await cli.RunAsync(peer.Url, args));
        Assert.Empty(peer.Seen);
    }

    [Fact]
    [Conforms("ASP-95")]
    [Refuses("W-30")]
    public async Task With_json_an_error_is_one_object_on_standard_output()
    {
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(null, "kick", "--json"));
        Assert.Equal(("error", 2), (cli.Json["status"]!.GetValue<string>(), cli.Json["exit_code"]!.GetValue<int>()));
        Assert.Equal("See: swarm kick --help", cli.Json["hint"]!.GetValue<string>());
        Assert.NotEmpty(cli.Json["error"]!.GetValue<string>());
        Assert.Empty(cli.Error);
    }

    [Theory]
    [InlineData("@bob look at this")]
    [InlineData("-ab is a flag")]
    [InlineData("[red]no markup[/]")]
    [InlineData("--not-an-option")]
    [InlineData("list")]
    [InlineData("[/x] [bold]gone?[/]")]
    [Conforms("ASP-90", "ASP-95")]
    public async Task A_text_is_a_text_whatever_it_looks_like(string text)
    {
        await using var peer = await HubPeer.StartAsync(CliTests.Answers);
        cli.Variables["SWARM_TOKEN"] = "t";
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "send", "--as", "alice", "-s", CliTests.SwarmId, "-m", text));
        Assert.Equal(text, System.Text.Json.Nodes.JsonNode.Parse(Assert.Single(peer.Seen).Body)!["content"]!.GetValue<string>());
    }

    public void Dispose() => cli.Dispose();
}
