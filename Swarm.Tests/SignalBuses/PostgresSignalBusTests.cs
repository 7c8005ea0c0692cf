using Microsoft.Extensions.Logging;
using Npgsql;
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
