using Npgsql;
using Swarm.Core.Identity;
using Swarm.Core.Presence;
using Swarm.Core.Storage;
using Swarm.Tests.Doors;
using Swarm.Tests.Infrastructure;

namespace Swarm.Tests.Presence;

public sealed class LastSeenTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>, IAsyncLifetime
{
    private static readonly AgentId Alice = new(1);
    private static readonly AgentId Bob = new(2);

    private readonly SettableTime _time = new(new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero));
    private NpgsqlDataSource _database = null!;

    public async Task InitializeAsync()
    {
        _database = NpgsqlDataSource.Create(await postgres.CreateMigratedDatabaseAsync());
    }

    public async Task DisposeAsync() => await _database.DisposeAsync();

    [Fact]
    public async Task One_replica_writes_and_another_reads()
    {
        var (one, two) = (Replica(), Replica());
        one.Note(Alice);
        Assert.Equal(_time.Now, (await one.FindAsync([Alice, Bob], default))[Alice]); // It knows before it has written.
        Assert.Empty(await two.FindAsync([Alice, Bob], default));

        Assert.Equal(1, await one.FlushAsync(default));

        Assert.Equal([Alice], (await two.FindAsync([Alice, Bob], default)).Keys);
    }

    [Fact]
    public async Task An_agent_is_written_at_most_once_in_thirty_seconds()
    {
        var seen = Replica();
        var writes = 0;
        for (var second = 0; second < 90; second++)
        {
            seen.Note(Alice);
            seen.Note(Alice);
            writes += await seen.FlushAsync(default);
            _time.Now += TimeSpan.FromSeconds(1);
        }

        Assert.Equal(3, writes);
    }

    [Fact]
    public async Task An_older_sight_does_not_overwrite_a_newer()
    {
        var (one, two) = (Replica(), Replica());
        two.Note(Alice); // And is slow to write.
        var newer = _time.Now += TimeSpan.FromSeconds(10);
        one.Note(Alice);
        await one.FlushAsync(default);
        await two.FlushAsync(default);

        Assert.Equal(newer, (await Replica().FindAsync([Alice], default))[Alice]);
    }

    [Fact]
    public async Task Online_ends_after_the_third_missed_write()
    {
        var seen = Replica();
        seen.Note(Alice);
        var at = (await seen.FindAsync([Alice], default))[Alice];

        _time.Now += LastSeen.OnlineFor;
        Assert.True(seen.IsOnline(at));
        _time.Now += TimeSpan.FromMilliseconds(1);
        Assert.False(seen.IsOnline(at));
    }

    [Fact]
    public async Task What_waits_goes_in_batches_and_survives_a_database_that_is_away()
    {
        var seen = Replica();
        for (var i = 1; i <= LastSeen.BatchMax + 1; i++)
        {
            seen.Note(new AgentId(i));
        }

        await using (var lockTable = _database.CreateCommand("alter table presence rename to away"))
        {
            await lockTable.ExecuteNonQueryAsync();
        }

        await Assert.ThrowsAsync<PostgresException>(() => seen.FlushAsync(default));
        await using (var back = _database.CreateCommand("alter table away rename to presence"))
        {
            await back.ExecuteNonQueryAsync();
        }

        Assert.Equal(LastSeen.BatchMax, await seen.FlushAsync(default));
        Assert.Equal(1, await seen.FlushAsync(default));
        Assert.Equal(0, await seen.FlushAsync(default));
        Assert.Equal(LastSeen.BatchMax + 1, (await Replica().FindAsync(Enumerable.Range(1, LastSeen.BatchMax + 1).Select(i => new AgentId(i)), default)).Count);
    }

    private LastSeen Replica() => new(_database, _time);
}
