using System.Text.Json;
using Swarm.Tests.Infrastructure;
using Xunit.Abstractions;

namespace Swarm.Tests.Delivery;

/// <summary>The work queue, polled by two competing consumers.</summary>
[Collection(PostgresCollection.Name)]
public sealed class WorkQueueCarrierTests(PostgresFixture postgres, ITestOutputHelper output) : LeasingCarrierCompliance(postgres, output)
{
    private volatile bool _end;
    private Task _consuming = Task.CompletedTask;

    private protected override int AttemptsMax => Core.Delivery.WorkQueue.AttemptsMax;

    public override async Task DisposeAsync()
    {
        _end = true;
        await _consuming;
        await base.DisposeAsync();
    }

    private protected override async Task AddRecipientAsync()
    {
        (await Node.Hub.PostHubAsync("/hub/v1/agents", new { name = "bob" })).Ok();
        await Scene.JoinAsync(Node.Hub, "bob");
    }

    private protected override Task StartAsync()
    {
        _consuming = Task.WhenAll(Task.Run(ConsumeAsync), Task.Run(ConsumeAsync));
        return Task.CompletedTask;
    }

    private protected override async Task LeaseAndDieAsync() =>
        Assert.Equal(9, (await LeaseAsync(seconds: 1)).GetProperty("messages").GetArrayLength());

    private async Task<JsonElement> LeaseAsync(int seconds) =>
        (await Node.Hub.PostHubAsync("/hub/v1/agents/bob/inbox/lease", new { max = 20, lease_seconds = seconds, wait_seconds = 1 })).Ok().Json;

    private async Task ConsumeAsync()
    {
        while (!_end)
        {
            var lease = await LeaseAsync(30);
            var id = lease.GetProperty("lease_id").GetString();
            var refused = new HashSet<(string, string)>();
            foreach (var message in lease.GetProperty("messages").EnumerateArray())
            {
                var sender = message.GetProperty("sender").GetString()!;
                var lane = (sender, message.GetProperty("priority").GetString()!);
                if (refused.Contains(lane))
                {
                    continue;
                }

                var taken = Receive(sender, message.GetProperty("content").GetString()!);
                if (!taken)
                {
                    refused.Add(lane);
                }

                var seqs = new[] { message.GetProperty("seq").GetInt64() };
                (await Node.Hub.PostHubAsync(
                    $"/hub/v1/agents/bob/inbox/{(taken ? "ack" : "nak")}", new { lease_id = id, seqs, delay_seconds = 0.0 })).Ok();
            }
        }
    }
}
