using System.Security.Cryptography;
using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Audit;

namespace Swarm.Core.Messaging;

/// <summary>The accept of one message whose deliveries are made later: rare, so its parameters are plain values.</summary>
internal sealed partial class AcceptCommand
{
    private const string LaterSql =
        """
        select status, audit_hash
        from accept_later($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
        """;

    /// <summary>Writes the message and its expansion row, fills <paramref name="results"/>[0], and returns the new head of the audit chain.</summary>
    public async Task<AuditChain> ExecuteLaterAsync(
        PendingMessage message, CommitResult[] results, AuditChain chain, DateTimeOffset now, CancellationToken cancellation)
    {
        _rootInput.Clear();
        AddToRoot(message);
        var envelope = message.Envelope;
        await using var command = new NpgsqlCommand(LaterSql, _connection);
        var values = command.Parameters;
        values.Add(Value(NpgsqlDbType.Bigint, message.Sender.Value));
        values.Add(Value(NpgsqlDbType.Uuid, envelope.MessageId.Value));
        values.Add(Value(NpgsqlDbType.Bytea, message.Fingerprint));
        values.Add(Value(NpgsqlDbType.Bigint, message.SwarmNo));
        values.Add(Value(NpgsqlDbType.Bigint, message.SwarmVersion));
        values.Add(Value(NpgsqlDbType.Smallint, (short)envelope.Protocol));
        values.Add(Value(NpgsqlDbType.Smallint, (short)envelope.Kind));
        values.Add(Value(NpgsqlDbType.Smallint, (short)envelope.Priority));
        values.Add(Value(NpgsqlDbType.Boolean, !envelope.Unchecked));
        values.Add(Value(NpgsqlDbType.TimestampTz, message.SentAt.UtcDateTime));
        values.Add(Value(NpgsqlDbType.TimestampTz, envelope.ExpiresAt?.UtcDateTime));
        values.Add(Value(NpgsqlDbType.Text, message.Trace));
        values.Add(Value(NpgsqlDbType.Bytea, envelope.Wire));
        values.Add(Value(NpgsqlDbType.Boolean, envelope.Door is null));
        values.Add(Value(NpgsqlDbType.Array | NpgsqlDbType.Bigint, Array.ConvertAll(message.Recipients, r => r.Value)));
        values.Add(Value(NpgsqlDbType.TimestampTz, envelope.DeliverAt?.UtcDateTime));
        values.Add(Value(NpgsqlDbType.TimestampTz, now.UtcDateTime));
        values.Add(Value(NpgsqlDbType.Uuid, chain.Writer));
        values.Add(Value(NpgsqlDbType.Bigint, chain.EntryNo + 1));
        values.Add(Value(NpgsqlDbType.Bytea, chain.Head));
        values.Add(Value(NpgsqlDbType.Bytea, SHA256.HashData(_rootInput.WrittenSpan)));

        await using var reader = await command.ExecuteReaderAsync(cancellation);
        await reader.ReadAsync(cancellation);
        var status = (CommitStatus)reader.GetInt16(0);
        results[0] = new(status, 0, status == CommitStatus.Accepted ? message.Recipients.Length : 0, Queued: status == CommitStatus.Accepted);
        return chain with { EntryNo = chain.EntryNo + 1, Head = reader.GetFieldValue<byte[]>(1) };
    }

    private static NpgsqlParameter Value(NpgsqlDbType type, object? value) => new() { NpgsqlDbType = type, Value = value ?? DBNull.Value };
}
