using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Swarms;

/// <summary>A node whose agents are members of a swarm that a peer elsewhere is the master of; the test plays master and other members.</summary>
internal sealed class RemoteMaster : IAsyncDisposable
{
    public static readonly TimeSpan Limit = TimeSpan.FromSeconds(30);

    private readonly List<PeerServer> _others = [];

    private RemoteMaster(NodeHost node, PeerServer master) => (Node, Master) = (node, master);

    public NodeHost Node { get; }

    public PeerServer Master { get; }

    public SwarmId Swarm { get; } = new(Guid.NewGuid());

    /// <summary>What the master answers to a join: name, endpoint, public key; the agents of the node included.</summary>
    public List<(string Name, string Endpoint, string Key)> Roster { get; } = [];

    /// <summary>Agents of the node that have joined, by <paramref name="names"/>.</summary>
    public static Task<RemoteMaster> StartAsync(PostgresFixture postgres, params string[] names) =>
        StartAsync(postgres, new Dictionary<string, string>(), names);

    /// <summary>The same with more settings.</summary>
    public static async Task<RemoteMaster> StartAsync(PostgresFixture postgres, IReadOnlyDictionary<string, string> settings, params string[] names)
    {
        var master = await PeerServer.StartAsync();
        var node = await NodeHost.StartAsync(postgres, settings: new Dictionary<string, string>
        {
            // Unless it is asked for, nobody but the test asks how the swarm stands.
            ["Egress:AllowLoopback"] = "true", ["Egress:TrustedRoots"] = master.Ca,
            ["AgentSwarm:Resync"] = settings.GetValueOrDefault("AgentSwarm:Resync", "false"),
        }.Union(settings.Where(s => s.Key != "AgentSwarm:Resync")).ToDictionary());
        var scene = new RemoteMaster(node, master);
        scene.Roster.Add(("master", master.Endpoint, master.PublicKey));
        master.Answer = (request, _, http) => request.Path.EndsWith("/join", StringComparison.Ordinal)
            ? PeerServer.RespondAsync(http, 200, scene.Accepted())
            : InfoOrQueuedAsync("master", master, request, http);
        foreach (var name in names)
        {
            var key = (await node.Hub.PostHubAsync("/hub/v1/agents", new { name })).Ok()["public_key"].GetString()!;
            scene.Roster.Add((name, $"https://localhost:8743/agents/{name}/swarm", key));
            (await scene.JoinAsync(name)).Ok();
        }

        return scene;
    }

    /// <summary>A peer that shows itself under that name.</summary>
    public async Task<PeerServer> PeerAsync(string name)
    {
        var peer = await PeerServer.StartAsync(Master);
        peer.Answer = (request, _, http) => InfoOrQueuedAsync(name, peer, request, http);
        _others.Add(peer);
        return peer;
    }

    public Task<Answer> JoinAsync(string name)
    {
        var token = InviteToken.Create(new(Swarm, "master", Master.Endpoint, TimeProvider.System.GetUtcNow(), null, null), Master.Key);
        return Node.Hub.PostHubAsync("/hub/v1/join", new { agent = name, invite_token = token.ToUrl(Master.Endpoint) });
    }

    /// <summary>A system message from a member to the door of an agent of the node.</summary>
    public Task<Answer> TellAsync(
        string door, Key key, string sender, string content, string recipient = "broadcast", DateTimeOffset? at = null, Guid? id = null) =>
        Node.Http.PostMessageAsync(door, Signed(key, sender, content, recipient, at, id));

    /// <summary>The same from the master.</summary>
    public Task<Answer> TellAsync(string door, string content, string recipient = "broadcast", DateTimeOffset? at = null, Guid? id = null) =>
        TellAsync(door, Master.Key, "master", content, recipient, at, id);

