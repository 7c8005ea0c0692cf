using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Swarm.Core;
using Swarm.Core.Storage;
using Swarm.ServiceDefaults.Egress;
using Swarm.Worker.Push;

namespace Swarm.Tests.Infrastructure;

/// <summary>The pushing part of a Worker in this process, on the database of a node.</summary>
internal sealed class WorkerHost : IAsyncDisposable
{
    private readonly IHost _host;

    private WorkerHost(IHost host) => _host = host;

    public IServiceProvider Services => _host.Services;

    /// <param name="ca">The authority of the peers.</param>
    /// <param name="settings">More settings, like <c>Push:BackoffFirst</c>.</param>
    public static async Task<WorkerHost> StartAsync(
        NodeHost node, string ca, IReadOnlyDictionary<string, string?>? settings = null, TimeProvider? time = null, bool start = true)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new());
        builder.Configuration.AddInMemoryCollection(new Dictionary<string, string?>
        {
            ["Egress:AllowLoopback"] = "true",
            ["Egress:TrustedRoots"] = ca,
            ["Push:BackoffFirst"] = "00:00:00.050",
            ["Push:SweepInterval"] = "00:00:01",
            ["Swarm:MasterKey"] = NodeProcess.MasterKey,
            ["Swarm:DataFolder"] = node.DataFolder,
        });
        builder.Configuration.AddInMemoryCollection(settings ?? new Dictionary<string, string?>());
        builder.Logging.AddFilter(level => level >= LogLevel.Warning).AddSimpleConsole();
        builder.Services.AddSingleton(_ => NpgsqlDataSource.Create(node.ConnectionString + ";Maximum Pool Size=10")); // a ready instance would not be disposed with the host
        builder.Services.AddSwarmDb().AddSwarmCore(builder.Configuration).AddSwarmDelivery();
        builder.AddGuardedHttp();
        builder.AddPush();
        if (time is not null)
        {
            builder.Services.RemoveAll<TimeProvider>();
            builder.Services.AddSingleton(time);
        }

        var host = builder.Build();
        if (start)
        {
            await host.StartAsync();
        }

        return new(host);
    }

    public T Get<T>()
        where T : notnull => Services.GetRequiredService<T>();

    public async ValueTask DisposeAsync()
    {
        await _host.StopAsync();
        await ((IAsyncDisposable)_host).DisposeAsync();
    }
}
