using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Npgsql;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core.Storage;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Doors;

/// <summary>The whole Api in this process over a database of its own, with a clock that the test sets.</summary>
internal sealed class TestNode : WebApplicationFactory<AgentSwarmOptions>
{
    private static readonly string[] Tables = ["agents", "swarms", "members", "invites", "mailboxes", "message_ids", "messages", "deliveries"];

    private readonly string _connectionString;
    private readonly bool _isReference;
    private readonly IReadOnlyDictionary<string, string> _settings;
    private readonly string _dataFolder = Directory.CreateTempSubdirectory("swarm-node-").FullName;
    private NpgsqlDataSource? _database;

    private TestNode(string connectionString, DateTimeOffset now, bool isReference, IReadOnlyDictionary<string, string>? settings)
    {
        _settings = settings ?? new Dictionary<string, string>();
        _connectionString = connectionString;
        _isReference = isReference;
        Time = new SettableTime(now);
    }

    public SettableTime Time { get; }

    /// <summary>A client of the doors, without any token.</summary>
    public HttpClient Http { get; private set; } = null!;

    /// <summary>A client of the Hub API with the operator's token.</summary>
    public HttpClient Hub { get; private set; } = null!;

    /// <summary>Where raw bytes can be sent, when the node listens.</summary>
    public Uri Address => Http.BaseAddress!;

    public NpgsqlDataSource Database => _database ??= NpgsqlDataSource.Create(_connectionString);

    /// <summary>Starts a node on a new database.</summary>
    /// <param name="postgres">Where the database is made.</param>
    /// <param name="now">What the node's clock says.</param>
    /// <param name="isReference">Whether the door checks as little as the reference does.</param>
    /// <param name="listens">Whether it listens on a port as well, so that raw bytes can be sent; see <see cref="Address"/>.</param>
    /// <param name="settings">Further configuration.</param>
    public static async Task<TestNode> StartAsync(
        PostgresFixture postgres, DateTimeOffset? now = null, bool isReference = false, bool listens = false,
        IReadOnlyDictionary<string, string>? settings = null)
    {
        var node = new TestNode(await postgres.CreateMigratedDatabaseAsync(), now ?? TimeProvider.System.GetUtcNow(), isReference, settings);
        if (listens)
        {
            node.UseKestrel();
            node.StartServer();
        }

        node.Http = node.CreateClient();
        node.Hub = node.CreateClient();
        var token = (await File.ReadAllTextAsync(Path.Combine(node._dataFolder, "operator.token"))).Trim();
        node.Hub.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return node;
    }

    /// <summary>Creates an agent by the Hub API.</summary>
    public Task<JsonElement> CreateAgentAsync(object agent) => HubAsync(HttpMethod.Post, "/hub/v1/agents", agent);

    /// <summary>Calls the Hub API and fails on anything but success.</summary>
    public async Task<JsonElement> HubAsync(HttpMethod method, string path, object? body = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = body is null ? null : JsonContent.Create(body) };
        using var answer = await Hub.SendAsync(request);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.IsSuccessStatusCode, $"{method} {path}: {(int)answer.StatusCode} {text}");
        return text.Length == 0 ? default : JsonElement.Parse(text);
    }

    /// <summary>How many rows each table of substance has, so that a test can say that nothing changed.</summary>
    public async Task<IReadOnlyDictionary<string, long>> CountRowsAsync()
    {
        await using var command = Database.CreateCommand(string.Join(" union all ", Tables.Select(table => $"select '{table}', count(*) from {table}")));
        await using var reader = await command.ExecuteReaderAsync();
        var counts = new SortedDictionary<string, long>(StringComparer.Ordinal);
        while (await reader.ReadAsync())
        {
            counts[reader.GetString(0)] = reader.GetInt64(1);
        }

        return counts;
    }

    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        builder.UseSetting("ConnectionStrings:swarm", _connectionString);
        builder.UseSetting("Swarm:MasterKey", Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)));
        builder.UseSetting("Swarm:DataFolder", _dataFolder);
        builder.UseSetting("AgentSwarm:Compatibility", _isReference ? "Reference" : "Strict");
        builder.UseSetting("Logging:LogLevel:Default", "Warning");
        foreach (var endpoint in new[] { "http", "https", "grpc" })
        {
            builder.UseSetting($"Kestrel:Endpoints:{endpoint}:Url", "http://127.0.0.1:0");
            builder.UseSetting($"Kestrel:Endpoints:{endpoint}:Protocols", "Http1");
        }

        foreach (var (name, value) in _settings)
        {
            builder.UseSetting(name, value);
        }

        builder.ConfigureTestServices(services =>
        {
            SharedModel.AddTo(services);
            services.RemoveAll<TimeProvider>();
            services.AddSingleton<TimeProvider>(Time);
        });
    }

    public override async ValueTask DisposeAsync()
    {
        Http?.Dispose();
        Hub?.Dispose();
        await base.DisposeAsync();
        if (_database is not null)
        {
            await _database.DisposeAsync();
        }

        Directory.Delete(_dataFolder, recursive: true);
    }
}
