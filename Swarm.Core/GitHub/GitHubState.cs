using Npgsql;
using NpgsqlTypes;

namespace Swarm.Core.GitHub;

/// <summary>How far a feed of a repository was read.</summary>
/// <param name="Baseline">When it was first read; what was before is never told.</param>
/// <param name="Position">A time or a number of GitHub's, by feed.</param>
/// <param name="Url">Of the last answer that <paramref name="ETag"/> belongs to, when nothing in it was new.</param>
public sealed record FeedState(DateTimeOffset Baseline, string Position, string? Url, string? ETag);

/// <summary>Something that happened on GitHub and is to be told to one coordinator.</summary>
/// <param name="Key">The same event never has two.</param>
/// <param name="Notice">What is sent, JSON.</param>
/// <param name="IsSilent">Only recorded as known; nobody is told.</param>
public sealed record GitHubEvent(
    string Key, string Repo, long Number, string EventType, string Url, string Coordinator, string Notice, bool IsSilent);

/// <param name="Attempts">How often it was tried, this time included.</param>
public sealed record PendingEvent(
    long No, string Key, string Repo, long Number, string EventType, string Url, string Coordinator, string Notice, int Attempts);

/// <summary>
/// What the GitHub monitor knows, across restarts and Workers (ASP §18): events are stored with the position that they moved, and sent from
/// there, so neither a crash nor a failed send loses or repeats one.
/// </summary>
public sealed class GitHubState(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>How long an event is remembered. GitHub must not show older ones as new.</summary>
    public static readonly TimeSpan KeptFor = TimeSpan.FromDays(30);

    /// <summary>At most one notice about an issue in this time.</summary>
    public static readonly TimeSpan PerIssueInterval = TimeSpan.FromMinutes(5);

    /// <summary>At most so many notices about an issue in an hour.</summary>
    public const int PerIssueHourlyMax = 10;

    /// <summary>How long a Worker has to send what it took.</summary>
    public static readonly TimeSpan LeaseTime = TimeSpan.FromMinutes(2);

    /// <summary>The pause after the first failed send; it doubles, up to <see cref="BackoffMax"/>.</summary>
    public static readonly TimeSpan BackoffFirst = TimeSpan.FromSeconds(30);

    public static readonly TimeSpan BackoffMax = TimeSpan.FromHours(1);

    private const long AdvisoryLock = 0x53_57_41_52_4D_02; // "SWARM" 2

    /// <summary>Lets one Worker at a time poll; null when another does.</summary>
    public async Task<IAsyncDisposable?> TryLockAsync(CancellationToken cancellation)
    {
        var connection = await database.OpenConnectionAsync(cancellation);
        try
        {
            await using var command = new NpgsqlCommand($"select pg_try_advisory_lock({AdvisoryLock})", connection);
            if ((bool)(await command.ExecuteScalarAsync(cancellation))!)
            {
                return new Held(connection);
            }
        }
        catch
        {
            await connection.DisposeAsync();
            throw;
        }

        await connection.DisposeAsync();
        return null;
    }

    /// <summary>When the last poll began, and until when GitHub asked to wait.</summary>
    public async Task<(DateTimeOffset? LastPoll, DateTimeOffset? PausedUntil)> ReadAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select last_poll_at, paused_until from github_monitor");
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation)
            ? (reader.IsDBNull(0) ? null : reader.GetFieldValue<DateTimeOffset>(0), reader.IsDBNull(1) ? null : reader.GetFieldValue<DateTimeOffset>(1))
            : (null, null);
    }

    public Task PolledAsync(CancellationToken cancellation) => SetAsync("last_poll_at", time.GetUtcNow(), cancellation);

    public Task PauseAsync(DateTimeOffset until, CancellationToken cancellation) => SetAsync("paused_until", until, cancellation);

    /// <summary>Null for a feed that was never read.</summary>
    public async Task<FeedState?> FindFeedAsync(string repo, string feed, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select baseline, position, url, etag from github_feeds where repo = $1 and feed = $2");
        command.Parameters.Add(new() { Value = repo });
        command.Parameters.Add(new() { Value = feed });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation)
            ? new(
                reader.GetFieldValue<DateTimeOffset>(0), reader.GetString(1), reader.IsDBNull(2) ? null : reader.GetString(2),
                reader.IsDBNull(3) ? null : reader.GetString(3))
            : null;
    }

    /// <summary>Which of these are known already.</summary>
    public async Task<IReadOnlySet<string>> KnownAsync(IReadOnlyCollection<string> keys, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select event_key from github_events where event_key = any ($1)");
        command.Parameters.Add(new() { Value = keys.ToArray() });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var known = new HashSet<string>(StringComparer.Ordinal);
        while (await reader.ReadAsync(cancellation))
        {
            known.Add(reader.GetString(0));
        }

        return known;
    }

    /// <summary>Stores events, oldest first, and the position that they moved, or neither.</summary>
    public async Task SaveAsync(string repo, string feed, FeedState state, IReadOnlyList<GitHubEvent> events, CancellationToken cancellation)
    {
        var now = time.GetUtcNow().UtcDateTime;
        await using var connection = await database.OpenConnectionAsync(cancellation);
        await using var transaction = await connection.BeginTransactionAsync(cancellation);
        foreach (var found in events)
        {
            await using var insert = new NpgsqlCommand(
                """
                insert into github_events (event_key, repo, number, coordinator, notice, event_type, url, found_at, state, due_at)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $8) on conflict (event_key) do nothing
                """,
                connection);
            insert.Parameters.Add(new() { Value = found.Key });
            insert.Parameters.Add(new() { Value = found.Repo });
            insert.Parameters.Add(new() { Value = found.Number });
            insert.Parameters.Add(new() { Value = found.Coordinator });
            insert.Parameters.Add(new() { Value = found.Notice });
            insert.Parameters.Add(new() { Value = found.EventType });
            insert.Parameters.Add(new() { Value = found.Url });
            insert.Parameters.Add(new() { Value = now });
            insert.Parameters.Add(new() { Value = (short)(found.IsSilent ? 2 : 0) });
            await insert.ExecuteNonQueryAsync(cancellation);
        }

        await using var update = new NpgsqlCommand(
            """
            insert into github_feeds (repo, feed, baseline, position, url, etag) values ($1, $2, $3, $4, $5, $6)
            on conflict (repo, feed) do update set position = excluded.position, url = excluded.url, etag = excluded.etag
            """,
            connection);
        update.Parameters.Add(new() { Value = repo });
        update.Parameters.Add(new() { Value = feed });
        update.Parameters.Add(new() { Value = state.Baseline.UtcDateTime });
        update.Parameters.Add(new() { Value = state.Position });
        update.Parameters.Add(new() { Value = state.Url is null ? DBNull.Value : state.Url, NpgsqlDbType = NpgsqlDbType.Text });
        update.Parameters.Add(new() { Value = state.ETag is null ? DBNull.Value : state.ETag, NpgsqlDbType = NpgsqlDbType.Text });
        await update.ExecuteNonQueryAsync(cancellation);
        await transaction.CommitAsync(cancellation);
    }

    /// <summary>
    /// Takes the next event that may be told now: in order within an issue, and not more often about one than allowed. Who took it and does not
    /// settle it within <see cref="LeaseTime"/> leaves it to somebody else.
    /// </summary>
    public async Task<PendingEvent?> TakeAsync(CancellationToken cancellation)
    {
        var now = time.GetUtcNow();
        await using var command = database.CreateCommand(
            """
            update github_events e set attempts = attempts + 1, due_at = $2
            where event_no = (
                select p.event_no from github_events p
                where p.state = 0 and p.due_at <= $1
                  and not exists (select 1 from github_events o where o.state = 0 and o.repo = p.repo and o.number = p.number and o.event_no < p.event_no)
                  and not exists (select 1 from github_events s where s.repo = p.repo and s.number = p.number and s.sent_at > $3)
                  and (select count(*) from github_events s where s.repo = p.repo and s.number = p.number and s.sent_at > $4) < $5
                order by p.event_no limit 1 for update skip locked)
            returning event_no, event_key, repo, number, event_type, url, coordinator, notice, attempts
            """);
        command.Parameters.Add(new() { Value = now.UtcDateTime });
        command.Parameters.Add(new() { Value = (now + LeaseTime).UtcDateTime });
        command.Parameters.Add(new() { Value = (now - PerIssueInterval).UtcDateTime });
        command.Parameters.Add(new() { Value = now.AddHours(-1).UtcDateTime });
        command.Parameters.Add(new() { Value = (long)PerIssueHourlyMax });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        return await reader.ReadAsync(cancellation)
            ? new(
                reader.GetInt64(0), reader.GetString(1), reader.GetString(2), reader.GetInt64(3), reader.GetString(4), reader.GetString(5), reader.GetString(6),
                reader.GetString(7), reader.GetInt32(8))
            : null;
    }

    public async Task SentAsync(PendingEvent sent, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("update github_events set state = 1, sent_at = $2, last_error = null where event_no = $1");
        command.Parameters.Add(new() { Value = sent.No });
        command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>It is tried again after a pause.</summary>
    public async Task FailedAsync(PendingEvent failed, string reason, CancellationToken cancellation)
    {
        var pause = BackoffFirst * Math.Pow(2, Math.Min(failed.Attempts - 1, 10));
        await using var command = database.CreateCommand("update github_events set due_at = $2, last_error = $3 where event_no = $1 and state = 0");
        command.Parameters.Add(new() { Value = failed.No });
        command.Parameters.Add(new() { Value = (time.GetUtcNow() + (pause < BackoffMax ? pause : BackoffMax)).UtcDateTime });
        command.Parameters.Add(new() { Value = reason });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    /// <summary>Forgets events older than <see cref="KeptFor"/>; returns how many of these nobody could be told.</summary>
    public async Task<long> PruneAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            "with old as (delete from github_events where found_at < $1 returning state) select count(*) filter (where state = 0) from old");
        command.Parameters.Add(new() { Value = (time.GetUtcNow() - KeptFor).UtcDateTime });
        return (long)(await command.ExecuteScalarAsync(cancellation))!;
    }

    /// <summary>Forgets everything: the next poll begins anew.</summary>
    public async Task ResetAsync(CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("delete from github_events; delete from github_feeds; delete from github_monitor");
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private async Task SetAsync(string column, DateTimeOffset at, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            $"insert into github_monitor ({column}) values ($1) on conflict (only_row) do update set {column} = excluded.{column}");
        command.Parameters.Add(new() { Value = at.UtcDateTime });
        await command.ExecuteNonQueryAsync(cancellation);
    }

    private sealed class Held(NpgsqlConnection connection) : IAsyncDisposable
    {
        /// <summary>A pooled connection would keep the lock, so it is given back by hand.</summary>
        public async ValueTask DisposeAsync()
        {
            try
            {
                await using var command = new NpgsqlCommand($"select pg_advisory_unlock({AdvisoryLock})", connection);
                await command.ExecuteNonQueryAsync(CancellationToken.None);
            }
            catch (NpgsqlException)
            {
                // With the connection the lock is gone.
            }
            finally
            {
                await connection.DisposeAsync();
            }
        }
    }
}
