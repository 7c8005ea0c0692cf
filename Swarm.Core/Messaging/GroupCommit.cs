using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Npgsql;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Signals;
using Swarm.Core.Storage;

namespace Swarm.Core.Messaging;

/// <summary>
/// One writer a replica: takes what waits when the last commit returned, writes it in one round trip, and completes every caller
/// after the commit (design §3, group commit). There is no timer.
/// </summary>
public sealed partial class GroupCommit(NpgsqlDataSource database, ISignalBus signals, TimeProvider time, ILogger<GroupCommit> logger) : BackgroundService
{
    /// <summary>The most messages of a batch; <c>message_no_blocks</c> hands out numbers in blocks of the same size.</summary>
    public const int BatchMessagesMax = 1_024;

    /// <summary>The most bytes of a batch; a larger message goes alone.</summary>
    public const int BatchBytesMax = 8 * 1024 * 1024;

    /// <summary>The most deliveries of a batch.</summary>
    public const int BatchDeliveriesMax = 2_000;

    /// <summary>A message for more recipients than this is accepted with one row; its deliveries follow in chunks (<see cref="Delivery.Expansion"/>).</summary>
    public const int ExpandAbove = 256;

    /// <summary>The most messages that wait; above it callers are told to come back.</summary>
    public const int WaitingMax = 8_192;

    /// <summary>How long a batch is tried again while the database is away, before its callers are told so.</summary>
    public static readonly TimeSpan OutageMax = TimeSpan.FromSeconds(10);

    private static readonly TimeSpan RetryDelayMax = TimeSpan.FromMilliseconds(500);

    private readonly Channel<PendingMessage> _waiting = Channel.CreateBounded<PendingMessage>(
        new BoundedChannelOptions(WaitingMax) { SingleReader = true, FullMode = BoundedChannelFullMode.Wait });

    private readonly List<PendingMessage> _batch = [];
    private readonly List<AgentId> _recipients = [];
    private PendingMessage? _carried;
    private AcceptCommand? _command;
    private AuditChain _chain = AuditChain.Start();

    /// <summary>Waits for the message's commit. A cancelled caller stops waiting only while the message is not queued yet.</summary>
    public ValueTask<CommitResult> CommitAsync(PendingMessage message, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        Queue(message);
        return message.Completion;
    }

