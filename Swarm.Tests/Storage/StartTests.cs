using System.Net;
using System.Runtime.Versioning;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Storage;

/// <summary>What a node demands before it starts, and what its first start leaves behind (design §5).</summary>
[UnsupportedOSPlatform("windows")]
[Collection(PostgresCollection.Name)]
public sealed class StartTests(PostgresFixture postgres)
{
    [Fact]
    public async Task A_node_starts_only_with_a_schema_and_with_the_master_key_of_its_database()
    {
        await using var first = NodeProcess.Create(await postgres.CreateDatabaseAsync());
        await RefusedAsync(first, "Run `Swarm.Worker migrate` first");
        Assert.Equal(0, (await first.RunWorkerAsync("migrate")).ExitCode);
        await first.StartAsync();
        await first.KillAsync();

        await using var other = NodeProcess.Create(first.ConnectionString, first.DataFolder, "another master key, as long as it must be");
        await RefusedAsync(other, "The master key is not the one this database was made with. Restore Swarm:MasterKey");
        await using var none = NodeProcess.Create(first.ConnectionString, first.DataFolder, "");
        await RefusedAsync(none, "Swarm:MasterKey is missing or too short.");
        Assert.Equal(2, (await first.RunWorkerAsync("no-such-command")).ExitCode);

        // None of that did any harm.
        await first.StartAsync();
        (await first.Hub.GetHubAsync("/hub/v1/status")).Ok();
    }

    [Fact]
    [Refuses("W-29")]
    public async Task The_operators_token_lies_in_a_private_file_and_is_made_anew_for_a_new_database()
    {
        await using var node = await NodeHost.StartAsync(postgres);
        var file = Path.Combine(node.DataFolder, "operator.token");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        var token = await File.ReadAllTextAsync(file);

        // Another replica, and a restart, keep it.
        await using (await node.StartReplicaAsync())
        {
            Assert.Equal(token, await File.ReadAllTextAsync(file));
        }

        Assert.Equal(1, await node.ScalarAsync<long>("select count(*) from tokens"));
        Assert.Equal(0, await node.ScalarAsync<long>($"select count(*) from tokens where encode(token_hash, 'escape') like '%{token.Trim()}%'"));

        await using var renewed = await NodeHost.StartAsync(postgres, dataFolder: node.DataFolder);
        Assert.NotEqual(token, await File.ReadAllTextAsync(file));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        (await renewed.Hub.GetHubAsync("/hub/v1/agents")).Ok();
        (await renewed.ClientOf(token.Trim()).GetHubAsync("/hub/v1/agents")).Refused(HttpStatusCode.Unauthorized, "unauthenticated");
    }

    private static async Task RefusedAsync(NodeProcess node, string message)
    {
        var (code, output) = await node.RunApiToItsEndAsync();
        Assert.Equal(1, code);
        Assert.Contains("Error: ", output, StringComparison.Ordinal);
        Assert.Contains(message, output, StringComparison.Ordinal);
    }
}
