using Npgsql;
using Swarm.Core.Storage;

namespace Swarm.Tests.Infrastructure;

/// <summary>
/// One Postgres for the whole test run, shared by every class and collection that takes this fixture: a private one, or the one
/// that the environment variable SWARM_TEST_POSTGRES names. Tests make a database each.
/// </summary>
public sealed class PostgresFixture : IAsyncLifetime
{
    private static Lazy<Task<string>>? template;
    private string? _server;

    /// <summary>Connection string of a superuser, to the database <c>postgres</c>.</summary>
    public string ServerConnectionString => _server ?? throw new InvalidOperationException("The fixture is not initialized.");

    public async Task InitializeAsync()
    {
        var server = Environment.GetEnvironmentVariable("SWARM_TEST_POSTGRES") is { Length: > 0 } given ? given : await PrivateServers.PostgresAsync();
        _server = new NpgsqlConnectionStringBuilder(server) { Database = "postgres" }.ConnectionString;
    }

    /// <summary>Makes an empty database.</summary>
    /// <returns>Its connection string.</returns>
    public Task<string> CreateDatabaseAsync() => CreateAsync("template1");

    /// <summary>Makes a database with the schema of this release: a copy of one that was migrated once for the whole test run.</summary>
    /// <returns>Its connection string.</returns>
    public async Task<string> CreateMigratedDatabaseAsync()
    {
        var made = LazyInitializer.EnsureInitialized(ref template, () => new(MakeTemplateAsync));
        return await CreateAsync(await made.Value);
    }

    private async Task<string> MakeTemplateAsync()
    {
        // Without a pool: what has connections cannot be copied.
        var connectionString = await CreateDatabaseAsync();
        await using (var database = NpgsqlDataSource.Create(connectionString + ";Pooling=false"))
        {
            await new Migrator(database, TimeProvider.System).MigrateAsync(CancellationToken.None);
        }

        return new NpgsqlConnectionStringBuilder(connectionString).Database!;
    }

    private async Task<string> CreateAsync(string from)
    {
        var name = $"test_{Guid.NewGuid():N}";
        await using var connection = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(ServerConnectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await using var create = new NpgsqlCommand($"CREATE DATABASE {name} TEMPLATE {from}", connection);
        await create.ExecuteNonQueryAsync();
        return new NpgsqlConnectionStringBuilder(ServerConnectionString) { Database = name }.ConnectionString;
    }

    /// <summary>The server is shared, and ends with the test run.</summary>
    public Task DisposeAsync() => Task.CompletedTask;
}

/// <summary>For classes that want the fixture and no parallel run beside each other.</summary>
[CollectionDefinition(Name)]
public sealed class PostgresCollection : ICollectionFixture<PostgresFixture>
{
    public const string Name = "postgres";
}
