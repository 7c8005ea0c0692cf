using System.Buffers;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Audit;
using Swarm.Core.References;

namespace Swarm.Core.Messaging;

/// <summary>
/// The accept statement on one connection: columns go as arrays, one round trip a batch, prepared once. The lists are kept
/// between batches, so a batch allocates what Npgsql itself needs and no more.
/// </summary>
internal sealed partial class AcceptCommand : IAsyncDisposable
{
    private const string Sql =
        """
        select status, seq, before, recipients, audit_hash
        from accept_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24,
                          $25, $26, $27, $28, $29, $30, $31, $32, $33)
        """;

    private readonly NpgsqlConnection _connection;
    private readonly NpgsqlCommand _command;
    private readonly List<System.Collections.IList> _columns = [];
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
    private readonly List<long> _fenceSwarm = [];
    private readonly List<long> _fenceVersion = [];
    private readonly List<int> _deliveryOrdinal = [];
    private readonly List<long> _deliveryRecipient = [];
    private readonly List<int> _deliverySlot = [];
    private readonly List<int> _deliveryRank = [];
    private readonly List<long> _deliverySender = [];
    private readonly List<long?> _deliverySwarm = [];
    private readonly List<short> _deliveryPriority = [];
    private readonly List<DateTime?> _deliveryExpiresAt = [];
    private readonly List<long> _recipient = [];
    private readonly List<long> _recipientCount = [];
    private readonly List<bool> _outgoing = [];
    private readonly List<bool> _refers = [];
    private readonly SortedSet<(long Swarm, long Version)> _fences = [];
    private readonly Dictionary<long, (int Count, int Slot)> _counts = [];
    private readonly NpgsqlParameter<DateTime> _now = new() { NpgsqlDbType = NpgsqlDbType.TimestampTz };
    private readonly NpgsqlParameter<Guid> _writer = new();
    private readonly NpgsqlParameter<long> _entry = new();
    private readonly NpgsqlParameter<byte[]> _previous = new();
    private readonly NpgsqlParameter<byte[]> _root = new();
    private readonly NpgsqlParameter<bool> _minted = new();
    private readonly ArrayBufferWriter<byte> _rootInput = new();
    private bool _isBorrowed;
    private bool _isMinted;

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
        Add(_fenceSwarm, NpgsqlDbType.Bigint);
        Add(_fenceVersion, NpgsqlDbType.Bigint);
        Add(_deliveryOrdinal, NpgsqlDbType.Integer);
        Add(_deliveryRecipient, NpgsqlDbType.Bigint);
        Add(_deliverySlot, NpgsqlDbType.Integer);
        Add(_deliveryRank, NpgsqlDbType.Integer);
        Add(_deliverySender, NpgsqlDbType.Bigint);
        Add(_deliverySwarm, NpgsqlDbType.Bigint);
        Add(_deliveryPriority, NpgsqlDbType.Smallint);
        Add(_deliveryExpiresAt, NpgsqlDbType.TimestampTz);
        Add(_recipient, NpgsqlDbType.Bigint);
        Add(_recipientCount, NpgsqlDbType.Bigint);
        Add(_outgoing, NpgsqlDbType.Boolean);
        _command.Parameters.Add(_now);
        _command.Parameters.Add(_writer);
        _command.Parameters.Add(_entry);
        _command.Parameters.Add(_previous);
        _command.Parameters.Add(_root);
        _command.Parameters.Add(_minted);
        Add(_refers, NpgsqlDbType.Boolean);
    }

    /// <summary>The command on somebody else's connection, which stays open when the command is disposed.</summary>
    public static AcceptCommand On(NpgsqlConnection connection) => new(connection) { _isBorrowed = true };

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
    /// <param name="mayRepeat">An earlier try may have committed it: then even an id that was made here can be there already.</param>
    public async Task<AuditChain> ExecuteAsync(
        IReadOnlyList<PendingMessage> batch, CommitResult[] results, bool mayRepeat, AuditChain chain, DateTimeOffset now, CancellationToken cancellation)
    {
        _isMinted = !mayRepeat;
        Fill(batch);
        _minted.TypedValue = _isMinted;
        _now.TypedValue = now.UtcDateTime;
        _writer.TypedValue = chain.Writer;
        _entry.TypedValue = chain.EntryNo + 1;
        _previous.TypedValue = chain.Head;

        await using var reader = await _command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        if (reader.IsDBNull(0))
        {
            // Everything was new: every message got what it asked for.
            var before = reader.IsDBNull(2) ? [] : reader.GetFieldValue<long[]>(2);
            for (int i = 0, at = 0; i < batch.Count; i++)
            {
                var count = batch[i].Recipients.Length;
                results[i] = new(CommitStatus.Accepted, LowestSeq(at, count, before), count);
                at += count;
            }
        }
        else
        {
            var (status, seq, recipients) = (reader.GetFieldValue<short[]>(0), reader.GetFieldValue<long[]>(1), reader.GetFieldValue<int[]>(3));
            for (var i = 0; i < batch.Count; i++)
            {
                results[i] = new((CommitStatus)status[i], seq[i], recipients[i]);
            }
        }

        return chain with { EntryNo = chain.EntryNo + 1, Head = reader.GetFieldValue<byte[]>(4) };
    }

    private long LowestSeq(int first, int count, long[] before)
    {
        var lowest = count == 0 ? 0 : long.MaxValue;
        for (var d = first; d < first + count; d++)
        {
            lowest = Math.Min(lowest, before[_deliverySlot[d] - 1] + _deliveryRank[d]);
        }

        return lowest;
    }

    public async ValueTask DisposeAsync()
    {
        await _command.DisposeAsync();
        if (!_isBorrowed)
        {
            await _connection.DisposeAsync();
        }
    }

    private void Fill(IReadOnlyList<PendingMessage> batch)
    {
        foreach (var column in _columns)
        {
            column.Clear();
        }

        _fences.Clear();
        _counts.Clear();
        _rootInput.Clear();
        for (var i = 0; i < batch.Count; i++)
        {
            FillMessage(batch[i]);
            FillDeliveries(batch[i], i + 1);
        }

        foreach (var (swarm, version) in _fences)
        {
            _fenceSwarm.Add(swarm);
            _fenceVersion.Add(version);
        }

        // Sorted: mailboxes are locked in this order everywhere.
        _recipient.AddRange(_counts.Keys);
        _recipient.Sort();
        foreach (var recipient in _recipient)
        {
            ref var counted = ref CollectionsMarshal.GetValueRefOrNullRef(_counts, recipient);
            _recipientCount.Add(counted.Count);
            counted.Slot = _recipientCount.Count;
        }

        foreach (var recipient in _deliveryRecipient)
        {
            _deliverySlot.Add(_counts[recipient].Slot);
        }

        _root.TypedValue = SHA256.HashData(_rootInput.WrittenSpan);
    }

    private void FillMessage(PendingMessage message)
    {
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
        _outgoing.Add(envelope.Door is null);
        _refers.Add(ReferenceIndex.MayRefer(envelope.Wire.Span));
        _isMinted &= envelope.IsIdMinted;
        if (message.SwarmNo is { } swarm)
        {
            _fences.Add((swarm, message.SwarmVersion));
        }

        AddToRoot(message);
    }

    /// <summary>The audit root is over id (16 bytes, network order) and fingerprint of every message.</summary>
    private void AddToRoot(PendingMessage message)
    {
        message.Envelope.MessageId.Value.TryWriteBytes(_rootInput.GetSpan(16), bigEndian: true, out _);
        _rootInput.Advance(16);
        _rootInput.Write(message.Fingerprint);
    }

    private void FillDeliveries(PendingMessage message, int ordinal)
    {
        foreach (var recipient in message.Recipients)
        {
            _deliveryOrdinal.Add(ordinal);
            _deliveryRecipient.Add(recipient.Value);
            _deliverySender.Add(message.Sender.Value);
            _deliverySwarm.Add(message.SwarmNo);
            _deliveryPriority.Add((short)message.Envelope.Priority);
            _deliveryExpiresAt.Add(message.Envelope.ExpiresAt?.UtcDateTime);
            ref var counted = ref CollectionsMarshal.GetValueRefOrAddDefault(_counts, recipient.Value, out _);
            _deliveryRank.Add(++counted.Count);
        }
    }

    private void Add<T>(List<T> values, NpgsqlDbType element)
    {
        _columns.Add(values);
        _command.Parameters.Add(new NpgsqlParameter<List<T>> { TypedValue = values, NpgsqlDbType = NpgsqlDbType.Array | element });
    }
}
