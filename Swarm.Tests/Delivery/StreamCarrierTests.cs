using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Delivery;

/// <summary>The inbox as server-sent events: a view, which leases nothing.</summary>
[Collection(PostgresCollection.Name)]
public sealed class StreamCarrierTests(PostgresFixture postgres) : CarrierCompliance(postgres)
{
    private SseStream? _stream;
    private Task _reading = Task.CompletedTask;

    public override async Task DisposeAsync()
    {
        _stream?.Dispose();
        await _reading.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        await base.DisposeAsync();
    }

    private protected override async Task AddRecipientAsync()
    {
        (await Node.Hub.PostHubAsync("/hub/v1/agents", new { name = "bob" })).Ok();
        await Scene.JoinAsync(Node.Hub, "bob");
    }

    private protected override async Task StartAsync()
    {
        _stream = await SseStream.OpenAsync(Node.Hub, "bob", lastEventId: 0);
        _reading = ReadAsync(_stream);
    }

    private async Task ReadAsync(SseStream stream)
    {
        while (await stream.NextAsync() is { } message)
        {
            Received.Enqueue((message.Data.GetProperty("sender").GetString()!, message.Data.GetProperty("content").GetString()!));
        }
    }
}
