using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Swarm.Core.Audit;
using Swarm.Core.Capabilities.Authorization;
using Swarm.Core.Capabilities.Certificates;
using Swarm.Core.Storage;

namespace Swarm.Core.Capabilities.Gateway;

/// <summary>
/// One writer a replica, as for messages (design §3, group commit): takes the authorizations that wait when the last commit returned, looks for
/// revocations, consumes all nonces of each or none, keeps their events, and answers after the commit.
/// </summary>
public sealed partial class AuthorizationLedger(NpgsqlDataSource database, TimeProvider time, ILogger<AuthorizationLedger> logger) : BackgroundService
{
    /// <summary>The most authorizations of a commit.</summary>
    public const int BatchMax = 512;

    /// <summary>The most that wait; above it callers are told to come back.</summary>
    public const int WaitingMax = 8_192;

    /// <summary>How long a batch is tried again while the database is away; clients give up after 10 s.</summary>
    public static readonly TimeSpan OutageMax = TimeSpan.FromSeconds(5);

    private static readonly Denial Away = Denial.Storage("the node cannot reach its database", isTransient: true);
    private static readonly Denial Busy = Denial.Storage("the node is too busy", isTransient: true);

    private readonly Channel<PendingAuthorization> _waiting = Channel.CreateBounded<PendingAuthorization>(
        new BoundedChannelOptions(WaitingMax) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });

    private readonly List<PendingAuthorization> _batch = [];
    private readonly List<PendingAuthorization> _later = [];
    private readonly HashSet<Nonce> _nonces = [];
    private LedgerCommand? _command;
    private AuditChain _chain = AuditChain.Start();

    /// <summary>Waits for the commit.</summary>
    internal Task<LedgerAnswer> CommitAsync(PendingAuthorization authorization)
    {
        if (!_waiting.Writer.TryWrite(authorization))
        {
            authorization.Fail(_waiting.Reader.Completion.IsCompleted ? Away : Busy);
        }

        return authorization.Completion;
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (_later.Count > 0 || await _waiting.Reader.WaitToReadAsync(stoppingToken))
            {
                TakeBatch();
                await CommitBatchAsync(stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping: what waits is refused below.
        }
        finally
        {
            _waiting.Writer.TryComplete();
            _batch.ForEach(a => a.Fail(Away));
            _later.ForEach(a => a.Fail(Away));
            while (_waiting.Reader.TryRead(out var authorization))
            {
                authorization.Fail(Away);
            }

            await DropCommandAsync();
        }
    }

    /// <summary>A nonce that an earlier one of the batch may consume waits for the next batch: its answer depends on that one's.</summary>
    private void TakeBatch()
    {
        _batch.Clear();
        _nonces.Clear();
        var waited = _later.ToArray();
        _later.Clear();
        foreach (var authorization in waited)
        {
            Take(authorization);
        }

        while (_batch.Count < BatchMax && _later.Count < BatchMax && _waiting.Reader.TryRead(out var authorization))
        {
            Take(authorization);
        }
    }

    private void Take(PendingAuthorization authorization)
    {
        var nonces = authorization.Query?.Nonces ?? [];
        if (nonces.Any(use => _nonces.Contains(use.Nonce)))
        {
            _later.Add(authorization);
            return;
        }

        foreach (var use in nonces)
        {
            _nonces.Add(use.Nonce);
        }

        _batch.Add(authorization);
    }

    /// <summary>
    /// Runs the batch until its outcome is known. A connection that dies in the commit leaves it unknown; the batch is then run again, and what it
    /// consumed before counts as its own.
    /// </summary>
    private async Task CommitBatchAsync(CancellationToken stopping)
    {
        var startedAt = time.GetTimestamp();
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                _command ??= await LedgerCommand.OpenAsync(database, stopping);
                _chain = await _command.ExecuteAsync(_batch, _chain, time.GetUtcNow(), CancellationToken.None);
                _batch.ForEach(a => a.Complete());
                _batch.Clear();
                return;
            }
            catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure)
            {
                LogRetry(e.SqlState);
            }
            catch (Exception e) when (DatabaseFailure.Is(e))
            {
                // Whether the audit entry was written is unknown as well: go on with a chain of its own.
                _chain = AuditChain.Start();
                await DropCommandAsync();
                if (stopping.IsCancellationRequested || time.GetElapsedTime(startedAt) > OutageMax
                    || e is PostgresException { IsTransient: false } or PostgresException { SqlState: PostgresErrorCodes.DiskFull })
                {
                    LogUnavailable(e, _batch.Count);
                    _batch.ForEach(a => a.Fail(Away));
                    _batch.Clear();
                    return;
                }

                await Task.Delay(TimeSpan.FromMilliseconds(20 << Math.Min(attempt, 4)), time, stopping);
            }
        }
    }

    private async Task DropCommandAsync()
    {
        if (_command is { } command)
        {
            _command = null;
            await command.DisposeAsync();
        }
    }

    [LoggerMessage(1601, LogLevel.Error, "The database cannot be reached; {Count} authorizations were answered as unavailable.")]
    private partial void LogUnavailable(Exception e, int count);

    [LoggerMessage(1602, LogLevel.Warning, "A batch of authorizations is tried again (SQLSTATE {SqlState}).")]
    private partial void LogRetry(string sqlState);
}
