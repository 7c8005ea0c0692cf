using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;

var builder = DistributedApplication.CreateBuilder(args);
var keeps = builder.Configuration["Swarm:Persist"] != "false";

var postgres = builder.AddPostgres("postgres").WithImageTag("17.6");
var redis = builder.AddRedis("redis");
if (keeps)
{
    postgres.WithDataVolume();
    redis.WithDataVolume();
}

var swarm = postgres.AddDatabase("swarm");

builder.Build().Run();
