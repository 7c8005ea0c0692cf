using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Delivery;

/// <summary>What happens without a request.</summary>
[Collection(PostgresCollection.Name)]
public sealed class WorkerTests(PostgresFixture postgres)
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(60);

    [Fact]
    [Refuses("W-27")]
    public async Task The_worker_expires_what_was_not_delivered_in_time_and_nothing_else()
    {
        await using var node = await NodeHost.StartAsync(postgres);
        using var scene = await Scene.CreateAsync(node.Hub, ["alice", "bob"], []);
        var now = TimeProvider.System.GetUtcNow();
        foreach (var (content, expiresAt) in new[] { ("soon", now.AddSeconds(2)), ("later", now.AddHours(1)) })
        {
            (await node.Hub.PostHubAsync(
                "/hub/v1/messages", new { from = "alice", swarm_id = scene.Swarm.Value, to = "bob", content, expires_at = expiresAt.ToString("O") })).Ok();
        }

        await using var process = NodeProcess.Create(node.ConnectionString, node.DataFolder);
        await using var worker = process.StartWorker();
        await Eventually.TrueAsync(
            "the worker has expired it", async () => await node.ScalarAsync<long>("select count(*) from deliveries where state = 8") == 1, Limit);
        Assert.False(worker.HasExited, worker.Output);
        var states = (await node.Hub.GetHubAsync("/hub/v1/agents/bob/inbox")).Ok()["messages"].EnumerateArray()
            .Select(m => m.GetProperty("state").GetString());
        Assert.Equal(["expired", "pending"], states);
    }
}
