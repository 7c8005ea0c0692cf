using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Npgsql;
using Peers;
using Swarm.Tests.Cli;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Interop;

/// <summary>
/// A node as it runs in production, Api and Worker in processes of their own, that peers reach over TLS alone; and the authority of the peers, which
/// it trusts. The tests share it, and take agents, swarms and peers of their own.
/// </summary>
public sealed class InteropFixture : IAsyncLifetime
{
    /// <summary>The longest that anything may take to be seen at the other end.</summary>
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly PostgresFixture _postgres = new();
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("swarm-interop-");
    private readonly List<ReferencePeer> _peers = [];
    private NodeProcess _node = null!;
    private ChildProcess _worker = null!;
    private int _names;

    internal PeerAuthority Authority { get; } = new();

    /// <summary>Where the node listens with TLS.</summary>
    internal Uri Url { get; private set; } = null!;

    /// <summary>A client of the Hub API with the operator's token, over TLS and HTTP/2.</summary>
    internal HttpClient Hub { get; private set; } = null!;

    /// <summary>The node's database, past the product.</summary>
    internal NpgsqlDataSource Database { get; private set; } = null!;

    internal NodeProcess Node => _node;

    /// <summary>The session file that the node's wake endpoint looks at (ASP §11.4).</summary>
    internal string SessionFile => Path.Combine(_folder.FullName, "session.json");

    /// <summary>How a program in the place of tmux was called, a call a line.</summary>
    internal string TmuxCalls => Path.Combine(_folder.FullName, "calls");

    public async Task InitializeAsync()
    {
        await _postgres.InitializeAsync();
        var tmux = Path.Combine(_folder.FullName, "tmux");
        await File.WriteAllTextAsync(tmux, "#!/bin/sh\nprintf '%s|' \"$@\" >>\"$(dirname \"$0\")/calls\"; echo >>\"$(dirname \"$0\")/calls\"\n");
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(tmux, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        }

        Url = new($"https://localhost:{FreePorts.Take(1)[0]}");
        var connection = await _postgres.CreateDatabaseAsync();
        Database = NpgsqlDataSource.Create(connection);
        _node = NodeProcess.Create(connection, environment: new Dictionary<string, string?>
        {
            ["Kestrel__Endpoints__https__Url"] = $"https://127.0.0.1:{Url.Port}",
            ["Swarm__PublicUrl"] = Url.GetLeftPart(UriPartial.Authority),
            ["Egress__AllowLoopback"] = "true",
            ["Egress__TrustedRoots"] = Authority.PemFile,
            ["Push__BackoffFirst"] = "00:00:00.050",
            ["Push__SweepInterval"] = "00:00:01",
            ["AgentSwarm__LocalApi"] = "Open", // What an operator with the reference's command line needs.
            ["AgentSwarm__Wake__Enabled"] = "true",
            ["AgentSwarm__Wake__Method"] = "tmux",
            ["AgentSwarm__Wake__TmuxTarget"] = "home:0",
            ["AgentSwarm__Wake__SessionFile"] = SessionFile,
            ["PATH"] = $"{_folder.FullName}:{Environment.GetEnvironmentVariable("PATH")}",
        });
        var (code, output) = await _node.RunWorkerAsync("migrate");
        Assert.True(code == 0, output);
        _worker = _node.StartWorker();
        await _node.StartAsync();
        Authority.Trust(Path.Combine(_node.DataFolder, "ca.pem"));
        Hub = Client((await File.ReadAllTextAsync(Path.Combine(_node.DataFolder, "operator.token"))).Trim());
    }

    public async Task DisposeAsync()
    {
        foreach (var peer in _peers)
        {
            await peer.DisposeAsync();
        }

        Hub.Dispose();
        await _worker.DisposeAsync();
        await _node.DisposeAsync();
        await Database.DisposeAsync();
        await _postgres.DisposeAsync();
        Authority.Dispose();
        _folder.Delete(recursive: true);
    }

    /// <summary>A client of the node that trusts its authority by file.</summary>
    internal HttpClient Client(string? token = null)
    {
        var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck };
        policy.CustomTrustStore.ImportFromPemFile(Path.Combine(_node.DataFolder, "ca.pem"));
        var client = new HttpClient(new SocketsHttpHandler { SslOptions = new() { CertificateChainPolicy = policy } })
        {
            BaseAddress = Url, DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        client.DefaultRequestHeaders.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        return client;
    }

    /// <summary>A name that no other test has.</summary>
    internal string Name(string word) => $"{word}-{Interlocked.Increment(ref _names)}";

    internal async Task<ReferencePeer> PeerAsync(string word, PeerOptions? options = null, PeerAuthority? authority = null)
    {
        var peer = await ReferencePeer.StartAsync(Name(word), authority ?? Authority, options ?? new() { RetryPause = TimeSpan.FromMilliseconds(200) });
        _peers.Add(peer);
        return peer;
    }

    internal async Task<OurAgent> AgentAsync(string word, bool isDefault = false)
    {
        var agent = (await Hub.PostHubAsync("/hub/v1/agents", new { name = Name(word), @default = isDefault })).Ok();
        return new(
            this, agent["name"].GetString()!, agent["endpoint"].GetString()!, agent["public_key"].GetString()!, agent["token"].GetString()!);
    }

