using Npgsql;
using Swarm.Tests.Infrastructure;
using Swarm.Tests.StandIns;
using Eventually = Swarm.Tests.Infrastructure.Eventually;

namespace Swarm.Tests.Faults;

/// <summary>
/// A node of real processes that can be broken in every way: Postgres, Redis, two Api and two Worker replicas. Each pair of an Api and a
/// Worker reaches Postgres and Redis through links of its own.
/// </summary>
internal sealed class FaultNode : IAsyncDisposable
{
    public const int Replicas = 2;

    /// <summary>One full disk in so many is the stand-in, also where a real one can be had.</summary>
    private const int StandInOneIn = 4;

    private static readonly TimeSpan StartLimit = TimeSpan.FromSeconds(90);

    /// <summary>Connections of one process: four of them and the test fit into the server's 60.</summary>
    private const int PoolMax = 12;

    private static readonly string[] PeerNames = ["xenia", "yara", "zed"];

    private readonly PostgresCluster _postgres;
    private readonly RedisServer? _redis;
    private readonly SmallDisk? _disk;
    private readonly FaultyLink[] _toPostgres;
    private readonly FaultyLink[] _toRedis;
    private readonly NodeProcess[] _apis;
    private readonly ChildProcess?[] _workers = new ChildProcess?[Replicas];
    private readonly int[] _workerPorts = FreePorts.Take(Replicas);
    private readonly string _database;

    private FaultNode(PostgresCluster postgres, RedisServer? redis, SmallDisk? disk, IReadOnlyList<LyingPeer> peers, string connectionString)
    {
        (_postgres, _redis, _disk, Peers) = (postgres, redis, disk, peers);
        _database = new NpgsqlConnectionStringBuilder(connectionString).Database!;
        Database = NpgsqlDataSource.Create(connectionString + ";Pooling=false");
        _toPostgres = [.. Enumerable.Range(0, Replicas).Select(_ => new FaultyLink(postgres.Port))];
        _toRedis = redis is null ? [] : [.. Enumerable.Range(0, Replicas).Select(_ => new FaultyLink(redis.Port))];
        _apis = new NodeProcess[Replicas];
        for (var n = 0; n < Replicas; n++)
        {
            var environment = new Dictionary<string, string?>
            {
                ["Egress__AllowLoopback"] = "true",
                ["Egress__TrustedRoots"] = peers[0].Ca,
                ["Push__BackoffFirst"] = "00:00:00.2",
                ["Push__BackoffMax"] = "00:00:02",
                ["Push__CallTimeMax"] = HistoryChecker.PushTimeMax.ToString("c"),
                ["Push__LeaseTime"] = "00:00:06",
                ["Push__SweepInterval"] = "00:00:01",
            };
            if (redis is not null)
            {
                environment["ConnectionStrings__redis"] = $"127.0.0.1:{_toRedis[n].Port}";
            }

            var through = new NpgsqlConnectionStringBuilder(connectionString) { Port = _toPostgres[n].Port, MaxPoolSize = PoolMax };
            _apis[n] = NodeProcess.Create(through.ConnectionString, n == 0 ? null : _apis[0].DataFolder, environment: environment);
        }
    }

    /// <summary>The node's database, past the links and without a pool, whose connections would break./summary>
    public NpgsqlDataSource Database { get; }

    public IReadOnlyList<Replica> Doors { get; private set; } = [];

    /// <summary>For what is set up before anything breaks: a cold node may take longer than a caller of <see cref="Doors"/> waits.</summary>
    public HttpClient Operator => _apis[0].Hub;

    /// <summary>Remote agents, which are to join the swarm.</summary>
    public IReadOnlyList<LyingPeer> Peers { get; }

    public bool HasRedis => _redis is not null;

    /// <summary>How a full disk is made.</summary>
    public string Disk => _disk is null ? "always the stand-in" : "a small file system, now and then the stand-in";

    /// <summary>The last lines of every process.</summary>
    public string Log => string.Join("\n", _apis.Select((a, n) => $"Api {n}:\n{a.Log}").Concat(_workers.Select((w, n) => $"Worker {n}:\n{w?.Output}")));

