using NSec.Cryptography;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Tests.Infrastructure;

/// <summary>A swarm with members: hosted ones, whose doors receive, and external ones, whose keys the test holds.</summary>
internal sealed class Scene : IDisposable
{
    private readonly Dictionary<string, Key> _keys = [];
    private readonly Dictionary<string, string> _tokens = [];

    private Scene(SwarmId swarm, string master) => (Swarm, Master) = (swarm, master);

    public SwarmId Swarm { get; }

    public string Master { get; }

    /// <summary>Members that live elsewhere.</summary>
    public List<string> Remote { get; } = [];

    public Key KeyOf(string external) => _keys[external];

    /// <summary>The agent's own token.</summary>
    public string TokenOf(string agent) => _tokens[agent];

    /// <summary>Builds it through the Hub API; the first hosted agent is the master.</summary>
    public static async Task<Scene> CreateAsync(HttpClient hub, string[] hosted, string[] external)
    {
        var tokens = new Dictionary<string, string>();
        foreach (var name in hosted)
        {
            tokens[name] = (await hub.PostHubAsync("/hub/v1/agents", new { name })).Ok()["token"].GetString()!;
        }

        var swarm = (await hub.PostHubAsync("/hub/v1/swarms", new { agent = hosted[0], name = "a swarm" })).Ok()["swarm_id"].GetGuid();
        var scene = new Scene(new(swarm), hosted[0]);
        foreach (var name in external)
        {
            var key = Key.Create(SignatureAlgorithm.Ed25519, new KeyCreationParameters { ExportPolicy = KeyExportPolicies.AllowPlaintextExport });
            scene._keys[name] = key;
            var agent = await hub.PostHubAsync(
                "/hub/v1/agents",
                new { name, kind = "external", public_key = Convert.ToBase64String(key.PublicKey.Export(KeyBlobFormat.RawPublicKey)) });
            tokens[name] = agent.Ok()["token"].GetString()!;
        }

        foreach (var (name, token) in tokens)
        {
            scene._tokens[name] = token;
        }

        foreach (var name in hosted.Skip(1).Concat(external))
        {
            await scene.JoinAsync(hub, name);
        }

        return scene;
    }

    public async Task<string> InviteAsync(HttpClient hub, int? maxUses = null) =>
        (await hub.PostHubAsync($"/hub/v1/swarms/{Swarm}/invites", new { agent = Master, max_uses = maxUses })).Ok()["invite_token"].GetString()!;

    public async Task JoinAsync(HttpClient hub, string agent)
    {
        var joined = await hub.PostHubAsync("/hub/v1/join", new { agent, invite_token = await InviteAsync(hub) });
        Assert.Equal("joined", joined.Ok()["status"].GetString());
    }

    /// <summary>Lets an agent of another node join at the master's door, as it would by itself.</summary>
    public async Task AddRemoteAsync(HttpClient hub, string name, string endpoint)
    {
        using var key = Key.Create(SignatureAlgorithm.Ed25519);
        var joined = await hub.PostHubAsync(
            $"/agents/{Master}/swarm/join",
            new
            {
                type = "system",
                action = "join_request",
                invite_token = InviteLink.Parse(await InviteAsync(hub), DateTimeOffset.MinValue).Jwt,
                sender = new { agent_id = name, endpoint, public_key = PublicKeyText.Format(key.PublicKey) },
            });
        joined.Ok();
        Remote.Add(name);
    }

    /// <summary>A message that an external member signed, as its bytes.</summary>
    public byte[] Signed(string from, string to, string content = "Hello", Guid? id = null, DateTimeOffset? at = null) =>
        MessageWriter.Write(Sign(from, to, content, id, at));

    public AspMessage Sign(string from, string to, string content = "Hello", Guid? id = null, DateTimeOffset? at = null) =>
        MessageSignature.Sign(_keys[from], new()
        {
            MessageId = new(id ?? Guid.NewGuid()),
            Timestamp = AspTimestamp.Format(at ?? TimeProvider.System.GetUtcNow()),
            SenderId = from,
            SenderEndpoint = $"https://{from}.example.com/swarm",
            Recipient = to,
            SwarmId = Swarm,
            Kind = MessageKind.Message,
            Content = content,
        });

    public void Dispose()
    {
        foreach (var key in _keys.Values)
        {
            key.Dispose();
        }
    }

}
