using Swarm.Cli;
using Swarm.Tests.Client;

namespace Swarm.Tests.Cli;

public sealed class ParsingTests : IDisposable
{
    private readonly CliRun cli = new();

    public static TheoryData<string> CommandPaths =>
    [
        "init", "create", "invite", "join", "leave", "kick", "list", "send", "messages", "inbox", "status", "agent", "agent create",
        "agent list", "agent show",
        "agent import", "agent revoke", "agent token", "agent token new", "agent token list", "agent token revoke", "agent enrolment",
        "backup", "doctor",
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
    [InlineData("invite", "-e", "-1")]
    [InlineData("invite", "-m", "x")]
    [InlineData("join", "--as", "alice")]
    [InlineData("join", "--as", "alice", "-t", "")]
    [InlineData("kick", "--as", "alice")]
    [InlineData("list", "-s", "x", "--as", "alice")]
    [InlineData("send", "-m", "hi")]
    [InlineData("send", "--as", "alice", "-m", "hi", "--priority", "urgent")]
    [InlineData("send", "--as", "alice", "-m", "hi", "--expires", "soon")]
    [InlineData("send", "--as", "alice", "-m", "hi", "-t", "b@b")]
    [InlineData("messages", "--as", "alice", "--status", "archived")]
    [InlineData("messages", "--as", "alice", "-l", "0")]
    [InlineData("messages", "--as", "alice", "-l", "101")]
    [InlineData("messages", "--as", "alice", "-s", "x")]
    [InlineData("inbox", "--as", "alice", "--max", "0")]
    [InlineData("agent", "show")]
    [InlineData("agent", "token", "revoke", "bob", "x")]
    [InlineData("status", "--url", "ftp://127.0.0.1")]
    [InlineData("status", "--url", "http://user:secret@127.0.0.1")]
    [InlineData("status", "--url", "http://swarm.example.com")]
    public async Task Bad_arguments_exit_2_and_change_nothing(params string[] args)
    {
        await using var peer = await HubPeer.StartAsync(500, "{}");
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(peer.Url, args));
        Assert.StartsWith("Error: ", cli.Error, StringComparison.Ordinal);
        Assert.Empty(cli.Out);
        Assert.Empty(peer.Seen);
    }

    [Fact]
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
    public async Task A_text_is_a_text_whatever_it_looks_like(string text)
    {
        await using var peer = await HubPeer.StartAsync(CliTests.Answers);
        cli.Variables["SWARM_TOKEN"] = "t";
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "send", "--as", "alice", "-s", CliTests.SwarmId, "-m", text));
        Assert.Equal(text, System.Text.Json.Nodes.JsonNode.Parse(Assert.Single(peer.Seen).Body)!["content"]!.GetValue<string>());
    }

    public void Dispose() => cli.Dispose();
}
