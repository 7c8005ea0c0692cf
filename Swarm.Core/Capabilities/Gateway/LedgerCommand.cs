using System.Buffers;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Audit;
using Swarm.Core.Capabilities.Authorization;

namespace Swarm.Core.Capabilities.Gateway;

/// <summary>
/// A batch of authorizations on one connection: one round trip asks for revocations and consumes nonces, the next writes the events, their audit entry
/// and the answers to remember, and commits.
/// </summary>
internal sealed class LedgerCommand : IAsyncDisposable
{
    private readonly NpgsqlConnection _connection;
    private readonly NpgsqlCommand _consume;
    private readonly List<byte[]> _certificate = [];
    private readonly List<int> _certificateOf = [];
    private readonly List<byte[]> _passport = [];
    private readonly List<int> _passportOf = [];
    private readonly List<Guid> _nonce = [];
    private readonly List<int> _nonceOf = [];
    private readonly List<long> _keepUntil = [];
    private readonly List<Guid> _useId = [];
    private readonly NpgsqlParameter<int> _requests = new();
    private readonly ArrayBufferWriter<byte> _events = new(64 * 1024);

    private LedgerCommand(NpgsqlConnection connection)
    {
        _connection = connection;
        _consume = new("select status from a1_consume($1, $2, $3, $4, $5, $6, $7, $8, $9)", connection);
        _consume.Parameters.Add(_requests);
        Add(_certificate, NpgsqlDbType.Bytea);
        Add(_certificateOf, NpgsqlDbType.Integer);
        Add(_passport, NpgsqlDbType.Bytea);
        Add(_passportOf, NpgsqlDbType.Integer);
        Add(_nonce, NpgsqlDbType.Uuid);
        Add(_nonceOf, NpgsqlDbType.Integer);
        Add(_keepUntil, NpgsqlDbType.Bigint);
        Add(_useId, NpgsqlDbType.Uuid);
    }

    public static async Task<LedgerCommand> OpenAsync(NpgsqlDataSource database, CancellationToken cancellation)
    {
        var command = new LedgerCommand(await database.OpenConnectionAsync(cancellation));
        try
        {
            await command._consume.PrepareAsync(cancellation);
            return command;
        }
        catch
        {
            await command.DisposeAsync();
            throw;
        }
    }

    /// <summary>Answers the whole batch, and returns the new head of the audit chain once it is committed.</summary>
    public async Task<AuditChain> ExecuteAsync(IReadOnlyList<PendingAuthorization> batch, AuditChain chain, DateTimeOffset now, CancellationToken cancellation)
    {
        await using var transaction = await _connection.BeginTransactionAsync(cancellation);
        if (Fill(batch))
        {
            var status = (short[])(await _consume.ExecuteScalarAsync(cancellation))!;
            for (var i = 0; i < batch.Count; i++)
            {
                batch[i].Answer = new(IsRevoked: status[i] == 1, IsReplay: status[i] == 2);
            }
        }

        _events.ResetWrittenCount();
        await using var write = new NpgsqlBatch(_connection, transaction);
        foreach (var authorization in batch)
        {
            if (authorization.Conclude(_events) is { } remembered)
            {
                Add(write, "insert into a1_answers (request, answer, keep_until) values ($1, $2, $3) on conflict do nothing", remembered.Request, remembered.Answer, remembered.KeepUntil);
            }
        }

        var events = _events.WrittenMemory;
        var root = SHA256.HashData(events.Span);
        var next = chain.Next(root);
        Add(
            write,
            """
            insert into audit_entries (writer_id, entry_no, at, kind, root, messages, previous, hash) values ($1, $2, $3, 4, $4, 0, $5, $6)
            """,
            next.Writer, next.EntryNo, now.UtcDateTime, root, chain.Head, next.Head);
        Add(write, "insert into a1_events (writer_id, entry_no, at, events) values ($1, $2, $3, $4)", next.Writer, next.EntryNo, now.UtcDateTime, events);

        // In the same round trip: at the end of a batch of few a third one is a third of the cost.
        Add(write, "commit");
        await write.ExecuteNonQueryAsync(cancellation);
        return next;
    }

    public async ValueTask DisposeAsync()
    {
        await _consume.DisposeAsync();
        await _connection.DisposeAsync();
    }

    /// <summary>The columns; false when nobody in the batch has a question.</summary>
    private bool Fill(IReadOnlyList<PendingAuthorization> batch)
    {
        foreach (var column in new System.Collections.IList[] { _certificate, _certificateOf, _passport, _passportOf, _nonce, _nonceOf, _keepUntil, _useId })
        {
            column.Clear();
        }

        _requests.TypedValue = batch.Count;
        for (var i = 0; i < batch.Count; i++)
        {
            _useId.Add(batch[i].UseId);
            if (batch[i].Query is { } query)
            {
                Fill(query, i + 1);
            }
        }

        return _certificate.Count > 0;
    }

    private void Fill(LedgerQuery query, int request)
    {
        foreach (var fingerprint in query.Certificates)
        {
            _certificate.Add(fingerprint.ToArray());
            _certificateOf.Add(request);
        }

        foreach (var fingerprint in query.Passports)
        {
            _passport.Add(fingerprint.ToArray());
            _passportOf.Add(request);
        }

        foreach (var use in query.Nonces)
        {
            _nonce.Add(new(use.Nonce.AsSpan(), bigEndian: true));
            _nonceOf.Add(request);
            _keepUntil.Add(UnixTime.ToStored(use.KeepUntil));
        }
    }

    private static void Add(NpgsqlBatch batch, string sql, params ReadOnlySpan<object> values) => Storage.SqlExtensions.Add(batch, sql, values);

    private void Add<T>(List<T> values, NpgsqlDbType element) =>
        _consume.Parameters.Add(new NpgsqlParameter<List<T>> { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | element });
}
