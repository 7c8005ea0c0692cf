using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Schema;
using Microsoft.AspNetCore.Http.Metadata;
using Microsoft.AspNetCore.Routing.Patterns;
using Swarm.Api.Hub;

namespace Swarm.Api.OpenApi;

/// <summary>
/// The machine-readable description (OpenAPI 3.1) at <c>/openapi.json</c>. Routes, bodies and answers of the Hub API are read from what is mapped;
/// <c>hub.json</c> beside this file says what each is for and which query it takes, and <c>agent-swarm.json</c> and <c>a1.json</c> describe the protocols' doors. A test
/// holds both against the routes.
/// </summary>
internal static class ApiDescription
{
    public const string Path = "/openapi.json";

    private const string Version = "3.1.0";

    private static readonly JsonSchemaExporterOptions Exporting = new() { TransformSchemaNode = Describe };

    public static void MapApiDescription(this WebApplication app)
    {
        var made = new Lazy<byte[]>(() => Encoding.UTF8.GetBytes(Build(((IEndpointRouteBuilder)app).DataSources).ToJsonString()));
        app.MapGet(Path, async http =>
        {
            http.Response.ContentType = "application/json";
            http.Response.ContentLength = made.Value.Length;
            await http.Response.Body.WriteAsync(made.Value, http.RequestAborted);
        });
    }

    /// <summary>Every route of the Hub API with its methods, as in the description.</summary>
    public static IEnumerable<(string Method, string Path, RouteEndpoint Endpoint)> HubRoutes(IEnumerable<EndpointDataSource> sources) =>
        from endpoint in sources.SelectMany(s => s.Endpoints).OfType<RouteEndpoint>()
        let path = PathOf(endpoint.RoutePattern)
        where path.StartsWith("/hub/", StringComparison.Ordinal)
        from method in endpoint.Metadata.GetMetadata<IHttpMethodMetadata>()?.HttpMethods ?? []
        select (method, path, endpoint);

    private static JsonObject Build(IEnumerable<EndpointDataSource> sources)
    {
        var notes = Read("hub.json");
        JsonObject[] doors = [Read("agent-swarm.json"), Read("a1.json")];
        var schemas = new JsonObject();
        foreach (var (name, schema) in doors.SelectMany(door => door["components"]!["schemas"]!.AsObject()))
        {
            schemas[name] = schema!.DeepClone();
        }

        var paths = new JsonObject();
        foreach (var (method, path, endpoint) in HubRoutes(sources))
        {
            var operations = paths[path] as JsonObject ?? [];
            paths[path] = operations;
            operations[method.ToLowerInvariant()] = Operation(method, path, endpoint, notes[$"{method} {path}"] as JsonObject, schemas);
        }

        foreach (var (path, operations) in doors.SelectMany(door => door["paths"]!.AsObject()))
        {
            paths[path] = operations!.DeepClone();
        }

        return new()
        {
            ["openapi"] = Version,
            ["info"] = new JsonObject
            {
                ["title"] = "Swarm", ["version"] = typeof(ApiDescription).Assembly.GetName().Version!.ToString(3),
                ["description"] = "The Hub API (/hub/v1) of a Swarm node, its door for the Agent Swarm Protocol 0.1.0, and A1's gateway 2.8.0.",
            },
            ["paths"] = paths,
            ["components"] = new JsonObject
            {
                ["schemas"] = schemas,
                ["securitySchemes"] = new JsonObject
                {
                    ["token"] = new JsonObject { ["type"] = "http", ["scheme"] = "bearer", ["description"] = "An operator's or an agent's token." },
                },
            },
        };
    }

    private static JsonObject Operation(string method, string path, RouteEndpoint endpoint, JsonObject? note, JsonObject schemas)
    {
        var operation = new JsonObject
        {
            ["operationId"] = endpoint.Metadata.GetMetadata<System.Reflection.MethodInfo>() is { } handler
                ? $"{handler.DeclaringType!.Name}_{handler.Name}"
                : $"{method} {path}",
            ["summary"] = note?["summary"]?.DeepClone(),
        };
        var parameters = new JsonArray();
        foreach (var parameter in endpoint.RoutePattern.Parameters)
        {
            parameters.Add(new JsonObject
            {
                ["name"] = parameter.Name, ["in"] = "path", ["required"] = true, ["schema"] = new JsonObject { ["type"] = "string" },
            });
        }

        foreach (var (name, schema) in note?["query"] as JsonObject ?? [])
        {
            parameters.Add(new JsonObject { ["name"] = name, ["in"] = "query", ["schema"] = schema!.DeepClone() });
        }

        if (parameters.Count > 0)
        {
            operation["parameters"] = parameters;
        }

        if (endpoint.Metadata.GetMetadata<IAcceptsMetadata>()?.RequestType is { } request)
        {
            operation["requestBody"] = new JsonObject { ["required"] = true, ["content"] = Content("application/json", SchemaOf(request, schemas)) };
        }

        var responses = new JsonObject();
        foreach (var answer in endpoint.Metadata.GetOrderedMetadata<IProducesResponseTypeMetadata>())
        {
            var response = new JsonObject { ["description"] = answer.StatusCode == 201 ? "Made." : "Done." };
            if (answer.Type is { } type && type != typeof(void))
            {
                response["content"] = Content("application/json", SchemaOf(type, schemas));
            }
            else if (answer.ContentTypes.FirstOrDefault() is { } content)
            {
                response["content"] = Content(content, new JsonObject { ["type"] = "string" });
            }

            responses[$"{answer.StatusCode}"] = response;
        }

        responses["default"] = new JsonObject
        {
            ["description"] = "An error; its type is urn:swarm:error: and an id that never changes its meaning.",
            ["content"] = Content("application/problem+json", SchemaOf(typeof(ProblemBody), schemas)),
        };
        operation["responses"] = responses;
        operation["security"] = endpoint.Metadata.GetMetadata<OpenRoute>() is null ? new JsonArray(new JsonObject { ["token"] = new JsonArray() }) : new JsonArray();
        return operation;
    }

