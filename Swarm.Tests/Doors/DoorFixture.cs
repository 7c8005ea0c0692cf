using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Identity;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Doors;

/// <summary>
/// A strict node with the hosted agents alice (default), carol and dave, and one swarm: alice is its master, carol and dave members by the
/// Hub API, and bob a peer elsewhere that joined at alice's door. Zoe is hosted here and no member.
/// </summary>
internal sealed class DoorWorld : IAsyncDisposable
{
    public static readonly DateTimeOffset Now = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);

    private DoorWorld(TestNode node) => Node = node;

    public TestNode Node { get; }

    public HttpClient Http => Node.Http;

    public SwarmId Swarm { get; private set; }

    public Key Bob { get; } = VectorFile.Published.Key("bob").ToKey();

    public Key Mallory { get; } = VectorFile.Published.Key("mallory").ToKey();

    public static async Task<DoorWorld> StartAsync(PostgresFixture postgres, bool listens = false)
    {
        var world = new DoorWorld(await TestNode.StartAsync(postgres, Now, listens: listens));
        var alice = VectorFile.Published.Key("alice");
        await world.Node.CreateAgentAsync(
            new { name = "alice", endpoint = alice.Endpoint, private_key = Convert.ToBase64String(alice.Seed), @default = true });
        foreach (var name in new[] { "carol", "dave", "zoe" })
        {
            await world.Node.CreateAgentAsync(new { name });
        }

        world.Swarm = await world.CreateSwarmAsync("Team");
        foreach (var name in new[] { "carol", "dave" })
        {
            await world.Node.HubAsync(HttpMethod.Post, "/hub/v1/join", new { agent = name, invite_token = await world.InviteAsync(world.Swarm) });
        }

        var joined = await world.JoinAsync("bob", world.Bob.PublicKey, await world.JwtAsync(world.Swarm));
        Assert.Equal(200, joined.Code);
        return world;
    }

    public async Task<SwarmId> CreateSwarmAsync(string name, bool allowMemberInvite = false, bool requireApproval = false)
    {
        var created = await Node.HubAsync(
            HttpMethod.Post, "/hub/v1/swarms", new { agent = "alice", name, allow_member_invite = allowMemberInvite, require_approval = requireApproval });
        return new SwarmId(Guid.Parse(created.GetProperty("swarm_id").GetString()!));
    }

    public async Task<string> InviteAsync(SwarmId swarm, string agent = "alice", double? hours = null, int? uses = null)
    {
        var invite = await Node.HubAsync(
            HttpMethod.Post, $"/hub/v1/swarms/{swarm}/invites", new { agent, expires_in_hours = hours, max_uses = uses });
        return invite.GetProperty("invite_token").GetString()!;
    }

    public async Task<string> JwtAsync(SwarmId swarm, string agent = "alice", double? hours = null, int? uses = null) =>
        InviteLink.Parse(await InviteAsync(swarm, agent, hours, uses), DateTimeOffset.MinValue).Jwt;

    public Task<DoorAnswer> JoinAsync(string name, PublicKey key, string jwt, string door = "alice") => JoinAsync(name, PublicKeyText.Format(key), jwt, door);

    public Task<DoorAnswer> JoinAsync(string name, string key, string jwt, string door = "alice") =>
        Http.PostObjectAsync(
            $"/agents/{door}/swarm/join",
            new
            {
                type = "system",
                action = "join_request",
                invite_token = jwt,
                sender = new { agent_id = name, endpoint = $"https://{(AgentName.IsValidForLocal(name) ? name : "x")}.example.com/swarm", public_key = key },
            });

    /// <summary>A message of bob's, signed by him unless said otherwise.</summary>
    public byte[] FromBob(Func<AspMessage, AspMessage>? change = null, Key? key = null)
    {
        var message = AspMessages.Make("bob", "broadcast", Swarm, at: Now);
        return AspMessages.Signed(key ?? Bob, change is null ? message : change(message));
    }

    public Task<DoorAnswer> PostAsync(byte[] message, string door = "alice") => Http.PostAsync($"/agents/{door}/swarm/message", message);

    /// <summary>Posts what must be refused, and fails when any value of any table changed.</summary>
    public Task<DoorAnswer> PostRefusedAsync(byte[] message, string door = "alice") => TableState.UnchangedAsync(Node.Database, () => PostAsync(message, door));

    /// <summary>The whole inbox, page by page.</summary>
    public async Task<JsonElement[]> InboxAsync(string agent)
    {
        var items = new List<JsonElement>();
        for (var cursor = "0"; cursor is not null;)
        {
            var page = await Node.HubAsync(HttpMethod.Get, $"/hub/v1/agents/{agent}/inbox?limit=100&state=all&cursor={cursor}");
            items.AddRange(page.GetProperty("messages").EnumerateArray());
            cursor = page.TryGetProperty("next_cursor", out var next) ? next.GetString() : null;
        }

        return [.. items];
    }

    public async ValueTask DisposeAsync()
    {
        await Node.DisposeAsync();
        Bob.Dispose();
        Mallory.Dispose();
    }
}

/// <summary>One <see cref="DoorWorld"/> for all tests of a class.</summary>
public sealed class DoorFixture : IAsyncLifetime
{
    private readonly PostgresFixture _postgres = new();

    internal DoorWorld World { get; private set; } = null!;

    public async Task InitializeAsync()
    {
        await _postgres.InitializeAsync();
        World = await DoorWorld.StartAsync(_postgres, listens: true);
    }

    public async Task DisposeAsync()
    {
        await World.DisposeAsync();
        await _postgres.DisposeAsync();
    }
}

/// <summary>The classes that share the one world; none of them may depend on what another left there.</summary>
[CollectionDefinition(Name)]
public sealed class DoorCollection : ICollectionFixture<DoorFixture>
{
    public const string Name = "door";
}
