using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Durability;

/// <summary>The node does not start on a database that may lose what it has confirmed (design §3 promise 1).</summary>
[Collection("crashes")]
public sealed class UnsafePostgresTests
{
    [Fact]
    public async Task A_Postgres_that_may_lose_commits_is_refused_and_a_safe_one_is_not()
    {
        await using var postgres = await PostgresCluster.StartNewAsync();
        await using var node = NodeProcess.Create(await postgres.CreateDatabaseAsync());
        var (code, output) = await node.RunWorkerAsync("migrate");
        Assert.True(code == 0, output);

        foreach (var setting in new[] { "fsync", "full_page_writes", "synchronous_commit" })
        {
            await postgres.StopAsync();
            await postgres.StartAsync($"{setting}=off");
            (code, output) = await node.RunApiToItsEndAsync();
            Assert.Equal(1, code);
            Assert.Contains($"PostgreSQL runs with {setting} = off: a crash would lose messages that were already confirmed.", output, StringComparison.Ordinal);
        }

        // The named switch for tests, and only that, lets it start.
        await using (var careless = NodeProcess.Create(
            node.ConnectionString, environment: new Dictionary<string, string?> { ["Storage__AllowUnsafeDurability"] = "true" }))
        {
            await careless.StartAsync();
        }

        await postgres.StopAsync();
        await postgres.StartAsync();
        await node.StartAsync();
    }
}
