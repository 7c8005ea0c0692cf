using System.Text;
using System.Text.Json;
using NSec.Cryptography;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Capabilities;

/// <summary>A node with an A1 door, a clock that stands at A1's vectors' time, and keys by number.</summary>
internal sealed class GatewayWorld : IAsyncDisposable
{
    public static readonly string[] Names = ["trade.equity", "portfolio.read"];

    private readonly Chains _chains = new();

    private GatewayWorld(NodeHost node, SettableTime time, HttpClient? admin = null)
    {
        (Node, Time) = (node, time);
        Admin = admin ?? node.ClientOf(node.Hub.DefaultRequestHeaders.Authorization!.Parameter);
    }

    public NodeHost Node { get; }

    public SettableTime Time { get; }

    /// <summary>Calls the door with the operator's token.</summary>
    public HttpClient Admin { get; }

    /// <summary>Calls it without any.</summary>
    public HttpClient Anybody => Node.Http;

    /// <summary>What SDKs send as their admin secret.</summary>
    public string Secret => Admin.DefaultRequestHeaders.Authorization!.Parameter!;

    public ulong Now => (ulong)Time.Now.ToUnixTimeSeconds();

    public static async Task<GatewayWorld> StartAsync(PostgresFixture postgres, IReadOnlyDictionary<string, string>? settings = null)
    {
        var time = new SettableTime(DateTimeOffset.FromUnixTimeSeconds((long)Chains.Now));
        return new(await NodeHost.StartAsync(postgres, time: time, settings: settings), time);
    }

    /// <summary>Another replica of the same node.</summary>
    public async Task<GatewayWorld> StartReplicaAsync() => new(await Node.StartReplicaAsync(), Time);

    public static Key Key(int number) => NSec.Cryptography.Key.Import(SignatureAlgorithm.Ed25519, SeedBytes(number), KeyBlobFormat.RawPrivateKey);

    public static string Seed(int number) => Convert.ToHexStringLower(SeedBytes(number));

    public string PublicKey(int number) => _chains.KeyOf(number).ToString();

    public string Did(int number) => $"did:a1:{PublicKey(number)}";

    /// <summary>Creates a swarm whose owner is key 0.</summary>
    public async Task<string> CreateSwarmAsync(string name = "acme-trading-swarm", params string[] names) =>
        (await PostAsync("/v1/swarm/create", new { swarm_name = name, capabilities = names.Length == 0 ? Names : names, signing_key_hex = Seed(0) }))
            .Created().GetProperty("swarm_id").GetString()!;

    public Task<DoorAnswer> AddAsync(string swarm, int agent, string role = "worker", string[]? capabilities = null, ulong ttl = 3600, int owner = 0) =>
        PostAsync("/v1/swarm/member/add", new
        {
            swarm_id = swarm, agent_pk_hex = PublicKey(agent), role, capabilities = capabilities ?? ["trade.equity"], ttl_seconds = ttl, signing_key_hex = Seed(owner),
        });

    public Task<DoorAnswer> ChainAsync(string swarm, int agent, int owner = 0, ulong ttl = 3600) =>
        PostAsync("/v1/swarm/member/chain", new { swarm_id = swarm, agent_pk_hex = PublicKey(agent), ttl_seconds = ttl, signing_key_hex = Seed(owner) });

    public Task<DoorAnswer> RemoveAsync(string swarm, int agent) => PostAsync("/v1/swarm/member/remove", new { swarm_id = swarm, agent_did = Did(agent) });

    /// <summary>Asks for one intent without any token.</summary>
    public Task<DoorAnswer> AuthorizeAsync(JsonElement chain, int executor, string intent, object? more = null, string path = "/v1/authorize")
    {
        var body = new Dictionary<string, object?> { ["chain"] = chain, ["intent_name"] = intent, ["executor_pk_hex"] = PublicKey(executor) };
        foreach (var property in more?.GetType().GetProperties() ?? [])
        {
            body[property.Name] = property.GetValue(more);
        }

        return Anybody.PostObjectAsync(path, body);
    }

    public Task<DoorAnswer> PostAsync(string path, object body) => Admin.PostObjectAsync(path, body);

    public static JsonElement ToJson(SignedChain chain) => JsonElement.Parse(Chains.Write(chain));

    /// <summary>A chain of the passport's holder, key 0, made outside the node.</summary>
    public SignedChain Chain(params IReadOnlyList<string>?[] hops) => _chains.Chain(Names, hops);

    /// <summary>Restores the passport of key 0 over <see cref="Names"/>, which makes it a known principal.</summary>
    public async Task<Passport> KnowAsync(ulong ttlSeconds = 30 * 86_400, string name = "acme-trading-bot")
    {
        using var key = Key(0);
        var passport = Passport.Issue(name, Names, key, Now, ttlSeconds, _chains.NextNonce());
        var answer = await PostAsync("/v1/passports/restore", new { passports = new[] { new { content = ToJson(passport) } } });
        Assert.Equal(1, answer.Json.GetProperty("restored").GetInt32());
        return passport;
    }

    public static JsonElement ToJson(Passport passport)
    {
        var buffer = new System.Buffers.ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            passport.Write(json);
        }

        return JsonElement.Parse(Encoding.UTF8.GetString(buffer.WrittenSpan));
    }

    public async ValueTask DisposeAsync()
    {
        Admin.Dispose();
        await Node.DisposeAsync();
    }

    private static byte[] SeedBytes(int number) => [.. Enumerable.Repeat((byte)(number + 1), 32)];
}

internal static class GatewayAnswers
{
    public static JsonElement Ok(this DoorAnswer answer)
    {
        Assert.True(answer.Code == 200, answer.Text);
        return answer.Json;
    }

    public static JsonElement Created(this DoorAnswer answer)
    {
        Assert.True(answer.Code == 201, answer.Text);
        return answer.Json;
    }

    /// <summary>Refused in the one form of A1 §20; returns status, code and exact cause.</summary>
    public static (int Status, string Code, string Detail) Refused(this DoorAnswer answer)
    {
        var json = answer.Json;
        Assert.True(answer.Code >= 400, answer.Text);
        Assert.NotEqual("", json.GetProperty("error").GetString());
        Assert.Equal(json.GetProperty("error_code").GetString(), json.GetProperty("code").GetString());
        Assert.Equal("dyolo_v2.8.0", answer.Http.Headers.GetValues("X-A1-Protocol").Single());
        return (answer.Code, json.GetProperty("error_code").GetString()!, json.GetProperty("detail_code").GetString()!);
    }

    public static string Error(this DoorAnswer answer) => answer.Json.GetProperty("error").GetString()!;
}
