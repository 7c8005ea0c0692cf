using Swarm.Api;
using Swarm.Api.Hub;
using Swarm.Api.OpenApi;
using Swarm.Api.Protocols.A1;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Api.Tls;
using Swarm.Core;
using Swarm.Core.Storage;
using Swarm.ServiceDefaults;
using Swarm.ServiceDefaults.Egress;

var builder = WebApplication.CreateBuilder(args);

// How every process starts, and where it keeps things.
builder.AddServiceDefaults();
if (!builder.TakeAndCheck())
{
    return 1;
}

builder.AddLocalTls();
builder.AddNpgsqlDataSource(StorageServices.ConnectionName, configureDataSourceBuilder: StorageServices.Configure);
if (builder.Configuration.GetConnectionString("redis") is not null)
{
    builder.AddRedisClient("redis");
}

builder.AddGuardedHttp();

// What a swarm is, and the doors to it.
builder.Services.AddSwarmDb().AddSwarmCore(builder.Configuration).AddSwarmIntake();
builder.Services.AddHub(builder.Configuration);
builder.Services.AddAgentSwarm().AddHostedService<ResyncLoop>();
builder.Services.AddA1();

var app = builder.Build();
app.UseRequestLog();
app.MapDefaultEndpoints();
app.MapHub();
app.MapAgentSwarm();
app.MapA1();
app.MapApiDescription();
return await app.RunNodeAsync();

/// <summary>Named so that tests can start the node in process.</summary>
public sealed partial class Program;
