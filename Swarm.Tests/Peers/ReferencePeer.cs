using System.Collections.Concurrent;
using System.Net;
using System.Text.Json.Nodes;

namespace Peers;

/// <summary>What a peer's operator has set (ASP §16).</summary>
internal sealed record PeerOptions
{
    /// <summary>The seed of its key; null for a new one.</summary>
    public byte[]? Seed { get; init; }

    /// <summary><c>AGENT_PUBLIC_KEY</c>, which nobody compares with the private one; null for what belongs to the seed.</summary>
    public string? PublicKey { get; init; }

    /// <summary>What it says its endpoint is; null for where it listens.</summary>
    public string? Endpoint { get; init; }

    /// <summary>Whether it tells members who joined (<c>AGENT_PRIVATE_KEY_PATH</c>).</summary>
    public bool AnnouncesJoins { get; init; } = true;

    /// <summary>
    /// Whether it acts on the events that the reference only stores (§10.6): transfers, a new master, the end of a swarm, its own kick, a new key.
    /// The reference does not; another hardened implementation would.
    /// </summary>
    public bool FollowsEvents { get; init; }

    /// <summary><c>RATE_LIMIT_MESSAGES_PER_MINUTE</c>.</summary>
    public int RateLimit { get; init; } = 60;

    /// <summary>The window of the rate limit; the reference's is a minute.</summary>
    public TimeSpan RateWindow { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary><c>WAKE_ENDPOINT</c>; null for <c>WAKE_ENABLED=false</c>.</summary>
    public string? WakeEndpoint { get; init; }

    /// <summary><c>WAKE_EP_SECRET</c>.</summary>
    public string WakeSecret { get; init; } = "";

    /// <summary><c>WAKE_EP_SESSION_FILE</c>.</summary>
    public string? SessionFile { get; init; }

    /// <summary>The first pause before a repeated try, which doubles; the reference's is a second.</summary>
    public TimeSpan RetryPause { get; init; } = TimeSpan.FromSeconds(1);

    public TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>One request as the peer saw it.</summary>
internal sealed record PeerRequest(string Method, string Path, string Protocol, IReadOnlyDictionary<string, string> Headers, byte[] Body)
{
    public JsonObject Json => JsonNode.Parse(Body)!.AsObject();
}

/// <summary>
/// An agent of the Agent Swarm Protocol that behaves as its specification says the reference implementation does: a server, a client and the
/// state that both share. It verifies nothing that it receives; <see cref="Messages"/> lets a test do that.
/// </summary>
internal sealed class ReferencePeer : IAsyncDisposable
{
    private readonly ReferenceServer _server;

    private ReferencePeer(string agentId, PeerAuthority authority, PeerOptions options)
    {
        (AgentId, Options) = (agentId, options);
        Seed = options.Seed ?? System.Security.Cryptography.RandomNumberGenerator.GetBytes(Ed25519.SeedLength);
        PublicKey = options.PublicKey ?? Convert.ToBase64String(Ed25519.PublicKeyOf(Seed));
        Http = new(new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            SslOptions = new() { CertificateChainPolicy = authority.Policy() },
        })
        {
            Timeout = TimeSpan.FromSeconds(30),
            DefaultRequestVersion = HttpVersion.Version20,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
        _server = new(this);
        Client = new(this);
    }

    public string AgentId { get; }

    public PeerOptions Options { get; }

    public byte[] Seed { get; }

    public string PublicKey { get; }

    /// <summary>The base URL with its <c>/swarm</c>.</summary>
    public string Endpoint { get; private set; } = "";

    /// <summary>Where it listens.</summary>
    public Uri Origin { get; private set; } = null!;

    public PeerStore Store { get; } = new();

    public ReferenceClient Client { get; }

    public HttpClient Http { get; }

    /// <summary>Everything that it was asked, in order.</summary>
    public ConcurrentQueue<PeerRequest> Requests { get; } = new();

    /// <summary>The messages that were posted to it, in the order of their arrival.</summary>
    public IEnumerable<PeerMessage> Messages =>
        Requests.Where(r => r is { Method: "POST", Path: "/swarm/message" }).Select(r => PeerMessage.Read(r.Json));

    /// <summary>The versions of HTTP in which its posts to other agents were answered.</summary>
    public ConcurrentQueue<Version> Answered { get; } = new();

    /// <summary>What its wake endpoint was asked for and did.</summary>
    public ConcurrentQueue<JsonObject> Invocations { get; } = new();

    /// <summary>What its own wake trigger decided (§11.1), and what the endpoint answered; 0 for a failure, -1 for none asked.</summary>
    public ConcurrentQueue<(string Decision, int Status)> Wakes { get; } = new();

    /// <summary>Answers before anything else does when it returns a status: a peer in trouble.</summary>
    public Func<PeerRequest, int?> Trouble { get; set; } = _ => null;

    /// <summary>What the agent's own program does about a message, before it is answered.</summary>
    public Func<PeerMessage, Task> Reaction { get; set; } = _ => Task.CompletedTask;

    public static async Task<ReferencePeer> StartAsync(string agentId, PeerAuthority authority, PeerOptions? options = null)
    {
        var peer = new ReferencePeer(agentId, authority, options ?? new());
        peer.Origin = await peer._server.StartAsync(authority.Issue());
        peer.Endpoint = peer.Options.Endpoint ?? new Uri(peer.Origin, "/swarm").ToString();
        return peer;
    }

    public DateTimeOffset Now => Options.Time.GetUtcNow();

    /// <summary>A message of its own, signed.</summary>
    public PeerMessage Write(string swarm, string recipient, string type, string content, DateTimeOffset? at = null) => new PeerMessage
    {
        Timestamp = PeerMessage.Stamp(at ?? Now), Sender = AgentId, SenderEndpoint = Endpoint, Recipient = recipient, SwarmId = swarm, Type = type, Content = content,
    }.Signed(Seed);

    /// <summary>From now on nobody reaches it; its client goes on.</summary>
    public ValueTask StopListeningAsync() => _server.DisposeAsync();

    public async ValueTask DisposeAsync()
    {
        Http.Dispose();
        await _server.DisposeAsync();
    }
}
