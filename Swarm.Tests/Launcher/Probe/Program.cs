using System.Collections;
using Aspire.Hosting;

// probe apphost PROJECT [switches]: an app host of Postgres, Redis and this program.
// probe exit CODE: writes a line and ends.
// probe: a web application that tells its environment.
switch (args)
{
    case ["apphost", var project, .. var switches]:
        var builder = DistributedApplication.CreateBuilder(switches);
        var postgres = builder.AddPostgres("postgres").WithDataVolume();
        var database = postgres.AddDatabase("probe");
        var redis = builder.AddRedis("redis").WithDataVolume();
        var first = builder.AddProject("first", project).WithArgs("exit", builder.Configuration["Probe:ExitCode"] ?? "0").WaitFor(database)
            .WithEndpoint("http", e => e.Port = null).WithEndpoint("grpc", e => e.Port = null);
        builder.AddProject("web", project).WithReference(database).WithReference(redis).WaitFor(redis).WaitForCompletion(first).WithHttpHealthCheck("/health")
            .WithEndpoint("http", e => e.Port = null).WithEndpoint("grpc", e => e.Port = null);
        builder.Build().Run();
        break;
    case ["exit", var code]:
        Console.WriteLine($"the probe ends with {code}");
        Environment.ExitCode = int.Parse(code);
        break;
    default:
        var web = WebApplication.CreateBuilder(args);
        var app = web.Build();
        app.MapGet("/health", () => "ok");
        app.MapGet("/process", () => Environment.ProcessId);
        app.MapGet("/environment", () => Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToDictionary(v => (string)v.Key, v => (string?)v.Value));
        app.MapGet("/arguments", () => args);
        app.Run();
        break;
}
