using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Delivery;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Swarms;

namespace Swarm.Core.References;

/// <summary>Which messages are looked for: those that refer to a repository, or to one thing in it.</summary>
/// <param name="Repo"><c>owner/name</c>; upper and lower case are the same.</param>
/// <param name="Kind">Null for whatever is of the repository.</param>
/// <param name="Number">With an issue or pull request.</param>
/// <param name="Sha">With a commit: its name, or how that begins.</param>
public sealed record ReferenceQuery(string Repo, ReferenceKind? Kind, long? Number, string? Sha)
{
    public SwarmId? Swarm { get; init; }

    public InboxFilter Filter { get; init; }

    /// <summary>Only what was accepted before this position; null from the newest on.</summary>
    public long? Before { get; init; }

    public required int Limit { get; init; }
}

/// <param name="NextBefore">Ask again before this position for older ones; null when there are none.</param>
public sealed record ReferencePage(IReadOnlyList<InboxItem> Items, long? NextBefore);

/// <summary>Finds messages in an agent's inbox by what they refer to, newest first. It looks at the index, which is some seconds behind.</summary>
public sealed class ReferenceSearch(NpgsqlDataSource database)
{
    /// <summary>How many messages one page looks through for those of the agent, before it answers with what it has, and a cursor.</summary>
    public const int ScanMax = 2_000;

    public async Task<ReferencePage> FindAsync(AgentId recipient, ReferenceQuery query, CancellationToken cancellation)
    {
        var limit = Math.Min(query.Limit, Inbox.PageItemsMax);
        await using var command = database.CreateCommand(
            """
            select c.message_no, d.seq, d.state, m.accepted_at, m.verified, m.wire
            from (select distinct r.message_no from message_references r
                  where lower(r.repo) = lower($2) and ($3::smallint is null or r.kind = $3) and ($4::bigint is null or r.number = $4)
                    and ($5::text is null or starts_with(lower(r.sha), lower($5))) and r.message_no < $6
                  order by r.message_no desc limit $7) c
            left join lateral (select * from deliveries d where d.message_no = c.message_no and d.recipient_no = $1 and d.deleted_at is null
                  and ($8::smallint[] is null or d.state = any ($8)) and ($10::boolean is null or (d.archived_at is not null or d.state > 4) = $10)
                  and ($9::uuid is null or d.swarm_no = (select swarm_no from swarms where swarm_id = $9))) d on true
            left join messages m on m.message_no = d.message_no
            order by c.message_no desc
            """);
        command.Parameters.Add(new() { Value = recipient.Value });
        command.Parameters.Add(new() { Value = query.Repo });
        command.Parameters.Add(new() { Value = query.Kind is { } kind ? (short)kind : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Smallint });
        command.Parameters.Add(new() { Value = query.Number is { } number ? number : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bigint });
        command.Parameters.Add(new() { Value = query.Sha is { } sha ? sha : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(new() { Value = query.Before ?? long.MaxValue });
        command.Parameters.Add(new() { Value = ScanMax });
        command.Parameters.Add(new()
        {
            Value = Inbox.StatesOf(query.Filter) is { } states ? states : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Array | NpgsqlDbType.Smallint,
        });
        command.Parameters.Add(new() { Value = query.Swarm is { } id ? id.Value : DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        command.Parameters.Add(new()
        {
            Value = query.Filter == InboxFilter.All ? DBNull.Value : query.Filter == InboxFilter.Archived, NpgsqlDbType = NpgsqlDbType.Boolean,
        });
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var items = new List<InboxItem>();
        var (last, scanned, bytes) = (0L, 0, 0);
        while (await reader.ReadAsync(cancellation))
        {
            if (!reader.IsDBNull(1))
            {
                if (items.Count == limit || bytes >= Inbox.PageBytesMax)
                {
                    return new(items, last);
                }

                var wire = reader.GetFieldValue<byte[]>(5);
                bytes += wire.Length;
                items.Add(new(
                    reader.GetInt64(1), (DeliveryState)reader.GetInt16(2), reader.GetFieldValue<DateTimeOffset>(3), reader.GetBoolean(4),
                    MessageParser.Parse(wire)));
            }

            last = reader.GetInt64(0);
            scanned++;
        }

        return new(items, scanned == ScanMax ? last : null);
    }
}