    public byte[] Signed(Key key, string sender, string content, string recipient = "broadcast", DateTimeOffset? at = null, Guid? id = null) =>
        MessageWriter.Write(MessageSignature.Sign(key, new()
        {
            MessageId = new(id ?? Guid.NewGuid()),
            Timestamp = AspTimestamp.Format(at ?? TimeProvider.System.GetUtcNow()),
            SenderId = sender,
            SenderEndpoint = $"https://{sender}.example.com/swarm",
            Recipient = recipient,
            SwarmId = Swarm,
            Kind = content.StartsWith('{') || content.StartsWith('[') ? MessageKind.System : MessageKind.Message,
            Content = content,
        }));

    /// <summary>Puts a member on the roster by the shape that carries its key.</summary>
    public async Task AddAsync(string door, string name, PeerServer peer, DateTimeOffset? at = null) =>
        (await TellAsync(
            door, JsonSerializer.Serialize(new { action = "member_joined", member = new { agent_id = name, endpoint = peer.Endpoint, public_key = peer.PublicKey } }),
            at: at)).Ok();

    public async Task<string[]> MembersAsync() =>
        [.. (await Node.Hub.GetHubAsync($"/hub/v1/swarms/{Swarm}/members")).Ok()["members"].EnumerateArray().Select(m => m.GetProperty("agent_id").GetString()!)];

    /// <summary>Everything of the roster but who is online.</summary>
    public async Task<(string? Name, string? Endpoint, string? Key, string? JoinedAt)[]> RosterAsync() =>
        [.. (await Node.Hub.GetHubAsync($"/hub/v1/swarms/{Swarm}/members")).Ok()["members"].EnumerateArray().Select(m => (
            m.GetProperty("agent_id").GetString(), m.GetProperty("endpoint").GetString(), m.GetProperty("public_key").GetString(), m.GetProperty("joined_at").GetString()))];

    public async Task<JsonElement> MemberAsync(string name) =>
        (await Node.Hub.GetHubAsync($"/hub/v1/swarms/{Swarm}/members")).Ok()["members"].EnumerateArray().Single(m => m.GetProperty("agent_id").GetString() == name);

    public async Task<string[]> InboxAsync(string agent) =>
        [.. (await Node.Hub.GetHubAsync($"/hub/v1/agents/{agent}/inbox?limit=100")).Ok()["messages"].EnumerateArray().Select(m => m.GetProperty("content").GetString()!)];

    public async Task<string[]> SwarmsOfAsync(string agent) =>
        [.. (await Node.Hub.GetHubAsync($"/hub/v1/swarms?agent={agent}")).Ok()["swarms"].EnumerateArray().Select(s => s.GetProperty("swarm_id").GetString()!)];

    public Task<Answer> SendAsync(string from, string to = "master", string content = "hi") =>
        Node.Hub.PostHubAsync("/hub/v1/messages", new { from, swarm_id = Swarm.Value, to, content });

    public Task<WorkerHost> WorkAsync() => WorkerHost.StartAsync(Node, Master.Ca);

    public async ValueTask DisposeAsync()
    {
        await Node.DisposeAsync();
        foreach (var peer in _others)
        {
            await peer.DisposeAsync();
        }

        await Master.DisposeAsync();
    }

    /// <summary>What the reference answers at <c>/info</c> and <c>/message</c>.</summary>
    public static Task InfoOrQueuedAsync(string name, PeerServer peer, PeerRequest request, Microsoft.AspNetCore.Http.HttpContext http) =>
        request.Path.EndsWith("/info", StringComparison.Ordinal)
            ? PeerServer.RespondAsync(
                http, 200,
                $$"""{"agent_id":"{{name}}","endpoint":"{{peer.Endpoint}}","public_key":"{{peer.PublicKey}}","protocol_version":"0.1.0","capabilities":["message","system","notification"],"metadata":null}""")
            : PeerServer.QueuedAsync(http);

    private string Accepted() => JsonSerializer.Serialize(new
    {
        status = "accepted",
        swarm_id = Swarm.ToString(),
        swarm_name = "far away",
        members = Roster.Select(m => new { agent_id = m.Name, endpoint = m.Endpoint, public_key = m.Key }),
    });
}
