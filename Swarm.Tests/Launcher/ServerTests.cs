using System.Diagnostics;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Npgsql;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Launcher;

public sealed class ServerTests
{
    [Fact]
    public async Task Postgres_and_its_database_answer_and_leave_nothing_behind()
    {
        var area = PrivateServers.NewArea();
        var builder = DistributedApplication.CreateBuilder(["--Launcher:DataArea", area, "--Launcher:Ephemeral", "true"]);
        var database = builder.AddPostgres("postgres").AddDatabase("orders", "order book");
        int serverProcess;
        await using (var app = builder.Build())
        {
            await app.StartAsync();
            await app.ResourceNotifications.WaitForResourceHealthyAsync("orders");
            var connectionString = await ((IResourceWithConnectionString)database.Resource).GetConnectionStringAsync();
            await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
            await connection.OpenAsync();
            await using var ask = new NpgsqlCommand(
                "SELECT current_database(), current_setting('fsync') || current_setting('full_page_writes') || current_setting('synchronous_commit') || current_setting('data_checksums')", connection);
            await using var row = await ask.ExecuteReaderAsync();
            await row.ReadAsync();
            Assert.Equal("order book", row.GetString(0));
            Assert.Equal("onononon", row.GetString(1));
            serverProcess = int.Parse(File.ReadLines(Directory.GetFiles(area, "postmaster.pid", SearchOption.AllDirectories).Single()).First());
            Assert.True(Directory.Exists($"/proc/{serverProcess}"));
        }

        Assert.False(Directory.Exists($"/proc/{serverProcess}"));
        Assert.False(Directory.Exists(area));
    }
}
