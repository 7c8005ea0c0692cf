using Npgsql;
using Swarm.Core;
using Swarm.Core.Storage;

namespace Swarm.Tests.Storage;

/// <summary>What counts as the database's failure, so that a caller may come again and a loop goes on.</summary>
public sealed class DatabaseFailureTests
{
    [Fact]
    public async Task Whatever_came_through_the_driver_is_the_databases()
    {
        var closed = NpgsqlDataSource.Create("Host=127.0.0.1;Port=1");
        await closed.DisposeAsync();
        var odd = await Assert.ThrowsAsync<ObjectDisposedException>(async () => await closed.OpenConnectionAsync());

        Assert.True(DatabaseFailure.Is(odd));
        Assert.True(DatabaseFailure.Is(new InvalidOperationException("wrapped", odd)));
    }

    [Fact]
    public void Its_own_exceptions_and_those_of_its_connection_are_too()
    {
        Exception[] failures = [new NpgsqlException(), new PostgresException("", "", "", ""), new TimeoutException(), new IOException(), new StorageException("full")];
        Assert.All(failures, e => Assert.True(DatabaseFailure.Is(e) && DatabaseFailure.Is(new InvalidOperationException("wrapped", e))));
    }

    [Fact]
    public void A_fault_of_our_own_a_refusal_and_the_end_of_waiting_are_not()
    {
        Exception[] others =
        [
            Thrown(() => throw new ObjectDisposedException("ours")), new InvalidOperationException(), new SwarmException(SwarmError.InvalidRequest),
            new OperationCanceledException("", new TimeoutException()),
        ];
        Assert.All(others, e => Assert.False(DatabaseFailure.Is(e), $"{e}"));
        Assert.False(DatabaseFailure.Is(null));
    }

    private static Exception Thrown(Action act) => Record.Exception(act)!;
}
