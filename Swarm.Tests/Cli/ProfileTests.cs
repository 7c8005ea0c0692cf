using System.Text.Json.Nodes;
using Swarm.Cli;
using Swarm.Cli.Profile;
using Swarm.Tests.Client;
using Swarm.Tests.Conformance;

namespace Swarm.Tests.Cli;

/// <summary>Which node, which agent, which token, which swarm; and how secrets are kept.</summary>
[Shown(By.Unit)]
public sealed class ProfileTests : IDisposable
{
    private const string Other = "11111111-1111-4111-8111-111111111111";

    private readonly CliRun cli = new();

    [Fact]
    [Conforms("ASP-88")]
    [Refuses("W-29")]
    public async Task Init_keeps_the_token_where_only_its_owner_reads_it()
    {
        await using var peer = await HubPeer.StartAsync(CliTests.Answers);
        cli.Variables["SWARM_TOKEN"] = "operator";
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "init", "-a", "alice"));
        Assert.DoesNotContain("swarm_secret", cli.Out + cli.Error, StringComparison.Ordinal);
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(PrivateFiles.FolderMode0700, File.GetUnixFileMode(cli.Profile));
            foreach (var path in Directory.GetFiles(cli.Profile))
            {
                Assert.Equal(PrivateFiles.FileMode0600, File.GetUnixFileMode(path));
            }
        }

        Assert.Equal("alice", CliConfig.Load(cli.Profile).DefaultAgent);
        cli.Variables.Remove("SWARM_TOKEN");
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "list"));
        Assert.Equal("Bearer swarm_secret", peer.Seen[^1]["Authorization"]);
        Assert.Equal("GET /hub/v1/swarms?agent=alice&limit=100", peer.Seen[^1].ToString());
    }

    [Fact]
    public async Task A_folder_that_was_open_is_closed_before_a_token_goes_into_it()
    {
        Directory.CreateDirectory(cli.Profile);
        await using var peer = await HubPeer.StartAsync(CliTests.Answers);
        cli.Variables["SWARM_TOKEN"] = "operator";
        await cli.RunAsync(peer.Url, "init", "-a", "alice");
        Assert.False(PrivateFiles.IsOpenToOthers(cli.Profile));
    }

    [Fact]
    public async Task A_stored_token_is_never_sent_to_another_node()
    {
        await using var home = await HubPeer.StartAsync(CliTests.Answers);
        await using var elsewhere = await HubPeer.StartAsync(CliTests.Answers);
        cli.Variables["SWARM_TOKEN"] = "operator";
        await cli.RunAsync(home.Url, "init", "-a", "alice");
        cli.Variables.Remove("SWARM_TOKEN");
        Assert.Equal(ExitCode.Permission, await cli.RunAsync(elsewhere.Url, "list"));
        Assert.All(elsewhere.Seen, request => Assert.Null(request["Authorization"]));
    }

    [Fact]
    public async Task Twenty_inits_at_once_lose_no_token()
    {
        var credentials = Enumerable.Range(0, 20).Select(_ => new Credentials(cli.Profile, TimeProvider.System)).ToList();
        var node = new Uri("http://127.0.0.1:8700");
        await Task.WhenAll(
            credentials.Select((store, i) => Task.Run(() => store.StoreAsync(node, $"a{i}", $"t{i}", CancellationToken.None))));
        Assert.All(Enumerable.Range(0, 20), i => Assert.Equal($"t{i}", credentials[0].Find(node, $"a{i}")));
        Assert.Empty(Directory.GetFiles(cli.Profile, "*.tmp"));
    }

    [Fact]
    public async Task An_agent_that_exists_is_taken_over_only_by_force()
    {
        await using var peer = await HubPeer.StartAsync((context, request, _) => request.ToString() == "POST /hub/v1/agents"
            ? HubPeer.ProblemAsync(context, 409, "name-taken", "An agent of that name exists already.")
            : HubPeer.JsonAsync(context, 200, CliTests.Answers[request.ToString()]));
        cli.Variables["SWARM_TOKEN"] = "operator";
        Assert.Equal(ExitCode.General, await cli.RunAsync(peer.Url, "init", "-a", "alice"));
        Assert.Contains("exists already", cli.Error, StringComparison.Ordinal);
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, "init", "-a", "alice", "--force"));
        Assert.Equal("swarm_other", new Credentials(cli.Profile, TimeProvider.System).Find(peer.Url, "alice"));
    }

    [Fact]
    public async Task The_acting_agent_is_the_option_then_the_variable_then_the_default()
    {
        await using var peer = await HubPeer.StartAsync(200, """{"swarms":[]}""");
        cli.Variables["SWARM_TOKEN"] = "t";
        Assert.Equal(ExitCode.General, await cli.RunAsync(peer.Url, "list"));
        new CliConfig { DefaultAgent = "c" }.Save(cli.Profile);
        await cli.RunAsync(peer.Url, "list");
        cli.Variables["SWARM_AGENT"] = "b";
        await cli.RunAsync(peer.Url, "list");
        await cli.RunAsync(peer.Url, "list", "--as", "a");
        Assert.Equal(["c", "b", "a"], peer.Seen.Select(request => request.Path.Split("agent=")[1].Split('&')[0]));
    }

    [Fact]
    [Conforms("ASP-94")]
    public async Task The_swarm_is_the_option_then_the_variable_then_the_default_then_the_only_one()
    {
        await using var peer = await HubPeer.StartAsync(CliTests.Answers);
        cli.Variables["SWARM_TOKEN"] = "t";
        var send = new[] { "send", "--as", "alice", "-m", "x" };
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(peer.Url, send));
        Assert.Equal(CliTests.SwarmId, SentTo());
        new CliConfig { DefaultSwarm = Other.ToUpperInvariant() }.Save(cli.Profile);
        await cli.RunAsync(peer.Url, send);
        Assert.Equal(Other, SentTo());
        cli.Variables["SWARM_ID"] = "{22222222-2222-4222-8222-222222222222}";
        await cli.RunAsync(peer.Url, send);
        Assert.Equal("22222222-2222-4222-8222-222222222222", SentTo());
        await cli.RunAsync(peer.Url, [.. send, "-s", "urn:uuid:33333333-3333-4333-8333-333333333333"]);
        Assert.Equal("33333333-3333-4333-8333-333333333333", SentTo());

        string SentTo() => JsonNode.Parse(peer.Seen[^1].Body)!["swarm_id"]!.GetValue<string>();
    }

    [Theory]
    [InlineData("""{"swarms":[]}""")]
    [InlineData("""{"swarms":[{"swarm_id":"11111111-1111-4111-8111-111111111111","name":"a","master":"m","member_count":1},{"swarm_id":"22222222-2222-4222-8222-222222222222","name":"b","master":"m","member_count":1}]}""")]
    [Conforms("ASP-94")]
    public async Task Without_one_swarm_to_mean_it_is_exit_2(string swarms)
    {
        await using var peer = await HubPeer.StartAsync(200, swarms);
        cli.Variables["SWARM_TOKEN"] = "t";
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(peer.Url, "send", "--as", "alice", "-m", "x"));
        Assert.Single(peer.Seen);
    }

    [Fact]
    public async Task The_node_and_its_operators_token_are_found_upward_from_the_current_folder()
    {
        await using var peer = await HubPeer.StartAsync(CliTests.Answers);
        var data = NodeFolder(peer.Url.ToString());
        await File.WriteAllTextAsync(Path.Combine(data, "operator.token"), "swarm_operator\n");
        Assert.Equal(ExitCode.Ok, await cli.RunAsync(null, "agent", "list"));
        Assert.Equal("Bearer swarm_operator", peer.Seen[^1]["Authorization"]);
    }

    [Fact]
    public async Task A_folder_that_one_happens_to_be_in_cannot_send_tokens_elsewhere()
    {
        NodeFolder("https://evil.example.com");
        cli.Variables["SWARM_TOKEN"] = "t";
        Assert.Equal(ExitCode.BadArguments, await cli.RunAsync(null, "list", "--as", "alice"));
        Assert.Contains("evil.example.com", cli.Error, StringComparison.Ordinal);
    }

    [Fact]
    public void The_operators_token_stays_with_its_own_node()
    {
        NodeFolder("http://127.0.0.1:8700");
        var environment = new CliEnvironment(new Dictionary<string, string>(), cli.Home, cli.Home, TimeProvider.System);
        Assert.True(NodeLocator.Locate(null, environment).MayUseOperatorToken);
        Assert.False(NodeLocator.Locate("https://swarm.example.com", environment).MayUseOperatorToken);
    }

    [Fact]
    public void The_address_is_the_option_then_the_variable_then_the_file_then_the_default()
    {
        var variables = new Dictionary<string, string>();
        var environment = new CliEnvironment(variables, cli.Home, cli.Home, TimeProvider.System);
        Assert.Equal("http://127.0.0.1:8700/", NodeLocator.Locate(null, environment).Url.ToString());
        NodeFolder("http://127.0.0.1:9001");
        Assert.Equal("http://127.0.0.1:9001/", NodeLocator.Locate(null, environment).Url.ToString());
        variables["SWARM_URL"] = "http://127.0.0.1:9002";
        Assert.Equal("http://127.0.0.1:9002/", NodeLocator.Locate(null, environment).Url.ToString());
        Assert.Equal("http://127.0.0.1:9003/", NodeLocator.Locate("http://127.0.0.1:9003", environment).Url.ToString());
    }

    [Fact]
    public async Task A_broken_settings_file_is_named_and_not_overwritten()
    {
        Directory.CreateDirectory(cli.Profile);
        await File.WriteAllTextAsync(CliConfig.PathIn(cli.Profile), "{");
        Assert.Equal(ExitCode.General, await cli.RunAsync(new Uri("http://127.0.0.1:1"), "list"));
        Assert.Contains("config.json", cli.Error, StringComparison.Ordinal);
        Assert.Equal("{", await File.ReadAllTextAsync(CliConfig.PathIn(cli.Profile)));
    }

    public void Dispose() => cli.Dispose();

    private string NodeFolder(string url)
    {
        var folder = Directory.CreateDirectory(Path.Combine(cli.Home, ".swarm")).FullName;
        File.WriteAllText(Path.Combine(folder, "node.json"), $$"""{"url":"{{url}}","https_url":"https://127.0.0.1:8743"}""");
        return folder;
    }
}
