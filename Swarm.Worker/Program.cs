using Swarm.Core;
using Swarm.Core.Storage;
using Swarm.ServiceDefaults;
using Swarm.ServiceDefaults.Egress;
using Swarm.Worker;
using Swarm.Worker.GitHub;
using Swarm.Worker.Push;

// migrate: bring the schema up to date, and end. restore FILE: fill an empty database from a backup. run: what happens without a request.
var builder = WebApplication.CreateBuilder(args);
builder.AddServiceDefaults();
builder.AddNpgsqlDataSource(StorageServices.ConnectionName, configureDataSourceBuilder: StorageServices.Configure);
if (builder.Configuration.GetConnectionString("redis") is not null)
{
    builder.AddRedisClient("redis");
}

builder.AddGuardedHttp();

builder.Services.AddSwarmDb().AddSwarmCore(builder.Configuration).AddSwarmDelivery();
builder.Services.AddHostedService<ExpiryLoop>().AddHostedService<ExpansionLoop>().AddHostedService<RetentionLoop>().AddHostedService<ReferenceLoop>()
    .AddHostedService<CapabilityLoop>();
builder.Services.AddSingleton<WakeCaller>().AddHostedService<WakeLoop>();
builder.AddPush();
builder.AddGitHub();

var app = builder.Build();
return await WorkerCommands.RunAsync(app, args);