    public static async Task<FaultNode> StartAsync()
    {
        var postgres = await PostgresCluster.StartNewAsync();
        var disk = await SmallDisk.MountAsync();
        var first = await LyingPeer.StartAsync(PeerNames[0], null);
        LyingPeer[] peers = [first, .. await Task.WhenAll(PeerNames.Skip(1).Select(name => LyingPeer.StartAsync(name, first)))];
        var node = new FaultNode(
            postgres, RedisServer.Program is null ? null : await RedisServer.StartAsync(), disk, peers, await postgres.CreateDatabaseAsync(disk?.Folder));
        var (code, output) = await node._apis[0].RunWorkerAsync("migrate");
        Assert.True(code == 0, output);

        // The first creates the operator's token and the certificate authority, which all share.
        await node._apis[0].StartAsync();
        await node._apis[1].StartAsync();
        for (var n = 0; n < Replicas; n++)
        {
            await node.StartWorkerAsync(n);
        }

        var token = (await File.ReadAllTextAsync(Path.Combine(node._apis[0].DataFolder, "operator.token"))).Trim();
        node.Doors = [.. node._apis.Select(a => Replica.At(a.Url, token))];
        return node;
    }

    /// <summary>Breaks something, leaves it broken for its time, and mends it; returns when the node is whole again.</summary>
    public async Task BreakAsync(FaultStep step, History history)
    {
        var n = step.Target % Replicas;
        switch (step.Kind)
        {
            case FaultKind.KillApi:
                await _apis[n].KillAsync();
                await WaitAsync(step.For);
                await _apis[n].StartAsync();
                break;
            case FaultKind.KillWorker:
                await _workers[n]!.KillAsync();
                await WaitAsync(step.For);
                await StartWorkerAsync(n);
                break;
            case FaultKind.KillPostgres:
                await _postgres.KillAsync();
                await WaitAsync(step.For);
                await _postgres.StartAsync();
                break;
            case FaultKind.KillBackend:
                await KillBackendAsync();
                await WaitAsync(step.For);
                await _postgres.StartAsync();
                break;
            case FaultKind.KillRedis:
                await _redis!.KillAsync();
                await WaitAsync(step.For);
                await _redis.StartAgainAsync();
                break;
            case FaultKind.EndSessions:
                await ExecuteAsync($"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{_database}' and pid <> pg_backend_pid()");
                break;
            case FaultKind.CutPostgres:
                await WhileAsync(_toPostgres[n].Cut, _toPostgres[n].Heal, step.For);
                break;
            case FaultKind.LosePostgresAnswers:
                await WhileAsync(_toPostgres[n].LoseAnswers, _toPostgres[n].Heal, step.For);
                break;
            case FaultKind.StallPostgresLink:
                await WhileAsync(_toPostgres[n].Stall, _toPostgres[n].Heal, step.For);
                break;
            case FaultKind.CutRedis:
                await WhileAsync(_toRedis[n].Cut, _toRedis[n].Heal, step.For);
                break;
            case FaultKind.StallRedisLink:
                await WhileAsync(_toRedis[n].Stall, _toRedis[n].Heal, step.For);
                break;
            case FaultKind.FreezeApi:
                await WhileAsync(() => _apis[n].Freeze(true), () => _apis[n].Freeze(false), step.For);
                break;
            case FaultKind.FreezeWorker:
                await WhileAsync(_workers[n]!.Freeze, _workers[n]!.Thaw, step.For);
                break;
            case FaultKind.FreezePostgres:
                await WhileAsync(() => _postgres.Freeze(true), () => _postgres.Freeze(false), step.For);
                break;
            case FaultKind.FreezeRedis:
                await WhileAsync(() => _redis!.Freeze(true), () => _redis!.Freeze(false), step.For);
                break;
            case FaultKind.FillDisk:
                await FillDiskAsync(history, step.For, step.Target % StandInOneIn == 1 ? null : _disk);
                break;
            case FaultKind.PeerLies:
                var peer = Peers[step.Target % Peers.Count];
                await WhileAsync(() => peer.Lie = step.Lie, () => peer.Lie = null, step.For);
                break;
            default:
                throw new ArgumentOutOfRangeException(nameof(step), step.Kind, "Nobody knows how to do that here.");
        }

        await WholeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var link in _toPostgres.Concat(_toRedis))
        {
            await link.DisposeAsync();
        }

