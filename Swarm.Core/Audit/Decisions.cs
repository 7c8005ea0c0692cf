using System.Security.Cryptography;
using System.Text;
using Microsoft.EntityFrameworkCore;
using Swarm.Core.Signals;
using Swarm.Core.Storage;

namespace Swarm.Core.Audit;

/// <summary>
/// Runs changes of membership, keys, tokens and settings: each in one transaction together with its audit entry, the raised
/// versions of the swarms it touches (the fence of design §3 promise 7), the control epoch, and the NOTIFY that tells every replica.
/// Decisions of one process run one at a time, because they form one hash chain; they are rare.
/// </summary>
public sealed class Decisions(IDbContextFactory<SwarmDb> databases, ControlEvents control, ISignalBus bus, TimeProvider time) : IDisposable
{
    /// <summary>The longest detail of an entry, in UTF-8 bytes; what is longer is cut.</summary>
    public const int DetailBytesMax = 8192;

    private readonly SemaphoreSlim _one = new(1, 1);
    private AuditChain _chain = AuditChain.Start();

    /// <summary>Runs one decision. Nothing of it is kept when it throws; when it returns, it is committed.</summary>
    /// <param name="what">What is decided, with its subjects, for the audit: no secrets.</param>
    public async Task<T> RunAsync<T>(string what, Func<DecisionScope, Task<T>> change, CancellationToken cancellation)
    {
        await _one.WaitAsync(cancellation);
        try
        {
            await using var db = await databases.CreateDbContextAsync(cancellation);
            await using var transaction = await db.Database.BeginTransactionAsync(cancellation);
            var scope = new DecisionScope(db);
            var result = await change(scope);
            var next = await RecordAsync(db, what, scope, cancellation);
            await CommitAsync(transaction);
            _chain = next;
            foreach (var changed in scope.Events)
            {
                control.Raise(changed);
                bus.PublishControl(changed);
            }

            return result;
        }
        finally
        {
            _one.Release();
        }
    }

    /// <summary>Reads what a decision would depend on, without making one.</summary>
    public async Task<T> ReadAsync<T>(Func<SwarmDb, Task<T>> read, CancellationToken cancellation)
    {
        await using var db = await databases.CreateDbContextAsync(cancellation);
        return await read(db);
    }

    public void Dispose() => _one.Dispose();

    private async Task CommitAsync(Microsoft.EntityFrameworkCore.Storage.IDbContextTransaction transaction)
    {
        try
        {
            await transaction.CommitAsync(CancellationToken.None);
        }
        catch (Exception)
        {
            // It may or may not be committed, so the head of the chain is unknown: go on with a chain of its own.
            _chain = AuditChain.Start();
            throw;
        }
    }

    private async Task<AuditChain> RecordAsync(SwarmDb db, string what, DecisionScope scope, CancellationToken cancellation)
    {
        var detail = Encoding.UTF8.GetBytes(what);
        var text = detail.Length <= DetailBytesMax ? what : Encoding.UTF8.GetString(detail, 0, DetailBytesMax - 3).TrimEnd('\uFFFD');
        var root = SHA256.HashData(Encoding.UTF8.GetBytes(text));
        var next = _chain.Next(root);
        var now = time.GetUtcNow();
        await db.Database.ExecuteSqlAsync(
            $"""
            insert into audit_entries (writer_id, entry_no, at, kind, root, messages, detail, previous, hash)
            values ({next.Writer}, {next.EntryNo}, {now}, 2, {root}, 0, {text}, {_chain.Head}, {next.Head})
            """,
            cancellation);
        foreach (var changed in scope.Events)
        {
            await db.Database.ExecuteSqlAsync($"select pg_notify({ControlEvent.Channel}, {changed.ToString()})", cancellation);
        }

        // Last, so that who has heard the epoch has heard the events. Its row orders decisions: epochs arrive in their order.
        await db.Database.ExecuteSqlAsync(
            $"""
            with raised as (update node set control_epoch = control_epoch + 1 returning control_epoch)
            select pg_notify({ControlEvent.Channel}, {ControlEvent.EpochPrefix} || control_epoch) from raised
            """,
            cancellation);

        return next;
    }
}

/// <summary>One decision while it is made.</summary>
public sealed class DecisionScope(SwarmDb db)
{
    private readonly List<ControlEvent> _events = [];

    public SwarmDb Db { get; } = db;

    internal IReadOnlyList<ControlEvent> Events => _events;

    /// <summary>
    /// Locks the swarm and raises its version: call it before reading what the decision depends on. Messages that are being
    /// committed hold the same lock shared, so this waits for them; messages that come later are checked against the new version.
    /// </summary>
    public async Task LockSwarmAsync(long swarmNo, CancellationToken cancellation)
    {
        await Db.Database.ExecuteSqlAsync($"select lock_swarm({swarmNo})", cancellation);
        _events.Add(new(ControlKind.Swarm, swarmNo));
    }

    /// <summary>Tells every replica that the agent changed.</summary>
    public void AgentChanged(long agentNo) => _events.Add(new(ControlKind.Agent, agentNo));

    /// <summary>Tells every replica that a token was revoked.</summary>
    public void TokenChanged(long tokenId) => _events.Add(new(ControlKind.Token, tokenId));
}
