using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using Microsoft.EntityFrameworkCore;
using Npgsql;
using Swarm.Core.Identity;
using Swarm.Core.Signals;
using Swarm.Core.Storage;

namespace Swarm.Core.Audit;

/// <summary>
/// Runs changes of membership, keys, tokens and settings: each in one transaction together with its audit entry, the raised
/// versions of the swarms it touches (the fence of design §3 promise 7), the control epoch, and the NOTIFY that tells every replica.
/// Decisions of one process run one at a time, because they form one hash chain; they are rare.
/// </summary>
public sealed class Decisions(
    NpgsqlDataSource database, IDbContextFactory<SwarmDb> databases, ControlEvents control, ISignalBus bus, TimeProvider time) : IDisposable
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
            await using var connection = await database.OpenConnectionAsync(cancellation);
            await using var transaction = await connection.BeginTransactionAsync(cancellation);
            await using var scope = new DecisionScope(transaction, databases) { Chain = _chain };
            var result = await change(scope);
            var next = await RecordAsync(connection, what, scope, cancellation);
            await CommitAsync(transaction);
            _chain = next;
            foreach (var changed in scope.Events)
            {
                control.Raise(changed);
                bus.PublishControl(changed);
            }

            bus.Publish(CollectionsMarshal.AsSpan(scope.Told));
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

    private async Task CommitAsync(NpgsqlTransaction transaction)
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

    private async Task<AuditChain> RecordAsync(NpgsqlConnection connection, string what, DecisionScope scope, CancellationToken cancellation)
    {
        what += scope.Found;
        var detail = Encoding.UTF8.GetBytes(what);
        var text = detail.Length <= DetailBytesMax ? what : Encoding.UTF8.GetString(detail, 0, DetailBytesMax - 3).TrimEnd('\uFFFD');
        var root = SHA256.HashData(Encoding.UTF8.GetBytes(text));
        var next = scope.Chain.Next(root);
        await using var batch = new NpgsqlBatch(connection);
        batch.Add(
            """
            insert into audit_entries (writer_id, entry_no, at, kind, root, messages, detail, previous, hash, recipients)
            values ($1, $2, $3, 2, $4, 0, $5, $6, $7, $8)
            """,
            next.Writer, next.EntryNo, time.GetUtcNow().UtcDateTime, root, text, scope.Chain.Head, next.Head,
            scope.Told.Select(a => a.Value).Distinct().Order().ToArray());
        foreach (var changed in scope.Events)
        {
            batch.Add("select pg_notify($1, $2)", ControlEvent.Channel, changed.ToString());
        }

        // Last, so that who has heard the epoch has heard the events. Its row orders decisions: epochs arrive in their order.
        batch.Add(
            """
            with raised as (update node set control_epoch = control_epoch + 1 returning control_epoch)
            select pg_notify($1, $2 || control_epoch) from raised
            """,
            ControlEvent.Channel, ControlEvent.EpochPrefix);
        await batch.ExecuteNonQueryAsync(cancellation);

        return next;
    }
}

/// <summary>One decision while it is made.</summary>
public sealed class DecisionScope : IAsyncDisposable
{
    private readonly List<ControlEvent> _events = [];
    private readonly IDbContextFactory<SwarmDb> _databases;
    private SwarmDb? _db;

    internal DecisionScope(NpgsqlTransaction transaction, IDbContextFactory<SwarmDb> databases) => (Transaction, _databases) = (transaction, databases);

    /// <summary>The transaction that everything of the decision belongs to.</summary>
    public NpgsqlTransaction Transaction { get; }

    public NpgsqlConnection Connection => Transaction.Connection ?? throw new InvalidOperationException("The decision has ended.");

    /// <summary>EF Core within the decision; made when it is first asked for, because it costs an idle node 20 MB.</summary>
    public SwarmDb Db
    {
        get
        {
            if (_db is null)
            {
                _db = _databases.CreateDbContext();
                _db.Database.SetDbConnection(Connection);
                _db.Database.UseTransaction(Transaction);
            }

            return _db;
        }
    }

    /// <summary>The audit chain so far; what the decision itself records goes on from it.</summary>
    internal AuditChain Chain { get; set; } = AuditChain.Start();

    internal IReadOnlyList<ControlEvent> Events => _events;

    /// <summary>What only the decision itself finds out, for the end of its audit entry: no secrets.</summary>
    internal string Found { get; set; } = "";

    /// <summary>Whom the commit is news for.</summary>
    internal List<AgentId> Told { get; } = [];

    /// <summary>Signals these inboxes after the commit; a lost signal is made up for (design §3 promise 6).</summary>
    internal void Tell(ReadOnlySpan<AgentId> agents) => Told.AddRange(agents);

    /// <summary>
    /// Locks the swarm and raises its version: call it before reading what the decision depends on. Messages that are being
    /// committed hold the same lock shared, so this waits for them; messages that come later are checked against the new version.
    /// </summary>
    public async Task LockSwarmAsync(long swarmNo, CancellationToken cancellation)
    {
        await using (var command = new NpgsqlCommand("select lock_swarm($1)", Connection) { Parameters = { new() { Value = swarmNo } } })
        {
            await command.ExecuteNonQueryAsync(cancellation);
        }

        _events.Add(new(ControlKind.Swarm, swarmNo));
    }

    /// <summary>Tells every replica that the agent changed.</summary>
    public void AgentChanged(long agentNo) => _events.Add(new(ControlKind.Agent, agentNo));

    /// <summary>Tells every replica that a token was revoked.</summary>
    public void TokenChanged(long tokenId) => _events.Add(new(ControlKind.Token, tokenId));

    /// <summary>Tells every replica that a passport was made, renewed or revoked.</summary>
    public void PassportChanged(long passportNo) => _events.Add(new(ControlKind.Passport, passportNo));

    /// <summary>Puts EF Core back where it came from, without the connection.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_db is not null)
        {
            await _db.Database.UseTransactionAsync(null);
            _db.Database.SetDbConnection(null);
            await _db.DisposeAsync();
        }
    }
}
