using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Swarm.Core.Identity;
using Swarm.Core.Signals;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.SignalBuses;

public sealed class PostgresSignalBusTests(PostgresFixture postgres) : SignalBusCompliance, IClassFixture<PostgresFixture>, IAsyncLifetime
{
    private readonly List<NpgsqlDataSource> _sources = [];
    private string _database = string.Empty;

    public async Task InitializeAsync() => _database = await postgres.CreateDatabaseAsync();

    async Task IAsyncLifetime.DisposeAsync() => await DisposeAsync();

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        foreach (NpgsqlDataSource source in _sources)
        {
            await source.DisposeAsync();
        }
    }

    [Fact]
    public Task A_signal_wakes_waiters_of_other_replicas_and_does_not_come_back() => WakesWaitersOfOtherReplicasAsync();

    [Fact]
    public Task A_control_event_reaches_other_replicas() => CarriesControlEventsAsync();

    [Fact]
    public Task A_burst_reaches_every_recipient() => ABurstReachesEverybodyAsync();

    [Fact]
    public Task An_outage_is_survived_and_told_once() => AnOutageIsSurvivedAndToldOnceAsync();

    [Fact]
    public async Task A_connection_that_carried_signals_commits_to_the_disk_again_for_whoever_gets_it_next()
    {
        // Without the reset of a returned session, as behind a pooler: what the bus set must not outlive its own transaction.
        await using var source = NpgsqlDataSource.Create(
            new NpgsqlConnectionStringBuilder(_database) { NoResetOnClose = true, MaxPoolSize = 2 }.ConnectionString);
        await using var listener = new NpgsqlConnection(_database);
        await listener.OpenAsync();
        await using (var listen = new NpgsqlCommand($"listen {PostgresSignalBus.Channel}", listener))
        {
            await listen.ExecuteNonQueryAsync();
        }

        using (var bus = new PostgresSignalBus(source, new LocalSignals(), new ControlEvents(), NullLogger<PostgresSignalBus>.Instance))
        {
            await bus.StartAsync(default);
            bus.Publish([new AgentId(1)]);
            Assert.True(await listener.WaitAsync(TimeSpan.FromSeconds(30)));
            await bus.StopAsync(default);
        }

        await using var first = await source.OpenConnectionAsync();
        await using var second = await source.OpenConnectionAsync();
        foreach (var connection in new[] { first, second })
        {
            await using var show = new NpgsqlCommand("show synchronous_commit", connection);
            Assert.Equal("on", await show.ExecuteScalarAsync());
        }
    }

    private protected override Task BreakAsync() => RunAsync(
        $"alter database {Name} allow_connections false",
        $"select pg_terminate_backend(pid) from pg_stat_activity where datname = '{Name}'");

    private protected override Task MendAsync() => RunAsync($"alter database {Name} allow_connections true");

    private protected override SignalBus Create(LocalSignals signals, ControlEvents control, ILoggerFactory logs)
    {
        NpgsqlDataSource source = NpgsqlDataSource.Create(_database);
        _sources.Add(source);
        return new PostgresSignalBus(source, signals, control, logs.CreateLogger<PostgresSignalBus>());
    }

    private string Name => new NpgsqlConnectionStringBuilder(_database).Database!;

    private async Task RunAsync(params string[] statements)
    {
        await using var connection = new NpgsqlConnection(postgres.ServerConnectionString);
        await connection.OpenAsync();
        foreach (string statement in statements)
        {
            await using var command = new NpgsqlCommand(statement, connection);
            await command.ExecuteNonQueryAsync();
        }
    }
}
