using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Audit;

namespace Swarm.Core.Messaging;

/// <summary>
/// The accept statement on one connection: columns go as arrays, one round trip a batch, prepared once. The lists are kept
/// between batches, so a batch allocates what Npgsql itself needs and no more.
/// </summary>
internal sealed class AcceptCommand : IAsyncDisposable
{
    private const string Sql =
        """
        select ord, status, seq, recipients, audit_hash
        from accept_messages($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
        """;

    private readonly NpgsqlConnection _connection;
    private readonly NpgsqlCommand _command;
    private readonly List<long> _sender = [];
    private readonly List<Guid> _id = [];
    private readonly List<byte[]> _fingerprint = [];
    private readonly List<long?> _swarm = [];
    private readonly List<long> _version = [];
    private readonly List<short> _protocol = [];
    private readonly List<short> _kind = [];
    private readonly List<short> _priority = [];
    private readonly List<bool> _verified = [];
    private readonly List<DateTime> _sentAt = [];
    private readonly List<DateTime?> _expiresAt = [];
    private readonly List<string?> _trace = [];
    private readonly List<ReadOnlyMemory<byte>> _wire = [];
    private readonly List<int> _deliveryOrdinal = [];
    private readonly List<long> _deliveryRecipient = [];
    private readonly NpgsqlParameter<DateTime> _now = new() { NpgsqlDbType = NpgsqlDbType.TimestampTz };
    private readonly NpgsqlParameter<Guid> _writer = new();
    private readonly NpgsqlParameter<long> _entry = new();
    private readonly NpgsqlParameter<byte[]> _previous = new();

    private AcceptCommand(NpgsqlConnection connection)
    {
        _connection = connection;
        _command = new(Sql, connection);
        Add(_sender, NpgsqlDbType.Bigint);
        Add(_id, NpgsqlDbType.Uuid);
        Add(_fingerprint, NpgsqlDbType.Bytea);
        Add(_swarm, NpgsqlDbType.Bigint);
        Add(_version, NpgsqlDbType.Bigint);
        Add(_protocol, NpgsqlDbType.Smallint);
        Add(_kind, NpgsqlDbType.Smallint);
        Add(_priority, NpgsqlDbType.Smallint);
        Add(_verified, NpgsqlDbType.Boolean);
        Add(_sentAt, NpgsqlDbType.TimestampTz);
        Add(_expiresAt, NpgsqlDbType.TimestampTz);
        Add(_trace, NpgsqlDbType.Text);
        Add(_wire, NpgsqlDbType.Bytea);
        Add(_deliveryOrdinal, NpgsqlDbType.Integer);
        Add(_deliveryRecipient, NpgsqlDbType.Bigint);
        _command.Parameters.Add(_now);
        _command.Parameters.Add(_writer);
        _command.Parameters.Add(_entry);
        _command.Parameters.Add(_previous);
    }

    public static async Task<AcceptCommand> OpenAsync(NpgsqlDataSource database, CancellationToken cancellation)
    {
        var command = new AcceptCommand(await database.OpenConnectionAsync(cancellation));
        try
        {
            await command._command.PrepareAsync(cancellation);
            return command;
        }
        catch
        {
            await command.DisposeAsync();
            throw;
        }
    }

    /// <summary>Writes the batch, fills <paramref name="results"/> by position, and returns the new head of the audit chain.</summary>
    public async Task<AuditChain> ExecuteAsync(
        IReadOnlyList<PendingMessage> batch, CommitResult[] results, AuditChain chain, DateTimeOffset now, CancellationToken cancellation)
    {
        Fill(batch);
        _now.TypedValue = now.UtcDateTime;
        _writer.TypedValue = chain.Writer;
        _entry.TypedValue = chain.EntryNo + 1;
        _previous.TypedValue = chain.Head;

        var next = chain;
        await using (var reader = await _command.ExecuteReaderAsync(cancellation))
        {
            while (await reader.ReadAsync(cancellation))
            {
                var ordinal = reader.GetInt32(0);
                if (ordinal == 0)
                {
                    next = chain with { EntryNo = chain.EntryNo + 1, Head = reader.GetFieldValue<byte[]>(4) };
                }
                else
                {
                    results[ordinal - 1] = new((CommitStatus)reader.GetInt16(1), reader.GetInt64(2), reader.GetInt32(3));
                }
            }
        }

        return next;
    }

    public async ValueTask DisposeAsync()
    {
        await _command.DisposeAsync();
        await _connection.DisposeAsync();
    }

    private void Fill(IReadOnlyList<PendingMessage> batch)
    {
        foreach (var list in (System.Collections.IList[])
            [_sender, _id, _fingerprint, _swarm, _version, _protocol, _kind, _priority, _verified, _sentAt, _expiresAt, _trace, _wire,
             _deliveryOrdinal, _deliveryRecipient])
        {
            list.Clear();
        }

        for (var i = 0; i < batch.Count; i++)
        {
            var message = batch[i];
            var envelope = message.Envelope;
            _sender.Add(message.Sender.Value);
            _id.Add(envelope.MessageId.Value);
            _fingerprint.Add(message.Fingerprint);
            _swarm.Add(message.SwarmNo);
            _version.Add(message.SwarmVersion);
            _protocol.Add((short)envelope.Protocol);
            _kind.Add((short)envelope.Kind);
            _priority.Add((short)envelope.Priority);
            _verified.Add(!envelope.Unchecked);
            _sentAt.Add(message.SentAt.UtcDateTime);
            _expiresAt.Add(envelope.ExpiresAt?.UtcDateTime);
            _trace.Add(message.Trace);
            _wire.Add(envelope.Wire);
            foreach (var recipient in message.Recipients)
            {
                _deliveryOrdinal.Add(i + 1);
                _deliveryRecipient.Add(recipient.Value);
            }
        }
    }

    private void Add<T>(List<T> values, NpgsqlDbType element) =>
        _command.Parameters.Add(new NpgsqlParameter<List<T>> { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | element });
}
