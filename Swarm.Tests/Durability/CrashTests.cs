using Npgsql;
using Swarm.Tests.Infrastructure;
using Xunit.Abstractions;
using Seed = Swarm.Tests.Doors.Seed;

namespace Swarm.Tests.Durability;

/// <summary>Promise 1 (design §3): what was answered with success survives a kill at any instant, and nothing counts twice.</summary>
[Collection("crashes")]
public sealed class CrashTests(ITestOutputHelper output) : IAsyncLifetime
{
    private const int Moments = 5;
    private const int WarmMessages = 100;
    private const int LoadMsMax = 1_200;
    private static readonly TimeSpan WarmLimit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan LoadAfter = TimeSpan.FromMilliseconds(500);
    private static readonly string[] Recipients = ["bob", "carol", "dave"];
    private static readonly string[] Senders = ["eve", "frank", "grace", "heidi"];

    private PostgresCluster _postgres = null!;
    private NodeProcess _node = null!;
    private Scene _scene = null!;
    private MessageLoad _load = null!;
    private Random _random = null!;

    public async Task InitializeAsync()
    {
        _postgres = await PostgresCluster.StartNewAsync();
        _node = await NodeProcess.StartNewAsync(await _postgres.CreateDatabaseAsync());
        _scene = await Scene.CreateAsync(_node.Hub, ["alice", .. Recipients], Senders);
        _load = new(_node.Http, _node.Hub, _scene, Senders, Recipients);
        _random = new(Seed.Take(output));
    }

    public async Task DisposeAsync()
    {
        output.WriteLine(_node.Log);
        await _node.DisposeAsync();
        await _postgres.DisposeAsync();
        _scene.Dispose();
    }

    [Fact]
    public async Task After_a_kill_of_the_Api_every_answered_message_is_in_its_inbox_exactly_once()
    {
        for (var moment = 0; moment < Moments; moment++)
        {
            await UnderLoadAsync(async () =>
            {
                await _node.KillAsync();
                await _node.StartAsync();
            });
        }

        Assert.True(_load.Failures > 0, "No kill met a message that was under way.");
    }

    [Fact]
    public async Task After_a_kill_of_Postgres_every_answered_message_is_in_its_inbox_exactly_once()
    {
        for (var moment = 0; moment < Moments; moment++)
        {
            // Every other time one backend dies, and the postmaster recovers by itself.
            await UnderLoadAsync(moment % 2 == 0 ? KillServerAsync : KillAcceptingBackendAsync);
        }

        // At least one kill met a batch in its commit, whose outcome had to be found out.
        Assert.Contains("was replayed after the connection was lost", _node.Log, StringComparison.Ordinal);
    }

    /// <summary>Lets the load run, breaks something at a random moment, lets it run on, and counts.</summary>
    private async Task UnderLoadAsync(Func<Task> breakSomething)
    {
        var failures = _load.Failures;
        var before = _load.Answered;
        using var stop = new CancellationTokenSource();
        var running = _load.RunAsync(stop.Token);
        await Eventually.TrueAsync("messages are answered", () => running.IsFaulted || _load.Answered >= before + WarmMessages, WarmLimit);
        await Task.WhenAny(running, Wait(TimeSpan.FromMilliseconds(_random.Next(1, LoadMsMax))));
        var answered = _load.Answered;
        await breakSomething();
        await Eventually.TrueAsync("the node answers again", _node.IsHealthyAsync, TimeSpan.FromSeconds(30));
        await Task.WhenAny(running, Wait(LoadAfter));
        await stop.CancelAsync();
        await running;

        await _load.CheckInboxesAsync();
        await _load.RetryUnansweredAsync();
        await _load.CheckInboxesAsync();
        output.WriteLine($"answered {answered - before} before the kill, {_load.Answered} in all; {_load.Failures - failures} posts failed");
    }

    private async Task KillServerAsync()
    {
        await _postgres.KillAsync();
        await _postgres.StartAsync();
    }

    private async Task KillAcceptingBackendAsync()
    {
        await using (var database = NpgsqlDataSource.Create(_postgres.ServerConnectionString + ";Pooling=false"))
        await using (var find = database.CreateCommand("select pid from pg_stat_activity where query like '%accept_batch%' and pid <> pg_backend_pid()"))
        {
            PostgresCluster.KillBackend((int)(await find.ExecuteScalarAsync())!);
        }

        await _postgres.StartAsync();
    }

    private static async Task Wait(TimeSpan time)
    {
        using var timer = new PeriodicTimer(time);
        await timer.WaitForNextTickAsync();
    }
}
