using System.Text.Json.Nodes;
using Aspire.Hosting;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Launcher;

public sealed class ManifestTests : IDisposable
{
    private const string Secret = "a-secret-that-must-not-be-published";
    private readonly string _area = PrivateServers.NewArea();

    [Theory]
    [InlineData("--publisher", "manifest")]
    [InlineData("--operation", "publish")]
    public async Task The_manifest_names_every_resource_by_expressions_and_holds_no_secret(string name, string value)
    {
        var file = Path.Combine(_area, "out", "manifest.json");
        var builder = DistributedApplication.CreateBuilder(
            [name, value, "--output-path", file, "--Launcher:DataArea", Path.Combine(_area, "data"), "--Parameters:key", Secret, "--Parameters:postgres-password", Secret]);
        Assert.True(builder.ExecutionContext.IsPublishMode);
        var key = builder.AddParameter("key", secret: true);
        var database = builder.AddPostgres("postgres").WithImageTag("17.6").WithDataVolume().AddDatabase("orders-db", "orders");
        var redis = builder.AddRedis("redis");
        builder.AddProject("web", AppHostProcess.ProbeProject).WithReference(database).WithReference(redis).WithEnvironment("KEY", key)
            .WithArgs("run").WithExternalHttpEndpoints().WithEndpointsInEnvironment(e => e.UriScheme == "http");
        await using (var app = builder.Build())
        {
            await app.RunAsync();
        }

        var text = await File.ReadAllTextAsync(file);
        Assert.DoesNotContain(Secret, text, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Path.Combine(_area, "data")), "publishing made a data area");
        var resources = JsonNode.Parse(text)!["resources"]!;
        Assert.Equal(
            ["key", "orders-db", "postgres", "postgres-password", "postgres-password-uri-encoded", "redis", "redis-password", "redis-password-uri-encoded", "web"],
            resources.AsObject().Select(r => r.Key).Order(StringComparer.Ordinal));
        AssertJson("""
            { "type": "parameter.v0", "value": "{key.inputs.value}", "inputs": { "value": { "type": "string", "secret": true } } }
            """, resources["key"]);
        AssertJson("""
            { "type": "container.v0",
              "connectionString": "Host={postgres.bindings.tcp.host};Port={postgres.bindings.tcp.port};Username=postgres;Password={postgres-password.value}",
              "image": "docker.io/library/postgres:17.6",
              "volumes": [ { "name": "postgres-data", "target": "/var/lib/postgresql/data", "readOnly": false } ],
              "env": { "POSTGRES_HOST_AUTH_METHOD": "scram-sha-256", "POSTGRES_INITDB_ARGS": "--auth-host=scram-sha-256 --auth-local=scram-sha-256",
                       "POSTGRES_USER": "postgres", "POSTGRES_PASSWORD": "{postgres-password.value}" },
              "bindings": { "tcp": { "scheme": "tcp", "protocol": "tcp", "transport": "tcp", "targetPort": 5432 } } }
            """, resources["postgres"]);
        AssertJson("""{ "type": "value.v0", "connectionString": "{postgres.connectionString};Database=orders" }""", resources["orders-db"]);
        AssertJson("""
            { "type": "parameter.v0", "value": "{redis-password.inputs.value}",
              "inputs": { "value": { "type": "string", "secret": true, "default": { "generate": { "minLength": 22, "special": false } } } } }
            """, resources["redis-password"]);
        AssertJson("""{ "type": "annotated.string", "value": "{redis-password.value}", "filter": "uri" }""", resources["redis-password-uri-encoded"]);

        var web = resources["web"]!;
        Assert.Equal("project.v0", (string?)web["type"]);
        Assert.Equal(AppHostProcess.ProbeProject, Path.GetFullPath(Path.Combine(Path.GetDirectoryName(file)!, (string)web["path"]!)));
        AssertJson("""["run"]""", web["args"]);
        AssertJson("""
            { "http": { "scheme": "http", "protocol": "tcp", "transport": "http", "targetPort": 8790, "external": true },
              "grpc": { "scheme": "http", "protocol": "tcp", "transport": "http2", "targetPort": 8791, "external": true },
              "https": { "scheme": "https", "protocol": "tcp", "transport": "http", "targetPort": 8790, "external": true } }
            """, web["bindings"]);
        AssertJson("""
            { "OTEL_DOTNET_EXPERIMENTAL_OTLP_RETRY": "in_memory", "ASPNETCORE_FORWARDEDHEADERS_ENABLED": "true",
              "Kestrel__Endpoints__http__Url": "http://*:{web.bindings.http.targetPort}", "Kestrel__Endpoints__grpc__Url": "http://*:{web.bindings.grpc.targetPort}",
              "ConnectionStrings__orders-db": "{orders-db.connectionString}",
              "ORDERS_DB_HOST": "{postgres.bindings.tcp.host}", "ORDERS_DB_PORT": "{postgres.bindings.tcp.port}", "ORDERS_DB_USERNAME": "postgres",
              "ORDERS_DB_PASSWORD": "{postgres-password.value}",
              "ORDERS_DB_URI": "postgresql://postgres:{postgres-password-uri-encoded.value}@{postgres.bindings.tcp.host}:{postgres.bindings.tcp.port}/orders",
              "ORDERS_DB_JDBCCONNECTIONSTRING": "jdbc:postgresql://{postgres.bindings.tcp.host}:{postgres.bindings.tcp.port}/orders", "ORDERS_DB_DATABASENAME": "orders",
              "ConnectionStrings__redis": "{redis.connectionString}", "REDIS_HOST": "{redis.bindings.tcp.host}", "REDIS_PORT": "{redis.bindings.tcp.port}",
              "REDIS_PASSWORD": "{redis-password.value}",
              "REDIS_URI": "redis://:{redis-password-uri-encoded.value}@{redis.bindings.tcp.host}:{redis.bindings.tcp.port}", "KEY": "{key.value}" }
            """, web["env"]);
    }

    public void Dispose()
    {
        if (Directory.Exists(_area))
        {
            Directory.Delete(_area, recursive: true);
        }
    }

    private static void AssertJson(string expected, JsonNode? actual) =>
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), actual), $"expected {expected}\nfound {actual}");
}
