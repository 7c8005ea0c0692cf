using System.Collections.Concurrent;
using System.Text.Json;
using NSec.Cryptography;
using Npgsql;
using Swarm.Core.Capabilities;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Tests.Capabilities;
using Swarm.Tests.Conformance;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;
using Xunit.Abstractions;

namespace Swarm.Tests.Durability;

/// <summary>Each chain authorizes once, however often the Api or Postgres is killed in between, and what was authorized is in the audit (A1 §10, design §3 promise 1).</summary>
[Collection("crashes")]
[Shown(By.EndToEnd)]
public sealed class AuthorizationCrashTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const int Moments = 4;
    private const int Clients = 8;
    private const int WarmAnswers = 200;
    private const int LoadMsMax = 600;
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);
    private static readonly string[] Names = ["trade.equity"];

    private readonly Key _owner = Key.Create(SignatureAlgorithm.Ed25519, new() { ExportPolicy = KeyExportPolicies.AllowPlaintextExport });
    private readonly Key _agent = Key.Create(SignatureAlgorithm.Ed25519);
    private readonly ConcurrentDictionary<int, (JsonElement Chain, bool IsAuthorized)> _asked = new();
    private PostgresCluster _postgres = null!;
    private NodeProcess _node = null!;
    private Passport _passport = null!;
    private int _next;

    public async Task InitializeAsync()
    {
        _postgres = await PostgresCluster.StartNewAsync();
        _node = NodeProcess.Create(await _postgres.CreateDatabaseAsync());

        // Otherwise the same request is given the same answer again.
        _node.Set("A1__AnswerSeconds", "0");
        var (code, log) = await _node.RunWorkerAsync("migrate");
        Assert.True(code == 0, log);
        await _node.StartAsync();
        _passport = Passport.Issue("crashes", Names, _owner, Now, 86_400, NonceOf(0));
        var restored = await _node.Hub.PostObjectAsync("/v1/passports/restore", new { passports = new[] { new { content = GatewayWorld.ToJson(_passport) } } });
        Assert.Equal(1, restored.Json.GetProperty("restored").GetInt32());
    }

    public async Task DisposeAsync()
    {
        output.WriteLine(_node.Log);
        await _node.DisposeAsync();
        await _postgres.DisposeAsync();
        _owner.Dispose();
        _agent.Dispose();
    }

    [Fact]
    [Conforms("A1-20", "A1-46", "A1-49")]
    public async Task After_a_kill_every_answered_authorization_is_kept_and_no_chain_counts_twice()
    {
        var random = new Random(Seed.Take(output));
        for (var moment = 0; moment < Moments; moment++)
        {
            using var stop = new CancellationTokenSource();
            var warm = _next + WarmAnswers;
            var clients = Enumerable.Range(0, Clients).Select(_ => Task.Run(() => AskAsync(stop.Token))).ToArray();
            await Eventually.TrueAsync("authorizations are answered", () => _next >= warm || clients.Any(c => c.IsFaulted), Limit);
            using (var timer = new PeriodicTimer(TimeSpan.FromMilliseconds(random.Next(1, LoadMsMax))))
            {
                await timer.WaitForNextTickAsync();
            }

            if (moment % 2 == 0)
            {
                await _node.KillAsync();
                await _node.StartAsync();
            }
            else
            {
                await _postgres.KillAsync();
                await _postgres.StartAsync();
            }

            await Eventually.TrueAsync("the node answers again", _node.IsHealthyAsync, Limit);
            await stop.CancelAsync();
            await Task.WhenAll(clients);
        }

        var unanswered = _asked.Count(a => !a.Value.IsAuthorized);
        Assert.True(unanswered > 0, "No kill met an authorization that was under way.");
        foreach (var (number, (chain, isAuthorized)) in _asked)
        {
            var again = await PostAsync(number, chain);
            Assert.True(again.Code == 403 && again.Json.GetProperty("code").GetString() == "NONCE_REPLAY" || (again.Code == 200 && !isAuthorized), $"{again.Code} {again.Json}");
        }

        var events = await CountEventsAsync();
        Assert.All(_asked.Keys, number => Assert.Equal(1, events.GetValueOrDefault(number)));
        output.WriteLine($"{_asked.Count} chains, {unanswered} without an answer at first");
    }

    private async Task AskAsync(CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            var number = Interlocked.Increment(ref _next);
            var chain = GatewayWorld.ToJson(_passport.ChainOf(_passport.IssueSub(AgentKey, Names, _owner, Now, 3600, NonceOf(number))));
            _asked[number] = (chain, false);
            try
            {
                var answer = await PostAsync(number, chain);
                Assert.True(answer.Code is 200 or 503, $"{answer.Code} {answer.Json}");
                _asked[number] = (chain, answer.Code == 200);
            }
            catch (HttpRequestException)
            {
                // Its outcome is unknown until it is asked again.
            }
        }
    }

    private Task<DoorAnswer> PostAsync(int number, JsonElement chain) => _node.Http.PostObjectAsync(
        "/v1/authorize", new { chain, intent_name = Names[0], executor_pk_hex = AgentKey.ToString(), request_id = $"{number}" });

    /// <summary>How often each request is in the audit as authorized.</summary>
    private async Task<Dictionary<int, int>> CountEventsAsync()
    {
        await using var database = NpgsqlDataSource.Create(_node.ConnectionString);
        await using var command = database.CreateCommand("select events from a1_events");
        await using var reader = await command.ExecuteReaderAsync();
        var counts = new Dictionary<int, int>();
        while (await reader.ReadAsync())
        {
            foreach (var line in System.Text.Encoding.UTF8.GetString(reader.GetFieldValue<byte[]>(0)).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                var happened = JsonElement.Parse(line);
                if (happened.GetProperty("outcome").GetString() == "AUTHORIZED")
                {
                    var number = int.Parse(happened.GetProperty("request_id").GetString()!);
                    counts[number] = counts.GetValueOrDefault(number) + 1;
                }
            }
        }

        return counts;
    }

    private Bytes32 AgentKey => Bytes32.Read(_agent.PublicKey.Export(KeyBlobFormat.RawPublicKey));

    private static ulong Now => (ulong)TimeProvider.System.GetUtcNow().ToUnixTimeSeconds();

    private static Nonce NonceOf(int number) => new((ulong)number, 11);
}