    private static JsonObject Content(string type, JsonNode schema) => new() { [type] = new JsonObject { ["schema"] = schema } };

    /// <summary>A reference to the schema of a wire type, which is made once.</summary>
    private static JsonObject SchemaOf(Type type, JsonObject schemas)
    {
        if (!schemas.ContainsKey(type.Name))
        {
            var schema = HubJson.Default.Options.GetTypeInfo(type).GetJsonSchemaAsNode(Exporting);
            Loosen(schema);
            Relocate(schema, $"#/components/schemas/{type.Name}");
            schemas[type.Name] = schema;
        }

        return new() { ["$ref"] = $"#/components/schemas/{type.Name}" };
    }

    /// <summary>What a converter writes is not seen by the exporter.</summary>
    private static JsonNode Describe(JsonSchemaExporterContext context, JsonNode schema)
    {
        var type = Nullable.GetUnderlyingType(context.TypeInfo.Type) ?? context.TypeInfo.Type;
        var isNullable = type != context.TypeInfo.Type;
        JsonNode Of(JsonObject plain)
        {
            if (isNullable)
            {
                plain["type"] = new JsonArray("string", "null");
            }

            return plain;
        }

        return type == typeof(DateTimeOffset) ? Of(new() { ["type"] = "string", ["format"] = "date-time" })
            : type.IsEnum ? Of(new() { ["type"] = "string" })
            : schema;
    }

    /// <summary>What may be null may be left out: the exporter takes every parameter of a constructor for required.</summary>
    private static void Loosen(JsonNode? node)
    {
        foreach (var child in node switch { JsonObject json => json.Select(m => m.Value), JsonArray list => list, _ => [] })
        {
            Loosen(child);
        }

        if (node is JsonObject schema && schema["required"] is JsonArray required && schema["properties"] is JsonObject properties)
        {
            string[] needed = [.. required.Select(n => (string)n!).Where(n => properties[n] is not JsonObject { } member || !MayBeNull(member))];
            schema.Remove("required");
            if (needed.Length > 0)
            {
                schema["required"] = new JsonArray([.. needed.Select(n => JsonValue.Create(n))]);
            }
        }

        // Without a type, anything will do.
        static bool MayBeNull(JsonObject member) =>
            member["type"] is JsonArray types ? types.Any(t => (string)t! == "null") : member["type"] is null && member["$ref"] is null;
    }

    /// <summary>The exporter's references begin at the schema; in the document they begin elsewhere.</summary>
    private static void Relocate(JsonNode? node, string at)
    {
        switch (node)
        {
            case JsonObject json:
                if (json["$ref"] is JsonValue reference && reference.GetValue<string>() is ['#', .. var rest])
                {
                    json["$ref"] = at + rest;
                }

                foreach (var (_, child) in json)
                {
                    Relocate(child, at);
                }

                break;
            case JsonArray list:
                foreach (var child in list)
                {
                    Relocate(child, at);
                }

                break;
        }
    }

    /// <summary>A route as OpenAPI writes it: without constraints.</summary>
    private static string PathOf(RoutePattern pattern) =>
        "/" + string.Join('/', pattern.PathSegments.Select(s => string.Concat(s.Parts.Select(p => p switch
        {
            RoutePatternLiteralPart literal => literal.Content,
            RoutePatternParameterPart parameter => $"{{{parameter.Name}}}",
            _ => "",
        }))));

    private static JsonObject Read(string name)
    {
        using var stream = typeof(ApiDescription).Assembly.GetManifestResourceStream($"Swarm.Api.OpenApi.{name}")!;
        return JsonNode.Parse(stream)!.AsObject();
    }
}
