using System.Net.Http.Headers;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Mvc.Testing;
using Microsoft.AspNetCore.TestHost;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Npgsql;
using Swarm.Api.Protocols.AgentSwarm;
using Swarm.Core;
using Swarm.Core.Storage;

namespace Swarm.Tests.Infrastructure;

/// <summary>One replica of the Api in this process. Several may share a database, which makes them a node of several replicas.</summary>
internal sealed class NodeHost : WebApplicationFactory<AgentSwarmOptions>
{
    private readonly string _connectionString;
    private readonly string _dataFolder;
    private readonly bool _ownsFolder;
    private readonly string? _redis;
    private readonly IReadOnlyDictionary<string, string> _settings;
    private readonly TimeProvider? _time;
    private readonly Action<IServiceCollection>? _replace;
    private NpgsqlDataSource? _database;

    private NodeHost(
        string connectionString, string? dataFolder, string? redis, TimeProvider? time, IReadOnlyDictionary<string, string>? settings,
        Action<IServiceCollection>? replace)
    {
        _replace = replace;
        _settings = settings ?? new Dictionary<string, string>();
        _connectionString = connectionString;
        _ownsFolder = dataFolder is null;
        _dataFolder = dataFolder ?? Directory.CreateTempSubdirectory("swarm-node-").FullName;
        _redis = redis;
        _time = time;
    }

    /// <summary>A client of the doors, without any token.</summary>
    public HttpClient Http { get; private set; } = null!;

    /// <summary>A client of the Hub API with the operator's token.</summary>
    public HttpClient Hub { get; private set; } = null!;

    /// <summary>The node's database, past the product.</summary>
    public NpgsqlDataSource Database => _database ??= NpgsqlDataSource.Create(_connectionString);

    public string ConnectionString => _connectionString;

    public string DataFolder => _dataFolder;

    /// <summary>Starts a node of one replica on a new database.</summary>
    /// <param name="dataFolder">A folder that another node has used; null for a new one.</param>
    /// <param name="replace">Puts something else in the place of a service of the product.</param>
    public static async Task<NodeHost> StartAsync(
        PostgresFixture postgres, string? redis = null, TimeProvider? time = null, string? dataFolder = null,
        IReadOnlyDictionary<string, string>? settings = null, Action<IServiceCollection>? replace = null)
    {
        var host = new NodeHost(await postgres.CreateMigratedDatabaseAsync(), dataFolder, redis, time, settings, replace);
        await host.OpenAsync();
        return host;
    }

    /// <summary>Starts one more replica of the same node.</summary>
    /// <param name="time">Its clock; null for that of the first.</param>
    public async Task<NodeHost> StartReplicaAsync(TimeProvider? time = null)
    {
        var replica = new NodeHost(_connectionString, _dataFolder, _redis, time ?? _time, _settings, null);
        await replica.OpenAsync();
        return replica;
    }

    public T Get<T>()
        where T : notnull => Services.GetRequiredService<T>();

    /// <summary>A client of the Hub API with an agent's token, or with none.</summary>
    public HttpClient ClientOf(string? token)
    {
        var client = CreateClient();
        client.DefaultRequestHeaders.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        return client;
    }

    public async Task<T> ScalarAsync<T>(string sql)
    {
        await using var command = Database.CreateCommand(sql);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    public async Task ExecuteAsync(string sql)
    {
        await using var command = Database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    /// <summary>Puts other text into a function of the database.</summary>
    public async Task ReplaceAsync(string function, string right, string wrong)
    {
        var text = await ScalarAsync<string>($"select pg_get_functiondef('{function}'::regproc)");
        Assert.Contains(right, text, StringComparison.Ordinal);
        await ExecuteAsync(text.Replace(right, wrong, StringComparison.Ordinal));
    }

    protected override void ConfigureWebHost(IWebHostBuilder builder)
    {
        builder.UseSetting("ConnectionStrings:swarm", _connectionString + ";Maximum Pool Size=20");
        builder.UseSetting("Swarm:MasterKey", NodeProcess.MasterKey);
        builder.UseSetting("Swarm:DataFolder", _dataFolder);
        builder.UseSetting("Logging:LogLevel:Default", "Warning");
        if (_redis is not null)
        {
            builder.UseSetting("ConnectionStrings:redis", _redis);
        }

        foreach (var (name, value) in _settings)
        {
            builder.UseSetting(name, value);
        }

        builder.ConfigureTestServices(services =>
        {
            SharedModel.AddTo(services);

            // What the Worker does, for tests that do it step by step.
            services.AddSwarmDelivery();
            if (_time is not null)
            {
                services.RemoveAll<TimeProvider>();
                services.AddSingleton(_time);
            }

            _replace?.Invoke(services);
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

        if (_ownsFolder)
        {
            Directory.Delete(_dataFolder, recursive: true);
        }
    }

    private async Task OpenAsync()
    {
        Http = CreateClient();
        Hub = ClientOf((await File.ReadAllTextAsync(Path.Combine(_dataFolder, "operator.token"))).Trim());
    }
}