        foreach (var worker in _workers)
        {
            await (worker?.DisposeAsync() ?? ValueTask.CompletedTask);
        }

        // The first owns the data folder.
        await _apis[1].DisposeAsync();
        await _apis[0].DisposeAsync();
        await Database.DisposeAsync();
        await _postgres.DisposeAsync();
        await (_redis?.DisposeAsync() ?? ValueTask.CompletedTask);
        await (_disk?.DisposeAsync() ?? ValueTask.CompletedTask);
        foreach (var peer in Peers)
        {
            await peer.DisposeAsync();
        }
    }

    /// <summary>Starts a Worker and waits until it works: one whose database is away at its start ends, and is for a supervisor to start again.</summary>
    private async Task StartWorkerAsync(int n)
    {
        _workers[n] = _apis[n].StartWorker(_workerPorts[n]);
        await WorkerAsync(n);
    }

    private async Task WorkerAsync(int n)
    {
        using var http = new HttpClient { BaseAddress = new($"http://127.0.0.1:{_workerPorts[n]}"), Timeout = Replica.CallLimit };
        await Eventually.TrueAsync(
            $"Worker {n} is well:\n{_workers[n]!.Output}",
            async () =>
            {
                Assert.False(_workers[n]!.HasExited, _workers[n]!.Output);
                try
                {
                    using var answer = await http.GetAsync("/health");
                    return answer.IsSuccessStatusCode;
                }
                catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
                {
                    return false;
                }
            },
            StartLimit);
    }

    /// <summary>Returns when every replica says that it is well.</summary>
    private async Task WholeAsync()
    {
        foreach (var api in _apis)
        {
            await Eventually.TrueAsync($"the Api answers again:\n{api.Log}", api.IsHealthyAsync, StartLimit);
        }

        for (var n = 0; n < Replicas; n++)
        {
            await WorkerAsync(n);
        }
    }

    /// <summary>Full: what is sent is answered with 503, what is read is read. With space again it goes on by itself.</summary>
    /// <param name="disk">Null for the stand-in: a trigger that says what a full disk says.</param>
    private async Task FillDiskAsync(History history, TimeSpan time, SmallDisk? disk)
    {
        await (disk?.FillAsync() ?? ExecuteAsync(
            """
            create function say_full() returns trigger language plpgsql as $$ begin raise exception using errcode = '53100', message = 'No space left on device'; end $$;
            create trigger full_disk before insert on message_ids for each statement execute function say_full()
            """));
        var failures = history.Failures;
        await Eventually.TrueAsync("the full disk is felt", () => history.Failures > failures, TimeSpan.FromSeconds(30));
        foreach (var replica in Doors)
        {
            (await replica.Hub.GetHubAsync("/hub/v1/agents/bob/inbox?limit=5")).Ok();
        }

        await WaitAsync(time);
        if (disk is not null)
        {
            disk.Empty();
        }
        else
        {
            await ExecuteAsync("drop trigger full_disk on message_ids; drop function say_full()");
        }
    }

    private async Task KillBackendAsync()
    {
        await using var find = Database.CreateCommand(
            $"select pid from pg_stat_activity where datname = '{_database}' and pid <> pg_backend_pid() order by (query like '%accept_batch%') desc limit 1");
        if (await find.ExecuteScalarAsync() is int pid)
        {
            PostgresCluster.KillBackend(pid);
        }
    }

    private async Task ExecuteAsync(string sql)
    {
        await using var command = Database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    private static async Task WhileAsync(Action begin, Action end, TimeSpan time)
    {
        begin();
        try
        {
            await WaitAsync(time);
        }
        finally
        {
            end();
        }
    }

    /// <summary>A time that is part of the plan.</summary>
    public static async Task WaitAsync(TimeSpan time)
    {
        using var timer = new PeriodicTimer(time);
        await timer.WaitForNextTickAsync();
    }
}
