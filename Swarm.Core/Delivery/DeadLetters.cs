using Microsoft.EntityFrameworkCore;
using Npgsql;
using NpgsqlTypes;
using Swarm.Core.Audit;
using Swarm.Core.Identity;
using Swarm.Core.Messaging;
using Swarm.Core.Messaging.AgentSwarm;
using Swarm.Core.Signals;
using Swarm.Core.Swarms;

namespace Swarm.Core.Delivery;

/// <summary>Names a dead letter: one message for one recipient.</summary>
public readonly record struct DeadLetterId(long MessageNo, long RecipientNo)
{
    public override string ToString() => $"{MessageNo}-{RecipientNo}";

    public static bool TryParse(string text, out DeadLetterId id)
    {
        id = default;
        var dash = text.IndexOf('-', StringComparison.Ordinal);
        if (dash <= 0 || text.Length > 40 || !text.All(c => char.IsAsciiDigit(c) || c == '-')
            || !long.TryParse(text.AsSpan(0, dash), out var message) || !long.TryParse(text.AsSpan(dash + 1), out var recipient) || recipient < 0)
        {
            return false;
        }

        id = new(message, recipient);
        return true;
    }
}

/// <summary>Which dead letters; what is null does not matter.</summary>
/// <param name="Recipient">Its text id, in the message's swarm or on this node.</param>
/// <param name="Sender">The same of the sender.</param>
/// <param name="Reason">A part of the reason, whatever the case.</param>
/// <param name="From">Died at that time or later.</param>
/// <param name="Until">Died before that time.</param>
public sealed record DeadLetterFilter(
    string? Recipient = null, string? Sender = null, SwarmId? Swarm = null, string? Reason = null, DateTimeOffset? From = null,
    DateTimeOffset? Until = null);

/// <param name="Recipient">Text ids; of an agent that left, "agent" and its number.</param>
public sealed record DeadLetter(
    DeadLetterId Id, MessageId MessageId, SwarmId? Swarm, string Sender, string Recipient, int Attempts, DateTimeOffset DiedAt, string Reason);

/// <summary>One failed try.</summary>
public sealed record DeliveryAttempt(int Attempt, DateTimeOffset At, string Error);

/// <param name="Done">Nothing is left that the filter means.</param>
public sealed record DeadLetterChange(int Count, bool Done);

/// <summary>What could not be delivered: list, inspect, send again, discard. Changes are audited (design §3).</summary>
public sealed class DeadLetters(NpgsqlDataSource database, Decisions decisions, ISignalBus signals, TimeProvider time)
{
    /// <summary>The most dead letters that one call sends again or discards.</summary>
    public const int ChangeMax = 500;

    /// <summary>The longest part of a reason that is looked for, in characters.</summary>
    public const int ReasonLengthMax = 200;

    private const string Columns =
        """
        select l.message_no, l.recipient_no, m.message_id, w.swarm_id, coalesce(sm.name, sa.name, 'agent ' || l.sender_no),
               coalesce(rm.name, ra.name, 'agent ' || l.recipient_no), d.attempts, l.died_at, l.reason
        """;

    private const string From =
        """
        from dead_letters l
        join messages m on m.message_no = l.message_no
        join deliveries d on d.message_no = l.message_no and d.recipient_no = l.recipient_no
        left join swarms w on w.swarm_no = l.swarm_no
        left join members sm on sm.swarm_no = l.swarm_no and sm.agent_no = l.sender_no
        left join agents sa on sa.agent_no = l.sender_no
        left join members rm on rm.swarm_no = l.swarm_no and rm.agent_no = l.recipient_no
        left join agents ra on ra.agent_no = l.recipient_no
        """;

    private const string Where =
        """
        where ($1::text is null or coalesce(rm.name, ra.name) = $1) and ($2::text is null or coalesce(sm.name, sa.name) = $2)
          and ($3::uuid is null or w.swarm_id = $3) and ($4::text is null or strpos(lower(l.reason), lower($4)) > 0)
          and ($5::timestamptz is null or l.died_at >= $5) and ($6::timestamptz is null or l.died_at < $6)
        """;