    /// <summary>The same for a message whose group is waited for.</summary>
    internal void Queue(PendingMessage message)
    {
        if (!_waiting.Writer.TryWrite(message))
        {
            message.Complete(new(_waiting.Reader.Completion.IsCompleted ? CommitStatus.Unavailable : CommitStatus.Busy, 0, 0));
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            while (_carried is not null || await _waiting.Reader.WaitToReadAsync(stoppingToken))
            {
                TakeBatch();
                await CommitAsync(_batch, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            // Stopping: what waits is refused below.
        }
        finally
        {
            _waiting.Writer.TryComplete();
            _carried?.Complete(new(CommitStatus.Unavailable, 0, 0));
            while (_waiting.Reader.TryRead(out var message))
            {
                message.Complete(new(CommitStatus.Unavailable, 0, 0));
            }

            await DropCommandAsync();
        }
    }

    private void TakeBatch()
    {
        _batch.Clear();
        var bytes = 0;
        var deliveries = 0;
        while (_batch.Count < BatchMessagesMax && TryTake(out var message))
        {
            bytes += message.Envelope.Wire.Length;
            deliveries += message.Recipients.Length;
            if (_batch.Count > 0 && (bytes > BatchBytesMax || deliveries > BatchDeliveriesMax || message.Later))
            {
                _carried = message;
                return;
            }

            _batch.Add(message);
            if (message.Later)
            {
                return;
            }
        }
    }

    private bool TryTake(out PendingMessage message)
    {
        if (_carried is not null)
        {
            message = _carried;
            _carried = null;
            return true;
        }

        return _waiting.Reader.TryRead(out message!);
    }

    /// <summary>Commits the batch and completes all of it; halves it when the database refuses its data.</summary>
    private async Task CommitAsync(List<PendingMessage> batch, CancellationToken stopping)
    {
        var results = new CommitResult[batch.Count];
        try
        {
            await ExecuteAsync(batch, results, batch[0].Later, stopping);
        }
        catch (PostgresException e) when (IsBadData(e))
        {
            if (batch.Count == 1)
            {
                LogBadData(e.SqlState, batch[0].Envelope.MessageId);
                Refuse(batch, CommitStatus.BadData);
                return;
            }

            // Somewhere in here is a culprit; the others shall not suffer for it.
            var half = batch.Count / 2;
            var first = batch.GetRange(0, half);
            var second = batch.GetRange(half, batch.Count - half);
            batch.Clear();
            try
            {
                await CommitAsync(first, stopping);
            }
            catch
            {
                Refuse(second, CommitStatus.Unavailable);
                throw;
            }

            await CommitAsync(second, stopping);
            return;
        }
        catch (Exception e) when (DatabaseFailure.Is(e))
        {
            LogUnavailable(e, batch.Count);
            Refuse(batch, CommitStatus.Unavailable);
            return;
        }
        catch
        {
            // Stopping, or a fault of our own: nobody may wait for ever.
            Refuse(batch, CommitStatus.Unavailable);
            throw;
        }

        await QueueBehindAsync(batch, results, stopping);
        _recipients.Clear();
        var expansions = false;
        for (var i = 0; i < batch.Count; i++)
        {
            if (results[i].Queued)
            {
                expansions = true;
            }
            else
            {
                _recipients.AddRange(batch[i].Recipients);
            }

            batch[i].Complete(results[i]);
        }

        if (expansions)
        {
            _recipients.Add(LocalSignals.Expansions);
        }

        batch.Clear();
        signals.Publish(CollectionsMarshal.AsSpan(_recipients));
    }

    /// <summary>What must wait for an expansion of its sender is accepted like one, in the order of the batch.</summary>
    private async Task QueueBehindAsync(List<PendingMessage> batch, CommitResult[] results, CancellationToken stopping)
    {
        var one = new CommitResult[1];
        for (var i = 0; i < batch.Count; i++)
        {
            if (results[i].Status != CommitStatus.Behind)
            {
                continue;
            }

            try
            {
                await ExecuteAsync([batch[i]], one, later: true, stopping);
                results[i] = one[0];
            }
            catch (PostgresException e) when (IsBadData(e))
            {
                LogBadData(e.SqlState, batch[i].Envelope.MessageId);
                results[i] = new(CommitStatus.BadData, 0, 0);
            }
            catch (Exception e) when (e is OperationCanceledException || DatabaseFailure.Is(e))
            {
                // The rest of the batch is committed and shall hear so.
                LogUnavailable(e, 1);
                results[i] = new(CommitStatus.Unavailable, 0, 0);
            }
        }
    }

    /// <summary>
    /// Runs the statement until its outcome is known. A connection that dies in the commit leaves it unknown, so the batch is
    /// replayed before anyone is answered; it is idempotent, and what was committed comes back as duplicates.
    /// </summary>
    private async Task ExecuteAsync(List<PendingMessage> batch, CommitResult[] results, bool later, CancellationToken stopping)
    {
        var startedAt = Stopwatch.GetTimestamp();
        var replayed = false;
        for (var attempt = 0; ; attempt++)
        {
            try
            {
                _command ??= await AcceptCommand.OpenAsync(database, stopping);
                _chain = later
                    ? await _command.ExecuteLaterAsync(batch[0], results, _chain, time.GetUtcNow(), CancellationToken.None)
                    : await _command.ExecuteAsync(batch, results, mayRepeat: attempt > 0, _chain, time.GetUtcNow(), CancellationToken.None);
                break;
            }
            catch (PostgresException e) when (IsBadData(e))
            {
                throw;
            }
            catch (PostgresException e) when (e.SqlState is PostgresErrorCodes.DeadlockDetected or PostgresErrorCodes.SerializationFailure)
            {
                LogRetry(e.SqlState);
            }
            catch (Exception e) when (DatabaseFailure.Is(e))
            {
                // Whether the audit entry was written is unknown as well: go on with a chain of its own.
                _chain = AuditChain.Start();
                replayed = true;
                await DropCommandAsync();
                if (stopping.IsCancellationRequested
                    || Stopwatch.GetElapsedTime(startedAt) > OutageMax
                    || e is PostgresException { SqlState: PostgresErrorCodes.DiskFull })
                {
                    throw;
                }

                await Task.Delay(TimeSpan.FromMilliseconds(Math.Min(20 << Math.Min(attempt, 5), RetryDelayMax.TotalMilliseconds)), time, stopping);
            }
        }

        IntakeMeter.Committed(batch.Count, startedAt);
        if (replayed)
        {
            LogReplayed(batch.Count);
        }
    }

    /// <summary>Classes 22 (data) and 23 (integrity): this batch would fail again.</summary>
    private static bool IsBadData(PostgresException e) =>
        e.SqlState.StartsWith("22", StringComparison.Ordinal) || e.SqlState.StartsWith("23", StringComparison.Ordinal);

    private static void Refuse(List<PendingMessage> batch, CommitStatus status)
    {
        foreach (var message in batch)
        {
            message.Complete(new(status, 0, 0));
        }

        batch.Clear();
    }

    private async Task DropCommandAsync()
    {
        if (_command is { } command)
        {
            _command = null;
            await command.DisposeAsync();
        }
    }

    [LoggerMessage(1001, LogLevel.Error, "The database refused the data of message {MessageId} (SQLSTATE {SqlState}); it was not accepted.")]
    private partial void LogBadData(string sqlState, MessageId messageId);

    [LoggerMessage(1002, LogLevel.Error, "The database cannot be reached; {Count} messages were answered as unavailable.")]
    private partial void LogUnavailable(Exception e, int count);

    [LoggerMessage(1003, LogLevel.Warning, "A batch is tried again (SQLSTATE {SqlState}).")]
    private partial void LogRetry(string sqlState);

    [LoggerMessage(1004, LogLevel.Warning, "A batch of {Count} messages was replayed after the connection was lost; duplicates were resolved.")]
    private partial void LogReplayed(int count);
}
