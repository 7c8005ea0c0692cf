using Microsoft.Extensions.Logging;
using StackExchange.Redis;
using Swarm.Core.Signals;
using Swarm.Tests.StandIns;

namespace Swarm.Tests.SignalBuses;

public sealed class RedisSignalBusTests : SignalBusCompliance, IAsyncLifetime
{
    private readonly List<ConnectionMultiplexer> _clients = [];
    private RedisServer _server = null!;

    public async Task InitializeAsync()
    {
        if (RedisServer.Program is not null)
        {
            _server = await RedisServer.StartAsync();
        }
    }

    async Task IAsyncLifetime.DisposeAsync() => await DisposeAsync();

    public override async ValueTask DisposeAsync()
    {
        await base.DisposeAsync();
        foreach (ConnectionMultiplexer client in _clients)
        {
            await client.DisposeAsync();
        }

        if (_server is not null)
        {
            await _server.DisposeAsync();
        }
    }

    [RedisFact]
    public Task A_signal_wakes_waiters_of_other_replicas_and_does_not_come_back() => WakesWaitersOfOtherReplicasAsync();

    [RedisFact]
    public Task A_control_event_reaches_other_replicas() => CarriesControlEventsAsync();

    [RedisFact]
    public Task A_burst_reaches_every_recipient() => ABurstReachesEverybodyAsync();

    [RedisFact]
    public Task An_outage_is_survived_and_told_once() => AnOutageIsSurvivedAndToldOnceAsync();

    [RedisFact]
    public async Task A_node_starts_without_its_Redis_and_finds_it_later()
    {
        await _server.KillAsync();
        Replica one = await StartAsync();
        Replica two = await StartAsync();
        one.Bus.Publish([new(1)]);
        await Eventually.TrueAsync(() => one.Warnings == 1 && two.Warnings == 1, "the absence is logged");

        await _server.StartAgainAsync();

        await ConnectAsync(one, two);
        await Eventually.TrueAsync(() => one.Reconnections > 0 && two.Reconnections > 0, "the return is told");
    }

    private protected override Task BreakAsync() => _server.KillAsync();

    private protected override Task MendAsync() => _server.StartAgainAsync();

    private protected override SignalBus Create(LocalSignals signals, ControlEvents control, ILoggerFactory logs) =>
        new RedisSignalBus(Connect, signals, control, logs.CreateLogger<RedisSignalBus>());

    private ConnectionMultiplexer Connect()
    {
        ConnectionMultiplexer client = ConnectionMultiplexer.Connect($"{_server.ConnectionString},abortConnect=false,asyncTimeout=1000");
        lock (_clients)
        {
            _clients.Add(client);
        }

        return client;
    }
}
