using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;
using Swarm.Tests.Infrastructure;
using Swarm.Tests.Swarms;

namespace Swarm.Tests.Attacks;

/// <summary>
/// The node that all classes of this folder attack. <see cref="Home"/>: alice is its master, carol is hosted as well, eve and mallory sign for themselves.
/// <see cref="Far"/>: its master is elsewhere, zoe and yan are its members here, bob and dave elsewhere. Nobody knows <see cref="Stranger"/>.
/// </summary>
public sealed class AttackFixture : IAsyncLifetime
{
    internal PostgresFixture Postgres { get; } = new();

    internal const int SenderPerMinute = 1_000;

    internal RemoteMaster Far { get; private set; } = null!;

    internal Scene Home { get; private set; } = null!;

    internal PeerServer Bob { get; private set; } = null!;

    internal PeerServer Dave { get; private set; } = null!;

    internal Key Stranger { get; } = Key.Create(SignatureAlgorithm.Ed25519);

    internal NodeHost Node => Far.Node;

    public async Task InitializeAsync()
    {
        await Postgres.InitializeAsync();
        Far = await RemoteMaster.StartAsync(
            Postgres, new Dictionary<string, string> { ["Limits:SenderPerMinute"] = $"{SenderPerMinute}" }, "zoe", "yan");
        Home = await Scene.CreateAsync(Node.Hub, ["alice", "carol"], ["eve", "mallory"]);
        Bob = await Far.PeerAsync("bob");
        Dave = await Far.PeerAsync("dave");
        await Far.AddAsync("zoe", "bob", Bob);
        await Far.AddAsync("zoe", "dave", Dave);
        Far.Roster.AddRange([("bob", Bob.Endpoint, Bob.PublicKey), ("dave", Dave.Endpoint, Dave.PublicKey)]);
    }

    public async Task DisposeAsync()
    {
        Home.Dispose();
        Stranger.Dispose();
        await Far.DisposeAsync();
        await Postgres.DisposeAsync();
    }

    /// <summary>Posts what is to be refused with that status, and fails when any value in the database changed.</summary>
    internal async Task<Answer> RefusedAsync(int status, Func<Task<Answer>> attack, string what)
    {
        var answer = await TableState.UnchangedAsync(Node.Database, attack);
        Assert.True((int)answer.Status == status, $"{what}: {(int)answer.Status} {answer.Text}");
        return answer;
    }

    internal Task<Answer> RefusedAsync(int status, string door, byte[] message, string what) =>
        RefusedAsync(status, () => Node.Http.PostMessageAsync(door, message), what);

    internal static string Text(Key key) => PublicKeyText.Format(key.PublicKey);

    /// <summary>An invite's token, without its URL.</summary>
    internal static string Jwt(string invite) => InviteLink.Parse(invite, DateTimeOffset.MinValue).Jwt;

    /// <summary>What a peer posts to join; <paramref name="more"/> is what our nodes add.</summary>
    internal Task<Answer> JoinAsync(string door, string jwt, string name, string key, object? more = null, string? endpoint = null) =>
        Node.Http.PostHubAsync(
            $"/agents/{door}/swarm/join",
            new
            {
                type = "system", action = "join_request", invite_token = jwt,
                sender = new { agent_id = name, endpoint = endpoint ?? $"https://{name}.example.com/swarm", public_key = key },
                swarm_proof = more,
            });

    /// <summary>The same with a proof.</summary>
    internal Task<Answer> JoinAsync(
        string door, string jwt, string name, string key, Key signer, bool isRepeat, string? to = null, DateTimeOffset? at = null) =>
        JoinAsync(door, jwt, name, key, Proof(signer, isRepeat, to ?? door, jwt, name, key, at));

    internal static object Proof(Key signer, bool isRepeat, string to, string jwt, string name, string key, DateTimeOffset? at = null)
    {
        var proof = JoinProof.Make(
            signer, isRepeat, to, new(jwt, name, $"https://{name}.example.com/swarm", key), at ?? TimeProvider.System.GetUtcNow());
        return new { kind = proof.IsRepeat ? "repeat" : "join", timestamp = proof.Timestamp, signature = proof.Signature };
    }
}

/// <summary>The classes that share the one node; none of them may depend on what another left there.</summary>
[CollectionDefinition(Name)]
public sealed class AttackCollection : ICollectionFixture<AttackFixture>
{
    public const string Name = "attacks";
}