    /// <summary>Newest first, older than <paramref name="before"/>.</summary>
    public async Task<IReadOnlyList<DeadLetter>> ListAsync(
        DeadLetterFilter filter, (DateTimeOffset DiedAt, DeadLetterId Id)? before, int limit, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            $"""
            {Columns} {From} {Where}
              and ($7::timestamptz is null or (l.died_at, l.message_no, l.recipient_no) < ($7, $8, $9))
            order by l.died_at desc, l.message_no desc, l.recipient_no desc limit $10
            """);
        AddFilter(command, filter);
        Add(command, before?.DiedAt.UtcDateTime, NpgsqlDbType.TimestampTz);
        Add(command, before?.Id.MessageNo, NpgsqlDbType.Bigint);
        Add(command, before?.Id.RecipientNo, NpgsqlDbType.Bigint);
        Add(command, Math.Min(limit, Inbox.PageItemsMax), NpgsqlDbType.Integer);
        return await ReadAsync(command, cancellation);
    }

    /// <summary>One, with its message and its failed tries; null when there is none of that id.</summary>
    public async Task<(DeadLetter Letter, AspMessage Message, IReadOnlyList<DeliveryAttempt> Attempts)?> FindAsync(
        DeadLetterId id, CancellationToken cancellation)
    {
        await using var find = database.CreateCommand($"{Columns} {From} where l.message_no = $1 and l.recipient_no = $2");
        find.Parameters.Add(new() { Value = id.MessageNo });
        find.Parameters.Add(new() { Value = id.RecipientNo });
        if (await ReadAsync(find, cancellation) is not [var letter])
        {
            return null;
        }

        await using var read = database.CreateCommand("select wire from messages where message_no = $1");
        read.Parameters.Add(new() { Value = id.MessageNo });
        return await read.ExecuteScalarAsync(cancellation) is byte[] wire
            ? (letter, MessageParser.Parse(wire), await DeliveryTrace.AttemptsAsync(database, id.MessageNo, id.RecipientNo, cancellation))
            : null;
    }

    /// <summary>Sends dead letters again: each goes to its old place in the queue, with all its tries. Expired ones expire.</summary>
    public async Task<DeadLetterChange> RequeueAsync(IReadOnlyList<DeadLetterId> ids, CancellationToken cancellation)
    {
        var recipients = new HashSet<AgentId>();
        var count = await ChangeAsync(
            "sent again",
            ids,
            "select recipient_no from requeue_dead_letters($1, $2, $3)",
            async reader =>
            {
                while (await reader.ReadAsync(cancellation))
                {
                    recipients.Add(new(reader.GetInt64(0)));
                }
            },
            cancellation);
        signals.Publish([.. recipients]);
        return new(count, true);
    }

    /// <summary>Forgets dead letters; the deliveries stay dead.</summary>
    public async Task<DeadLetterChange> DiscardAsync(IReadOnlyList<DeadLetterId> ids, CancellationToken cancellation) => new(
        await ChangeAsync(
            "discarded",
            ids,
            """
            with gone as (
                delete from dead_letters l using unnest($1::bigint[], $2::bigint[]) u (m, r) where l.message_no = u.m and l.recipient_no = u.r
                returning l.message_no, l.recipient_no),
            tries as (delete from delivery_attempts a using gone g where a.message_no = g.message_no and a.recipient_no = g.recipient_no)
            select 1 from gone where $3::timestamptz is not null
            """,
            _ => Task.CompletedTask,
            cancellation),
        true);

    /// <summary>The oldest that a filter means, up to <see cref="ChangeMax"/>.</summary>
    public async Task<IReadOnlyList<DeadLetterId>> SelectAsync(DeadLetterFilter filter, CancellationToken cancellation)
    {
        await using var command = database.CreateCommand(
            $"select l.message_no, l.recipient_no {From} {Where} order by l.died_at, l.message_no, l.recipient_no limit {ChangeMax}");
        AddFilter(command, filter);
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var ids = new List<DeadLetterId>();
        while (await reader.ReadAsync(cancellation))
        {
            ids.Add(new(reader.GetInt64(0), reader.GetInt64(1)));
        }

        return ids;
    }

    private async Task<int> ChangeAsync(
        string what, IReadOnlyList<DeadLetterId> ids, string sql, Func<NpgsqlDataReader, Task> read, CancellationToken cancellation)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(ids.Count, ChangeMax);
        if (ids.Count == 0)
        {
            return 0;
        }

        return await decisions.RunAsync(
            $"{ids.Count} dead letters {what}: {string.Join(' ', ids)}",
            async scope =>
            {
                var connection = (NpgsqlConnection)scope.Db.Database.GetDbConnection();
                int before = await CountAsync(connection, ids, cancellation);
                await using (var command = new NpgsqlCommand(sql, connection))
                {
                    AddIds(command, ids);
                    command.Parameters.Add(new() { Value = time.GetUtcNow().UtcDateTime });
                    await using var reader = await command.ExecuteReaderAsync(cancellation);
                    await read(reader);
                }

                return before - await CountAsync(connection, ids, cancellation);
            },
            cancellation);
    }

    private static async Task<int> CountAsync(NpgsqlConnection connection, IReadOnlyList<DeadLetterId> ids, CancellationToken cancellation)
    {
        await using var command = new NpgsqlCommand(
            "select count(*)::integer from dead_letters where (message_no, recipient_no) in (select * from unnest($1::bigint[], $2::bigint[]))",
            connection);
        AddIds(command, ids);
        return (int)(await command.ExecuteScalarAsync(cancellation))!;
    }

    private static void AddIds(NpgsqlCommand command, IReadOnlyList<DeadLetterId> ids)
    {
        command.Parameters.Add(new() { Value = ids.Select(i => i.MessageNo).ToArray() });
        command.Parameters.Add(new() { Value = ids.Select(i => i.RecipientNo).ToArray() });
    }

    private static void AddFilter(NpgsqlCommand command, DeadLetterFilter filter)
    {
        Add(command, filter.Recipient, NpgsqlDbType.Text);
        Add(command, filter.Sender, NpgsqlDbType.Text);
        Add(command, filter.Swarm?.Value, NpgsqlDbType.Uuid);
        Add(command, filter.Reason, NpgsqlDbType.Text);
        Add(command, filter.From?.UtcDateTime, NpgsqlDbType.TimestampTz);
        Add(command, filter.Until?.UtcDateTime, NpgsqlDbType.TimestampTz);
    }

    private static void Add(NpgsqlCommand command, object? value, NpgsqlDbType type) =>
        command.Parameters.Add(new() { Value = value ?? DBNull.Value, NpgsqlDbType = type });

    private static async Task<IReadOnlyList<DeadLetter>> ReadAsync(NpgsqlCommand command, CancellationToken cancellation)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellation);
        var letters = new List<DeadLetter>();
        while (await reader.ReadAsync(cancellation))
        {
            letters.Add(new(
                new(reader.GetInt64(0), reader.GetInt64(1)), new(reader.GetGuid(2)), reader.IsDBNull(3) ? null : new SwarmId(reader.GetGuid(3)),
                reader.GetString(4), reader.GetString(5), reader.GetInt16(6), reader.GetFieldValue<DateTimeOffset>(7), reader.GetString(8)));
        }

        return letters;
    }
}
