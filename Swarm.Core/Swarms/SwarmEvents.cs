using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Npgsql;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Signals;

namespace Swarm.Core.Swarms;

/// <summary>
/// Accepts messages that change a roster (ASP §10.5): the message, its deliveries and its effect are one decision, so there is never one
/// without the other, and who is answered finds the change made. Everything else goes by <see cref="GroupCommit"/>.
/// </summary>
public sealed partial class SwarmEvents(
    GroupCommit commit, Decisions decisions, Rosters rosters, Introductions introductions, NpgsqlDataSource database, TimeProvider time,
    ILogger<SwarmEvents> logger)
{
    /// <summary>How long the signed time of a name's newest event is kept: older ones are refused by their age.</summary>
    private static readonly TimeSpan MarksKeptFor = Intake.PastWindow + TimeSpan.FromDays(1);

    /// <summary>Commits the message and, when it is new, what it does.</summary>
    /// <param name="message">Checked against the roster's version that it names.</param>
    /// <param name="change">What its sender may do.</param>
    /// <param name="listener">The name of the member here that was told; empty for none.</param>
    internal async ValueTask<CommitResult> AcceptAsync(PendingMessage message, LifecycleChange change, string listener, CancellationToken cancellation)
    {
        try
        {
            // Only its first copy acts (W-07).
            if (await IsKnownAsync(message, cancellation))
            {
                return await commit.CommitAsync(message, cancellation);
            }

            return await decisions.RunAsync(
                $"{message.Envelope.Sender} in swarm {message.Envelope.SwarmId}: {Describe(change)} (message {message.Envelope.MessageId})",
                scope => RunAsync(scope, message, change, listener, cancellation),
                CancellationToken.None);
        }
        catch (StaleException)
        {
            return new(CommitStatus.Stale, 0, 0);
        }
        catch (Exception e) when (DatabaseFaultOf(e) is { } fault)
        {
            if (fault is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation or PostgresErrorCodes.DeadlockDetected })
            {
                return new(CommitStatus.Stale, 0, 0);
            }

            LogUnavailable(fault, message.Envelope.MessageId);
            return new(CommitStatus.Unavailable, 0, 0);
        }
    }

    private async Task<CommitResult> RunAsync(
        DecisionScope scope, PendingMessage message, LifecycleChange change, string listener, CancellationToken cancellation)
    {
        var swarmNo = message.SwarmNo!.Value;
        await scope.LockSwarmAsync(swarmNo, cancellation);
        var roster = await rosters.ReadAsync(scope.Db, message.Envelope.SwarmId, cancellation);
        if (roster is null || roster.Version != message.SwarmVersion + 1 || await IsKnownAsync(message, cancellation))
        {
            throw new StaleException();
        }

        var result = await WriteAsync(scope, message.At(roster.Version), cancellation);
        if (result.Status != CommitStatus.Accepted)
        {
            throw new StaleException();
        }

        if (await MarkAsync(scope, swarmNo, change, message.SentAt, cancellation))
        {
            await ApplyAsync(scope, roster, change, message.SentAt, listener, cancellation);
        }

        return result;
    }

    private async Task<CommitResult> WriteAsync(DecisionScope scope, PendingMessage message, CancellationToken cancellation)
    {
        var results = new CommitResult[1];
        await using var command = AcceptCommand.On(scope.Connection);
        var now = time.GetUtcNow();
        if (!message.Later)
        {
            scope.Chain = await command.ExecuteAsync([message], results, scope.Chain, now, cancellation);
        }

        if (message.Later || results[0].Status == CommitStatus.Behind)
        {
            scope.Chain = await command.ExecuteLaterAsync(message, results, scope.Chain, now, cancellation);
        }

        scope.Tell(results[0].Queued ? [LocalSignals.Expansions] : message.Recipients);
        return results[0];
    }

    /// <summary>Notes the event as its subject's newest; false when a newer one was applied before.</summary>
    private async Task<bool> MarkAsync(
        DecisionScope scope, long swarmNo, LifecycleChange change, DateTimeOffset sentAt, CancellationToken cancellation)
    {
        if (change.Subject is not { } subject)
        {
            return true;
        }

        await using var batch = new NpgsqlBatch(scope.Connection);
        batch.BatchCommands.Add(new("delete from lifecycle_marks where at < $1") { Parameters = { new() { Value = (time.GetUtcNow() - MarksKeptFor).UtcDateTime } } });
        batch.BatchCommands.Add(new(
            """
            insert into lifecycle_marks as m (swarm_no, name, at, kind) values ($1, $2, $3, $4)
            on conflict (swarm_no, name) do update set at = excluded.at, kind = excluded.kind
            where m.at < excluded.at or (m.at = excluded.at and m.kind <> excluded.kind)
            """)
        {
            Parameters = { new() { Value = swarmNo }, new() { Value = subject }, new() { Value = sentAt.UtcDateTime }, new() { Value = change.Kind } },
        });
        await batch.ExecuteNonQueryAsync(cancellation);
        return batch.BatchCommands[1].RecordsAffected == 1;
    }

    private async Task ApplyAsync(
        DecisionScope scope, Roster roster, LifecycleChange change, DateTimeOffset sentAt, string listener, CancellationToken cancellation)
    {
        switch (change)
        {
            case LifecycleChange.Admit admit:
                await introductions.AdmitAsync(scope, roster, admit, sentAt, listener, cancellation);
                break;
            case LifecycleChange.Remove remove:
                await introductions.ForgetAsync(scope, roster.SwarmNo, remove.Name, cancellation);
                if (roster.Find(remove.Name) is { } member)
                {
                    await RosterChanges.RemoveAsync(scope, roster.SwarmNo, member, cancellation);
                }

                break;
            case LifecycleChange.Crown crown:
                await introductions.ForgetAsync(scope, roster.SwarmNo, null, cancellation);
                await RosterChanges.CrownAsync(scope, roster, crown.Successor, cancellation);
                break;
            case LifecycleChange.Configure configure:
                await scope.Db.Swarms.Where(s => s.SwarmNo == roster.SwarmNo).ExecuteUpdateAsync(
                    s => s.SetProperty(x => x.AllowMemberInvite, configure.Settings.AllowMemberInvite)
                        .SetProperty(x => x.RequireApproval, configure.Settings.RequireApproval),
                    cancellation);
                break;
            case LifecycleChange.Dissolve:
                await introductions.ForgetAsync(scope, roster.SwarmNo, null, cancellation);
                await RosterChanges.DissolveAsync(scope, roster, time.GetUtcNow(), cancellation);
                break;
            case LifecycleChange.Rekey rekey:
                await RekeyAsync(scope, roster.SwarmNo, rekey, cancellation);
                break;
            case LifecycleChange.Move move:
                await scope.Db.Members.Where(m => m.SwarmNo == roster.SwarmNo && m.AgentNo == move.Of.Agent.Value)
                    .ExecuteUpdateAsync(s => s.SetProperty(m => m.Endpoint, move.Endpoint), cancellation);
                break;
        }
    }

    /// <summary>A key that this node knows as another agent's is not taken over: its messages would count as this one's.</summary>
    private async Task RekeyAsync(DecisionScope scope, long swarmNo, LifecycleChange.Rekey rekey, CancellationToken cancellation)
    {
        var no = rekey.Of.Agent.Value;
        var key = rekey.PublicKey;
        if (await scope.Db.Agents.AnyAsync(a => a.AgentNo != no && a.PublicKey == key, cancellation)
            || await scope.Db.Members.AnyAsync(m => m.SwarmNo == swarmNo && m.AgentNo != no && m.PublicKey == key, cancellation))
        {
            return;
        }

        var now = time.GetUtcNow();
        await scope.Db.Agents.Where(a => a.AgentNo == no).ExecuteUpdateAsync(s => s.SetProperty(a => a.PublicKey, key), cancellation);
        await scope.Db.Members.Where(m => m.SwarmNo == swarmNo && m.AgentNo == no)
            .ExecuteUpdateAsync(s => s.SetProperty(m => m.PublicKey, key).SetProperty(m => m.KeyConfirmedAt, now), cancellation);
    }

    private async Task<bool> IsKnownAsync(PendingMessage message, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand("select exists (select 1 from message_ids where sender_no = $1 and message_id = $2)");
        command.Parameters.Add(new() { Value = message.Sender.Value });
        command.Parameters.Add(new() { Value = message.Envelope.MessageId.Value });
        return (bool)(await command.ExecuteScalarAsync(cancellation))!;
    }

    private static string Describe(LifecycleChange change) => change switch
    {
        LifecycleChange.Admit it => $"{it.Name} joined",
        LifecycleChange.Remove it => $"{it.Name} is gone",
        LifecycleChange.Crown it => $"{it.Successor.Name} is the master",
        LifecycleChange.Rekey it => $"{it.Of.Name} has another key",
        LifecycleChange.Configure => "its settings are told",
        LifecycleChange.Move it => $"{it.Of.Name} moved to {it.Endpoint}",
        _ => "it is dissolved",
    };

    /// <summary>EF Core wraps what it thinks might pass.</summary>
    private static Exception? DatabaseFaultOf(Exception? e) =>
        e is null or NpgsqlException or TimeoutException or IOException ? e : DatabaseFaultOf(e.InnerException);

    [LoggerMessage(1201, LogLevel.Error, "The database cannot be reached; message {MessageId}, which changes a roster, was answered as unavailable.")]
    private partial void LogUnavailable(Exception e, MessageId messageId);

    /// <summary>Something changed between check and lock: nothing is kept, and the message is checked again.</summary>
    private sealed class StaleException : Exception;
}
