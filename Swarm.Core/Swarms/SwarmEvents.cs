using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Logging;
using Npgsql;
using NSec.Cryptography;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Signals;
using Swarm.Core.Storage;

namespace Swarm.Core.Swarms;

/// <summary>
/// Accepts messages that change a roster (ASP §10.5): the message, its deliveries and its effect are one decision, so there is never one
/// without the other, and who is answered finds the change made. Everything else goes by <see cref="GroupCommit"/>.
/// </summary>
public sealed partial class SwarmEvents(
    GroupCommit commit, Decisions decisions, Rosters rosters, Introductions introductions, PublicKeys keys, NpgsqlDataSource database, TimeProvider time,
    ILogger<SwarmEvents> logger)
{
    /// <summary>How long the signed time of a name's newest event is kept: older ones are refused by their age.</summary>
    private static readonly TimeSpan MarksKeptFor = Intake.PastWindow + TimeSpan.FromDays(1);

    /// <summary>Commits the message and, when it is new, what it does.</summary>
    /// <param name="message">Checked against the roster's version that it names.</param>
    /// <param name="change">What its sender may do.</param>
    /// <param name="listener">The name of the member here that was told; empty for none.</param>
    /// <param name="check">Checks it again where the swarm has changed meanwhile: null when it is refused now, or an ordinary message.</param>
    internal async ValueTask<CommitResult> AcceptAsync(
        PendingMessage message, LifecycleChange change, string listener, Func<Roster, (PendingMessage Message, LifecycleChange Change)?> check,
        CancellationToken cancellation)
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
                scope => RunAsync(scope, message, change, listener, check, cancellation),
                CancellationToken.None);
        }
        catch (StaleException)
        {
            return new(CommitStatus.Stale, 0, 0);
        }
        catch (Exception e) when (DatabaseFailure.Is(e))
        {
            if (e.GetBaseException() is PostgresException { SqlState: PostgresErrorCodes.UniqueViolation or PostgresErrorCodes.DeadlockDetected })
            {
                return new(CommitStatus.Stale, 0, 0);
            }

            LogUnavailable(e, message.Envelope.MessageId);
            return new(CommitStatus.Unavailable, 0, 0);
        }
    }

    private async Task<CommitResult> RunAsync(
        DecisionScope scope, PendingMessage message, LifecycleChange change, string listener,
        Func<Roster, (PendingMessage Message, LifecycleChange Change)?> check, CancellationToken cancellation)
    {
        var swarmNo = message.SwarmNo!.Value;
        await scope.LockSwarmAsync(swarmNo, cancellation);
        var roster = await rosters.ReadAsync(scope.Db, message.Envelope.SwarmId, cancellation);
        if (roster is null || await IsKnownAsync(message, cancellation))
        {
            throw new StaleException();
        }

        if (roster.Version != message.SwarmVersion + 1)
        {
            (message, change) = check(roster) ?? throw new StaleException();
        }

        var result = await WriteAsync(scope, message.At(roster.Version), cancellation);
        if (result.Status != CommitStatus.Accepted)
        {
            throw new StaleException();
        }

        if (await MarkAsync(scope, swarmNo, change, message.SentAt, cancellation))
        {
            if (change is LifecycleChange.Remove or LifecycleChange.Dissolve or LifecycleChange.Rekey)
            {
                await RememberAsync(scope, roster, message, cancellation);
            }

            await ApplyAsync(scope, roster, change, message, listener, cancellation);
        }

        return result;
    }

    /// <summary>
    /// The message as it is to be committed when it is another copy of an event that ended its sender's or its door's membership, or changed its
    /// sender's key: for a further door, or once more. Null when it is not, and is refused.
    /// The notice to a kicked agent is such a copy of its kick.
    /// </summary>
    internal async ValueTask<PendingMessage?> RecallAsync(Envelope envelope, Roster roster, CancellationToken cancellation)
    {
        if (envelope is not { Event: not null, Door: { } door, SentAt: { } sentAt } || envelope.Signature.Length != MessageSignature.SizeBytes)
        {
            return null;
        }

        // The second: the kicked agent's own notice, when another door's copy of the kick, which has the same time, came first.
        var master = envelope.Event.Action == LifecycleAction.Kicked && roster.Find(envelope.Sender) is { } found && found.Agent == roster.MasterId ? found : null;
        await using var command = database.CreateCommand(
            """
            select sender_no, public_key from farewells where swarm_no = $1 and message_id = $2 and sender = $3 and $4 = any (doors)
            union all
            select $5, $6 from lifecycle_marks l join agents a on a.name = l.name
            where $5 <> 0 and l.swarm_no = $1 and l.name = $7 and l.kind = 2 and l.at = $8 and a.agent_no = $4
            """);
        foreach (var value in new object[]
            {
                roster.SwarmNo, envelope.MessageId.Value, envelope.Sender.Replace('\0', ' '), door.Value, master?.Agent.Value ?? 0L, master?.RawKey ?? [],
                envelope.Recipient.Replace('\0', ' '), sentAt.UtcDateTime,
            })
        {
            command.Parameters.Add(new() { Value = value });
        }

        await using var reader = await command.ExecuteReaderAsync(cancellation);
        if (!await reader.ReadAsync(cancellation))
        {
            return null;
        }

        var key = reader.GetFieldValue<byte[]>(1);
        return !SignatureAlgorithm.Ed25519.Verify(keys.Get(key), envelope.SignedBytes.Span, envelope.Signature.Span) ? null : new()
        {
            Envelope = envelope,
            Sender = new(reader.GetInt64(0)),
            Fingerprint = Intake.Fingerprint(envelope.SignedBytes.Span, key),
            SwarmNo = roster.SwarmNo,
            SwarmVersion = roster.Version,
            Recipients = [door],
            SentAt = sentAt,
            Trace = null,
        };
    }

    private async Task RememberAsync(DecisionScope scope, Roster roster, PendingMessage message, CancellationToken cancellation)
    {
        var envelope = message.Envelope;
        long[] doors = envelope.Recipient == AgentName.Broadcast
            ? [.. roster.Members.Where(m => m.Kind != AgentKind.Remote).Select(m => m.Agent.Value)]
            : [.. envelope.Door is { } door ? [door.Value] : Array.Empty<long>()];
        await using var batch = new NpgsqlBatch(scope.Connection);
        batch.Add("delete from farewells where at < $1", (time.GetUtcNow() - MarksKeptFor).UtcDateTime);
        batch.Add(
            "insert into farewells (sender_no, message_id, swarm_no, sender, public_key, doors, at) values ($1, $2, $3, $4, $5, $6, $7)",
            message.Sender.Value, envelope.MessageId.Value, roster.SwarmNo, envelope.Sender, roster.Find(message.Sender)!.RawKey, doors,
            message.SentAt.UtcDateTime);
        await batch.ExecuteNonQueryAsync(cancellation);
    }

    private async Task<CommitResult> WriteAsync(DecisionScope scope, PendingMessage message, CancellationToken cancellation)
    {
        var results = new CommitResult[1];
        await using var command = AcceptCommand.On(scope.Connection);
        var now = time.GetUtcNow();
        if (!message.Later)
        {
            scope.Chain = await command.ExecuteAsync([message], results, mayRepeat: true, scope.Chain, now, cancellation);
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
        batch.Add("delete from lifecycle_marks where at < $1", (time.GetUtcNow() - MarksKeptFor).UtcDateTime);
        batch.Add(
            """
            insert into lifecycle_marks as m (swarm_no, name, at, kind) values ($1, $2, $3, $4)
            on conflict (swarm_no, name) do update set at = excluded.at, kind = excluded.kind
            where m.at < excluded.at or (m.at = excluded.at and m.kind <> excluded.kind)
            """,
            swarmNo, subject, sentAt.UtcDateTime, change.Kind);
        await batch.ExecuteNonQueryAsync(cancellation);
        return batch.BatchCommands[1].RecordsAffected == 1;
    }

    private async Task ApplyAsync(
        DecisionScope scope, Roster roster, LifecycleChange change, PendingMessage message, string listener, CancellationToken cancellation)
    {
        switch (change)
        {
            case LifecycleChange.Admit admit:
                await introductions.AdmitAsync(scope, roster, admit, message.SentAt, listener, cancellation);
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
                await RosterChanges.CrownAsync(scope, roster, crown.Successor, message.SentAt, message.Envelope.Wire, cancellation);
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
                await RosterChanges.RekeyAsync(scope, roster.SwarmNo, rekey.Of, rekey.PublicKey, time.GetUtcNow(), cancellation);
                break;
            case LifecycleChange.Move move:
                await scope.Db.Members.Where(m => m.SwarmNo == roster.SwarmNo && m.AgentNo == move.Of.Agent.Value)
                    .ExecuteUpdateAsync(s => s.SetProperty(m => m.Endpoint, move.Endpoint), cancellation);
                break;
        }
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

    [LoggerMessage(1010, LogLevel.Error, "The database cannot be reached; message {MessageId}, which changes a roster, was answered as unavailable.")]
    private partial void LogUnavailable(Exception e, MessageId messageId);

    /// <summary>What was true before the lock is not any more: nothing is kept, and the message begins anew.</summary>
    private sealed class StaleException : Exception;
}