    /// <summary>Runs a command of ours as the operator.</summary>
    internal async Task<JsonElement> CliAsync(params string[] args)
    {
        using var cli = new CliRun
        {
            Variables =
            {
                ["SWARM_DATA"] = _node.DataFolder, ["SWARM_TOKEN"] = Hub.DefaultRequestHeaders.Authorization!.Parameter!,
            },
        };
        var code = await cli.RunAsync(Url, [.. args, "--json"]);
        Assert.True(code == 0, $"swarm {string.Join(' ', args)}: exit {code}\n{cli.Error}{cli.Out}");
        return JsonElement.Parse(cli.Out);
    }

    internal async Task EventuallyAsync(string what, Func<Task<bool>> condition)
    {
        try
        {
            await Eventually.TrueAsync(what, condition, Limit);
        }
        catch (TimeoutException e)
        {
            throw new TimeoutException($"{e.Message}\nThe node: {_node.Log}\nIts worker: {_worker.Output}");
        }
    }

    internal Task EventuallyAsync(string what, Func<bool> condition) => EventuallyAsync(what, () => Task.FromResult(condition()));
}

/// <summary>An agent of our node, as its operator and its program use it.</summary>
internal sealed record OurAgent(InteropFixture Node, string Name, string Endpoint, string PublicKey, string Token)
{
    private HttpClient Hub => Node.Hub;

    public async Task<string> CreateSwarmAsync(bool requireApproval = false) =>
        (await Hub.PostHubAsync("/hub/v1/swarms", new { agent = Name, name = "ours", require_approval = requireApproval })).Ok()["swarm_id"].GetString()!;

    public async Task<string> InviteAsync(string swarm, int? maxUses = null) =>
        (await Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/invites", new { agent = Name, max_uses = maxUses })).Ok()["invite_token"].GetString()!;

    public Task<Answer> JoinAsync(string invite) => Hub.PostHubAsync("/hub/v1/join", new { agent = Name, invite_token = invite });

    public Task<Answer> SendAsync(string swarm, string content, string to = "broadcast") =>
        Hub.PostHubAsync("/hub/v1/messages", new { from = Name, swarm_id = swarm, to, content });

    /// <summary>What the agent does to a swarm as master or member: leave, kick, transfer, dissolve.</summary>
    public Task<Answer> DoAsync(string swarm, string operation, string? target = null, string? reason = null) =>
        Hub.PostHubAsync($"/hub/v1/swarms/{swarm}/{operation}", new { agent = Name, target, reason });

    public async Task<JsonElement[]> InboxAsync() =>
        [.. (await Hub.GetHubAsync($"/hub/v1/agents/{Name}/inbox?limit=100")).Ok()["messages"].EnumerateArray()];

    public async Task<string[]> ContentsAsync() => [.. (await InboxAsync()).Select(m => m.GetProperty("content").GetString()!)];

    public async Task<string[]> SwarmsAsync() =>
        [.. (await Hub.GetHubAsync($"/hub/v1/swarms?agent={Name}")).Ok()["swarms"].EnumerateArray().Select(s => s.GetProperty("swarm_id").GetString()!)];

    /// <summary>The roster as our node has it, in the order of names.</summary>
    public async Task<string[]> RosterAsync(string swarm) =>
        [.. (await Hub.GetHubAsync($"/hub/v1/swarms/{swarm}/members")).Ok()["members"].EnumerateArray()
            .Select(m => m.GetProperty("agent_id").GetString()!).Order(StringComparer.Ordinal)];

    public async Task<string> MasterAsync(string swarm) => (await Hub.GetHubAsync($"/hub/v1/swarms/{swarm}")).Ok()["master"].GetString()!;

    public Task HearsAsync(string content) =>
        Node.EventuallyAsync($"{Name} has got '{content}'", async () => (await ContentsAsync()).Contains(content));

    public Task KnowsAsync(string swarm, params string[] members) => Node.EventuallyAsync(
        $"our roster is {string.Join(", ", members)}", async () => members.Order(StringComparer.Ordinal).SequenceEqual(await RosterAsync(swarm)));

    /// <summary>What became of the last messages, newest first: <c>content status error</c>.</summary>
    public async Task<string[]> OutboxAsync()
    {
        using var own = Node.Client(Token);
        return [.. (await own.GetHubAsync("/api/outbox")).Ok()["messages"].EnumerateArray().Select(
            m => $"{m.GetProperty("content_preview").GetString()} {m.GetProperty("status").GetString()}")];
    }
}

/// <summary>What tests ask of peers.</summary>
internal static class PeerExtensions
{
    /// <summary>Waits until the peer has stored a message of that content, and checks how it came: signed by a member that the peer knows, over HTTP/2.</summary>
    public static async Task<PeerMessage> HearsAsync(this ReferencePeer peer, InteropFixture node, string content)
    {
        await node.EventuallyAsync($"{peer.AgentId} has got '{content}'", () => peer.Messages.Any(m => m.Content == content));
        var message = peer.Messages.First(m => m.Content == content);

        // A push whose answer came late is sent again: the same bytes, so a peer knows it by its id.
        Assert.Single(peer.Messages.Where(m => m.Id == message.Id).Select(m => m.Signature).Distinct());
        return message;
    }

    public static Task KnowsAsync(this ReferencePeer peer, InteropFixture node, string swarm, params string[] members) => node.EventuallyAsync(
        $"the roster of {peer.AgentId} is {string.Join(", ", members)}",
        () => members.Order(StringComparer.Ordinal).SequenceEqual(peer.Store.MembersOf(swarm).Order(StringComparer.Ordinal)));
}

/// <summary>The classes that share the node.</summary>
[CollectionDefinition(Name)]
public sealed class InteropCollection : ICollectionFixture<InteropFixture>
{
    public const string Name = "interop";
}
