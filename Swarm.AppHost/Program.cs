using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;
using Swarm.AppHost;

var builder = DistributedApplication.CreateBuilder(args);
var settings = builder.Configuration.GetSection("Swarm");

var masterKey = builder.AddParameter("master-key", new GenerateParameterDefault { MinLength = 44, Special = false }, secret: true, persist: true);

var postgres = builder.AddPostgres("postgres").WithImageTag("17.6");
var redis = builder.AddRedis("redis");
if (settings.GetValue("Persist", true))
{
    postgres.WithDataVolume();
    redis.WithDataVolume();
}

var database = postgres.AddDatabase("swarm");

var migrate = Node(builder.AddProject<Projects.Swarm_Worker>("migrate")).WithArgs("migrate").WaitFor(database);

var api = Node(builder.AddProject<Projects.Swarm_Api>("api")).WithReference(redis).WaitFor(redis).WaitForCompletion(migrate)
    .WithHttpHealthCheck("/health", endpointName: "http").WithReplicas(settings.GetValue("ApiReplicas", 1)).WithExternalHttpEndpoints();
Doors.Configure(api, settings);

Node(builder.AddProject<Projects.Swarm_Worker>("worker")).WithArgs("run").WithReference(redis).WaitFor(redis).WaitForCompletion(migrate)
    .WithHttpEndpoint().WithHttpHealthCheck("/health");

builder.Build().Run();

// Every process of a node has its database and its master key and, on one machine, its data folder.
IResourceBuilder<ProjectResource> Node(IResourceBuilder<ProjectResource> project)
{
    project.WithReference(database).WithEnvironment("Swarm__MasterKey", masterKey);
    return builder.ExecutionContext.IsRunMode
        ? project.WithEnvironment("Swarm__DataFolder", Path.GetFullPath(settings["DataFolder"] ?? Path.Combine(builder.AppHostDirectory, "..", ".swarm")))
        : project;
}
