using Swarm.Core.Delivery;
using Swarm.Tests.Infrastructure;
using Xunit.Abstractions;

namespace Swarm.Tests.Delivery;

/// <summary>Pushes by the Agent Swarm Protocol to a peer over HTTPS.</summary>
[Collection(PostgresCollection.Name)]
public sealed class PushCarrierTests(PostgresFixture postgres, ITestOutputHelper output) : LeasingCarrierCompliance(postgres, output)
{
    private PeerServer _peer = null!;
    private WorkerHost _worker = null!;

    private protected override int AttemptsMax => 5;

    public override async Task InitializeAsync()
    {
        _peer = await PeerServer.StartAsync();
        _peer.Answer = (request, _, http) => Receive(request.Sender, request.Content)
            ? PeerServer.QueuedAsync(http)
            : PeerServer.RespondAsync(http, 429, retryAfter: null);
        await base.InitializeAsync();
        _worker = await WorkerHost.StartAsync(
            Node, _peer.Ca, new Dictionary<string, string?> { ["Push:AttemptsMax"] = $"{AttemptsMax}", ["Push:BackoffMax"] = "00:00:00.1" }, start: false);
    }

    public override async Task DisposeAsync()
    {
        await _worker.DisposeAsync();
        await base.DisposeAsync();
        await _peer.DisposeAsync();
    }

    private protected override Task AddRecipientAsync() => _peer.JoinAsync(Node, Scene, "bob");

    private protected override Task StartAsync() => _worker.Get<Microsoft.Extensions.Hosting.IHost>().StartAsync();

    private protected override async Task LeaseAndDieAsync()
    {
        var queue = _worker.Get<PushQueue>();
        var bob = (await queue.BacklogAsync(0, default)).Recipients.Single();
        var leased = await queue.LeaseAsync([bob], Guid.NewGuid(), TimeProvider.System.GetUtcNow().AddSeconds(2), 64, PushOptions.ScanMax, default);
        Assert.Equal(9, leased.Count);
    }
}
