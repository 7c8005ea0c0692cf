using Npgsql;

namespace Swarm.Tests.Infrastructure;

/// <summary>Holds a lock in an open transaction, so that whoever needs the row waits at a known point until it is released.</summary>
internal sealed class HeldRow : IAsyncDisposable
{
    private static readonly TimeSpan Limit = TimeSpan.FromSeconds(20);

    private readonly NpgsqlDataSource _database;
    private readonly NpgsqlConnection _connection;
    private readonly NpgsqlTransaction _transaction;

    private HeldRow(NpgsqlDataSource database, NpgsqlConnection connection, NpgsqlTransaction transaction) =>
        (_database, _connection, _transaction) = (database, connection, transaction);

    /// <summary>Runs the statements in a transaction that stays open.</summary>
    public static async Task<HeldRow> TakeAsync(NpgsqlDataSource database, string sql)
    {
        var connection = await database.OpenConnectionAsync();
        var transaction = await connection.BeginTransactionAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
        return new(database, connection, transaction);
    }

    /// <summary>Holds a recipient's counter, so that a batch for it stays open in its commit.</summary>
    public static Task<HeldRow> MailboxAsync(NpgsqlDataSource database, string agent) =>
        TakeAsync(database, $"select 1 from mailboxes where recipient_no = (select agent_no from agents where name = '{agent}') for update");

    /// <summary>Returns when that many others of this database wait for a lock.</summary>
    public Task WaitersAsync(int count) => Eventually.TrueAsync(
        $"{count} wait for the lock",
        async () =>
        {
            await using var command = _database.CreateCommand(
                "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'");
            return (long)(await command.ExecuteScalarAsync())! >= count;
        },
        Limit);

    /// <summary>Keeps what was done, and lets the others go on.</summary>
    public Task CommitAsync() => _transaction.CommitAsync();

    /// <summary>Lets the others go on.</summary>
    public async ValueTask DisposeAsync()
    {
        await _transaction.DisposeAsync();
        await _connection.DisposeAsync();
    }
}
