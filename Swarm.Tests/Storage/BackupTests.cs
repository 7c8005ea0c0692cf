using System.Net;
using System.Runtime.Versioning;
using Npgsql;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Storage;

/// <summary>A backup makes the node again elsewhere: inboxes, keys, sequences (design §5).</summary>
[UnsupportedOSPlatform("windows")]
[Collection(PostgresCollection.Name)]
public sealed class BackupTests(PostgresFixture postgres)
{
    [Fact]
    public async Task A_restored_node_serves_its_inboxes_and_goes_on_where_it_was()
    {
        await using var node = await NodeHost.StartAsync(postgres);
        using var scene = await Scene.CreateAsync(node.Hub, ["alice", "bob"], ["eve"]);
        var repeated = scene.Signed("eve", "bob", "one");
        Assert.Equal(HttpStatusCode.OK, (await node.Http.PostMessageAsync("bob", repeated)).Status);
        await SendAsync(node.Hub, scene, "two \U0001F41D");
        var before = (await node.Hub.GetHubAsync("/hub/v1/agents/bob/inbox")).Ok().Text;
        var backup = (await node.Hub.PostHubAsync("/hub/v1/backup", new { })).Ok();
        var archive = backup["path"].GetString()!;
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(archive));
        Assert.Equal(new FileInfo(archive).Length, backup["bytes"].GetInt64());

        await using var restored = NodeProcess.Create(await postgres.CreateDatabaseAsync());
        Assert.Equal(0, (await restored.RunWorkerAsync("migrate")).ExitCode);
        var (code, output) = await restored.RunWorkerAsync("restore", archive);
        Assert.True(code == 0, output);
        Assert.Equal(NodeProcess.MasterKey, await File.ReadAllTextAsync(Path.Combine(restored.DataFolder, "master.key")));
        await restored.StartAsync();

        // What was there is there, with its numbers; what was seen is known.
        Assert.Equal(before, (await restored.Hub.GetHubAsync("/hub/v1/agents/bob/inbox")).Ok().Text);
        Assert.Equal(HttpStatusCode.OK, (await restored.Http.PostMessageAsync("bob", repeated)).Status);
        Assert.Equal(HttpStatusCode.OK, (await restored.Http.PostMessageAsync("bob", scene.Signed("eve", "bob", "three"))).Status);

        // Hosted keys open, and every sequence goes on.
        await SendAsync(restored.Hub, scene, "four");
        (await restored.Hub.PostHubAsync("/hub/v1/agents", new { name = "carol" })).Ok();
        await scene.JoinAsync(restored.Hub, "carol");
        var inbox = (await restored.Hub.GetHubAsync("/hub/v1/agents/bob/inbox")).Ok()["messages"].EnumerateArray().ToArray();
        Assert.Equal(["one", "two \U0001F41D", "three", "four"], inbox.Select(m => m.GetProperty("content").GetString()));
        Assert.Equal([1L, 2, 3, 4], inbox.Select(m => m.GetProperty("seq").GetInt64()));

        // Never over a database that holds something.
        Assert.Equal(4, await CountAsync(restored.ConnectionString, "messages"));
        (code, output) = await restored.RunWorkerAsync("restore", archive);
        Assert.Equal(1, code);
        Assert.Contains("The database is not empty", output, StringComparison.Ordinal);
        Assert.Equal(4, await CountAsync(restored.ConnectionString, "messages"));
    }

    private static async Task SendAsync(HttpClient hub, Scene scene, string content) =>
        (await hub.PostHubAsync("/hub/v1/messages", new { from = "alice", swarm_id = scene.Swarm.Value, to = "bob", content })).Ok();

    private static async Task<long> CountAsync(string connectionString, string table)
    {
        await using var database = NpgsqlDataSource.Create(connectionString + ";Pooling=false");
        await using var command = database.CreateCommand($"select count(*) from {table}");
        return (long)(await command.ExecuteScalarAsync())!;
    }
}
