using Npgsql;
using Swarm.Core.Storage;

namespace Swarm.Core.Capabilities.Gateway;

/// <summary>
/// Forgets what has run out (A1 §20): nonces after the expiry of their certificate, answers, members, certificates, passports, and the events of
/// authorizations, whose audit entries stay. Several may run at once.
/// </summary>
public sealed class CapabilitySweep(NpgsqlDataSource database, RetentionOptions retention, TimeProvider time)
{
    /// <summary>The most rows of one statement, so that no transaction is long.</summary>
    public const int ChunkMax = 5_000;

    /// <summary>How much longer than needed all of it is kept: no clock of a replica is so far behind this one's.</summary>
    public const int SlackSeconds = 300;

    /// <summary>A principal whose passport has expired hears so for this long; then it is unknown.</summary>
    private const int PassportDays = 30;

    private static readonly (string Table, string Column)[] Tables =
    [
        ("a1_nonces", "keep_until"), ("a1_answers", "keep_until"), ("a1_issued", "keep_until"), ("a1_members", "expires_at"), ("a1_certificates", "expires_at"),
    ];

    /// <summary>One chunk of each; true when there may be more.</summary>
    public async Task<bool> RunOnceAsync(CancellationToken cancellation)
    {
        var now = UnixTime.ToStored(time.UnixNow());
        var more = false;
        foreach (var (table, column) in Tables)
        {
            more |= await DeleteAsync(
                $"delete from {table} where ctid = any (array(select ctid from {table} where {column} < $1 order by {column} limit $2 for update skip locked))",
                now - SlackSeconds, cancellation);
        }

        more |= await DeleteAsync(
            """
            delete from a1_events where (writer_id, entry_no) in (select writer_id, entry_no from a1_events where at < $1 order by at limit $2)
            """,
            time.GetUtcNow().AddDays(-retention.AuthorizationDays).UtcDateTime, cancellation);
        await DropPassportsAsync(now - (PassportDays * 24L * 3600), cancellation);
        return more;
    }

    /// <summary>A swarm ends with its passport, and a month later nobody asks for it any more.</summary>
    private async Task DropPassportsAsync(long before, CancellationToken cancellation)
    {
        await using var batch = database.CreateBatch();
        foreach (var sql in new[]
        {
            "delete from a1_swarms s using a1_passports p where p.passport_no = s.passport_no and p.expires_at < $1",
            "delete from a1_passports where expires_at < $1",
        })
        {
            batch.BatchCommands.Add(new(sql) { Parameters = { new() { Value = before } } });
        }

        await batch.ExecuteNonQueryAsync(cancellation);
    }

    private async Task<bool> DeleteAsync(string sql, object before, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(sql);
        command.Parameters.Add(new() { Value = before });
        command.Parameters.Add(new() { Value = ChunkMax });
        return await command.ExecuteNonQueryAsync(cancellation) == ChunkMax;
    }
}
