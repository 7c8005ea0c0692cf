using Npgsql;
using Swarm.Core.Storage;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Storage;

/// <summary>Migrations go forward only, race safely, and stop the start when the schema is not the one of this release (design §4).</summary>
[Collection(PostgresCollection.Name)]
public sealed class MigrationTests(PostgresFixture postgres) : IAsyncLifetime
{
    private NpgsqlDataSource _database = null!;

    public async Task InitializeAsync() => _database = NpgsqlDataSource.Create(await postgres.CreateDatabaseAsync());

    public async Task DisposeAsync() => await _database.DisposeAsync();

    [Fact]
    public async Task Many_starts_at_once_apply_each_migration_once_and_a_later_one_nothing()
    {
        var applied = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => Task.Run(MigrateAsync)));
        var now = Assert.Single(applied, a => a.Count > 0);
        Assert.Equal(now.Order(StringComparer.Ordinal), now);
        Assert.Empty(await MigrateAsync());
        await CheckAsync();
    }

    [Fact]
    public async Task A_changed_migration_is_refused()
    {
        await MigrateAsync();
        await ExecuteAsync("update migrations set checksum = '\\x00'");
        Assert.Contains("was changed after it was applied", (await Assert.ThrowsAsync<StorageException>(MigrateAsync)).Message, StringComparison.Ordinal);
        Assert.Contains("was changed after it was applied", (await Assert.ThrowsAsync<StorageException>(CheckAsync)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_migration_of_a_newer_release_is_refused()
    {
        await MigrateAsync();
        await ExecuteAsync("insert into migrations values ('9999_later', '\\x00', now())");
        Assert.Contains("9999_later, which this release does not know", (await Assert.ThrowsAsync<StorageException>(MigrateAsync)).Message, StringComparison.Ordinal);
        Assert.Contains("9999_later, which this release does not know", (await Assert.ThrowsAsync<StorageException>(CheckAsync)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_schema_that_lacks_a_migration_is_refused_at_the_start()
    {
        Assert.Contains("has no schema yet", (await Assert.ThrowsAsync<StorageException>(CheckAsync)).Message, StringComparison.Ordinal);
        await MigrateAsync();
        await ExecuteAsync("delete from migrations");
        Assert.Contains("lacks the migration 0001", (await Assert.ThrowsAsync<StorageException>(CheckAsync)).Message, StringComparison.Ordinal);
    }

    /// <summary>
    /// What a node in the field has applied must stay as it was: <c>Migrations/released.sha256</c> (made by sha256sum) names each released
    /// file. A test that fails here asks for a new migration, never for a new sum; a release adds its files' lines.
    /// </summary>
    [Fact]
    public async Task Released_migrations_are_what_they_were()
    {
        await MigrateAsync();
        var released = await File.ReadAllLinesAsync(Path.Combine(AppContext.BaseDirectory, "released.sha256"));
        Assert.NotEmpty(released);
        await using var command = _database.CreateCommand("select encode(checksum, 'hex') || '  ' || name || '.sql' from migrations order by name");
        await using var reader = await command.ExecuteReaderAsync();
        var applied = new List<string>();
        while (await reader.ReadAsync())
        {
            applied.Add(reader.GetString(0));
        }

        Assert.Equal(released, applied.Take(released.Length));
    }

    private Task<IReadOnlyList<string>> MigrateAsync() => new Migrator(_database, TimeProvider.System).MigrateAsync(default);

    private async Task CheckAsync() => await new StartupChecks(_database, new StorageOptions()).RunAsync(default);

    private async Task ExecuteAsync(string sql)
    {
        await using var command = _database.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
