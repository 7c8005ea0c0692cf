using System.Net;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Swarm.Api.OpenApi;
using Swarm.Tests.Conformance;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.OpenApi;

/// <summary>The machine-readable description says what is mapped, and what is answered fits it.</summary>
[Collection(PostgresCollection.Name)]
[Shown(By.Wire)]
public sealed partial class ApiDescriptionTests(PostgresFixture postgres) : IAsyncLifetime
{
    private NodeHost _node = null!;
    private JsonObject _document = null!;

    public async Task InitializeAsync()
    {
        _node = await NodeHost.StartAsync(postgres);
        var answer = await _node.Http.GetHubAsync("/openapi.json");
        Assert.Equal((HttpStatusCode.OK, "application/json"), (answer.Status, answer.ContentType));
        _document = JsonNode.Parse(answer.Text)!.AsObject();
    }

    public async Task DisposeAsync() => await _node.DisposeAsync();

    [Fact]
    [Conforms("ASP-109")]
    public void Every_mapped_route_is_described_and_nothing_else()
    {
        var described = (from path in _document["paths"]!.AsObject() from operation in path.Value!.AsObject() select $"{operation.Key.ToUpperInvariant()} {path.Key}").ToHashSet();
        var mapped = (from endpoint in _node.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()
                      from method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? []
                      select $"{method} {Constraint().Replace("/" + endpoint.RoutePattern.RawText!.Trim('/'), "}")}").ToHashSet();
        string[] ours = ["GET /openapi.json", "GET /health", "GET /alive"];
        Assert.Equal(mapped.Except(ours).Order(StringComparer.Ordinal), described.Order(StringComparer.Ordinal));
    }

    [Fact]
    [Conforms("ASP-109")]
    public void Every_operation_has_a_summary_its_parameters_and_answers_and_every_reference_leads_somewhere()
    {
        var ids = new HashSet<string>();
        foreach (var (path, operations) in _document["paths"]!.AsObject())
        {
            foreach (var (method, operation) in operations!.AsObject())
            {
                Assert.False(string.IsNullOrEmpty((string?)operation!["summary"]), $"{method} {path} has no summary: hub.json");
                Assert.True(operation["operationId"] is not JsonValue id || ids.Add((string)id!), $"{method} {path}: the id is used twice");
                Assert.NotEmpty(operation["responses"]!.AsObject());
                var named = (operation["parameters"]?.AsArray() ?? []).Where(p => (string)p!["in"]! == "path").Select(p => (string)p!["name"]!);
                Assert.Equal(Parameter().Matches(path).Select(m => m.Groups[1].Value), named);
            }
        }

        foreach (var reference in References(_document))
        {
            JsonNode? at = _document;
            foreach (var part in reference.Split('/').Skip(1))
            {
                at = at is JsonArray list ? list[int.Parse(part, System.Globalization.CultureInfo.InvariantCulture)] : at?[Uri.UnescapeDataString(part)];
            }

            Assert.True(at is not null, reference);
        }
    }

    [Fact]
    [Conforms("ASP-109")]
    public async Task Answers_and_requests_have_the_members_that_are_described()
    {
        using var scene = await Scene.CreateAsync(_node.Hub, ["alice", "bob"], []);
        (await _node.Hub.PostHubAsync("/hub/v1/messages", new
        {
            from = "alice", swarm_id = scene.Swarm.Value, to = "bob", content = "x", references = new[] { new { type = "github_issue", repo = "o/r", number = 1, action = "claimed" } },
        })).Ok();
        var index = _node.Get<Core.References.ReferenceIndex>();
        await Eventually.TrueAsync(
            "the reference is indexed",
            async () => !await index.RunOnceAsync(default) && await _node.ScalarAsync<long>("select count(*) from message_references") == 1,
            TimeSpan.FromSeconds(30));
        foreach (var (path, template) in new[]
        {
            ("/hub/v1/status", "/hub/v1/status"), ("/hub/v1/stats", "/hub/v1/stats"), ("/hub/v1/agents", "/hub/v1/agents"),
            ("/hub/v1/agents/bob", "/hub/v1/agents/{agent}"), ("/hub/v1/swarms", "/hub/v1/swarms"),
            ("/hub/v1/agents/bob/inbox", "/hub/v1/agents/{agent}/inbox"), ("/hub/v1/agents/bob/references?repo=o/r", "/hub/v1/agents/{agent}/references"),
            ("/hub/v1/agents/bob/board", "/hub/v1/agents/{agent}/board"), ("/hub/v1/agents/alice/outbox", "/hub/v1/agents/{agent}/outbox"),
            ("/hub/v1/agents/bob/wake", "/hub/v1/agents/{agent}/wake"),
        })
        {
            var schema = _document["paths"]![template]!["get"]!["responses"]!["200"]!["content"]!["application/json"]!["schema"]!;
            Fits((await _node.Hub.GetHubAsync(path)).Ok().Json, schema, path);
        }

        var problem = await _node.Hub.GetHubAsync("/hub/v1/agents/nobody");
        Fits(problem.Json, _document["paths"]!["/hub/v1/agents/{agent}"]!["get"]!["responses"]!["default"]!["content"]!["application/problem+json"]!["schema"]!, "problem");
        foreach (var door in new[] { "health", "info" })
        {
            Fits(
                (await _node.Http.GetHubAsync($"/agents/alice/swarm/{door}")).Ok().Json,
                _document["paths"]!["/agents/{agent}/swarm/" + door]!["get"]!["responses"]!["200"]!["content"]!["application/json"]!["schema"]!, door);
        }

        Assert.Equal(
            ["from", "swarm_id", "to", "type", "content", "priority", "in_reply_to", "thread_id", "expires_at", "deliver_at", "attachments", "references", "metadata", "message_id", "timestamp", "signature"],
            _document["components"]!["schemas"]!["SendRequest"]!["properties"]!.AsObject().Select(p => p.Key));
    }

    [Fact]
    [Conforms("ASP-109")]
    public void The_skill_names_commands_that_exist()
    {
        var root = typeof(ApiDescriptionTests).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>().FirstOrDefault(a => a.Key == "RepositoryRoot")?.Value;
        var folder = new DirectoryInfo(root ?? AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Swarm.sln")))
        {
            folder = folder.Parent!;
        }

        var skill = File.ReadAllText(Path.Combine(folder.FullName, "docs", "skill", "SKILL.md"));
        Assert.StartsWith("---\nname: swarm\ndescription: ", skill, StringComparison.Ordinal);
        var line = new Swarm.Cli.CommandLine(new Swarm.Cli.Output.Terminal(Stream.Null, TextWriter.Null, TextWriter.Null), Swarm.Cli.Profile.CliEnvironment.OfProcess());
        var known = line.CommandNames.ToHashSet();
        var used = Used().Matches(skill).Select(m => m.Groups[1].Value).ToHashSet();
        Assert.True(used.Count > 10);
        Assert.Empty(used.Except(known));
    }

    /// <summary>Every member is described, and of its type.</summary>
    private void Fits(JsonElement value, JsonNode schema, string where)
    {
        if (schema is not JsonObject rules)
        {
            return;
        }

        if ((string?)rules["$ref"] is { } reference)
        {
            JsonNode at = _document;
            foreach (var part in reference.Split('/').Skip(1))
            {
                at = at is JsonArray list ? list[int.Parse(part, System.Globalization.CultureInfo.InvariantCulture)]! : at[Uri.UnescapeDataString(part)]!;
            }

            Fits(value, at, where);
            return;
        }

        string[] types = rules["type"] switch
        {
            JsonArray several => [.. several.Select(t => (string)t!)],
            JsonValue one => [(string)one!],
            _ => [],
        };
        var kind = value.ValueKind switch
        {
            JsonValueKind.Object => "object",
            JsonValueKind.Array => "array",
            JsonValueKind.String => "string",
            JsonValueKind.True or JsonValueKind.False => "boolean",
            JsonValueKind.Null => "null",
            _ => value.TryGetInt64(out _) && types.Contains("integer") ? "integer" : "number",
        };
        Assert.True(types.Length == 0 || types.Contains(kind), $"{where}: {kind} is not one of {string.Join(", ", types)}");
        if (kind == "object")
        {
            foreach (var needed in rules["required"]?.AsArray() ?? [])
            {
                Assert.True(value.TryGetProperty((string)needed!, out _), $"{where} has no {needed}");
            }

            foreach (var member in value.EnumerateObject().Where(_ => rules["properties"] is not null))
            {
                Assert.True(rules["properties"]![member.Name] is not null || rules["properties"]!.AsObject().ContainsKey(member.Name) || !where.StartsWith("/hub", StringComparison.Ordinal), $"{where}: {member.Name} is not described");
                if (rules["properties"]![member.Name] is { } known)
                {
                    Fits(member.Value, known, $"{where}.{member.Name}");
                }
            }
        }
        else if (kind == "array" && rules["items"] is { } items)
        {
            foreach (var item in value.EnumerateArray())
            {
                Fits(item, items, where + "[]");
            }
        }
    }

    private static IEnumerable<string> References(JsonNode? node) => node switch
    {
        JsonObject json => json.SelectMany(member => member is { Key: "$ref", Value: JsonValue reference } ? [(string)reference!] : References(member.Value)),
        JsonArray list => list.SelectMany(References),
        _ => [],
    };

    [GeneratedRegex(@":[^}]*\}")]
    private static partial Regex Constraint();

    [GeneratedRegex(@"\{([^}]+)\}")]
    private static partial Regex Parameter();

    [GeneratedRegex(@"(?:^|`|\| )swarm ([a-z]+)\b", RegexOptions.Multiline)]
    private static partial Regex Used();
}
